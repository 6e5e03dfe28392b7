//! The journal's rows and back; large values go to blobs in the same transaction.

use crate::graph::{CompiledGraph, IterationPath, StepKey};
use crate::run::entity::journal;
use crate::run::state::{Row, RunState, What};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder};
use synapscale_store::{BLOB_THRESHOLD_BYTES, BlobRef, Scoped, Tx};
use uuid::Uuid;

/// What stands in a row's `data`.
#[derive(Serialize, Deserialize, Default)]
struct Data {
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Arc<Value>>,
}

/// Writes the burst's new rows with one statement.
pub(crate) async fn append(tx: &Tx, state: &mut RunState) -> Result<Vec<Row>> {
    let rows = std::mem::take(&mut state.fresh);
    let mut models = Vec::with_capacity(rows.len());
    for row in &rows {
        models.push(journal::Model {
            tenant_id: state.head.tenant.0,
            run_id: state.head.id,
            seq: state.next_seq,
            node: state.node_id(&row.key).to_owned(),
            path: row.key.path.to_string(),
            attempt: row.attempt,
            kind: row.what.kind().to_owned(),
            data: data(tx, row).await?,
            at: row.at,
        });
        state.next_seq += 1;
    }
    tx.insert_all::<journal::Entity>(models).await?;
    Ok(rows)
}

async fn data(tx: &Tx, row: &Row) -> Result<Value> {
    let mut data = match &row.what {
        What::Started | What::Resumed => Data::default(),
        What::Completed { port, output } => Data {
            port: Some(port.clone()),
            output: Some(stow(tx, output).await?),
            ..Data::default()
        },
        What::Failed { error, retry_at } => Data {
            error: Some(error.clone()),
            retry_at: *retry_at,
            ..Data::default()
        },
        What::Waiting { until, approval } => Data {
            until: Some(*until),
            approval: *approval,
            ..Data::default()
        },
        What::Called { run, until } => Data {
            until: Some(*until),
            run: Some(*run),
            ..Data::default()
        },
    };
    data.call.clone_from(&row.call);
    // What models and pages say is in calls and errors too.
    serde_json::to_value(data)
        .map(without_nul)
        .map_err(Error::internal)
}

/// Reads a run's rows in order, blobs and all.
pub(crate) async fn load(tx: &Tx, run_id: Uuid, graph: &CompiledGraph) -> Result<Vec<Row>> {
    let models = models(tx, run_id).await?;
    let mut rows = Vec::with_capacity(models.len());
    for model in models {
        rows.push(row(tx, model, graph).await?);
    }
    Ok(rows)
}

async fn models(tx: &Tx, run_id: Uuid) -> Result<Vec<journal::Model>> {
    tx.find::<journal::Entity>()
        .filter(journal::Column::RunId.eq(run_id))
        .order_by_asc(journal::Column::Seq)
        .rows(tx)
        .await
}

async fn row(tx: &Tx, model: journal::Model, graph: &CompiledGraph) -> Result<Row> {
    let node = graph
        .index(&model.node)
        .ok_or_else(|| Error::internal("the journal names a node that the graph does not have"))?;
    let data: Data = serde_json::from_value(model.data).map_err(Error::internal)?;
    let call = data.call;
    let what = match model.kind.as_str() {
        "started" => What::Started,
        "resumed" => What::Resumed,
        "completed" => What::Completed {
            port: data.port.unwrap_or_else(|| "out".to_owned()),
            output: Arc::new(fetch(tx, data.output.unwrap_or_default()).await?),
        },
        "failed" => What::Failed {
            error: data.error.unwrap_or_else(|| Error::internal("no error was kept")),
            retry_at: data.retry_at,
        },
        "waiting" => {
            let until = data.until.unwrap_or(model.at);
            match data.run {
                Some(run) => What::Called { run, until },
                None => What::Waiting {
                    until,
                    approval: data.approval,
                },
            }
        }
        other => return Err(Error::internal(format!("the journal holds an unknown `{other}`"))),
    };
    let key = StepKey {
        node,
        path: IterationPath::from(model.path),
    };
    Ok(Row {
        key,
        attempt: model.attempt,
        what,
        at: model.at,
        call,
    })
}

/// The value itself, or a reference to the blob that now holds it. A value that looks like a reference is always kept as
/// a blob, so that nobody can name another's; and one with a NUL in it, which a model or a page may well send and
/// PostgreSQL takes in no JSON.
pub(crate) async fn stow(tx: &Tx, value: &Value) -> Result<Value> {
    let looks_like_one = value.get("$blob").is_some();
    if !looks_like_one && !is_larger(value, BLOB_THRESHOLD_BYTES) && !holds_nul(value) {
        return Ok(value.clone());
    }
    let bytes = serde_json::to_vec(value).map_err(Error::internal)?;
    let blob = tx.put_blob("application/json", &bytes).await?;
    serde_json::to_value(blob).map_err(Error::internal)
}

/// The value that was stowed.
pub(crate) async fn fetch(tx: &Tx, value: Value) -> Result<Value> {
    if value.get("$blob").is_none() {
        return Ok(value);
    }
    let blob: BlobRef = serde_json::from_value(value).map_err(Error::internal)?;
    let bytes = tx.get_blob(blob.id).await?;
    serde_json::from_slice(&bytes).map_err(Error::internal)
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(map) => map
            .iter()
            .any(|(key, item)| key.contains('\0') || holds_nul(item)),
    }
}

/// The same with a mark in place of each NUL, which PostgreSQL takes in no JSON.
pub(crate) fn without_nul(value: Value) -> Value {
    let clean = |text: String| match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}"),
        false => text,
    };
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, item)| (clean(key), without_nul(item)))
            .collect(),
        other => other,
    }
}

/// Whether the JSON text of `value` is longer than `limit` bytes. Stops counting once it is.
pub(crate) fn is_larger(value: &Value, limit: usize) -> bool {
    left_of(value, limit).is_none()
}

/// What is left of `limit` bytes after the JSON text of `value`; none if it is longer.
pub(crate) fn left_of(value: &Value, limit: usize) -> Option<usize> {
    fn count(value: &Value, left: &mut usize) -> bool {
        let mut take = |bytes: usize| match left.checked_sub(bytes) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        };
        match value {
            Value::Null | Value::Bool(_) => take(5),
            Value::Number(_) => take(8),
            Value::String(text) => take(text.len() + 2),
            Value::Array(items) => take(2) && items.iter().all(|item| count(item, left)),
            Value::Object(map) => {
                take(2)
                    && map
                        .iter()
                        .all(|(key, item)| match left.checked_sub(key.len() + 4) {
                            Some(rest) => {
                                *left = rest;
                                count(item, left)
                            }
                            None => false,
                        })
            }
        }
    }
    let mut left = limit;
    count(value, &mut left).then_some(left)
}
