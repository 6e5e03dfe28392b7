//! Full-text search over tasks by a table of words, which every change of a task or a comment keeps in its own transaction
//! (ADR 0011).

mod find;
mod index;

pub(crate) use find::{among, operations};
pub(crate) use index::{Backlog, add, again, mark};

use crate::words;
use synapscale_store::orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use synapscale_store::schema::{Index, Table, bytes, integer, uuid};
use synapscale_store::{EntitySpec, Migration, tenant_entity};

/// Which way of cutting texts into words a task's rows were made by; 0 for none.
pub(crate) const VERSION: i64 = 1;
/// Most words of one search.
const MAX_TERMS: usize = 8;

tenant_entity! {
    /// A word of a task, as bytes: both databases sort those alike, whatever their collation.
    token, "task_words", [task_id: Uuid, word: Vec<u8>], {
        weight: i64,
    }
}

pub(crate) fn migration() -> Migration {
    Migration::new("work_0007_search")
        .add_column("tasks", integer("indexed").default("0"))
        .add_index("tasks", Index::new("tasks_to_index", &["id"]).only("indexed = 0"))
        .create(
            Table::tenant("task_words", [uuid("task_id"), bytes("word"), integer("weight")])
                .key(&["task_id", "word"])
                .owned_by("task_id", "tasks")
                .index("task_words_by_word", &["word", "task_id"]),
        )
}

pub(crate) fn entities() -> Vec<EntitySpec> {
    vec![EntitySpec::of(token::Entity)]
}

/// The words of a search.
pub(crate) fn terms(text: &str) -> Vec<String> {
    words::of(text, MAX_TERMS)
}

/// Whether a word's column begins with `start`.
fn begins_with(column: impl Fn() -> SimpleExpr, start: &str) -> SimpleExpr {
    let bytes = start.as_bytes().to_vec();
    // No text in UTF-8 has the byte 0xFF.
    let mut beyond = bytes.clone();
    beyond.push(0xFF);
    column().gte(bytes).and(column().lt(beyond))
}

/// Whether a word's column is the term, or begins with it if that is the last one.
fn meets(column: impl Fn() -> SimpleExpr, term: &str, last: bool) -> SimpleExpr {
    match last {
        true => begins_with(column, term),
        false => column().eq(Expr::val(term.as_bytes().to_vec())),
    }
}
