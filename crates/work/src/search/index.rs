//! Keeping the table of words.

use super::{VERSION, token};
use crate::comments::comment;
use crate::entity::task;
use crate::words::{BODY, COMMENT, TAG, TITLE, Words};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use synapscale_core::Result;
use synapscale_store::orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query};
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use synapscale_store::{Backend, Scoped, Tx};
use uuid::Uuid;

/// Comments of a task that are searched: the newest.
const MAX_COMMENTS: u64 = 100;
/// Rows of one statement.
const CHUNK: usize = 2_000;
/// Tasks from before the index that one write takes up.
const CATCH_UP: u64 = 200;
/// Tenants that are remembered to have none left.
const MAX_KNOWN: usize = 100_000;

/// The words of a task's own fields.
pub(super) fn own_words(row: &task::Model) -> Words {
    let mut words = Words::default();
    words.add(&row.title, TITLE);
    for tag in row.tags.as_array().into_iter().flatten() {
        words.add(tag.as_str().unwrap_or_default(), TAG);
    }
    words.add(row.description.as_deref().unwrap_or_default(), BODY);
    words
}

fn rows(id: Uuid, words: impl IntoIterator<Item = (String, i64)>) -> impl Iterator<Item = token::Model> {
    words.into_iter().map(move |(word, weight)| token::Model {
        tenant_id: Uuid::nil(),
        task_id: id,
        word: word.into_bytes(),
        weight,
    })
}

async fn insert(tx: &Tx, mut rows: Vec<token::Model>) -> Result<()> {
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(CHUNK));
        tx.insert_all::<token::Entity>(rows).await?;
        rows = rest;
    }
    Ok(())
}

/// Adds the words of new tasks.
pub(crate) async fn add<'a>(tx: &Tx, tasks: impl IntoIterator<Item = &'a task::Model>) -> Result<()> {
    let all = tasks.into_iter().flat_map(|row| rows(row.id, own_words(row).0));
    insert(tx, all.collect()).await
}

/// Brings the words of tasks up to date with their texts and comments. The caller holds the tasks' rows by an update, so
/// that nobody else does the same meanwhile.
pub(crate) async fn again<'a>(tx: &Tx, tasks: impl IntoIterator<Item = &'a task::Model>) -> Result<()> {
    let tasks: Vec<&task::Model> = tasks.into_iter().collect();
    for tasks in tasks.chunks(100) {
        let mut wanted: HashMap<Uuid, Words> = HashMap::new();
        let commented = commented(tx, tasks).await?;
        for row in tasks {
            let mut words = own_words(row);
            if !commented.contains(&row.id) {
                wanted.insert(row.id, words);
                continue;
            }
            for comment in comments(tx, row.id).await? {
                words.add(&comment.body, COMMENT);
            }
            wanted.insert(row.id, words);
        }
        replace(tx, wanted).await?;
    }
    Ok(())
}

/// Which of the tasks have comments at all: most have none.
async fn commented(tx: &Tx, tasks: &[&task::Model]) -> Result<HashSet<Uuid>> {
    let id = || Expr::col((comment::Entity, comment::Column::TaskId));
    let statement = Query::select()
        .expr(id())
        .distinct()
        .from(comment::Entity)
        .and_where(Expr::col((comment::Entity, comment::Column::TenantId)).eq(tx.tenant_value()))
        .and_where(id().is_in(tasks.iter().map(|row| row.id)))
        .to_owned();
    let ids: Vec<Uuid> = tx.query_by(&statement, |row| row.try_get_by_index(0)).await?;
    Ok(ids.into_iter().collect())
}

async fn comments(tx: &Tx, id: Uuid) -> Result<Vec<comment::Model>> {
    tx.find::<comment::Entity>()
        .filter(comment::Column::TaskId.eq(id))
        .order_by_desc(comment::Column::Id)
        .limit(MAX_COMMENTS)
        .rows(tx)
        .await
}

