//! What is kept of imports: their files, their parts, and which task came from where.

use super::item::Problems;
use super::read::Format;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synapscale_core::{Error, Result};
use synapscale_ops::Revisioned;
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::schema::{Table, integer, json, text, timestamp, uuid};
use synapscale_store::{EntitySpec, Migration, Scoped, Tx, tenant_entity};
use uuid::Uuid;

tenant_entity! {
    /// An import of a file.
    import, "imports", [id: Uuid], {
        name: String,
        format: Option<String>,
        status: String,
        size_bytes: i64,
        #[sea_orm(column_type = "JsonBinary")]
        options: Json,
        items: i64,
        parts: i64,
        parts_done: i64,
        created: i64,
        updated: i64,
        unchanged: i64,
        left_out: i64,
        #[sea_orm(column_type = "JsonBinary")]
        problems: Json,
        run_id: Option<Uuid>,
        created_by: String,
        created_at: DateTimeUtc,
        updated_at: DateTimeUtc,
        finished_at: Option<DateTimeUtc>,
        revision: i64,
    }
}

tenant_entity! {
    /// A piece of a file that is uploaded.
    piece, "import_files", [import_id: Uuid, number: i64], {
        blob_id: Uuid,
        size_bytes: i64,
    }
}

tenant_entity! {
    /// A step of an import: what it is to do, and what undoes it.
    part, "import_parts", [import_id: Uuid, number: i64], {
        blob_id: Option<Uuid>,
        state: String,
        patch_set_id: Option<Uuid>,
        #[sea_orm(column_type = "JsonBinary")]
        before: Json,
        #[sea_orm(column_type = "JsonBinary")]
        made: Json,
    }
}

tenant_entity! {
    /// What a thing of a file became here.
    origin, "import_origins", [source: String, external_id: String], {
        target_id: Uuid,
        digest: String,
        import_id: Uuid,
        part: i64,
        revision: i64,
    }
}

pub(crate) const STATUSES: &[&str] = &["uploading", "running", "done", "undoing", "undone"];
const STATES: &[&str] = &["todo", "done", "undone"];

pub(crate) fn migration() -> Migration {
    Migration::new("work_0011_imports")
        .create(
            Table::tenant(
                "imports",
                [
                    uuid("id"),
                    text("name").max(200),
                    text("format").null().max(20),
                    text("status").one_of(STATUSES),
                    integer("size_bytes").default("0"),
                    json("options").default("{}"),
                    integer("items").default("0"),
                    integer("parts").default("0"),
                    integer("parts_done").default("0"),
                    integer("created").default("0"),
                    integer("updated").default("0"),
                    integer("unchanged").default("0"),
                    integer("left_out").default("0"),
                    json("problems").default("{}"),
                    uuid("run_id").null(),
                    text("created_by"),
                    timestamp("created_at"),
                    timestamp("updated_at"),
                    timestamp("finished_at").null(),
                    integer("revision").default("1"),
                ],
            )
            .index("imports_by_status", &["status", "created_at"]),
        )
        .create(
            Table::tenant(
                "import_files",
                [
                    uuid("import_id"),
                    integer("number").between(0, 255),
                    uuid("blob_id"),
                    integer("size_bytes"),
                ],
            )
            .key(&["import_id", "number"])
            .owned_by("import_id", "imports"),
        )
        .create(
            Table::tenant(
                "import_parts",
                [
                    uuid("import_id"),
                    integer("number"),
                    uuid("blob_id").null(),
                    text("state").one_of(STATES),
                    uuid("patch_set_id").null(),
                    json("before").default("[]"),
                    json("made").default("[]"),
                ],
            )
            .key(&["import_id", "number"])
            .owned_by("import_id", "imports"),
        )
        .create(
            Table::tenant(
                "import_origins",
                [
                    text("source").max(500),
                    text("external_id").max(500),
                    uuid("target_id"),
                    text("digest").max(100),
                    uuid("import_id"),
                    integer("part"),
                    integer("revision"),
                ],
            )
            .key(&["source", "external_id"])
            .index("import_origins_by_target", &["target_id"])
            .index("import_origins_by_import", &["import_id", "part"]),
        )
}

