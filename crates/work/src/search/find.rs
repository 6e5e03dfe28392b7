//! Looking words up: from the rarest of them to the tasks that have them all.

use super::index::{Backlog, not_indexed, own_words};
use super::{meets, terms, token};
use crate::entity::task;
use crate::model::Task;
use crate::{query, words};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::{Method, Operation, page};
use synapscale_store::Tx;
use synapscale_store::orm::Order;
use synapscale_store::orm::sea_query::{
    Alias, Expr, ExprTrait, Func, Query, SelectStatement, SimpleExpr, UnionType,
};
use uuid::Uuid;

/// How far it is counted how many tasks have a word.
const COUNTED: u64 = 1_000;
/// Tasks with the rarest word that are looked at, the newest first.
const LOOKED_AT: u64 = 1_000;
/// Tasks with a word that a list looks among, the newest first.
const LISTED: u64 = 5_000;
/// Tasks with all words that are ranked, the newest first.
const RANKED: u64 = 300;
/// Tasks from before the index that are looked through as they are.
const LOOKED_THROUGH: u64 = 2_000;

/// What to look for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchTasks {
    /// Words; the last one may be begun only. Case and accents do not matter. Eight words count.
    #[schemars(length(min = 1, max = 200))]
    query: String,
    /// In this project only.
    #[serde(default)]
    project_id: Option<Uuid>,
    /// Whether tasks in the archive are looked through too.
    #[serde(default)]
    archived: bool,
    /// Most tasks to return.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
}

/// A task that has all the words.
#[derive(Debug, Serialize, JsonSchema)]
struct Hit {
    /// The task.
    task: Task,
    /// How well it fits: words in the title count most, then tags, text and comments.
    score: i64,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    /// The tasks, the best first.
    items: Vec<Hit>,
    /// Whether there may be more tasks than were ranked: add a word.
    more: bool,
    /// Whether every task was looked through; false while those from before the search are still taken up.
    complete: bool,
}

fn word() -> SimpleExpr {
    Expr::col((token::Entity, token::Column::Word))
}

fn own(tx: &Tx) -> SimpleExpr {
    Expr::col((token::Entity, token::Column::TenantId)).eq(tx.tenant_value())
}

/// How many rows each term has, counted up to a bound: one statement for all.
fn frequencies(tx: &Tx, terms: &[String]) -> Option<SelectStatement> {
    let last = terms.len().checked_sub(1)?;
    let some = Alias::new("some");
    let mut all = terms.iter().enumerate().map(|(index, term)| {
        let found = Query::select()
            .expr(Expr::val(1))
            .from(token::Entity)
            .and_where(own(tx))
            .and_where(meets(word, term, index == last))
            .limit(COUNTED)
            .to_owned();
        Query::select()
            .expr(Expr::val(i64::try_from(index).unwrap_or(0)))
            .expr(Func::count(Expr::val(1)))
            .from_subquery(found, some.clone())
            .to_owned()
    });
    let mut first = all.next()?;
    for next in all {
        first.union(UnionType::All, next);
    }
    Some(first)
}

/// The rarest term's place.
async fn rarest(tx: &Tx, terms: &[String]) -> Result<usize> {
    let Some(statement) = frequencies(tx, terms).filter(|_| terms.len() > 1) else {
        return Ok(0);
    };
    let counts = tx
        .query_by(&statement, |row| {
            let (index, count): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            Ok((count, index))
        })
        .await?;
    let rarest = counts.into_iter().min().map_or(0, |(_, index)| index);
    Ok(usize::try_from(rarest).unwrap_or(0))
}