/// Writes what differs.
async fn replace(tx: &Tx, wanted: HashMap<Uuid, Words>) -> Result<()> {
    let found = tx
        .find::<token::Entity>()
        .filter(token::Column::TaskId.is_in(wanted.keys().copied()))
        .rows(tx)
        .await?;
    let mut standing: HashMap<Uuid, BTreeMap<Vec<u8>, i64>> = HashMap::new();
    for row in found {
        standing
            .entry(row.task_id)
            .or_default()
            .insert(row.word, row.weight);
    }
    let mut made = Vec::new();
    for (id, words) in wanted {
        let old = standing.remove(&id).unwrap_or_default();
        let gone: Vec<Vec<u8>> = old
            .iter()
            .filter(|(word, weight)| {
                let text = std::str::from_utf8(word).unwrap_or_default();
                words.0.get(text) != Some(*weight)
            })
            .map(|(word, _)| word.clone())
            .collect();
        for words in gone.chunks(CHUNK) {
            let delete = tx
                .delete::<token::Entity>()
                .filter(token::Column::TaskId.eq(id))
                .filter(token::Column::Word.is_in(words.iter().cloned()));
            tx.run_delete(delete).await?;
        }
        let new = words.0.into_iter();
        made.extend(rows(
            id,
            new.filter(|(word, weight)| old.get(word.as_bytes()) != Some(weight)),
        ));
    }
    insert(tx, made).await
}

/// Tenants that have no tasks left from before the index. What is not remembered is looked up again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backlog(Arc<Mutex<HashSet<Uuid>>>);

impl Backlog {
    /// Whether the tenant is known to have none.
    pub fn is_empty(&self, tx: &Tx) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&tx.ctx().tenant().0)
    }

    /// Remembers that the tenant has none. None come after that: every new task is indexed as it is made.
    pub fn note_empty(&self, tx: &Tx) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(tx.ctx().tenant().0);
    }

    /// Takes up some tasks from before the index. The last thing that a transaction does, and it leaves out what others
    /// hold: whoever waits for nothing any more closes no circle of waits, whatever rows it takes and in which order.
    pub async fn catch_up(&self, tx: &Tx) -> Result<()> {
        if self.is_empty(tx) {
            return Ok(());
        }
        let held = take_not_indexed(tx).await?;
        if held.is_empty() {
            // Others may be about to take up what they hold, or to give it back.
            if not_indexed(tx, 1).await?.is_empty() {
                self.note_empty(tx);
            }
            return Ok(());
        }
        let ids: Vec<Uuid> = held.iter().map(|row| row.id).collect();
        mark(tx, &ids).await?;
        again(tx, &held).await
    }
}

/// Tasks from before the index, held for this transaction.
async fn take_not_indexed(tx: &Tx) -> Result<Vec<task::Model>> {
    let mut query = not_indexed_query(tx, CATCH_UP);
    if tx.backend() == Backend::Postgres {
        query = query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    }
    query.rows(tx).await
}

/// Holds the tasks' rows and marks them as indexed.
pub(crate) async fn mark(tx: &Tx, ids: &[Uuid]) -> Result<()> {
    let update = tx
        .update::<task::Entity>()
        .col_expr(task::Column::Indexed, Expr::val(VERSION))
        .filter(task::Column::Id.is_in(ids.iter().copied()));
    tx.run_update(update).await.map(drop)
}

/// Tasks from before the index, the newest first.
pub(super) async fn not_indexed(tx: &Tx, most: u64) -> Result<Vec<task::Model>> {
    not_indexed_query(tx, most).rows(tx).await
}

fn not_indexed_query(tx: &Tx, most: u64) -> Select<task::Entity> {
    // Written out, so that the index over these alone is used.
    let none = Expr::col((task::Entity, task::Column::Indexed)).eq(Expr::cust("0"));
    tx.find::<task::Entity>()
        .filter(none)
        .order_by_desc(task::Column::Id)
        .limit(most)
}
