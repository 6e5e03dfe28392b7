//! Workflow files as people write them: YAML without its surprises, and the line on which a value stands.

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy};
use synapscale_core::{Error, Result};

/// The largest file, in bytes.
pub const MAX_FILE_BYTES: usize = 512 * 1024;
/// Most levels of lists and maps.
const MAX_DEPTH: usize = 32;
/// Most values in one file.
const MAX_NODES: usize = 20_000;

/// Reads one YAML document. Anchors, aliases, merge keys, repeated keys and a second document are refused, and only
/// `true` and `false` are booleans: what stands in the file is what is meant.
///
/// # Errors
/// `too_large` above [`MAX_FILE_BYTES`]; `invalid` with code `yaml` and the line and column otherwise.
pub fn parse_yaml(text: &str) -> Result<Value> {
    if text.len() > MAX_FILE_BYTES {
        return Err(Error::too_large(
            "workflow file",
            format_args!("{} KiB", MAX_FILE_BYTES / 1024),
        ));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_aliases: 0,
            max_anchors: 0,
            max_documents: 1,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Value>(text, options).map_err(|error| {
        let message = match error.location() {
            Some(at) => format!("Line {}, column {}: {error}", at.line(), at.column()),
            None => error.to_string(),
        };
        Error::invalid("", "yaml", message)
    })
}

/// Line and column, both from 1, of what the JSON pointer names in block-style YAML. Best effort: inside of a flow
/// collection (`{…}`, `[…]`) or a text block it is the line on which that begins.
pub fn locate(text: &str, pointer: &str) -> Option<(usize, usize)> {
    let lines = lines(text);
    let mut at = Place { line: 0, indent: 0 };
    let mut found = lines.first().map(|line| (line.number, line.indent + 1))?;
    for raw in pointer.split('/').skip(1) {
        let step = raw.replace("~1", "/").replace("~0", "~");
        let Some((next, position)) = descend(&lines, at, &step) else {
            break;
        };
        found = position;
        match next {
            Some(place) => at = place,
            None => break,
        }
    }
    Some(found)
}

/// A line that holds something. The dashes of a list count as indentation of what follows them.
struct Line<'t> {
    number: usize,
    indent: usize,
    text: &'t str,
}

/// Where the block of a value begins: the index of its first line, and the column of its keys or dashes.
#[derive(Clone, Copy)]
struct Place {
    line: usize,
    indent: usize,
}

/// Lines with content; those of text blocks (`|`, `>`) are left out, since they look like anything.
fn lines(text: &str) -> Vec<Line<'_>> {
    let mut out = Vec::new();
    let mut block: Option<usize> = None;
    for (index, raw) in text.lines().enumerate() {
        let content = raw.trim_start_matches(' ');
        let indent = raw.len() - content.len();
        let content = content.trim_end();
        if content.is_empty() || content.starts_with('#') || content == "---" {
            continue;
        }
        if block.is_some_and(|outer| indent > outer) {
            continue;
        }
        block = opens_text_block(content).then(|| indent + dashes(content));
        out.push(Line {
            number: index + 1,
            indent,
            text: content,
        });
    }
    out
}

/// Whether the line ends in `|`, `>` and their variants such as `|-` and `>2`.
fn opens_text_block(content: &str) -> bool {
    let last = content.rsplit(' ').next().unwrap_or_default();
    let mut chars = last.chars();
    matches!(chars.next(), Some('|' | '>'))
        && chars.all(|c| matches!(c, '-' | '+' | '1'..='9'))
        && content.contains(' ')
}

/// Bytes of the `- ` before a line's content.
fn dashes(content: &str) -> usize {
    let mut rest = content;
    while let Some(after) = rest.strip_prefix("- ") {
        rest = after.trim_start_matches(' ');
    }
    content.len() - rest.len()
}

