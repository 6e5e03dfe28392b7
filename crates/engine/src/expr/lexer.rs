//! Source text to tokens, in one pass.

use super::{ExprError, ExprErrorCode, Result};

/// A token and its place in the source.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub tok: Tok,
    pub start: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tok {
    /// Without sign, so that the lowest integer can be written.
    Int(u64),
    Float(f64),
    Str(String),
    Ident(String),
    Op(&'static str),
    End,
}

/// Longest first, so that `==` is never read as two `=`.
const OPERATORS: &[&str] = &[
    "??", "?.", "||", "&&", "==", "!=", "<=", ">=", "=>", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":",
    ",", ".", "(", ")", "[", "]", "{", "}",
];

/// All tokens of `src`, with `Tok::End` last.
pub(super) fn tokens(src: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer { src, pos: 0 };
    let mut out = Vec::new();
    loop {
        let before = lexer.pos;
        lexer.skip_space();
        let start = lexer.pos;
        let mut tok = lexer.next()?;
        // `a?[0]` is an optional index, `a ? [0] : b` a choice: only what touches both sides is the former.
        if tok == Tok::Op("?") && before == start && start > 0 && lexer.rest().starts_with('[') {
            lexer.pos += 1;
            tok = Tok::Op("?[");
        }
        let end = tok == Tok::End;
        out.push(Token { tok, start });
        if end {
            return Ok(out);
        }
    }
}

/// Whether `c` can start a name.
pub(super) fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Whether `c` can continue a name.
pub(super) fn continues_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Lexer<'s> {
    src: &'s str,
    /// Always on a character boundary.
    pos: usize,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        self.src.get(self.pos..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.pos += rest.len() - rest.trim_start().len();
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.pos += end;
        rest.get(..end).unwrap_or("")
    }

    fn error(&self, at: usize, message: impl Into<String>) -> ExprError {
        ExprError::new(ExprErrorCode::Syntax, at, message)
    }

    fn next(&mut self) -> Result<Tok> {
        let Some(c) = self.peek() else { return Ok(Tok::End) };
        if c == '"' || c == '\'' {
            return self.string(c);
        }
        if c.is_ascii_digit() {
            return self.number();
        }
        if starts_name(c) {
            return Ok(Tok::Ident(self.take_while(continues_name).to_owned()));
        }
        if let Some(op) = OPERATORS.iter().find(|op| self.rest().starts_with(**op)) {
            self.pos += op.len();
            return Ok(Tok::Op(op));
        }
        let hint = match c {
            '=' => "; `==` compares",
            '&' => "; `&&` is the logical and",
            '|' => "; `||` is the logical or",
            '$' => "; names have no `$`",
            '`' => "; text stands in \" or '",
            _ => "",
        };
        Err(self.error(
            self.pos,
            format!("unexpected character `{}`{hint}", c.escape_debug()),
        ))
    }

    fn number(&mut self) -> Result<Tok> {
        let start = self.pos;
        self.take_while(|c| c.is_ascii_digit());
        let mut float = false;
        let mut after = self.rest().chars();
        if after.next() == Some('.') && after.next().is_some_and(|c| c.is_ascii_digit()) {
            float = true;
            self.pos += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        if self.exponent() {
            float = true;
        }
        let text = self.src.get(start..self.pos).unwrap_or("");
        if self.peek().is_some_and(continues_name) {
            return Err(self.error(self.pos, format!("a letter follows the number {text}")));
        }
        let too_large = || {
            ExprError::new(
                ExprErrorCode::Overflow,
                start,
                format!("the number {text} is too large"),
            )
        };
        if !float {
            return text.parse().map(Tok::Int).map_err(|_| too_large());
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Tok::Float(number)),
            _ => Err(too_large()),
        }
    }

    /// Moves over `e10`, `E-3`, … and says whether there was one.
    fn exponent(&mut self) -> bool {
        let rest = self.rest();
        let Some(body) = rest.strip_prefix(['e', 'E']) else {
            return false;
        };
        let digits = body.strip_prefix(['+', '-']).unwrap_or(body);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return false;
        }
        self.pos += rest.len() - digits.len();
        self.take_while(|c| c.is_ascii_digit());
        true
    }

    fn string(&mut self, quote: char) -> Result<Tok> {
        let start = self.pos;
        self.pos += 1;
        let mut out = String::new();
        loop {
            out.push_str(self.take_while(|c| c != quote && c != '\\'));
            let Some(c) = self.peek() else {
                return Err(self.error(start, format!("this text has no closing {quote}")));
            };
            self.pos += 1;
            if c == quote {
                return Ok(Tok::Str(out));
            }
            out.push(self.escape()?);
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char> {
        let at = self.pos.saturating_sub(1);
        let Some(c) = self.peek() else {
            return Err(self.error(at, "the text ends in a backslash"));
        };
        self.pos += c.len_utf8();
        Ok(match c {
            '"' | '\'' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(at),
            _ => return Err(self.error(at, format!("unknown escape `\\{}`", c.escape_debug()))),
        })
    }

    /// `XXXX` after `\u`, and the second half of a surrogate pair.
    fn unicode(&mut self, at: usize) -> Result<char> {
        let first = self.hex4(at)?;
        if (0xD800..0xDC00).contains(&first) && self.rest().starts_with("\\u") {
            self.pos += 2;
            let second = self.hex4(at)?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return char::from_u32(code).ok_or_else(|| self.error(at, "not a character"));
            }
        }
        char::from_u32(first).ok_or_else(|| self.error(at, "half of a surrogate pair is not a character"))
    }

    fn hex4(&mut self, at: usize) -> Result<u32> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|text| u32::from_str_radix(text, 16).ok());
        let Some(code) = code else {
            return Err(self.error(at, "`\\u` needs four hexadecimal digits"));
        };
        self.pos += 4;
        Ok(code)
    }
}
