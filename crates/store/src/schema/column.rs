//! Columns: eight types that both databases store without loss.

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `uuid`; 16 bytes on SQLite.
    Uuid,
    /// `text`.
    Text,
    /// 64-bit integer.
    Integer,
    /// 64-bit float.
    Real,
    /// `boolean`; 0 or 1 on SQLite.
    Boolean,
    /// `jsonb`; JSON text on SQLite.
    Json,
    /// `timestamptz`; RFC 3339 text in UTC on SQLite.
    Timestamp,
    /// `bytea`; blob on SQLite.
    Bytes,
}

/// A column as a migration makes it.
#[derive(Clone, Debug)]
pub struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: ColumnType,
    pub(crate) nullable: bool,
    pub(crate) default: Option<&'static str>,
    pub(crate) one_of: &'static [&'static str],
    pub(crate) max_chars: Option<u32>,
    pub(crate) between: Option<(i64, i64)>,
}

impl Column {
    fn new(name: &'static str, kind: ColumnType) -> Self {
        Column {
            name,
            kind,
            nullable: false,
            default: None,
            one_of: &[],
            max_chars: None,
            between: None,
        }
    }

    /// The value may be missing.
    pub fn null(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The value of a row that names none: a literal without quotes (`active`, `0`, `{}`, `false`).
    pub fn default(mut self, literal: &'static str) -> Self {
        self.default = Some(literal);
        self
    }

    /// The only accepted words.
    pub fn one_of(mut self, words: &'static [&'static str]) -> Self {
        self.one_of = words;
        self
    }

    /// The most characters.
    pub fn max(mut self, chars: u32) -> Self {
        self.max_chars = Some(chars);
        self
    }

    /// The least and greatest integer.
    pub fn between(mut self, least: i64, greatest: i64) -> Self {
        self.between = Some((least, greatest));
        self
    }
}

macro_rules! constructors {
    ($($name:ident => $kind:ident, $about:literal;)*) => {$(
        #[doc = $about]
        pub fn $name(name: &'static str) -> Column {
            Column::new(name, ColumnType::$kind)
        }
    )*};
}

constructors! {
    uuid => Uuid, "A UUID column.";
    text => Text, "A text column.";
    integer => Integer, "A 64-bit integer column.";
    real => Real, "A 64-bit float column.";
    boolean => Boolean, "A boolean column.";
    json => Json, "A JSON column.";
    timestamp => Timestamp, "A point in time, in UTC.";
    bytes => Bytes, "A column of bytes.";
}
