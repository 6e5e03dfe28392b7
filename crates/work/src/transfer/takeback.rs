//! Undoing an import: part by part from the last to the first, each as it stood before.

use super::kept::{Before, Made};
use super::origins;
use super::state::{import, origin, part};

use crate::comments::comment;
use crate::entity::task;
use crate::patch::{Op, RowChange};
use crate::time::entry;
use crate::{query, search, undo};
use std::collections::{BTreeSet, HashMap};
use synapscale_core::{Error, ErrorKind, FieldError, Result};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Most conflicts that are told at once.
const MAX_TOLD: usize = 100;
/// Tasks that are compared at once.
const BATCH: usize = 1_000;

/// Undoes what a part did.
///
/// # Errors
/// `undo_conflict` when a task changed since.
pub(super) async fn run(tx: &Tx, source: &str, stored: &mut part::Model) -> Result<()> {
    let made: Made = serde_json::from_value(stored.made.clone()).unwrap_or_default();
    let reworded = take(tx, &made).await?;
    if let Some(set) = stored.patch_set_id {
        let left: Vec<RowChange> =
            serde_json::from_value(query::set(tx, set).await?.changes).map_err(Error::internal)?;
        let targets: Vec<Uuid> = left.iter().map(|change| change.id).collect();
        let known = origins::left_at(tx, stored.import_id, &targets).await?;
        let result = undo::undo_from(tx, set, &known).await?;
        restore(tx, source, stored).await?;
        let stays = result.changes.iter().filter(|change| change.op != Op::Delete);
        let stays: Vec<(Uuid, i64)> = stays.map(|change| (change.id, change.revision)).collect();
        origins::note(tx, &stays).await?;
    }
    if !reworded.is_empty() {
        let rows = query::tasks_by_id(tx, reworded.into_iter().collect()).await?;
        search::again(tx, &rows).await?;
    }
    stored.state = "undone".to_owned();
    Ok(())
}

/// Takes away what was put on tasks that stood already; answers which had comments.
async fn take(tx: &Tx, made: &Made) -> Result<BTreeSet<Uuid>> {
    let mut tasks = BTreeSet::new();
    for ids in made.comments.chunks(500) {
        let these = || comment::Column::Id.is_in(ids.iter().copied());
        let rows = tx.find::<comment::Entity>().filter(these()).rows(tx).await?;
        tasks.extend(rows.iter().map(|row| row.task_id));
        tx.run_delete(tx.delete::<comment::Entity>().filter(these()))
            .await?;
    }
    for ids in made.times.chunks(500) {
        let these = entry::Column::Id.is_in(ids.iter().copied());
        tx.run_delete(tx.delete::<entry::Entity>().filter(these)).await?;
    }
    Ok(tasks)
}

/// What the part brought has no origin any more; what it changed has the one from before.
async fn restore(tx: &Tx, source: &str, stored: &part::Model) -> Result<()> {
    let before: Vec<Before> = serde_json::from_value(stored.before.clone()).map_err(Error::internal)?;
    let brought = origins::of_part(tx, stored.import_id, stored.number).await?;
    let ids: Vec<String> = brought.into_iter().map(|origin| origin.external_id).collect();
    for some in ids.chunks(500) {
        origins::forget(tx, source, some.to_vec()).await?;
    }
    let rows = before.into_iter().map(|old| origin::Model {
        tenant_id: Uuid::nil(),
        source: source.to_owned(),
        external_id: old.external_id,
        target_id: old.target_id,
        digest: old.digest,
        import_id: old.import_id,
        part: old.part,
        revision: old.revision,
    });
    origins::keep(tx, source, rows.collect()).await
}

/// Looks whether anything that an import brought was changed since: then it is not undone at all.
///
/// # Errors
/// 409 `undo_conflict` naming the first 100.
pub(super) async fn check(tx: &Tx, row: &import::Model) -> Result<()> {
    let mut found = Vec::new();
    for stored in super::state::parts(tx, row.id).await? {
        if stored.state != "done" {
            continue;
        }
        let brought = origins::of_part(tx, row.id, stored.number).await?;
        let tasks = brought
            .iter()
            .filter(|origin| origin.external_id.starts_with("task:"));
        let left: HashMap<Uuid, i64> = tasks.map(|origin| (origin.target_id, origin.revision)).collect();
        let ids: Vec<Uuid> = left.keys().copied().collect();
        for ids in ids.chunks(BATCH) {
            let rows = query::tasks_by_id(tx, ids.to_vec()).await?;
            let rows: HashMap<Uuid, task::Model> = rows.into_iter().map(|row| (row.id, row)).collect();
            for id in ids {
                let same = rows
                    .get(id)
                    .is_some_and(|row| left.get(id) == Some(&row.revision));
                if !same && found.len() < MAX_TOLD {
                    found.push(FieldError {
                        pointer: format!("/tasks/{id}"),
                        code: "changed_since".into(),
                        message: format!("The task {id} changed since it was imported."),
                    });
                }
            }
        }
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(Error::invalid_fields(found)
            .with_kind(ErrorKind::Conflict)
            .with_code("undo_conflict")),
    }
}
