//! An import's runs: one step of the engine for each part, one after the other.

use super::arrange::Part;
use super::state::{self, Import, ImportStatus, import};
use super::{Options, Runs, engine, step, takeback};
use crate::events::{ImportFinished, ImportUndone};
use serde_json::{Value, json};
use synapscale_core::{Error, NewEvent, Result};
use synapscale_engine::{Engine, NewRun, RunStatus, whose};
use synapscale_store::Tx;
use uuid::Uuid;

fn graph() -> Value {
    json!({
        "name": "import",
        "title": "Import tasks",
        "retry": { "max_attempts": 5, "initial_delay_ms": 500 },
        "nodes": {
            "start": { "kind": "trigger.manual@1" },
            "parts": {
                "kind": "foreach@1",
                "after": "start",
                "with": {
                    "items": "{{ input.parts }}",
                    "operation": "imports.advance",
                    "input": { "import_id": "{{ input.import_id }}", "part": "{{ item }}" },
                    "concurrency": 1,
                },
            },
        },
    })
}

/// Starts a run over these parts of an import, as the caller.
pub(super) async fn start(runs: &Runs, tx: &Tx, id: Uuid, parts: &[i64]) -> Result<Uuid> {
    let engine = engine(runs)?;
    let graph_id = engine.put_graph(tx, &graph()).await?;
    let (principal, on_behalf_of) = whose(tx.ctx());
    let new = NewRun {
        id: None,
        graph_id,
        trigger: "start".to_owned(),
        input: json!({ "import_id": id, "parts": parts }),
        workflow: None,
        principal,
        on_behalf_of,
        priority: 0,
        correlation: Some(tx.ctx().correlation()),
        private_to: None,
        parent: None,
        cause: None,
    };
    Ok(engine.start_later(tx, new).await?.run_id)
}

/// Whether the run that works on an import has ended before the import was over, and why.
async fn stopped(engine: &Engine, tx: &Tx, row: &import::Model) -> Result<Option<String>> {
    let (Some(run), ImportStatus::Running | ImportStatus::Undoing) = (row.run_id, row.status()) else {
        return Ok(None);
    };
    let found = engine.statuses(tx, &[run]).await?;
    let Some((_, status, error)) = found.into_iter().next() else {
        return Ok(Some("Its run is gone.".to_owned()));
    };
    if !status.is_final() && status != RunStatus::Paused {
        return Ok(None);
    }
    let words = error.as_ref().and_then(|error| error["message"].as_str());
    Ok(Some(words.unwrap_or("Its run was ended.").to_owned()))
}

/// The import as callers see it.
pub(super) async fn view(runs: &Runs, tx: &Tx, row: import::Model) -> Result<Import> {
    let by = match runs.get() {
        Some(engine) => stopped(engine, tx, &row).await?,
        None => None,
    };
    let mut import = Import::from(row);
    import.stopped = by.is_some();
    import.stopped_by = by;
    Ok(import)
}

/// Refuses while a run works on the import.
pub(super) async fn idle(runs: &Runs, tx: &Tx, row: &import::Model) -> Result<()> {
    let works = matches!(row.status(), ImportStatus::Running | ImportStatus::Undoing);
    match works && stopped(engine(runs)?, tx, row).await?.is_none() {
        true => Err(Error::conflict(
            "import_running",
            "A run works on this import. Wait for its end, or cancel it.",
        )),
        false => Ok(()),
    }
}

/// Does the next thing with a part: makes its tasks, or takes them away again. One that is done already stays as it is.
pub(super) async fn advance(tx: &Tx, id: Uuid, number: i64) -> Result<import::Model> {
    let mut row = state::held(tx, id).await?;
    let mut part = state::part_at(tx, id, number).await?;
    let options: Options = serde_json::from_value(row.options.clone()).map_err(Error::internal)?;
    match (row.status(), part.state.as_str()) {
        (ImportStatus::Running, "todo") => {
            let blob = part
                .blob_id
                .ok_or_else(|| Error::internal("a part without its items"))?;
            let bytes = tx.get_blob(blob).await?;
            let items: Part = serde_json::from_slice(&bytes).map_err(Error::internal)?;
            step::run(tx, &mut row, &options, &mut part, &items).await?;
            row.parts_done += 1;
        }
        (ImportStatus::Undoing, "done") => {
            takeback::run(tx, &options.source, &mut part).await?;
            row.parts_done -= 1;
        }
        _ => return Ok(row),
    }
    state::keep_part(tx, &part).await?;
    settle(tx, &mut row).await?;
    state::keep(tx, row).await
}

/// Ends an import whose last part is over.
pub(super) async fn settle(tx: &Tx, row: &mut import::Model) -> Result<()> {
    match row.status() {
        ImportStatus::Running if row.parts_done >= row.parts => {
            row.status = ImportStatus::Done.as_str().to_owned();
            let told = ImportFinished {
                name: row.name.clone(),
                created: row.created,
                updated: row.updated,
                unchanged: row.unchanged,
                left_out: row.left_out,
            };
            tx.emit(NewEvent::new("import", row.id, &told));
        }
        ImportStatus::Undoing if row.parts_done <= 0 => {
            row.status = ImportStatus::Undone.as_str().to_owned();
            let told = ImportUndone {
                name: row.name.clone(),
            };
            tx.emit(NewEvent::new("import", row.id, &told));
        }
        _ => return Ok(()),
    }
    row.finished_at = Some(tx.ctx().clock().now());
    state::forget_files(tx, row.id).await
}
