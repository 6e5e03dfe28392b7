//! Comments on tasks: markdown, its author's own to edit, listed page by page.

use crate::events::{CommentCreated, CommentDeleted, CommentUpdated};
use crate::search::{self, Backlog};
use crate::{author, query};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use synapscale_core::{Changes, Error, ErrorKind, NewEvent, Result, diff, new_id};
use synapscale_ops::{Envelope, Method, NoOutput, Operation, Outcome, Page, Revisioned};
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, Order, QueryFilter};
use synapscale_store::schema::{Table, integer, text, timestamp, uuid};
use synapscale_store::{EntitySpec, Migration, Scoped, Tx, tenant_entity};
use uuid::Uuid;

/// Longest comment, in characters.
const MAX_BODY: u32 = 20_000;
/// Who may take away what others wrote.
const MODERATE: &str = "comments:moderate";

tenant_entity! {
    /// A comment.
    comment, "comments", [id: Uuid], {
        task_id: Uuid,
        body: String,
        author: String,
        created_at: DateTimeUtc,
        updated_at: DateTimeUtc,
        revision: i64,
    }
}

pub(crate) fn migration() -> Migration {
    Migration::new("work_0002_comments").create(
        Table::tenant(
            "comments",
            [
                uuid("id"),
                uuid("task_id"),
                text("body").max(MAX_BODY),
                text("author"),
                timestamp("created_at"),
                timestamp("updated_at"),
                integer("revision").default("1"),
            ],
        )
        .owned_by("task_id", "tasks")
        .index("comments_by_task", &["task_id", "id"]),
    )
}

pub(crate) fn entities() -> Vec<EntitySpec> {
    vec![EntitySpec::of(comment::Entity)]
}

/// A comment on a task.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Comment {
    /// Its id.
    pub id: Uuid,
    /// The task it is about.
    pub task_id: Uuid,
    /// The text, in markdown.
    pub body: String,
    /// Who wrote it: `user:ID`, or another kind of actor.
    pub author: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was edited last; the time it was written if never.
    pub updated_at: DateTime<Utc>,
    /// Raised by every edit.
    pub revision: i64,
}

impl Revisioned for Comment {
    fn revision(&self) -> i64 {
        self.revision
    }
}

impl From<comment::Model> for Comment {
    fn from(row: comment::Model) -> Self {
        Comment {
            id: row.id,
            task_id: row.task_id,
            body: row.body,
            author: row.author,
            created_at: row.created_at,
            updated_at: row.updated_at,
            revision: row.revision,
        }
    }
}

/// A new comment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateComment {
    /// The task.
    task_id: Uuid,
    /// The text, in markdown.
    #[schemars(length(min = 1, max = 20_000))]
    body: String,
}

/// A comment's new text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateComment {
    /// The comment.
    comment_id: Uuid,
    /// The text, in markdown.
    #[schemars(length(min = 1, max = 20_000))]
    body: String,
}

/// A comment by its id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CommentId {
    /// The comment.
    comment_id: Uuid,
}

/// Which comments to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListComments {
    /// The task.
    task_id: Uuid,
    /// The newest first; the oldest first unless asked for.
    #[serde(default)]
    newest_first: bool,
    /// Most items to return.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page before ended.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    cursor: Option<String>,
}

/// Text that says something.
fn written(body: &str) -> Result<&str> {
    match body.trim().is_empty() {
        true => Err(Error::invalid("/body", "required", "A comment needs some text.")),
        false => Ok(body),
    }
}

/// Brings the words by which the comment's task is found up to date.
async fn reword(tx: &Tx, task_id: Uuid) -> Result<()> {
    search::mark(tx, &[task_id]).await?;
    match query::task_at(tx, task_id).await? {
        Some(row) => search::again(tx, [&row]).await,
        None => Ok(()),
    }
}

