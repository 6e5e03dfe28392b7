//! Tokens to a syntax tree: precedence climbing, with a bound on nesting so that no source can exhaust the
//! stack.

use std::collections::BTreeSet;

use serde_json::{Number, Value};

use super::ast::{Base, BinOp, Call, Kind, Lambda, Link, Node, Path, Step, StepKey};
use super::functions::{self, Takes};
use super::lexer::{self, Tok, Token};
use super::{ExprError, ExprErrorCode, MAX_AST_DEPTH, References, Result};

/// What a source parses to.
pub(super) struct Parsed {
    pub root: Node,
    pub needed: BTreeSet<String>,
    pub references: References,
}

/// Parses a whole source.
pub(super) fn parse(src: &str) -> Result<Parsed> {
    let mut parser = Parser {
        tokens: lexer::tokens(src)?,
        pos: 0,
        depth: 0,
        locals: Vec::new(),
        needed: BTreeSet::new(),
        references: References::default(),
    };
    if parser.peek() == &Tok::End {
        return Err(parser.syntax("the expression is empty"));
    }
    let root = parser.expr()?;
    if parser.peek() != &Tok::End {
        return Err(parser.unexpected("an operator or the end"));
    }
    Ok(Parsed {
        root,
        needed: parser.needed,
        references: parser.references,
    })
}

struct Parser {
    tokens: Vec<Token>,
    pos: usize,
    depth: usize,
    /// Parameters of the lambdas around the current place; the index is the slot at evaluation.
    locals: Vec<String>,
    needed: BTreeSet<String>,
    references: References,
}

const END: Tok = Tok::End;