pub(crate) fn entities() -> Vec<EntitySpec> {
    vec![
        EntitySpec::of(import::Entity),
        EntitySpec::of(piece::Entity),
        EntitySpec::of(part::Entity),
        EntitySpec::of(origin::Entity),
    ]
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ImportStatus {
    /// Its file comes in.
    Uploading,
    /// Its tasks are made.
    Running,
    /// All is done.
    Done,
    /// What it made is taken away again.
    Undoing,
    /// What it made is gone.
    Undone,
}

impl ImportStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            ImportStatus::Uploading => "uploading",
            ImportStatus::Running => "running",
            ImportStatus::Done => "done",
            ImportStatus::Undoing => "undoing",
            ImportStatus::Undone => "undone",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "running" => ImportStatus::Running,
            "done" => ImportStatus::Done,
            "undoing" => ImportStatus::Undoing,
            "undone" => ImportStatus::Undone,
            _ => ImportStatus::Uploading,
        }
    }
}

/// An import of a file of tasks.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Import {
    /// Its id.
    pub id: Uuid,
    /// The file's name.
    pub name: String,
    /// What wrote the file; null until the import is started.
    pub format: Option<Format>,
    /// Where it stands.
    pub status: ImportStatus,
    /// Whether its run ended before it was done: start or undo it again, and it goes on where it stands.
    pub stopped: bool,
    /// Why its run ended, in words.
    pub stopped_by: Option<String>,
    /// How much of the file is there, in bytes.
    pub size_bytes: i64,
    /// How many tasks the file has.
    pub items: i64,
    /// In how many steps they are made.
    pub parts: i64,
    /// How many steps are done; an undo counts down.
    pub parts_done: i64,
    /// How many tasks were made.
    pub created: i64,
    /// How many that stood already were changed.
    pub updated: i64,
    /// How many stood already as the file has them.
    pub unchanged: i64,
    /// How many could not be taken.
    pub left_out: i64,
    /// What was wrong with the file's rows.
    pub problems: Problems,
    /// The run that works on it.
    pub run_id: Option<Uuid>,
    /// Who imports.
    pub created_by: String,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// When it was done or undone.
    pub finished_at: Option<DateTime<Utc>>,
    /// Raised by every change.
    pub revision: i64,
}

impl Revisioned for Import {
    fn revision(&self) -> i64 {
        self.revision
    }
}

impl From<import::Model> for Import {
    fn from(row: import::Model) -> Self {
        Import {
            id: row.id,
            name: row.name,
            format: row
                .format
                .and_then(|word| serde_json::from_value(Value::String(word)).ok()),
            status: ImportStatus::parse(&row.status),
            stopped: false,
            stopped_by: None,
            size_bytes: row.size_bytes,
            items: row.items,
            parts: row.parts,
            parts_done: row.parts_done,
            created: row.created,
            updated: row.updated,
            unchanged: row.unchanged,
            left_out: row.left_out,
            problems: serde_json::from_value(row.problems).unwrap_or_default(),
            run_id: row.run_id,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
            finished_at: row.finished_at,
            revision: row.revision,
        }
    }
}

impl import::Model {
    pub fn status(&self) -> ImportStatus {
        ImportStatus::parse(&self.status)
    }
}

/// The import, which nobody else works on until this transaction is over.
pub(super) async fn held(tx: &Tx, id: Uuid) -> Result<import::Model> {
    tx.lock(&format!("work/import/{id}")).await?;
    row(tx, id).await
}

pub(super) async fn row(tx: &Tx, id: Uuid) -> Result<import::Model> {
    let query = tx.find::<import::Entity>().filter(import::Column::Id.eq(id));
    query.row(tx).await?.ok_or_else(|| Error::not_found("import"))
}