async fn create(tx: &Tx, input: &CreateComment) -> Result<Comment> {
    let body = written(&input.body)?.to_owned();
    let task = query::live_task(tx, input.task_id).await?;
    let now = tx.ctx().clock().now();
    let row = comment::Model {
        tenant_id: Uuid::nil(),
        id: new_id(),
        task_id: task.id,
        body,
        author: author(tx),
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    tx.insert::<comment::Entity>(row.clone()).await?;
    reword(tx, row.task_id).await?;
    tell_created(tx, &row, task.title);
    Ok(row.into())
}

/// Tells of a comment that was written.
pub(crate) fn tell_created(tx: &Tx, row: &comment::Model, title: String) {
    let told = CommentCreated {
        comment_id: row.id,
        title,
    };
    let changes = diff(&json!({}), &json!({ "comment": row.body }));
    tx.emit(NewEvent::new("task", row.task_id, &told).with_changes(changes));
}

/// The comment, if its task is there.
async fn live(tx: &Tx, id: Uuid) -> Result<comment::Model> {
    let row = tx
        .find::<comment::Entity>()
        .filter(comment::Column::Id.eq(id))
        .row(tx)
        .await?
        .ok_or_else(|| Error::not_found("comment"))?;
    match query::live_task(tx, row.task_id).await {
        Ok(_) => Ok(row),
        Err(_) => Err(Error::not_found("comment")),
    }
}

async fn update(tx: &Tx, input: &UpdateComment, envelope: &Envelope) -> Result<Comment> {
    let body = written(&input.body)?.to_owned();
    let mut row = live(tx, input.comment_id).await?;
    if row.author != author(tx) {
        return Err(Error::new(
            ErrorKind::Forbidden,
            "not_author",
            "Only who wrote a comment may edit it.",
        ));
    }
    if let Some(expected) = envelope.expected_revision.filter(|e| *e != row.revision) {
        return Err(Error::stale("comment", expected, row.revision));
    }
    let before = row.clone();
    row.body = body;
    row.updated_at = tx.ctx().clock().now();
    row.revision += 1;
    let update = tx
        .update::<comment::Entity>()
        .col_expr(comment::Column::Body, Expr::val(row.body.clone()))
        .col_expr(comment::Column::UpdatedAt, Expr::val(row.updated_at))
        .col_expr(comment::Column::Revision, Expr::val(row.revision))
        .filter(comment::Column::Id.eq(row.id))
        .filter(comment::Column::Revision.eq(before.revision));
    crate::apply::one_hit(tx.run_update(update).await?)?;
    reword(tx, row.task_id).await?;
    let told = CommentUpdated { comment_id: row.id };
    tx.emit(NewEvent::new("task", row.task_id, &told).with_changes(text_changes(&before.body, &row.body)));
    Ok(row.into())
}

fn text_changes(before: &str, after: &str) -> Changes {
    diff(&json!({ "comment": before }), &json!({ "comment": after }))
}

async fn delete(tx: &Tx, input: &CommentId) -> Result<NoOutput> {
    let row = live(tx, input.comment_id).await?;
    if row.author != author(tx) {
        tx.ctx().require(MODERATE)?;
    }
    let gone = tx
        .delete::<comment::Entity>()
        .filter(comment::Column::Id.eq(row.id));
    tx.run_delete(gone).await?;
    reword(tx, row.task_id).await?;
    let told = CommentDeleted {
        comment_id: row.id,
        author: row.author,
    };
    tx.emit(NewEvent::new("task", row.task_id, &told));
    Ok(NoOutput {})
}

async fn list(tx: &Tx, wanted: &ListComments) -> Result<Page<Comment>> {
    query::live_task(tx, wanted.task_id).await?;
    let found = tx
        .find::<comment::Entity>()
        .filter(comment::Column::TaskId.eq(wanted.task_id));
    let order = match wanted.newest_first {
        true => Order::Desc,
        false => Order::Asc,
    };
    let cursor = wanted.cursor.as_deref();
    let page = query::by_id(tx, found, comment::Column::Id, order, wanted.limit, cursor).await?;
    Ok(page.map(Comment::from))
}

pub(crate) fn operations(backlog: &Backlog) -> Vec<Operation> {
    let backlog = backlog.clone();
    vec![
        Operation::write("comments.create", "Comment on a task")
            .about("Writes a comment in markdown on a task.")
            .permission("tasks:write")
            .rest(Method::POST, "/tasks/{task_id}/comments")
            .revisioned()
            .handle(move |tx: Tx, input: Arc<CreateComment>| {
                let backlog = backlog.clone();
                async move {
                    let made = create(&tx, &input).await?;
                    backlog.catch_up(&tx).await?;
                    Ok(Outcome::Done(made))
                }
            }),
        Operation::read("comments.list", "List a task's comments")
            .about("Lists the comments on a task, the oldest first unless asked otherwise.")
            .permission("tasks:read")
            .rest(Method::GET, "/tasks/{task_id}/comments")
            .handle(|tx: Tx, input: Arc<ListComments>| async move { list(&tx, &input).await }),
        Operation::write("comments.update", "Edit a comment")
            .about("Sets the text of a comment that the caller wrote.")
            .permission("tasks:write")
            .rest(Method::PATCH, "/comments/{comment_id}")
            .revisioned()
            .handle_with(
                |tx: Tx, input: Arc<UpdateComment>, envelope: Envelope| async move {
                    update(&tx, &input, &envelope).await.map(Outcome::Done)
                },
            ),
        Operation::write("comments.delete", "Delete a comment")
            .about("Deletes a comment for good. Others' comments need the permission comments:moderate, which admins have.")
            .permission("tasks:write")
            .destructive()
            .rest(Method::DELETE, "/comments/{comment_id}")
            .handle(|tx: Tx, input: Arc<CommentId>| async move {
                delete(&tx, &input).await.map(Outcome::Done)
            }),
    ]
}
