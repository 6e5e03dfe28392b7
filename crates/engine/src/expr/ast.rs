//! The syntax tree. Chains of operators, path steps and choices are flat, so that only real nesting costs
//! depth.

use serde_json::Value;

use super::functions::Builtin;

/// One node and where it starts in the source.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub kind: Kind,
    pub offset: usize,
    /// Nodes from here to the deepest leaf, at most `MAX_AST_DEPTH`.
    pub height: usize,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Literal(Value),
    Path(Box<Path>),
    Array(Vec<Node>),
    Object(Vec<(Node, Node)>),
    Not(Box<Node>),
    Neg(Box<Node>),
    /// Operators of one precedence level, applied from the left.
    Chain(Box<Node>, Vec<Link>),
    /// `c1 ? v1 : c2 ? v2 : otherwise`
    Choice(Vec<(Node, Node)>, Box<Node>),
    Call(Box<Call>),
}

/// An operator and its right operand.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub op: BinOp,
    pub offset: usize,
    pub right: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinOp {
    Coalesce,
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl BinOp {
    /// The operator a token stands for.
    pub fn from_text(text: &str) -> Option<Self> {
        Some(match text {
            "??" => Self::Coalesce,
            "||" => Self::Or,
            "&&" => Self::And,
            "==" => Self::Eq,
            "!=" => Self::Ne,
            "<" => Self::Lt,
            "<=" => Self::Le,
            ">" => Self::Gt,
            ">=" => Self::Ge,
            "in" => Self::In,
            "+" => Self::Add,
            "-" => Self::Sub,
            "*" => Self::Mul,
            "/" => Self::Div,
            "%" => Self::Rem,
            _ => return None,
        })
    }

    pub fn text(self) -> &'static str {
        match self {
            Self::Coalesce => "??",
            Self::Or => "||",
            Self::And => "&&",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
        }
    }

    /// Binding strength; a chain holds operators of one level only.
    pub fn level(self) -> u8 {
        match self {
            Self::Coalesce => 1,
            Self::Or => 2,
            Self::And => 3,
            Self::Eq | Self::Ne => 4,
            Self::Lt | Self::Le | Self::Gt | Self::Ge | Self::In => 5,
            Self::Add | Self::Sub => 6,
            Self::Mul | Self::Div | Self::Rem => 7,
        }
    }
}

/// A base and the steps taken from it.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub base: Base,
    pub steps: Vec<Step>,
    /// The first two steps are `<id>` and `output` on the root `nodes`: the scope answers them in one go.
    pub node_output: bool,
}

/// Where a path starts.
#[derive(Debug, Clone)]
pub(super) enum Base {
    Root(String),
    /// A lambda's parameter: its slot on the evaluator's stack, and its name for messages.
    Local(usize, String),
    Expr(Node),
}

/// One step of a path.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub key: StepKey,
    /// Written with `?`.
    pub optional: bool,
    pub offset: usize,
}

#[derive(Debug, Clone)]
pub(super) enum StepKey {
    Name(String),
    Index(i64),
    Computed(Node),
}

/// A call of a built-in function.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub builtin: &'static Builtin,
    /// Arguments without the lambda.
    pub args: Vec<Node>,
    pub lambda: Option<Lambda>,
}

/// `x => body` or `(x, i) => body`.
#[derive(Debug, Clone)]
pub(super) struct Lambda {
    /// Whether it takes the position as well.
    pub with_index: bool,
    pub body: Node,
}
