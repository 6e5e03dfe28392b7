//! The operations on imports: upload, look, start, follow, undo.

use super::look::{ReadImport, Ready, preview, ready};
use super::read::MAX_FILE;
use super::state::{self, Import, ImportStatus, import, part, piece};
use super::{Runs, runs, said, takeback};
use crate::{author, query};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use synapscale_core::{Error, Result, new_id};
use synapscale_ops::{Method, NoOutput, Operation, Outcome, Page, Prepare};
use synapscale_store::orm::{ColumnTrait, Order, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Most pieces of a file.
const MAX_PIECES: i64 = 64;
/// Uploads that may stand unused in a workspace.
const MAX_UPLOADS: usize = 20;
/// Hours after which an upload that was not used is forgotten.
const UPLOAD_HOURS: i64 = 24;

/// A file to be imported.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateImport {
    /// The file's name, such as `tasks.csv`.
    #[schemars(length(min = 1, max = 200))]
    name: String,
}

/// A piece of a file. The whole file may have 16 MiB.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UploadPiece {
    /// The import.
    import_id: Uuid,
    /// Which piece, from 0 on. The same number again replaces it.
    #[schemars(range(min = 0, max = 63))]
    number: i64,
    /// Its bytes in base64: 512 KiB of bytes at most.
    #[schemars(length(min = 1, max = 699_052))]
    content: String,
}

/// An import by its id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ImportId {
    /// The import.
    import_id: Uuid,
}

/// Which imports to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ListImports {
    /// Most items to return.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schemars(length(max = 1024))]
    cursor: Option<String>,
}

/// A part of an import.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AdvanceImport {
    /// The import.
    import_id: Uuid,
    /// The part, from 0 on.
    #[schemars(range(min = 0, max = 100_000))]
    part: i64,
}

/// How far an import is.
#[derive(Serialize, JsonSchema)]
struct Advanced {
    /// How many parts are done.
    parts_done: i64,
    /// How many there are.
    parts: i64,
}

async fn create(tx: &Tx, input: &CreateImport) -> Result<Import> {
    let now = tx.ctx().clock().now();
    let query = tx
        .find::<import::Entity>()
        .filter(import::Column::Status.eq(ImportStatus::Uploading.as_str()))
        .order_by_asc(import::Column::CreatedAt)
        .limit(MAX_UPLOADS as u64 + 1);
    let standing = query.rows(tx).await?;
    let old = |row: &&import::Model| now - row.created_at > chrono::TimeDelta::hours(UPLOAD_HOURS);
    let forgotten: Vec<Uuid> = standing.iter().filter(old).map(|row| row.id).collect();
    for id in &forgotten {
        forget(tx, *id).await?;
    }
    if standing.len() - forgotten.len() >= MAX_UPLOADS {
        let message =
            format!("There are {MAX_UPLOADS} uploads that were not started. Start or delete some first.");
        return Err(Error::conflict("too_many_imports", message));
    }
    let row = import::Model {
        tenant_id: Uuid::nil(),
        id: new_id(),
        name: input.name.clone(),
        format: None,
        status: ImportStatus::Uploading.as_str().to_owned(),
        size_bytes: 0,
        options: json!({}),
        items: 0,
        parts: 0,
        parts_done: 0,
        created: 0,
        updated: 0,
        unchanged: 0,
        left_out: 0,
        problems: json!({}),
        run_id: None,
        created_by: author(tx),
        created_at: now,
        updated_at: now,
        finished_at: None,
        revision: 1,
    };
    tx.insert::<import::Entity>(row.clone()).await?;
    Ok(row.into())
}

async fn upload(tx: &Tx, input: &UploadPiece) -> Result<Import> {
    let bytes = STANDARD
        .decode(input.content.as_bytes())
        .map_err(|_| Error::invalid("/content", "base64", "This is not base64."))?;
    let mut row = state::held(tx, input.import_id).await?;
    if row.status() != ImportStatus::Uploading {
        return Err(Error::conflict(
            "import_started",
            "This import was started already.",
        ));
    }
    let pieces = state::pieces(tx, row.id).await?;
    let others = pieces.iter().filter(|piece| piece.number != input.number);
    let size = others.map(|piece| piece.size_bytes).sum::<i64>() + said(bytes.len());
    if size > said(MAX_FILE) || input.number >= MAX_PIECES {
        return Err(Error::too_large("file", "16 MiB"));
    }
    if let Some(old) = pieces.iter().find(|piece| piece.number == input.number) {
        let gone = tx
            .delete::<piece::Entity>()
            .filter(piece::Column::ImportId.eq(row.id))
            .filter(piece::Column::Number.eq(input.number));
        tx.run_delete(gone).await?;
        tx.delete_blobs(&[old.blob_id]).await?;
    }
    let blob = tx.put_blob("application/octet-stream", &bytes).await?;
    tx.insert::<piece::Entity>(piece::Model {
        tenant_id: Uuid::nil(),
        import_id: row.id,
        number: input.number,
        blob_id: blob.id,
        size_bytes: said(bytes.len()),
    })
    .await?;
    row.size_bytes = size;
    state::keep(tx, row).await.map(Import::from)
}

