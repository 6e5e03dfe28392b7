//! Outputs of any type behind one, turned into JSON only when and how they are needed.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use synapscale_core::{Error, Result};

/// An output that carries a revision.
pub trait Revisioned {
    /// Raised by each change.
    fn revision(&self) -> i64;
}

/// How the revision of an `O` is found: marks a draft as [`Plain`](crate::draft::Plain) or revisioned.
pub trait RevisionOf<O>: Send + Sync + 'static {
    /// The revision, if outputs carry one.
    fn revision(output: &O) -> Option<i64>;
}

trait ErasedOutput: Send + Sync {
    fn to_value(&self) -> serde_json::Result<Value>;
    fn to_bytes(&self) -> serde_json::Result<Bytes>;
    fn revision(&self) -> Option<i64>;
}

/// The output of an operation. Cheap to clone.
#[derive(Clone)]
pub struct Output(Arc<dyn ErasedOutput>);

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The content may be secret.
        f.write_str("Output(…)")
    }
}

struct Typed<O, R> {
    output: O,
    revision: PhantomData<fn() -> R>,
}

impl<O: Serialize + Send + Sync, R: RevisionOf<O>> ErasedOutput for Typed<O, R> {
    fn to_value(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&self.output)
    }

    fn to_bytes(&self) -> serde_json::Result<Bytes> {
        serde_json::to_vec(&self.output).map(Bytes::from)
    }

    fn revision(&self) -> Option<i64> {
        R::revision(&self.output)
    }
}

struct Stored {
    json: Bytes,
    revision: Option<i64>,
}

impl ErasedOutput for Stored {
    fn to_value(&self) -> serde_json::Result<Value> {
        serde_json::from_slice(&self.json)
    }

    fn to_bytes(&self) -> serde_json::Result<Bytes> {
        Ok(self.json.clone())
    }

    fn revision(&self) -> Option<i64> {
        self.revision
    }
}

impl Output {
    pub(crate) fn typed<O, R>(output: O) -> Self
    where
        O: Serialize + Send + Sync + 'static,
        R: RevisionOf<O>,
    {
        Output(Arc::new(Typed::<O, R> {
            output,
            revision: PhantomData,
        }))
    }

    /// An output that is JSON text already, such as a journalled one. The text must be valid.
    pub fn from_json(json: impl Into<Bytes>, revision: Option<i64>) -> Self {
        Output(Arc::new(Stored {
            json: json.into(),
            revision,
        }))
    }

    /// The output as a JSON value.
    ///
    /// # Errors
    /// `internal` for a type that cannot be JSON.
    pub fn to_value(&self) -> Result<Value> {
        self.0.to_value().map_err(Error::internal)
    }

    /// The output as JSON text.
    ///
    /// # Errors
    /// `internal` for a type that cannot be JSON.
    pub fn to_bytes(&self) -> Result<Bytes> {
        self.0.to_bytes().map_err(Error::internal)
    }

    /// Its revision, for operations that carry one.
    pub fn revision(&self) -> Option<i64> {
        self.0.revision()
    }
}

/// The input of an operation that takes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoInput {}

/// The output of an operation that has nothing to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoOutput {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stored_text_comes_back() {
        let output = Output::from_json(r#"{"a":1}"#, Some(3));
        assert_eq!(output.to_value().expect("json"), json!({"a": 1}));
        assert_eq!(
            output.to_bytes().expect("text"),
            Bytes::from_static(br#"{"a":1}"#)
        );
        assert_eq!(output.revision(), Some(3));
        assert!(Output::from_json("{", None).to_value().is_err());
    }
}