/// The tasks that have a term, each once: so many of the newest.
fn candidates(tx: &Tx, term: &str, last: bool, most: u64) -> SelectStatement {
    let id = Alias::new("task_id");
    let rows = |wanted: SimpleExpr| {
        Query::select()
            .expr_as(Expr::col((token::Entity, token::Column::TaskId)), id.clone())
            .from(token::Entity)
            .and_where(own(tx))
            .and_where(wanted)
            .limit(most)
            .to_owned()
    };
    let whole = rows(meets(word, term, false))
        .order_by((token::Entity, token::Column::TaskId), Order::Desc)
        .to_owned();
    if !last {
        return whole;
    }
    // Those with the word itself, and those with a longer one that begins so; several words of a task may.
    let longer = meets(word, term, true).and(meets(word, term, false).not());
    let longer = rows(longer)
        .order_by((token::Entity, token::Column::Word), Order::Asc)
        .to_owned();
    let of = |rows: SelectStatement, name: &'static str| {
        let name = Alias::new(name);
        Query::select()
            .expr_as(Expr::col((name.clone(), id.clone())), id.clone())
            .from_subquery(rows, name)
            .to_owned()
    };
    // UNION, not UNION ALL: each task once.
    of(whole, "whole")
        .union(UnionType::Distinct, of(longer, "longer"))
        .to_owned()
}

/// Those living tasks among `ids`, which have the rarest term, that have the others too. By their ids and not by a join with
/// what found them, and in no order: PostgreSQL would rather walk all tasks in theirs.
fn having(tx: &Tx, input: &SearchTasks, terms: &[String], rarest: usize, ids: &[Uuid]) -> SelectStatement {
    let last = terms.len().saturating_sub(1);
    let at = |column: task::Column| Expr::col((task::Entity, column));
    let mut query = Query::select();
    query
        .expr(at(task::Column::Id))
        .from(task::Entity)
        .and_where(at(task::Column::Id).is_in(ids.iter().copied()))
        .and_where(at(task::Column::TenantId).eq(tx.tenant_value()))
        .and_where(at(task::Column::DeletedAt).is_null());
    if let Some(project) = input.project_id {
        query.and_where(at(task::Column::ProjectId).eq(project));
    }
    if !input.archived {
        query.and_where(at(task::Column::ArchivedAt).is_null());
    }
    for (index, term) in terms.iter().enumerate().filter(|(index, _)| *index != rarest) {
        query.and_where(has(tx, term, index == last));
    }
    query
}

/// Whether the row of a statement over tasks has a word. Not by EXISTS, which PostgreSQL turns into a join over all rows with
/// that word.
fn has(tx: &Tx, term: &str, last: bool) -> SimpleExpr {
    let found = Query::select()
        .expr(Expr::val(1))
        .from(token::Entity)
        .and_where(own(tx))
        .and_where(Expr::col((token::Entity, token::Column::TaskId)).equals((task::Entity, task::Column::Id)))
        .and_where(meets(word, term, last))
        .limit(1)
        .to_owned();
    SimpleExpr::SubQuery(None, Box::new(found.into())).is_not_null()
}

/// Whether the row of a statement over tasks is among the newest that have a word.
pub(crate) fn among(tx: &Tx, term: &str, last: bool) -> SimpleExpr {
    Expr::col((task::Entity, task::Column::Id)).in_subquery(candidates(tx, term, last, LISTED))
}