async fn start(runs: &Runs, tx: &Tx, ready: &Ready) -> Result<Import> {
    let mut row = state::held(tx, ready.input.import_id).await?;
    if row.status() != ImportStatus::Uploading {
        return Err(Error::conflict(
            "import_started",
            "This import was started already.",
        ));
    }
    let mut numbers = Vec::new();
    for (number, part) in ready.parts.iter().enumerate() {
        let bytes = serde_json::to_vec(part).map_err(Error::internal)?;
        let blob = tx.put_blob("application/json", &bytes).await?;
        tx.insert::<part::Entity>(part::Model {
            tenant_id: Uuid::nil(),
            import_id: row.id,
            number: said(number),
            blob_id: Some(blob.id),
            state: "todo".to_owned(),
            patch_set_id: None,
            before: json!([]),
            made: json!({}),
        })
        .await?;
        numbers.push(said(number));
    }
    row.format = Some(ready.read.format.as_str().to_owned());
    row.status = ImportStatus::Running.as_str().to_owned();
    row.options = json!(ready.options);
    row.items = said(ready.parts.iter().map(|part| part.items.len()).sum());
    row.parts = said(numbers.len());
    row.left_out = said(ready.read.reading.problems.errors);
    row.problems = json!(ready.read.reading.problems);
    match numbers.is_empty() {
        true => runs::settle(tx, &mut row).await?,
        false => row.run_id = Some(runs::start(runs, tx, row.id, &numbers).await?),
    }
    runs::view(runs, tx, state::keep(tx, row).await?).await
}

/// Goes on with an import whose run ended before it was done.
async fn resume(runs: &Runs, tx: &Tx, id: Uuid) -> Result<Import> {
    let mut row = state::held(tx, id).await?;
    runs::idle(runs, tx, &row).await?;
    let wanted = match row.status() {
        ImportStatus::Running => "todo",
        ImportStatus::Undoing => "done",
        _ => {
            return Err(Error::conflict(
                "nothing_to_resume",
                "There is nothing left to do in this import.",
            ));
        }
    };
    row.run_id = Some(go_on(runs, tx, id, wanted).await?);
    runs::view(runs, tx, state::keep(tx, row).await?).await
}

/// A run over the parts that are in a state: forwards over those to do, backwards over those that are done.
async fn go_on(runs: &Runs, tx: &Tx, id: Uuid, wanted: &str) -> Result<Uuid> {
    let parts = state::parts(tx, id).await?;
    let mut numbers: Vec<i64> = parts
        .iter()
        .filter(|part| part.state == wanted)
        .map(|part| part.number)
        .collect();
    if wanted == "done" {
        numbers.reverse();
    }
    runs::start(runs, tx, id, &numbers).await
}

async fn undo(runs: &Runs, tx: &Tx, id: Uuid) -> Result<Import> {
    let mut row = state::held(tx, id).await?;
    runs::idle(runs, tx, &row).await?;
    match row.status() {
        ImportStatus::Done | ImportStatus::Running => {}
        ImportStatus::Undone => {
            return Err(Error::conflict(
                "already_undone",
                "This import was undone already.",
            ));
        }
        ImportStatus::Undoing => return Err(Error::conflict("undo_stopped", "Its undo stopped; resume it.")),
        ImportStatus::Uploading => {
            return Err(Error::conflict("not_started", "This import was not started."));
        }
    }
    row.status = ImportStatus::Undoing.as_str().to_owned();
    row.finished_at = None;
    match row.parts_done {
        0 => runs::settle(tx, &mut row).await?,
        _ => row.run_id = Some(go_on(runs, tx, id, "done").await?),
    }
    runs::view(runs, tx, state::keep(tx, row).await?).await
}

async fn forget(tx: &Tx, id: Uuid) -> Result<()> {
    state::forget_files(tx, id).await?;
    let gone = tx.delete::<part::Entity>().filter(part::Column::ImportId.eq(id));
    tx.run_delete(gone).await?;
    let gone = tx.delete::<import::Entity>().filter(import::Column::Id.eq(id));
    tx.run_delete(gone).await.map(drop)
}

async fn delete(runs: &Runs, tx: &Tx, id: Uuid) -> Result<NoOutput> {
    let row = state::held(tx, id).await?;
    runs::idle(runs, tx, &row).await?;
    forget(tx, id).await?;
    Ok(NoOutput {})
}

async fn list(runs: &Runs, tx: &Tx, wanted: &ListImports) -> Result<Page<Import>> {
    let (query, cursor) = (tx.find::<import::Entity>(), wanted.cursor.as_deref());
    let rows = query::by_id(tx, query, import::Column::Id, Order::Desc, wanted.limit, cursor).await?;
    let mut items = Vec::with_capacity(rows.items.len());
    for row in rows.items {
        items.push(runs::view(runs, tx, row).await?);
    }
    Ok(Page {
        items,
        next_cursor: rows.next_cursor,
    })
}

pub(super) fn operations(runs: &Runs) -> Vec<Operation> {
    let mut all = files();
    all.extend(steps(runs));
    all
}

