//! A field of an update: absent leaves it, null clears it, a value sets it.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use synapscale_core::{Error, Result};

/// Absent, null or a value. Fields of this type carry `#[serde(default, skip_serializing_if = "Patch::is_absent")]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field was not sent: keep what is there.
    #[default]
    Absent,
    /// The field was sent as null: clear it.
    Null,
    /// The new value.
    Value(T),
}

impl<T> Patch<T> {
    /// Whether the field was not sent.
    pub fn is_absent(&self) -> bool {
        matches!(self, Patch::Absent)
    }

    /// The new value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Patch::Value(value) => Some(value),
            Patch::Absent | Patch::Null => None,
        }
    }

    /// The same with the value turned into another.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            Patch::Value(value) => Patch::Value(change(value)),
        }
    }
}

impl<T: Clone> Patch<T> {
    /// Changes a field that may be empty.
    pub fn apply(&self, target: &mut Option<T>) {
        match self {
            Patch::Absent => {}
            Patch::Null => *target = None,
            Patch::Value(value) => *target = Some(value.clone()),
        }
    }

    /// Changes a field that always has a value. `pointer` names it in the error, such as `/title`.
    ///
    /// # Errors
    /// 422 `required` for null.
    pub fn apply_required(&self, target: &mut T, pointer: &str) -> Result<()> {
        match self {
            Patch::Absent => Ok(()),
            Patch::Null => Err(Error::invalid(pointer, "required", "This cannot be empty.")),
            Patch::Value(value) => {
                *target = value.clone();
                Ok(())
            }
        }
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(|value| value.map_or(Patch::Null, Patch::Value))
    }
}

/// The schema of `Option<T>`. It does not call itself optional, so that a field whose `serde(default)` was forgotten is
/// required by the schema instead of being cleared when it is absent.
impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Patch_{}", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("Patch<{}>", T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Update {
        #[serde(default, skip_serializing_if = "Patch::is_absent")]
        #[schemars(length(max = 5))]
        title: Patch<String>,
    }

    #[test]
    fn tells_absent_from_null() {
        for (text, patch) in [
            (json!({}), Patch::Absent),
            (json!({"title": null}), Patch::Null),
            (json!({"title": "a"}), Patch::Value("a".to_owned())),
        ] {
            let update: Update = serde_json::from_value(text.clone()).expect("update");
            assert_eq!(update.title, patch);
            assert_eq!(serde_json::to_value(&update).expect("json"), text);
        }
    }

    #[test]
    fn changes_only_what_was_sent() {
        let mut due = Some(1);
        Patch::Absent.apply(&mut due);
        assert_eq!(due, Some(1));
        Patch::Value(2).apply(&mut due);
        assert_eq!(due, Some(2));
        Patch::Null.apply(&mut due);
        assert_eq!(due, None);
        let mut title = 1;
        assert!(Patch::Value(3).apply_required(&mut title, "/title").is_ok());
        assert_eq!(title, 3);
        let error = Patch::<i32>::Null
            .apply_required(&mut title, "/title")
            .expect_err("null");
        assert_eq!(error.fields()[0].pointer, "/title");
        assert_eq!(title, 3);
    }

    #[test]
    fn its_schema_is_optional_nullable_and_limited() {
        let schema = schemars::schema_for!(Update).to_value();
        assert_eq!(schema.get("required"), None);
        let title = &schema["properties"]["title"];
        assert_eq!(title["type"], json!(["string", "null"]));
        assert_eq!(title["maxLength"], json!(5));
        assert_eq!(title.get("default"), None);
    }
}
