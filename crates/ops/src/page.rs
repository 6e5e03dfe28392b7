//! Lists page by page. A cursor is opaque to callers; inside it is the sort key of the last row given out.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use synapscale_core::{Error, Result};

/// Items on a page when the caller names no number.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most items on a page.
pub const MAX_LIMIT: u32 = 200;
/// Longest accepted cursor, in bytes.
const MAX_CURSOR_BYTES: usize = 1024;

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Pass as `cursor` to get the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// The fields by which a list is paged. An input with fields of its own repeats these two: flattening is not allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Most items to return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// Where the page before this one ended: its `next_cursor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page from rows that were read with one more than `limit`: that one only shows that there is a next page.
    /// `key` gives the sort key of the last row kept.
    ///
    /// # Errors
    /// When the key cannot be JSON.
    pub fn cut<K: Serialize>(mut rows: Vec<T>, limit: u64, key: impl FnOnce(&T) -> K) -> Result<Self> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last().filter(|_| more) {
            Some(last) => Some(encode(&key(last))?),
            None => None,
        };
        Ok(Page {
            items: rows,
            next_cursor,
        })
    }

    /// The same page with every item turned into another.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

/// The number of items for a page: 50 when none is named, at least 1, at most 200. Read one more than that.
pub fn limit(asked: Option<u32>) -> u64 {
    asked.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT).into()
}

/// A cursor that stands for `key`.
///
/// # Errors
/// When `key` cannot be JSON.
pub fn encode<K: Serialize>(key: &K) -> Result<String> {
    let json = serde_json::to_vec(key).map_err(Error::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// The key that a cursor stands for.
///
/// # Errors
/// 422 `cursor` at `/cursor` for anything that [`encode`] did not make of such a key.
pub fn decode<K: DeserializeOwned>(cursor: &str) -> Result<K> {
    let bytes = Some(cursor)
        .filter(|text| text.len() <= MAX_CURSOR_BYTES)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| Error::invalid("/cursor", "cursor", "This cursor was not given out by this list."))
}

/// As [`decode`], for a field that may be absent.
///
/// # Errors
/// As [`decode`].
pub fn decode_opt<K: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<K>> {
    cursor.map(decode).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        let key = (7_i64, "a/b".to_owned());
        let cursor = encode(&key).expect("cursor");
        assert_eq!(decode::<(i64, String)>(&cursor).expect("key"), key);
        assert_eq!(decode_opt::<(i64, String)>(None).expect("none"), None);
    }

    #[test]
    fn strange_cursors_are_refused() {
        let other = encode(&"text").expect("cursor");
        for bad in ["", "!", "e30=", &other, &"a".repeat(5000)] {
            let error = decode::<(i64, String)>(bad).expect_err("refused");
            assert_eq!(error.fields()[0].pointer, "/cursor");
        }
    }

    #[test]
    fn limits_are_kept() {
        assert_eq!(limit(None), 50);
        assert_eq!(limit(Some(0)), 1);
        assert_eq!(limit(Some(1_000_000)), 200);
    }

    #[test]
    fn the_extra_row_only_tells_of_more() {
        let page = Page::cut(vec![1, 2, 3], 2, |last| *last).expect("page");
        assert_eq!(page.items, [1, 2]);
        assert_eq!(decode::<i32>(&page.next_cursor.expect("more")).expect("key"), 2);
        assert_eq!(
            Page::cut(vec![1, 2], 2, |last| *last).expect("page").next_cursor,
            None
        );
        assert_eq!(
            Page::cut(Vec::<i32>::new(), 2, |last| *last)
                .expect("page")
                .next_cursor,
            None
        );
    }
}