fn files() -> Vec<Operation> {
    vec![
        Operation::write("imports.create", "Begin an import")
            .about("Begins an import of tasks from a file: CSV, our own JSON, Todoist, Taskwarrior or GitHub issues. Upload its pieces, look at the preview, then start it. One that is not started within a day is forgotten.")
            .permission("tasks:write")
            .rest(Method::POST, "/imports")
            .handle(|tx: Tx, input: Arc<CreateImport>| async move { create(&tx, &input).await.map(Outcome::Done) }),
        Operation::write("imports.upload", "Upload a piece of a file")
            .about("Uploads a piece of an import's file. A file may have 16 MiB and 50,000 tasks, and is written in UTF-8.")
            .permission("tasks:write")
            .rest(Method::POST, "/imports/{import_id}/pieces")
            .handle(|tx: Tx, input: Arc<UploadPiece>| async move { upload(&tx, &input).await.map(Outcome::Done) }),
        Operation::read("imports.preview", "Preview an import")
            .about("Reads an import's file and shows what would become of it: rows as they would be taken, how many tasks would be made and changed, and what is wrong, line by line.")
            .permission("tasks:write")
            .rest(Method::POST, "/imports/{import_id}/preview")
            .handle_outside(|cx: Prepare, input: ReadImport| async move { preview(cx, input).await }),
    ]
}

fn steps(all: &Runs) -> Vec<Operation> {
    let (begin, next, back, gone, one, many) = (
        all.clone(),
        all.clone(),
        all.clone(),
        all.clone(),
        all.clone(),
        all.clone(),
    );
    vec![
        Operation::write("imports.start", "Start an import")
            .about("Starts an import: a run makes its tasks, some hundred at a time. What the same source brought before is changed where the file differs and not made twice; fields that the file does not name stay.")
            .permission("tasks:write")
            .rest(Method::POST, "/imports/{import_id}/start")
            .previewed_by("imports.preview")
            .prepare_with(|cx: Prepare, input: ReadImport| async move { ready(cx, input, false).await })
            .handle(move |tx: Tx, made: Arc<Ready>| {
                let runs = begin.clone();
                async move { start(&runs, &tx, &made).await.map(Outcome::Done) }
            }),
        Operation::write("imports.advance", "Do a part of an import")
            .about("Does one part of an import that is under way, or undoes it; its run calls this for each part. A part that is done already stays as it is.")
            .permission("tasks:write")
            .rest(Method::POST, "/imports/{import_id}/advance")
            .handle(|tx: Tx, input: Arc<AdvanceImport>| async move {
                let row = runs::advance(&tx, input.import_id, input.part).await?;
                Ok(Outcome::Done(Advanced { parts_done: row.parts_done, parts: row.parts }))
            }),
        Operation::write("imports.resume", "Go on with an import")
            .about("Goes on with an import, or with its undo, whose run ended before it was done.")
            .permission("tasks:write")
            .rest(Method::POST, "/imports/{import_id}/resume")
            .handle(move |tx: Tx, input: Arc<ImportId>| {
                let runs = next.clone();
                async move { resume(&runs, &tx, input.import_id).await.map(Outcome::Done) }
            }),
        Operation::write("imports.undo", "Undo an import")
            .about("Takes away what an import made and brings back what it changed, as a whole: refused when one of its tasks was changed since.")
            .permission("tasks:write")
            .destructive()
            .rest(Method::POST, "/imports/{import_id}/undo")
            .prepare_with(|cx: Prepare, input: ImportId| async move {
                let id = input.import_id;
                let checked = cx.store.read(&cx.ctx, |tx| async move {
                    let row = state::row(&tx, id).await?;
                    takeback::check(&tx, &row).await
                });
                checked.await.map(|()| id)
            })
            .handle(move |tx: Tx, id: Arc<Uuid>| {
                let runs = back.clone();
                async move { undo(&runs, &tx, *id).await.map(Outcome::Done) }
            }),
        Operation::write("imports.delete", "Forget an import")
            .about("Forgets an import and its file; its tasks stay, and the import cannot be undone any more.")
            .permission("tasks:write")
            .destructive()
            .rest(Method::DELETE, "/imports/{import_id}")
            .handle(move |tx: Tx, input: Arc<ImportId>| {
                let runs = gone.clone();
                async move { delete(&runs, &tx, input.import_id).await.map(Outcome::Done) }
            }),
        Operation::read("imports.get", "Get an import")
            .about("Returns an import: how far it is, what came of it, what was wrong.")
            .permission("tasks:read")
            .rest(Method::GET, "/imports/{import_id}")
            .handle(move |tx: Tx, input: Arc<ImportId>| {
                let runs = one.clone();
                async move {
                    let row = state::row(&tx, input.import_id).await?;
                    runs::view(&runs, &tx, row).await
                }
            }),
        Operation::read("imports.list", "List imports")
            .about("Lists imports, the newest first.")
            .permission("tasks:read")
            .rest(Method::GET, "/imports")
            .handle(move |tx: Tx, input: Arc<ListImports>| {
                let runs = many.clone();
                async move { list(&runs, &tx, &input).await }
            }),
    ]
}