/// One step down: where the value's own block begins, if it has one, and the position of its key or dash.
fn descend(lines: &[Line<'_>], at: Place, step: &str) -> Option<(Option<Place>, (usize, usize))> {
    let first = lines.get(at.line)?;
    let is_list = first
        .text
        .get(at.indent.saturating_sub(first.indent)..)
        .is_some_and(|t| t == "-" || t.starts_with("- "));
    match step.parse::<usize>() {
        Ok(index) if is_list => item(lines, at, index),
        _ => key(lines, at, step),
    }
}

/// The lines of the block at `at`: from its first one until one that is indented less.
fn block<'l, 't>(lines: &'l [Line<'t>], at: Place) -> impl Iterator<Item = (usize, &'l Line<'t>)> {
    let inside = move |(index, line): &(usize, &Line<'_>)| *index == at.line || line.indent >= at.indent;
    lines.iter().enumerate().skip(at.line).take_while(inside)
}

fn item(lines: &[Line<'_>], at: Place, wanted: usize) -> Option<(Option<Place>, (usize, usize))> {
    let is_dash = |line: &Line<'_>| {
        let shift = at.indent.saturating_sub(line.indent);
        line.text
            .get(shift..)
            .is_some_and(|t| t == "-" || t.starts_with("- "))
    };
    let (index, line) = block(lines, at)
        .filter(|(index, line)| (*index == at.line || line.indent == at.indent) && is_dash(line))
        .nth(wanted)?;
    let shift = at.indent.saturating_sub(line.indent);
    let after = line.text.get(shift + 1..).unwrap_or_default();
    let gap = after.len() - after.trim_start().len();
    let place = match after.trim().is_empty() {
        // The value begins on the next line.
        true => lines.get(index + 1).map(|next| Place {
            line: index + 1,
            indent: next.indent,
        }),
        false => Some(Place {
            line: index,
            indent: at.indent + 1 + gap,
        }),
    };
    Some((place, (line.number, at.indent + 1)))
}

fn key(lines: &[Line<'_>], at: Place, wanted: &str) -> Option<(Option<Place>, (usize, usize))> {
    for (index, line) in block(lines, at) {
        let shift = match index == at.line {
            true => at.indent.saturating_sub(line.indent),
            false if line.indent == at.indent => 0,
            false => continue,
        };
        let Some(content) = line.text.get(shift..) else {
            continue;
        };
        let Some(rest) = key_of(content, wanted) else {
            continue;
        };
        let rest = rest.trim();
        let below = lines.get(index + 1).filter(|next| {
            // A list may stand at its key's own column.
            next.indent > at.indent || (next.indent == at.indent && next.text.starts_with('-'))
        });
        let place = match rest.is_empty() || rest.starts_with('#') {
            true => below.map(|next| Place {
                line: index + 1,
                indent: next.indent,
            }),
            false => None,
        };
        return Some((place, (line.number, at.indent + 1)));
    }
    None
}

/// What follows `wanted:` at the beginning of `content`, with or without quotes around the key.
fn key_of<'c>(content: &'c str, wanted: &str) -> Option<&'c str> {
    let unquoted = ['"', '\''].iter().find_map(|quote| {
        content
            .strip_prefix(*quote)?
            .strip_prefix(wanted)?
            .strip_prefix(*quote)
    });
    let rest = unquoted
        .or_else(|| content.strip_prefix(wanted))?
        .strip_prefix(':')?;
    (rest.is_empty() || rest.starts_with(' ')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FILE: &str = "\
# a comment
name: demo
nodes:
  hook:
    kind: trigger.webhook@1
    with: {scheme: github}
  decide:
    kind: set@1
    with:
      text: |
        name: not a key
        nodes: neither
      list:
        - first
        - port: a
          when: yes
edges:
- {from: hook, to: decide}
- from: decide
  to: end
";

    #[test]
    fn plain_values_only() {
        assert_eq!(
            parse_yaml("a: yes\nb: true\nc: [1, 2.5, ~]\n").expect("yaml"),
            json!({"a": "yes", "b": true, "c": [1, 2.5, null]})
        );
        for bad in [
            "a: 1\na: 2\n",
            "a: &x 1\nb: *x\n",
            "a: {}\nb:\n  <<: {c: 1}\n",
            "a: 1\n---\nb: 2\n",
            "a: [1",
        ] {
            assert!(parse_yaml(bad).is_err(), "{bad}");
        }
        let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        assert!(parse_yaml(&deep).is_err());
        assert_eq!(
            parse_yaml(&" ".repeat(MAX_FILE_BYTES + 1))
                .expect_err("large")
                .code(),
            "too_large"
        );
    }

    #[test]
    fn faults_name_their_line() {
        let error = parse_yaml("a: 1\nb:\n  c: 2\n c: 3\n").expect_err("bad indentation");
        assert!(error.message().contains("Line "), "{}", error.message());
    }

    #[test]
    fn pointers_find_their_line() {
        for (pointer, place) in [
            ("", (2, 1)),
            ("/name", (2, 1)),
            ("/nodes", (3, 1)),
            ("/nodes/hook/kind", (5, 5)),
            ("/nodes/hook/with/scheme", (6, 5)),
            ("/nodes/decide/with/text", (10, 7)),
            ("/nodes/decide/with/list/0", (14, 9)),
            ("/nodes/decide/with/list/1/when", (16, 11)),
            ("/edges/0", (18, 1)),
            ("/edges/1/to", (20, 3)),
            ("/nodes/absent", (3, 1)),
        ] {
            assert_eq!(locate(FILE, pointer), Some(place), "{pointer}");
        }
    }
}
