//! `db check`: the live schema against the entities, column by column. Zero drift or a list of differences.

use crate::blobs::BlobEntity;
use crate::dialect::{self, Backend};
use crate::errors::IntoCore;
use crate::events;
use crate::store::Store;
use sea_orm::sea_query::ColumnType as OrmType;
use sea_orm::{ColumnTrait, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn};
use std::collections::{BTreeMap, BTreeSet};
use synapscale_core::Result;

/// What an entity says of its table.
#[derive(Clone, Debug)]
pub struct EntitySpec {
    table: String,
    columns: BTreeMap<String, (OrmType, bool)>,
    key: BTreeSet<String>,
}

impl EntitySpec {
    /// The table that `E` maps.
    pub fn of<E: EntityTrait>(entity: E) -> Self
    where
        E::PrimaryKey: PrimaryKeyToColumn<Column = E::Column>,
    {
        let columns = E::Column::iter().map(|column| {
            let definition = column.def();
            let kind = definition.get_column_type().clone();
            (column.as_str().to_owned(), (kind, definition.is_null()))
        });
        EntitySpec {
            table: entity.table_name().to_owned(),
            columns: columns.collect(),
            key: E::PrimaryKey::iter()
                .map(|k| k.into_column().as_str().to_owned())
                .collect(),
        }
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The names of its columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }

    /// Whether the rows belong to tenants.
    pub fn is_tenant(&self) -> bool {
        self.columns.contains_key("tenant_id")
    }
}

/// The store's own tables.
pub fn own_entities() -> Vec<EntitySpec> {
    [EntitySpec::of(BlobEntity)]
        .into_iter()
        .chain(events::entities())
        .collect()
}

/// One difference between schema and code.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Drift {
    /// The table.
    pub table: String,
    /// The column, where it is about one.
    pub column: Option<String>,
    /// What differs, in words.
    pub what: String,
}

/// Columns that only the log's dialect knows.
const DIALECT_COLUMNS: [(&str, &str); 2] = [("events", "epoch"), ("events", "xid")];

/// PostgreSQL's partitions need the tenant in the log's key; SQLite numbers rows by `seq` alone.
const PARTITION_KEY: (&str, &str) = ("events", "tenant_id");

struct LiveColumn {
    kind: String,
    required: bool,
    in_key: bool,
}

impl Store {
    /// Compares the live schema with `modules`' entities and the store's own. An empty list is what is wanted.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn check_schema(&self, modules: &[EntitySpec]) -> Result<Vec<Drift>> {
        let specs: Vec<EntitySpec> = own_entities()
            .into_iter()
            .chain(modules.iter().cloned())
            .collect();
        let live = self.live_tables().await?;
        let mut drift = Vec::new();
        for spec in &specs {
            if !live.contains(&spec.table) {
                drift.push(difference(&spec.table, None, "the table is missing"));
                continue;
            }
            let columns = self.live_columns(&spec.table).await?;
            drift.extend(compare(self.backend(), spec, &columns));
        }
        for table in live.iter().filter(|name| name.as_str() != "schema_migrations") {
            if !specs.iter().any(|spec| spec.table == *table) {
                drift.push(difference(table, None, "no entity knows this table"));
            }
        }
        Ok(drift)
    }

    async fn live_tables(&self) -> Result<BTreeSet<String>> {
        let sql = match self.backend() {
            Backend::Sqlite => dialect::sqlite::TABLES,
            Backend::Postgres => dialect::postgres::TABLES,
        };
        let rows = self.owner_rows(sql, None).await?;
        rows.iter()
            .map(|row| row.try_get_by_index(0).map_err(IntoCore::into_core))
            .collect()
    }

    async fn live_columns(&self, table: &str) -> Result<BTreeMap<String, LiveColumn>> {
        let rows = match self.backend() {
            Backend::Sqlite => self.owner_rows(dialect::sqlite::COLUMNS, Some(table)).await?,
            Backend::Postgres => self.owner_rows(dialect::postgres::COLUMNS, Some(table)).await?,
        };
        rows.iter()
            .map(|row| {
                let name: String = row.try_get_by_index(0).map_err(IntoCore::into_core)?;
                let kind: String = row.try_get_by_index(1).map_err(IntoCore::into_core)?;
                let required: bool = row.try_get_by_index(2).map_err(IntoCore::into_core)?;
                let place: i32 = row.try_get_by_index(3).map_err(IntoCore::into_core)?;
                Ok((
                    name,
                    LiveColumn {
                        kind,
                        required,
                        in_key: place > 0,
                    },
                ))
            })
            .collect()
    }
}

fn difference(table: &str, column: Option<&str>, what: impl Into<String>) -> Drift {
    Drift {
        table: table.to_owned(),
        column: column.map(str::to_owned),
        what: what.into(),
    }
}

fn compare(backend: Backend, spec: &EntitySpec, live: &BTreeMap<String, LiveColumn>) -> Vec<Drift> {
    let mut drift = Vec::new();
    for (name, (kind, nullable)) in &spec.columns {
        let mut differs = |what: String| drift.push(difference(&spec.table, Some(name), what));
        let Some(column) = live.get(name) else {
            differs("the column is missing".to_owned());
            continue;
        };
        let accepted = accepted_types(backend, kind);
        if !accepted.contains(&column.kind.to_lowercase().as_str()) {
            differs(format!(
                "is {} in the database, {kind:?} in the entity",
                column.kind
            ));
        }
        // A key column of SQLite may say nothing of NOT NULL and is so all the same.
        if column.required == *nullable && (*nullable || !column.in_key) {
            let word = if column.required { "required" } else { "optional" };
            differs(format!("is {word} in the database, not so in the entity"));
        }
        let partition = PARTITION_KEY == (spec.table.as_str(), name.as_str());
        if column.in_key != spec.key.contains(name) && !partition {
            differs("differs in whether it belongs to the primary key".to_owned());
        }
    }
    for name in live.keys() {
        let dialect = DIALECT_COLUMNS.contains(&(spec.table.as_str(), name.as_str()));
        if !spec.columns.contains_key(name) && !dialect {
            drift.push(difference(&spec.table, Some(name), "no entity knows this column"));
        }
    }
    drift
}

fn accepted_types(backend: Backend, kind: &OrmType) -> &'static [&'static str] {
    match (backend, kind) {
        (Backend::Sqlite, OrmType::Uuid | OrmType::VarBinary(_) | OrmType::Blob | OrmType::Binary(_)) => {
            &["blob"]
        }
        (
            Backend::Sqlite,
            OrmType::BigInteger | OrmType::Integer | OrmType::SmallInteger | OrmType::Boolean,
        ) => &["integer"],
        (Backend::Sqlite, OrmType::Double | OrmType::Float) => &["real"],
        (Backend::Sqlite, _) => &["text"],
        (Backend::Postgres, OrmType::Uuid) => &["uuid"],
        (Backend::Postgres, OrmType::VarBinary(_) | OrmType::Blob | OrmType::Binary(_)) => &["bytea"],
        (Backend::Postgres, OrmType::BigInteger) => &["bigint"],
        (Backend::Postgres, OrmType::Double) => &["double precision"],
        (Backend::Postgres, OrmType::Boolean) => &["boolean"],
        (Backend::Postgres, OrmType::Json | OrmType::JsonBinary) => &["jsonb"],
        (Backend::Postgres, OrmType::TimestampWithTimeZone) => &["timestamp with time zone"],
        (Backend::Postgres, OrmType::String(_) | OrmType::Text) => &["text"],
        (Backend::Postgres, _) => &[],
    }
}
