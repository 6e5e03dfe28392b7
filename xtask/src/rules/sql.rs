//! Raw SQL lives in one folder, where both databases' dialects stand side by side.
//!
//! A heuristic: it reads the string literals of product code (no comments, no `#[cfg(test)]` blocks, no test
//! files) and looks for what only SQL looks like.

use std::ops::Range;

use crate::tidy::{Repo, Violation};

const HOME: &str = "crates/store/src/dialect";
const SHOWN_CHARS: usize = 40;

pub fn raw_sql(repo: &Repo) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in repo.files.iter().filter(|file| is_product_code(&file.path)) {
        let source = read(&file.text);
        let tests = test_blocks(&source.code);
        for literal in &source.literals {
            if tests.iter().any(|block| block.contains(&literal.start)) {
                continue;
            }
            if let Some(shown) = looks_like_sql(&literal.text) {
                let line = 1 + file.text[..literal.start].matches('\n').count();
                let message =
                    format!("raw SQL (\"{shown}…\"): it belongs in {HOME}, or use the query builder");
                found.push(Violation::new(file, line, message));
            }
        }
    }
    found
}

fn is_product_code(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    path.starts_with("crates/")
        && name.ends_with(".rs")
        && !path.starts_with(&format!("{HOME}/"))
        && path != format!("{HOME}.rs")
        && !path.starts_with("crates/testkit/")
        && !path.contains("/tests/")
        && !path.contains("/benches/")
        && name != "tests.rs"
        && !name.ends_with("_test.rs")
        && !name.ends_with("_tests.rs")
}

