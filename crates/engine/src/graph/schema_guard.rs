//! Bounds a JSON Schema that a stranger wrote. Definitions that lead back to themselves can make a validator recurse
//! without an end, and definitions that name others twice can double its work at each step; neither is caught by the
//! size of the schema. So references are few, local and without cycles, and the size with all of them written out is
//! limited.

use super::MAX_DEPTH;
use super::parse::echo;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Most definitions.
const MAX_DEFINITIONS: usize = 100;
/// Most JSON values in a schema, each reference counted as what it names.
const MAX_WEIGHT: u64 = 5_000;
/// Keywords that give names to parts of a schema, or that find their target while validating.
const REFUSED: [&str; 6] = [
    "$id",
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$recursiveAnchor",
    "$recursiveRef",
];
/// Where definitions stand.
const SHELVES: [&str; 2] = ["$defs", "definitions"];

/// Why a schema is refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub code: &'static str,
    pub message: String,
}

fn refused(code: &'static str, message: impl Into<String>) -> Refused {
    Refused {
        code,
        message: message.into(),
    }
}

/// A piece of a schema: how many values it has, how deep it is, and what it refers to from which depth.
#[derive(Default)]
struct Piece<'s> {
    weight: u64,
    depth: usize,
    references: Vec<(&'s str, usize)>,
}

/// The same with all references written out.
#[derive(Clone, Copy)]
struct Whole {
    weight: u64,
    depth: usize,
}

/// Checks `schema`, which is at most [`MAX_DEPTH`] levels deep.
///
/// # Errors
/// `schema_reference` for a reference that is not local, `recursive_schema`, or `schema_too_large`.
pub(super) fn check(schema: &Value) -> Result<(), Refused> {
    let mut pieces = HashMap::new();
    for shelf in SHELVES {
        for (name, definition) in schema.get(shelf).and_then(Value::as_object).into_iter().flatten() {
            // A name that a pointer would write another way cannot be referred to.
            if !name.contains(['/', '~', '%']) {
                pieces.insert(format!("#/{shelf}/{name}"), piece(definition)?);
            }
        }
    }
    if pieces.len() > MAX_DEFINITIONS {
        return Err(refused(
            "schema_too_large",
            format!("A schema has at most {MAX_DEFINITIONS} definitions."),
        ));
    }
    let root = piece(schema)?;
    let mut known = HashMap::new();
    let whole = total(&root, &pieces, &mut known)?;
    if whole.weight > MAX_WEIGHT {
        let message =
            format!("With its references written out, the schema has more than {MAX_WEIGHT} values.");
        return Err(refused("schema_too_large", message));
    }
    if whole.depth > MAX_DEPTH {
        let message =
            format!("With its references written out, the schema is more than {MAX_DEPTH} levels deep.");
        return Err(refused("schema_too_large", message));
    }
    Ok(())
}

fn piece(schema: &Value) -> Result<Piece<'_>, Refused> {
    let mut piece = Piece::default();
    let mut stack = vec![(schema, 1)];
    while let Some((value, depth)) = stack.pop() {
        piece.weight += 1;
        piece.depth = piece.depth.max(depth);
        match value {
            Value::Array(items) => stack.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => {
                note_reference(map, depth, &mut piece)?;
                stack.extend(map.values().map(|item| (item, depth + 1)));
            }
            _ => {}
        }
    }
    Ok(piece)
}

fn note_reference<'s>(
    map: &'s Map<String, Value>,
    depth: usize,
    piece: &mut Piece<'s>,
) -> Result<(), Refused> {
    // A property may have one of these names; then its value is a schema and no text.
    let is_keyword = |name: &&&str| {
        map.get(**name)
            .is_some_and(|value| value.is_string() || value.is_boolean())
    };
    if let Some(name) = REFUSED.iter().find(is_keyword) {
        return Err(refused(
            "schema_reference",
            format!("`{name}` is not supported here; use `$ref: \"#/$defs/…\"`."),
        ));
    }
    if let Some(target) = map.get("$ref").and_then(Value::as_str) {
        piece.references.push((target, depth));
    }
    Ok(())
}

/// The size of a piece with its references. `known` holds what has been seen: none while it is still being added up.
/// The recursion is as deep as there are definitions at most.
fn total<'s>(
    piece: &Piece<'s>,
    pieces: &HashMap<String, Piece<'s>>,
    known: &mut HashMap<&'s str, Option<Whole>>,
) -> Result<Whole, Refused> {
    let mut whole = Whole {
        weight: piece.weight,
        depth: piece.depth,
    };
    for (target, depth) in &piece.references {
        let added = match known.get(target) {
            Some(Some(added)) => *added,
            Some(None) => {
                let message = format!("`{}` leads back to itself; that is not supported.", echo(target));
                return Err(refused("recursive_schema", message));
            }
            None => {
                let Some(definition) = pieces.get(*target) else {
                    let message = format!("`{}` is no definition of this schema: `#/$defs/…`.", echo(target));
                    return Err(refused("schema_reference", message));
                };
                known.insert(*target, None);
                let added = total(definition, pieces, known)?;
                known.insert(*target, Some(added));
                added
            }
        };
        whole.weight = whole.weight.saturating_add(added.weight);
        whole.depth = whole.depth.max(depth.saturating_add(added.depth));
    }
    Ok(whole)
}
