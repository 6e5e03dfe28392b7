//! Values that may be too large for their row: those stand in a blob, written in the same transaction.

use serde_json::Value;
use std::io::{self, Write};
use synapscale_core::{Error, Result};
use synapscale_store::{BLOB_THRESHOLD_BYTES, BlobRef, Tx};
use uuid::Uuid;

/// Where a reference to a blob has its id.
const REFERENCE: &str = "$blob";

/// The value itself, or a reference to the blob that now holds it. What is kept here is a list, so no value can be taken
/// for a reference.
pub async fn put(tx: &Tx, list: Vec<Value>) -> Result<Value> {
    let value = clean(Value::Array(list));
    if !is_larger(&value, BLOB_THRESHOLD_BYTES) {
        return Ok(value);
    }
    let bytes = serde_json::to_vec(&value).map_err(Error::internal)?;
    let blob = tx.put_blob("application/json", &bytes).await?;
    serde_json::to_value(blob).map_err(Error::internal)
}

/// The list that was put.
pub async fn get(tx: &Tx, value: Value) -> Result<Value> {
    if value.get(REFERENCE).is_none() {
        return Ok(value);
    }
    let blob: BlobRef = serde_json::from_value(value).map_err(Error::internal)?;
    let bytes = tx.get_blob(blob.id).await?;
    serde_json::from_slice(&bytes).map_err(Error::internal)
}

/// The blob that a value refers to, if it does.
pub fn blob_of(value: &Value) -> Option<Uuid> {
    serde_json::from_value(value.get(REFERENCE)?.clone()).ok()
}

/// The same without NUL characters, which PostgreSQL keeps neither in text nor in JSON, and which a model or a tool may
/// well say.
pub fn clean(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean_text(text)),
        Value::Array(items) => items.into_iter().map(clean).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, item)| (clean_text(key), clean(item)))
            .collect(),
        other => other,
    }
}

/// As [`clean`], for a text.
pub fn clean_text(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}"),
        false => text,
    }
}

/// Whether the JSON text of `value` is longer than `limit` bytes. Stops counting once it is.
pub fn is_larger(value: &Value, limit: usize) -> bool {
    serde_json::to_writer(Room(limit), value).is_err()
}

/// The length of the JSON text of `value`, in bytes.
pub fn size(value: &Value) -> usize {
    let mut room = Room(usize::MAX);
    // Writing into a count cannot fail.
    let _ = serde_json::to_writer(&mut room, value);
    usize::MAX - room.0
}

/// Takes as many bytes as there is room for.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes_are_counted_to_the_byte() {
        assert!(!is_larger(&json!("abc"), 5));
        assert!(is_larger(&json!("abc"), 4));
    }

    #[test]
    fn nul_is_replaced_wherever_it_stands() {
        assert_eq!(
            clean(json!({"a\u{0}": ["b\u{0}", 1]})),
            json!({"a\u{fffd}": ["b\u{fffd}", 1]})
        );
    }
}
