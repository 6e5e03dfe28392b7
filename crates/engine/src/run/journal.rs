//! The journal's rows and back; large values go to blobs in the same transaction.

use crate::graph::{CompiledGraph, IterationPath, StepKey};
use crate::run::entity::journal;
use crate::run::state::{Row, RunState, What};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{BLOB_THRESHOLD_BYTES, BlobRef, Scoped, Tx};
use uuid::Uuid;

/// Rows that are read at once; none is longer than some 80 KiB.
const PAGE: u64 = 200;

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

/// The rows behind the place `after`, in order, as many as are read at once, and the place of the last; none at the end.
/// Outputs that are blobs stay there.
pub(crate) async fn page(
    tx: &Tx,
    run_id: Uuid,
    graph: &CompiledGraph,
    after: i64,
) -> Result<Option<(Vec<Row>, i64)>> {
    let models = tx
        .find::<journal::Entity>()
        .filter(journal::Column::RunId.eq(run_id))
        .filter(journal::Column::Seq.gt(after))
        .order_by_asc(journal::Column::Seq)
        .limit(PAGE)
        .rows(tx)
        .await?;
    let Some(last) = models.last().map(|model| model.seq) else {
        return Ok(None);
    };
    let rows = models.into_iter().map(|model| row(model, graph));
    Ok(Some((rows.collect::<Result<_>>()?, last)))
}

fn row(model: journal::Model, graph: &CompiledGraph) -> Result<Row> {
    let node = graph
        .index(&model.node)
        .ok_or_else(|| Error::internal("the journal names a node that the graph does not have"))?;
    let data: Data = serde_json::from_value(model.data).map_err(Error::internal)?;
    let call = data.call;
    let away = data.output.as_ref().is_some_and(is_away);
    let what = match model.kind.as_str() {
        "started" => What::Started,
        "resumed" => What::Resumed,
        "completed" => What::Completed {
            port: data.port.unwrap_or_else(|| "out".to_owned()),
            output: Arc::new(data.output.unwrap_or_default()),
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
        away,
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

/// Whether a value that was stowed is only the name of the blob that holds it.
pub(crate) fn is_away(stowed: &Value) -> bool {
    stowed.get("$blob").is_some()
}

/// How long the JSON text of a value is that was stowed, in bytes.
pub(crate) fn weight(stowed: &Value, away: bool) -> usize {
    let size = || {
        stowed
            .get("size")?
            .as_u64()
            .and_then(|size| usize::try_from(size).ok())
    };
    match away {
        true => size().unwrap_or(0),
        false => left_of(stowed, usize::MAX).map_or(usize::MAX, |left| usize::MAX - left),
    }
}

/// The value that was stowed.
pub(crate) async fn fetch(tx: &Tx, value: Value) -> Result<Value> {
    if !is_away(&value) {
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