/// What the terms weigh in each of the tasks.
async fn scores(tx: &Tx, ids: &[Uuid], terms: &[String]) -> Result<HashMap<Uuid, i64>> {
    let Some((last, whole)) = terms.split_last().filter(|_| !ids.is_empty()) else {
        return Ok(HashMap::new());
    };
    let mut any = meets(word, last, true);
    for term in whole {
        any = any.or(meets(word, term, false));
    }
    let statement = Query::select()
        .expr(Expr::col((token::Entity, token::Column::TaskId)))
        .expr(word())
        .expr(Expr::col((token::Entity, token::Column::Weight)))
        .from(token::Entity)
        .and_where(own(tx))
        .and_where(Expr::col((token::Entity, token::Column::TaskId)).is_in(ids.iter().copied()))
        .and_where(any)
        .to_owned();
    let rows = tx
        .query_by(&statement, |row| {
            let (id, word): (Uuid, Vec<u8>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let weight: i64 = row.try_get_by_index(2)?;
            Ok((id, word, weight))
        })
        .await?;
    let (mut sums, mut begun): (HashMap<Uuid, i64>, HashMap<Uuid, i64>) = Default::default();
    for (id, word, weight) in rows {
        let word = String::from_utf8(word).unwrap_or_default();
        if word.starts_with(last.as_str()) {
            let best = begun.entry(id).or_default();
            *best = Ord::max(*best, words::begins(&word, last, weight));
        }
        if whole.contains(&word) {
            *sums.entry(id).or_default() += weight;
        }
    }
    for (id, best) in begun {
        *sums.entry(id).or_default() += best;
    }
    Ok(sums)
}

/// Tasks from before the index that have all the terms, and whether all of those were looked through.
async fn before_the_index(
    tx: &Tx,
    input: &SearchTasks,
    terms: &[String],
    backlog: &Backlog,
) -> Result<(HashMap<Uuid, i64>, bool)> {
    if backlog.is_empty(tx) {
        return Ok((HashMap::new(), true));
    }
    let rows = not_indexed(tx, LOOKED_THROUGH + 1).await?;
    if rows.is_empty() {
        backlog.note_empty(tx);
    }
    let complete = rows.len() as u64 <= LOOKED_THROUGH;
    let wanted = |row: &&task::Model| {
        row.deleted_at.is_none()
            && input.project_id.is_none_or(|project| project == row.project_id)
            && (input.archived || row.archived_at.is_none())
    };
    let hits = rows.iter().filter(wanted);
    let hits = hits.filter_map(|row| Some((row.id, own_words(row).score(terms)?)));
    Ok((hits.collect(), complete))
}

async fn search(tx: &Tx, input: &SearchTasks, backlog: &Backlog) -> Result<Found> {
    let terms = terms(&input.query);
    let rarest = rarest(tx, &terms).await?;
    let Some(term) = terms.get(rarest) else {
        return Err(Error::invalid("/query", "no_words", "There is no word in this."));
    };
    let found = candidates(tx, term, rarest + 1 == terms.len(), LOOKED_AT);
    let found: Vec<Uuid> = tx.query_by(&found, |row| row.try_get_by_index(0)).await?;
    let mut ids: Vec<Uuid> = match found.is_empty() {
        true => Vec::new(),
        false => {
            let statement = having(tx, input, &terms, rarest, &found);
            tx.query_by(&statement, |row| row.try_get_by_index(0)).await?
        }
    };
    // An id begins with the time at which it was made.
    ids.sort_unstable_by(|one, other| other.cmp(one));
    let ranked = usize::try_from(RANKED).unwrap_or(usize::MAX);
    let more = ids.len() > ranked || found.len() as u64 >= LOOKED_AT;
    ids.truncate(ranked);
    let mut scores = scores(tx, &ids, &terms).await?;
    let (older, complete) = before_the_index(tx, input, &terms, backlog).await?;
    scores.extend(older);
    let mut best: Vec<(i64, Uuid)> = scores.into_iter().map(|(id, score)| (score, id)).collect();
    best.sort_unstable_by(|one, other| other.cmp(one));
    let limit = usize::try_from(page::limit(input.limit)).unwrap_or(usize::MAX);
    let more = more || best.len() > limit;
    best.truncate(limit);
    let shown = query::seen_tasks(tx, best.iter().map(|(_, id)| *id).collect()).await?;
    let mut shown: HashMap<Uuid, Task> = shown.into_iter().map(|task| (task.id, task)).collect();
    let items = best.into_iter().filter_map(|(score, id)| {
        Some(Hit {
            task: shown.remove(&id)?,
            score,
        })
    });
    Ok(Found {
        items: items.collect(),
        more,
        complete,
    })
}

pub(crate) fn operations(backlog: &Backlog) -> Vec<Operation> {
    let backlog = backlog.clone();
    vec![
        Operation::read("tasks.search", "Search tasks")
            .about("Finds tasks by words in title, tags, text and comments, the best first. The last word may be begun only; case and accents do not matter.")
            .permission("tasks:read")
            .rest(Method::GET, "/tasks/search")
            .handle(move |tx: Tx, input: Arc<SearchTasks>| {
                let backlog = backlog.clone();
                async move { search(&tx, &input, &backlog).await }
            }),
    ]
}
