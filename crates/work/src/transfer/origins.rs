//! Which task came from where: the same file brings nothing twice, and a changed one changes what it brought.

use super::state::origin;
use std::collections::HashMap;
use synapscale_core::Result;
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// What an external id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Task,
    Project,
    Comment,
    Time,
}

/// A thing's name within a source.
pub(super) fn external_id(kind: Kind, key: &str) -> String {
    let kind = match kind {
        Kind::Task => "task",
        Kind::Project => "project",
        Kind::Comment => "comment",
        Kind::Time => "time",
    };
    format!("{kind}:{}", super::item::short_key(key.to_owned()))
}

/// What a comment or logged time is called: it belongs to its task.
pub(super) fn entry_key(task: &str, key: &str) -> String {
    synapscale_engine::named_id(&format!("{task}\n{key}")).to_string()
}

/// The origins of a source that are known, by their external ids.
pub(super) async fn known(tx: &Tx, source: &str, ids: Vec<String>) -> Result<HashMap<String, origin::Model>> {
    let mut found = HashMap::new();
    for some in ids.chunks(500) {
        let query = tx
            .find::<origin::Entity>()
            .filter(origin::Column::Source.eq(source))
            .filter(origin::Column::ExternalId.is_in(some.iter().cloned()));
        let rows = query.rows(tx).await?;
        found.extend(rows.into_iter().map(|row| (row.external_id.clone(), row)));
    }
    Ok(found)
}

/// Writes origins, in place of those of the same names.
pub(super) async fn keep(tx: &Tx, source: &str, rows: Vec<origin::Model>) -> Result<()> {
    for some in rows.chunks(500) {
        forget(
            tx,
            source,
            some.iter().map(|row| row.external_id.clone()).collect(),
        )
        .await?;
        tx.insert_all::<origin::Entity>(some.to_vec()).await?;
    }
    Ok(())
}

pub(super) async fn forget(tx: &Tx, source: &str, ids: Vec<String>) -> Result<()> {
    let gone = tx
        .delete::<origin::Entity>()
        .filter(origin::Column::Source.eq(source))
        .filter(origin::Column::ExternalId.is_in(ids));
    tx.run_delete(gone).await.map(drop)
}

/// What a part of an import brought.
pub(super) async fn of_part(tx: &Tx, import_id: Uuid, part: i64) -> Result<Vec<origin::Model>> {
    let query = tx
        .find::<origin::Entity>()
        .filter(origin::Column::ImportId.eq(import_id))
        .filter(origin::Column::Part.eq(part));
    query.rows(tx).await
}

/// At which revisions an import left things, by their ids.
pub(super) async fn left_at(tx: &Tx, import_id: Uuid, targets: &[Uuid]) -> Result<HashMap<Uuid, i64>> {
    let mut found = HashMap::new();
    for some in targets.chunks(500) {
        let query = tx
            .find::<origin::Entity>()
            .filter(origin::Column::ImportId.eq(import_id))
            .filter(origin::Column::TargetId.is_in(some.iter().copied()));
        let rows = query.rows(tx).await?;
        found.extend(rows.into_iter().map(|row| (row.target_id, row.revision)));
    }
    Ok(found)
}

/// Notes at which revisions an import leaves things.
pub(super) async fn note(tx: &Tx, left: &[(Uuid, i64)]) -> Result<()> {
    let mut by_revision: HashMap<i64, Vec<Uuid>> = HashMap::new();
    for (id, revision) in left {
        by_revision.entry(*revision).or_default().push(*id);
    }
    for (revision, ids) in by_revision {
        let update = tx
            .update::<origin::Entity>()
            .col_expr(origin::Column::Revision, Expr::val(revision))
            .filter(origin::Column::TargetId.is_in(ids));
        tx.run_update(update).await?;
    }
    Ok(())
}

/// The digests of the tasks of a source that stand, or lie in the trash, by their external ids.
pub(super) async fn standing(tx: &Tx, source: &str, ids: Vec<String>) -> Result<HashMap<String, String>> {
    let known = known(tx, source, ids).await?;
    let targets = known.values().map(|origin| origin.target_id).collect();
    let there = crate::query::tasks_by_id(tx, targets).await?;
    let there: std::collections::HashSet<Uuid> = there.into_iter().map(|row| row.id).collect();
    let known = known
        .into_iter()
        .filter(|(_, origin)| there.contains(&origin.target_id));
    Ok(known.map(|(id, origin)| (id, origin.digest)).collect())
}