/// The beginning of the statement, when the text holds one.
fn looks_like_sql(text: &str) -> Option<String> {
    // Line breaks and the `\` before them count as spaces; the end counts as one too.
    let mut flat = text
        .replace("\\n", " ")
        .replace('\\', " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    flat.push(' ');

    // In capitals anywhere, or in small letters as the whole statement from the start.
    let place = ["SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE "]
        .iter()
        .find_map(|verb| word(&flat, verb))
        .or_else(|| word(&flat, "UPDATE ").filter(|at| flat[*at..].contains(" SET ")))
        .or_else(|| {
            let whole = (flat.starts_with("select ") && flat.contains(" from "))
                || (flat.starts_with("update ") && flat.contains(" set ") && flat.contains('='))
                || ["insert into ", "delete from ", "create table "]
                    .iter()
                    .any(|verb| flat.starts_with(verb));
            whole.then_some(0)
        })?;
    Some(flat[place..].trim_end().chars().take(SHOWN_CHARS).collect())
}

/// Where `verb` stands in `text` as a word of its own.
fn word(text: &str, verb: &str) -> Option<usize> {
    text.match_indices(verb).map(|(at, _)| at).find(|at| {
        let before = text[..*at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

struct Literal {
    /// Byte offset of its first character in the file.
    start: usize,
    text: String,
}

struct Source {
    /// As long as the file, with comments and literals blanked out.
    code: Vec<u8>,
    literals: Vec<Literal>,
}

/// Tells code from comments, string and character literals.
fn read(text: &str) -> Source {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut literals = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => at + length_to(&bytes[at..], b"\n"),
            b'/' if bytes[at..].starts_with(b"/*") => at + block_comment(&bytes[at..]),
            b'"' => {
                let inside = quoted(&bytes[at..], b'"');
                literals.push(Literal {
                    start: at,
                    text: text[at + 1..at + inside].to_owned(),
                });
                (at + inside + 1).min(bytes.len())
            }
            b'r' if !continues_name(bytes, at) && raw_hashes(&bytes[at..]).is_some() => {
                let hashes = raw_hashes(&bytes[at..]).unwrap_or_default();
                let open = at + 1 + hashes + 1;
                let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
                let inside = length_to(&bytes[open..], &close);
                literals.push(Literal {
                    start: at,
                    text: text[open..open + inside].to_owned(),
                });
                (open + inside + close.len()).min(bytes.len())
            }
            b'\'' => at + character(&text[at..]),
            _ => {
                at += 1;
                continue;
            }
        };
        code[at..end].fill(b' ');
        at = end;
    }
    Source { code, literals }
}

/// Bytes before `mark`, or all of them.
fn length_to(bytes: &[u8], mark: &[u8]) -> usize {
    bytes
        .windows(mark.len())
        .position(|window| window == mark)
        .unwrap_or(bytes.len())
}

/// The whole of a block comment, which may hold others.
fn block_comment(bytes: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The offset of the closing quote of a literal that begins at offset 0.
fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The number of `#` when a raw string begins here: `r"`, `r#"`.
fn raw_hashes(bytes: &[u8]) -> Option<usize> {
    let hashes = bytes[1..].iter().take_while(|byte| **byte == b'#').count();
    (bytes.get(1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// Whether the `r` at this offset ends a longer name; `br"` and `cr"` are literals too.
fn continues_name(bytes: &[u8], at: usize) -> bool {
    let is_name = |index: usize| bytes[index].is_ascii_alphanumeric() || bytes[index] == b'_';
    match at.checked_sub(1) {
        None => false,
        Some(before) if matches!(bytes[before], b'b' | b'c') => before.checked_sub(1).is_some_and(is_name),
        Some(before) => is_name(before),
    }
}

/// The length of a character literal; 1 for the tick of a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => (quoted(text.as_bytes(), b'\'') + 1).min(text.len()),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The braces that belong to a `#[cfg(test)]`.
fn test_blocks(code: &[u8]) -> Vec<Range<usize>> {
    const MARK: &[u8] = b"#[cfg(test)]";
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let begin = at + length_to(&code[at..], MARK);
        let Some(open) = code[begin..].iter().position(|byte| matches!(byte, b'{' | b';')) else {
            break;
        };
        let open = begin + open;
        at = open + 1;
        if code[open] == b'{' {
            let mut depth = 1;
            while at < code.len() && depth > 0 {
                depth += match code[at] {
                    b'{' => 1,
                    b'}' => -1,
                    _ => 0,
                };
                at += 1;
            }
            blocks.push(begin..at);
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        raw_sql(&Repo::of(&[(path, text)]))
            .into_iter()
            .map(|v| v.line)
            .collect()
    }

    fn in_work(text: &str) -> Vec<usize> {
        lines("crates/work/src/service.rs", text)
    }

    #[test]
    fn statements_in_product_code_are_found() {
        for statement in [
            "SELECT id FROM tasks",
            "select id from tasks",
            "  select\n  id\n  from tasks",
            "WITH t AS (SELECT 1) TABLE t",
            "INSERT INTO tasks VALUES (1)",
            "insert into tasks values (1)",
            "UPDATE tasks SET title = 'x'",
            "update tasks\n set title = 'x'",
            "DELETE FROM tasks",
            "CREATE TABLE tasks (id uuid)",
            "SELECT\\n1",
        ] {
            assert_eq!(
                in_work(&format!("//! W\nfn f() {{ q(\"{statement}\") }}\n")),
                [2],
                "{statement}"
            );
            assert_eq!(
                in_work(&format!("fn f() {{ q(r#\"{statement}\"#) }}\n")),
                [1],
                "raw {statement}"
            );
        }
    }

    #[test]
    fn ordinary_text_is_not_sql() {
        for text in [
            "Select a plan from the list below",
            "UPDATE the task, then close it",
            "created from a template",
            "selected",
            "RESELECT it",
            "deletes from the list",
        ] {
            assert_eq!(
                in_work(&format!("const T: &str = \"{text}\";\n")),
                [0; 0],
                "{text}"
            );
        }
    }

    #[test]
    fn comments_tests_and_the_dialect_may_hold_sql() {
        assert_eq!(
            in_work("// \"SELECT 1\"\n/* \"SELECT 1\" /* \"SELECT 2\" */ */\n/// `SELECT 1`\n"),
            [0; 0]
        );
        let source = "fn f<'a>(x: &'a str) { q('\"', \"SELECT 1\") }\n#[cfg(test)]\nmod tests {\n  fn g() { q(\"SELECT 2 }\") }\n}\nfn h() {\n  q(\"SELECT 3\")\n}\n";
        assert_eq!(in_work(source), [1, 7]);
        assert_eq!(
            in_work("#[cfg(test)]\nmod tests;\nfn h() { q(\"SELECT 3\") }\n"),
            [3]
        );
        let sql = "fn f() { q(\"SELECT 1\") }\n";
        for allowed in [
            "crates/store/src/dialect/postgres.rs",
            "crates/store/src/dialect.rs",
            "crates/store/tests/isolation.rs",
            "crates/work/src/tests.rs",
            "crates/work/src/tests/list.rs",
            "crates/testkit/src/lib.rs",
            "xtask/src/rules/sql.rs",
        ] {
            assert_eq!(lines(allowed, sql), [0; 0], "{allowed}");
        }
        assert_eq!(lines("crates/store/src/tx.rs", sql), [1]);
    }

    #[test]
    fn odd_literals_do_not_confuse_it() {
        assert_eq!(
            in_work("const A: char = '\\''; const B: &[u8] = br\"x\"; const C: &str = \"SELECT 1\";\n"),
            [1]
        );
        assert_eq!(
            in_work("let r = var\"x\"; let s = r##\"a\"# SELECT 1\"##;\n"),
            [1]
        );
        assert_eq!(in_work("const D: &str = \"\\\"SELECT 1\";\n"), [1]);
        assert_eq!(
            in_work("const E: char = 'ü'; // \"\nconst F: &str = \"DELETE FROM t\";\n"),
            [2]
        );
        assert_eq!(in_work("const G: &str = \"never closed SELECT 1"), [1]);
        assert_eq!(in_work("const H: &str = \"ends in a backslash\\"), [0; 0]);
    }
}