/// Writes an import that is held, with a new revision.
pub(super) async fn keep(tx: &Tx, mut row: import::Model) -> Result<import::Model> {
    row.updated_at = tx.ctx().clock().now();
    row.revision += 1;
    let update = tx
        .update::<import::Entity>()
        .col_expr(import::Column::Format, Expr::val(row.format.clone()))
        .col_expr(import::Column::Status, Expr::val(row.status.clone()))
        .col_expr(import::Column::SizeBytes, Expr::val(row.size_bytes))
        .col_expr(import::Column::Options, Expr::val(row.options.clone()))
        .col_expr(import::Column::Items, Expr::val(row.items))
        .col_expr(import::Column::Parts, Expr::val(row.parts))
        .col_expr(import::Column::PartsDone, Expr::val(row.parts_done))
        .col_expr(import::Column::Created, Expr::val(row.created))
        .col_expr(import::Column::Updated, Expr::val(row.updated))
        .col_expr(import::Column::Unchanged, Expr::val(row.unchanged))
        .col_expr(import::Column::LeftOut, Expr::val(row.left_out))
        .col_expr(import::Column::Problems, Expr::val(row.problems.clone()))
        .col_expr(import::Column::RunId, Expr::val(row.run_id))
        .col_expr(import::Column::UpdatedAt, Expr::val(row.updated_at))
        .col_expr(import::Column::FinishedAt, Expr::val(row.finished_at))
        .col_expr(import::Column::Revision, Expr::val(row.revision))
        .filter(import::Column::Id.eq(row.id));
    crate::apply::one_hit(tx.run_update(update).await?)?;
    Ok(row)
}

pub(super) async fn pieces(tx: &Tx, id: Uuid) -> Result<Vec<piece::Model>> {
    let query = tx.find::<piece::Entity>().filter(piece::Column::ImportId.eq(id));
    let mut found = query.rows(tx).await?;
    found.sort_by_key(|piece| piece.number);
    Ok(found)
}

/// The file, put together from its pieces.
pub(super) async fn file(tx: &Tx, id: Uuid) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (place, piece) in pieces(tx, id).await?.into_iter().enumerate() {
        if usize::try_from(piece.number) != Ok(place) {
            let message = format!("Piece {place} of the file is missing.");
            return Err(Error::conflict("piece_missing", message));
        }
        bytes.extend(tx.get_blob(piece.blob_id).await?);
    }
    match bytes.is_empty() {
        true => Err(Error::conflict(
            "file_missing",
            "The file is empty, or not uploaded yet.",
        )),
        false => Ok(bytes),
    }
}

/// Deletes what came in and what was to be done, once that is over.
pub(super) async fn forget_files(tx: &Tx, id: Uuid) -> Result<()> {
    let mut blobs: Vec<Uuid> = pieces(tx, id).await?.iter().map(|piece| piece.blob_id).collect();
    blobs.extend(parts(tx, id).await?.iter().filter_map(|part| part.blob_id));
    for some in blobs.chunks(500) {
        tx.delete_blobs(some).await?;
    }
    let gone = tx
        .delete::<piece::Entity>()
        .filter(piece::Column::ImportId.eq(id));
    tx.run_delete(gone).await?;
    let update = tx
        .update::<part::Entity>()
        .col_expr(part::Column::BlobId, Expr::val(None::<Uuid>))
        .filter(part::Column::ImportId.eq(id));
    tx.run_update(update).await.map(drop)
}

pub(super) async fn parts(tx: &Tx, id: Uuid) -> Result<Vec<part::Model>> {
    let query = tx.find::<part::Entity>().filter(part::Column::ImportId.eq(id));
    let mut found = query.rows(tx).await?;
    found.sort_by_key(|part| part.number);
    Ok(found)
}

pub(super) async fn part_at(tx: &Tx, id: Uuid, number: i64) -> Result<part::Model> {
    let query = tx
        .find::<part::Entity>()
        .filter(part::Column::ImportId.eq(id))
        .filter(part::Column::Number.eq(number));
    query
        .row(tx)
        .await?
        .ok_or_else(|| Error::not_found("part of the import"))
}

pub(super) async fn keep_part(tx: &Tx, part: &part::Model) -> Result<()> {
    let update = tx
        .update::<part::Entity>()
        .col_expr(part::Column::State, Expr::val(part.state.clone()))
        .col_expr(part::Column::PatchSetId, Expr::val(part.patch_set_id))
        .col_expr(part::Column::Before, Expr::val(part.before.clone()))
        .col_expr(part::Column::Made, Expr::val(part.made.clone()))
        .filter(part::Column::ImportId.eq(part.import_id))
        .filter(part::Column::Number.eq(part.number));
    crate::apply::one_hit(tx.run_update(update).await?)
}