impl Parser {
    fn peek(&self) -> &Tok {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Tok {
        self.tokens
            .get(self.pos.saturating_add(ahead))
            .map_or(&END, |token| &token.tok)
    }

    fn offset(&self) -> usize {
        self.tokens
            .get(self.pos)
            .or(self.tokens.last())
            .map_or(0, |token| token.start)
    }

    fn bump(&mut self) -> Tok {
        let tok = self.peek().clone();
        self.pos += 1;
        tok
    }

    fn is(&self, op: &str) -> bool {
        matches!(self.peek(), Tok::Op(found) if *found == op)
    }

    fn eat(&mut self, op: &str) -> bool {
        let found = self.is(op);
        self.pos += usize::from(found);
        found
    }

    fn expect(&mut self, op: &str) -> Result<()> {
        if self.eat(op) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{op}`")))
        }
    }

    fn syntax(&self, message: impl Into<String>) -> ExprError {
        ExprError::new(ExprErrorCode::Syntax, self.offset(), message)
    }

    fn unexpected(&self, wanted: &str) -> ExprError {
        let (found, hint) = match self.peek() {
            Tok::End => ("the end".to_owned(), ""),
            Tok::Int(_) | Tok::Float(_) => ("a number".to_owned(), ""),
            Tok::Str(_) => ("a text".to_owned(), ""),
            Tok::Ident(name) => {
                let hint = match name.as_str() {
                    "and" => "; write `&&`",
                    "or" => "; write `||`",
                    "not" => "; write `!`",
                    _ => "",
                };
                (format!("`{}`", functions::excerpt(name)), hint)
            }
            Tok::Op("=>") => (
                "`=>`".to_owned(),
                "; `x => …` can only be an argument of map, filter and the like",
            ),
            Tok::Op(":") => (
                "`:`".to_owned(),
                "; a choice before `[` needs a space: `cond ? [1] : [2]`",
            ),
            Tok::Op(op) => (format!("`{op}`"), ""),
        };
        self.syntax(format!("expected {wanted}, found {found}{hint}"))
    }

    /// Counts one level of nesting; every recursion of the parser goes through here or `node`.
    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        self.check_height(self.depth)
    }

    fn check_height(&self, height: usize) -> Result<()> {
        if height > MAX_AST_DEPTH {
            let message = format!("the expression is nested more than {MAX_AST_DEPTH} levels deep");
            return Err(ExprError::new(ExprErrorCode::Limit, self.offset(), message));
        }
        Ok(())
    }

    fn node(&self, offset: usize, kind: Kind) -> Result<Node> {
        let height = tallest_child(&kind) + 1;
        self.check_height(height)?;
        Ok(Node { kind, offset, height })
    }

    /// A choice, or what binds stronger.
    fn expr(&mut self) -> Result<Node> {
        let offset = self.offset();
        let mut arms = Vec::new();
        loop {
            let condition = self.binary(1)?;
            if !self.eat("?") {
                if arms.is_empty() {
                    return Ok(condition);
                }
                return self.node(offset, Kind::Choice(arms, Box::new(condition)));
            }
            let value = self.expr()?;
            self.expect(":")?;
            arms.push((condition, value));
        }
    }

    /// Operators of at least `level`.
    fn binary(&mut self, level: u8) -> Result<Node> {
        self.enter()?;
        let mut left = self.unary()?;
        while let Some(op) = self.operator().filter(|op| op.level() >= level) {
            let offset = self.offset();
            self.bump();
            let right = self.binary(op.level() + 1)?;
            left = self.link(left, op, offset, right)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<BinOp> {
        match self.peek() {
            Tok::Op(text) => BinOp::from_text(text),
            Tok::Ident(name) if name == "in" => Some(BinOp::In),
            _ => None,
        }
    }

    /// Appends to a chain of the same level, or starts one. Operators of a level all apply from the left, so
    /// a parenthesised left side may be joined as well.
    fn link(&self, left: Node, op: BinOp, offset: usize, right: Node) -> Result<Node> {
        let start = left.offset;
        let link = Link { op, offset, right };
        let kind = match left.kind {
            Kind::Chain(first, mut links) if links.first().is_some_and(|l| l.op.level() == op.level()) => {
                links.push(link);
                Kind::Chain(first, links)
            }
            kind => Kind::Chain(Box::new(Node { kind, ..left }), vec![link]),
        };
        // Only the new operand can have made the chain taller; looking at all of them would be quadratic.
        let added = match &kind {
            Kind::Chain(first, links) => links.last().map_or(0, |l| l.right.height).max(first.height) + 1,
            _ => 1,
        };
        let height = added.max(left.height);
        self.check_height(height)?;
        Ok(Node {
            kind,
            offset: start,
            height,
        })
    }

    fn unary(&mut self) -> Result<Node> {
        let offset = self.offset();
        if self.is("!") || self.is("-") {
            let minus = self.bump() == Tok::Op("-");
            // The sign belongs to a literal, so that the lowest integer can be written.
            if let (true, Tok::Int(digits)) = (minus, self.peek()) {
                let literal = integer(-i128::from(*digits), offset)?;
                self.bump();
                return self.steps(Start::Node(self.node(offset, Kind::Literal(literal))?), offset);
            }
            self.enter()?;
            let operand = Box::new(self.unary()?);
            self.depth -= 1;
            return self.node(
                offset,
                if minus {
                    Kind::Neg(operand)
                } else {
                    Kind::Not(operand)
                },
            );
        }
        let start = self.primary()?;
        self.steps(start, offset)
    }

    fn primary(&mut self) -> Result<Start> {
        let offset = self.offset();
        let kind = match self.bump() {
            Tok::Int(digits) => Kind::Literal(integer(i128::from(digits), offset)?),
            Tok::Float(number) => Kind::Literal(Number::from_f64(number).map_or(Value::Null, Value::Number)),
            Tok::Str(text) => Kind::Literal(Value::String(text)),
            Tok::Op("(") => {
                let inner = self.expr()?;
                self.expect(")")?;
                return Ok(Start::Node(inner));
            }
            Tok::Op("[") => Kind::Array(self.list("]", Self::expr)?),
            Tok::Op("{") => Kind::Object(self.list("}", Self::field)?),
            Tok::Ident(name) => match name.as_str() {
                "true" => Kind::Literal(Value::Bool(true)),
                "false" => Kind::Literal(Value::Bool(false)),
                "null" => Kind::Literal(Value::Null),
                "in" => {
                    self.pos -= 1;
                    return Err(self.unexpected("a value"));
                }
                _ if self.is("(") => return Ok(Start::Node(self.call(&name, offset)?)),
                _ => return Ok(Start::Name(name)),
            },
            _ => {
                self.pos -= 1;
                return Err(self.unexpected("a value"));
            }
        };
        Ok(Start::Node(self.node(offset, kind)?))
    }

    /// Items separated by commas up to `close`; a comma may follow the last one.
    fn list<T>(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut out = Vec::new();
        while !self.eat(close) {
            out.push(item(self)?);
            if !self.eat(",") && !self.is(close) {
                return Err(self.unexpected(&format!("`,` or `{close}`")));
            }
        }
        Ok(out)
    }

    /// `"key": value`, `key: value` or `[computed]: value`.
    fn field(&mut self) -> Result<(Node, Node)> {
        let offset = self.offset();
        let key = match self.peek() {
            Tok::Str(text) | Tok::Ident(text) => {
                let key = self.node(offset, Kind::Literal(Value::String(text.clone())))?;
                self.bump();
                key
            }
            Tok::Op("[") => {
                self.bump();
                let key = self.expr()?;
                self.expect("]")?;
                key
            }
            _ => return Err(self.unexpected("a key")),
        };
        self.expect(":")?;
        Ok((key, self.expr()?))
    }

    /// The steps after a primary; without any, a node stays what it is.
    fn steps(&mut self, start: Start, offset: usize) -> Result<Node> {
        let mut steps = Vec::new();
        loop {
            let at = self.offset();
            let optional = self.is("?.") || self.is("?[");
            if self.eat(".") || self.eat("?.") {
                steps.push(Step {
                    key: self.member(optional)?,
                    optional,
                    offset: at,
                });
            } else if self.eat("[") || self.eat("?[") {
                steps.push(Step {
                    key: self.index()?,
                    optional,
                    offset: at,
                });
            } else {
                break;
            }
        }
        let base = match start {
            Start::Node(node) if steps.is_empty() => return Ok(node),
            Start::Node(node) => Base::Expr(node),
            Start::Name(name) => match self.locals.iter().rposition(|local| *local == name) {
                Some(slot) => Base::Local(slot, name),
                None => Base::Root(name),
            },
        };
        let node_output = self.note_references(&base, &steps);
        self.node(
            offset,
            Kind::Path(Box::new(Path {
                base,
                steps,
                node_output,
            })),
        )
    }

    /// After a dot. A bracket may follow `?.`, as JavaScript writes it.
    fn member(&mut self, optional: bool) -> Result<StepKey> {
        if optional && self.eat("[") {
            return self.index();
        }
        let Tok::Ident(name) = self.peek().clone() else {
            let hint = if matches!(self.peek(), Tok::Int(_)) {
                " (an index stands in brackets: `[0]`)"
            } else {
                ""
            };
            return Err(self.unexpected(&format!("a name after the dot{hint}")));
        };
        if self.peek_at(1) == &Tok::Op("(") {
            let name = functions::excerpt(&name);
            return Err(self.syntax(format!(
                "values have no methods: write `{name}(value)`, not `value.{name}()`"
            )));
        }
        self.bump();
        Ok(StepKey::Name(name))
    }

    /// After an opening bracket.
    fn index(&mut self) -> Result<StepKey> {
        let key = self.expr()?;
        self.expect("]")?;
        Ok(match key.kind {
            Kind::Literal(Value::String(name)) => StepKey::Name(name),
            Kind::Literal(Value::Number(ref number)) if number.is_i64() => {
                StepKey::Index(number.as_i64().unwrap_or_default())
            }
            _ => StepKey::Computed(key),
        })
    }

    /// Records what a path reads, and says whether the scope can answer its first two steps at once.
    fn note_references(&mut self, base: &Base, steps: &[Step]) -> bool {
        let Base::Root(name) = base else { return false };
        self.references.roots.insert(name.clone());
        let is_output = matches!(steps.get(1).map(|s| &s.key), Some(StepKey::Name(key)) if key == "output");
        let by_name = matches!(
            steps.first().map(|s| &s.key),
            Some(StepKey::Name(_) | StepKey::Computed(_))
        );
        if name == "nodes" {
            match steps.first().map(|step| &step.key) {
                Some(StepKey::Name(id)) => {
                    self.references.nodes.insert(id.clone());
                }
                _ => self.references.any_node = true,
            }
        }
        let node_output = name == "nodes" && is_output && by_name;
        if !node_output {
            self.needed.insert(name.clone());
        }
        node_output
    }

    fn call(&mut self, name: &str, offset: usize) -> Result<Node> {
        let error = |code, message| Err(ExprError::new(code, offset, message));
        // These two are `??` under another name: arguments after the first that is there are not evaluated.
        let coalesce = name == "default" || name == "coalesce";
        let Some(builtin) = functions::lookup(name) else {
            return error(ExprErrorCode::UnknownFunction, functions::unknown(name));
        };
        self.expect("(")?;
        let (mut args, mut lambda, mut count) = (Vec::new(), None, 0);
        while !self.eat(")") {
            if count == 1 && builtin.takes != Takes::Values && self.at_lambda() {
                lambda = Some(self.lambda()?);
            } else {
                args.push(self.expr()?);
            }
            count += 1;
            if !self.eat(",") && !self.is(")") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
        if let Some(message) = builtin.wrong_call(count, lambda.is_some()) {
            return error(ExprErrorCode::Argument, message);
        }
        if coalesce {
            return self.coalesce(args, offset);
        }
        self.node(
            offset,
            Kind::Call(Box::new(Call {
                builtin,
                args,
                lambda,
            })),
        )
    }

    fn coalesce(&self, args: Vec<Node>, offset: usize) -> Result<Node> {
        let mut args = args.into_iter();
        let Some(first) = args.next() else {
            return Err(self.unexpected("an argument"));
        };
        let links = args
            .map(|right| Link {
                op: BinOp::Coalesce,
                offset: right.offset,
                right,
            })
            .collect();
        self.node(offset, Kind::Chain(Box::new(first), links))
    }

    /// Whether `x =>`, `(x) =>` or `(x, i) =>` follows.
    fn at_lambda(&self) -> bool {
        let name = |ahead| matches!(self.peek_at(ahead), Tok::Ident(_));
        let op = |ahead, text| matches!(self.peek_at(ahead), Tok::Op(found) if *found == text);
        (name(0) && op(1, "=>"))
            || (op(0, "(") && name(1) && op(2, ")") && op(3, "=>"))
            || (op(0, "(") && name(1) && op(2, ",") && name(3) && op(4, ")") && op(5, "=>"))
    }

    fn lambda(&mut self) -> Result<Lambda> {
        let outer = self.locals.len();
        while !self.eat("=>") {
            if let Tok::Ident(name) = self.peek().clone() {
                if matches!(name.as_str(), "true" | "false" | "null" | "in") {
                    return Err(self.syntax(format!("`{name}` cannot name a parameter")));
                }
                self.locals.push(name);
            }
            self.pos += 1;
        }
        let with_index = self.locals.len() - outer > 1;
        let body = self.expr()?;
        self.locals.truncate(outer);
        Ok(Lambda { with_index, body })
    }
}

/// What steps can follow.
enum Start {
    Name(String),
    Node(Node),
}

fn integer(number: i128, offset: usize) -> Result<Value> {
    match i64::try_from(number) {
        Ok(number) => Ok(Value::from(number)),
        Err(_) => {
            let message = format!("the number {number} does not fit in a 64-bit integer");
            Err(ExprError::new(ExprErrorCode::Overflow, offset, message))
        }
    }
}

fn tallest_child(kind: &Kind) -> usize {
    let tallest = |nodes: &mut dyn Iterator<Item = &Node>| nodes.map(|node| node.height).max().unwrap_or(0);
    match kind {
        Kind::Literal(_) => 0,
        Kind::Not(node) | Kind::Neg(node) => node.height,
        Kind::Array(items) => tallest(&mut items.iter()),
        Kind::Object(fields) => tallest(&mut fields.iter().flat_map(|(key, value)| [key, value])),
        Kind::Chain(first, links) => tallest(&mut links.iter().map(|link| &link.right)).max(first.height),
        Kind::Choice(arms, otherwise) => {
            tallest(&mut arms.iter().flat_map(|(test, value)| [test, value])).max(otherwise.height)
        }
        Kind::Call(call) => {
            let body = call.lambda.as_ref().map_or(0, |lambda| lambda.body.height);
            tallest(&mut call.args.iter()).max(body)
        }
        Kind::Path(path) => {
            let base = if let Base::Expr(node) = &path.base {
                node.height
            } else {
                0
            };
            let keys = path.steps.iter().filter_map(|step| match &step.key {
                StepKey::Computed(node) => Some(node.height),
                _ => None,
            });
            keys.max().unwrap_or(0).max(base)
        }
    }
}
