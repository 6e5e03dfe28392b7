//! From table descriptions to the DDL of each database, with row security, grants and partitions on PostgreSQL.

use super::Backend;
use super::postgres::{APP_ROLE, SYSTEM_ROLE, TENANT_SETTING};
use crate::schema::{Column, ColumnType, Index, Table, Tenancy};

/// The statements that make `table`.
pub(crate) fn create(backend: Backend, table: &Table) -> Vec<String> {
    let mut out = vec![create_table(backend, table)];
    if backend == Backend::Postgres {
        for part in 0..table.partitions {
            out.push(format!(
                "CREATE TABLE {0}_p{part} PARTITION OF {0} FOR VALUES WITH (MODULUS {1}, REMAINDER {part})",
                table.name, table.partitions
            ));
        }
    }
    out.extend(table.indexes.iter().map(|index| create_index(table, index)));
    if backend == Backend::Sqlite && table.sequence.is_none() {
        out.extend(expected_statistics(table));
    }
    if backend == Backend::Postgres {
        for name in physical_names(table) {
            out.extend(secure(&name, table));
        }
        if table.sequence.is_some() {
            out.push(format!(
                "GRANT USAGE ON SEQUENCE {}_seq TO {APP_ROLE}, {SYSTEM_ROLE}",
                table.name
            ));
        }
    }
    out
}

/// SQLite without statistics takes a tenant for ten rows and walks all of them where an index would find a few. Until
/// somebody runs ANALYZE it is told what to expect: many rows, some tenants, narrower with each further column.
fn expected_statistics(table: &Table) -> Vec<String> {
    let tenant = usize::from(table.has_tenant());
    let key = expected_widths(table.key.len() + tenant, tenant, true);
    let mut rows = vec![format!("('{0}', '{0}', '{key}')", table.name)];
    for index in &table.indexes {
        rows.push(expected_of(table.name, index, table.has_tenant()));
    }
    vec![
        // Makes the table of statistics if there is none yet.
        format!("ANALYZE {}", table.name),
        format!("DELETE FROM sqlite_stat1 WHERE tbl = '{}'", table.name),
        format!(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES {}",
            rows.join(", ")
        ),
        "ANALYZE sqlite_schema".to_owned(),
    ]
}

/// What SQLite is to expect of an index: how many rows share its first column, its first two, and so on.
fn expected_widths(columns: usize, tenant: usize, unique: bool) -> String {
    let widths = (0..columns).map(|column| match column {
        last if unique && last + 1 == columns => "1",
        first if first < tenant => "100000",
        next if next == tenant => "50",
        _ => "5",
    });
    format!("1000000 {}", widths.collect::<Vec<_>>().join(" "))
}

fn expected_of(table: &str, index: &Index, has_tenant: bool) -> String {
    let tenant = usize::from(has_tenant && !index.across);
    let widths = expected_widths(index.columns.len() + tenant, tenant, index.unique);
    format!("('{table}', '{}', '{widths}')", index.name)
}

/// The statements that add `index` to a tenants' table that stands.
pub(crate) fn add_index(backend: Backend, table: &'static str, index: &Index) -> Vec<String> {
    let described = Table::tenant(table, []);
    let mut out = vec![create_index(&described, index)];
    if backend == Backend::Sqlite {
        out.push(format!(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES {}",
            expected_of(table, index, true)
        ));
        out.push("ANALYZE sqlite_schema".to_owned());
    }
    out
}

/// The statement that takes an index away.
pub(crate) fn drop_index(index: &Index) -> String {
    format!("DROP INDEX {}", index.name)
}

/// The statements that take `table` away.
pub(crate) fn drop(backend: Backend, table: &Table) -> Vec<String> {
    let mut out = vec![format!("DROP TABLE {}", table.name)];
    if backend == Backend::Postgres && table.sequence.is_some() {
        out.push(format!("DROP SEQUENCE {}_seq", table.name));
    }
    out
}

/// The statement that adds `column`, which must be nullable or have a default.
pub(crate) fn add_column(backend: Backend, table: &str, column: &Column) -> String {
    format!("ALTER TABLE {table} ADD COLUMN {}", column_sql(backend, column))
}

/// The statement that takes a column away.
pub(crate) fn drop_column(table: &str, column: &str) -> String {
    format!("ALTER TABLE {table} DROP COLUMN {column}")
}

/// The table and its partitions.
fn physical_names(table: &Table) -> Vec<String> {
    let parts = (0..table.partitions).map(|part| format!("{}_p{part}", table.name));
    [table.name.to_owned()].into_iter().chain(parts).collect()
}

fn create_table(backend: Backend, table: &Table) -> String {
    let mut lines = Vec::new();
    let mut before = String::new();
    for column in &table.columns {
        lines.push(column_sql(backend, column));
    }
    if let Some(sequence) = table.sequence {
        match backend {
            Backend::Sqlite => {
                lines.push(format!("{sequence} INTEGER PRIMARY KEY AUTOINCREMENT"));
            }
            Backend::Postgres => {
                before = format!("CREATE SEQUENCE {}_seq; ", table.name);
                lines.push(format!(
                    "{sequence} bigint NOT NULL DEFAULT nextval('{}_seq')",
                    table.name
                ));
                // The log's order on PostgreSQL: transaction first, since sequences do not follow commits.
                lines.push("epoch bigint NOT NULL DEFAULT 0".to_owned());
                lines.push("xid bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint)".to_owned());
            }
        }
    }
    if table.sequence.is_none() || backend == Backend::Postgres {
        lines.push(format!("PRIMARY KEY ({})", with_tenant(table, &table.key)));
    }
    for reference in &table.references {
        let tenant = if reference.with_tenant { "tenant_id, " } else { "" };
        lines.push(format!(
            "FOREIGN KEY ({tenant}{}) REFERENCES {} ({tenant}{}){}",
            reference.columns.join(", "),
            reference.table,
            reference.target.join(", "),
            if reference.cascade {
                " ON DELETE CASCADE"
            } else {
                ""
            }
        ));
    }
    for (name, condition) in &table.checks {
        lines.push(format!("CONSTRAINT {name} CHECK ({condition})"));
    }
    let tail = match backend {
        Backend::Sqlite if table.sequence.is_some() => " STRICT".to_owned(),
        Backend::Sqlite => " STRICT, WITHOUT ROWID".to_owned(),
        Backend::Postgres if table.partitions > 0 => " PARTITION BY HASH (tenant_id)".to_owned(),
        Backend::Postgres => String::new(),
    };
    format!(
        "{before}CREATE TABLE {} (\n  {}\n){tail}",
        table.name,
        lines.join(",\n  ")
    )
}

fn with_tenant(table: &Table, columns: &[&'static str]) -> String {
    let tenant = table.has_tenant().then_some("tenant_id");
    tenant
        .into_iter()
        .chain(columns.iter().copied())
        .collect::<Vec<_>>()
        .join(", ")
}

fn column_sql(backend: Backend, column: &Column) -> String {
    use ColumnType::*;
    let kind = match (backend, column.kind) {
        (Backend::Sqlite, Uuid | Bytes) => "BLOB",
        (Backend::Sqlite, Text | Json | Timestamp) => "TEXT",
        (Backend::Sqlite, Integer | Boolean) => "INTEGER",
        (Backend::Sqlite, Real) => "REAL",
        (Backend::Postgres, Uuid) => "uuid",
        (Backend::Postgres, Text) => "text",
        (Backend::Postgres, Integer) => "bigint",
        (Backend::Postgres, Real) => "double precision",
        (Backend::Postgres, Boolean) => "boolean",
        (Backend::Postgres, Json) => "jsonb",
        (Backend::Postgres, Timestamp) => "timestamptz",
        (Backend::Postgres, Bytes) => "bytea",
    };
    let mut sql = format!("{} {kind}", column.name);
    if !column.nullable {
        sql.push_str(" NOT NULL");
    }
    if let Some(literal) = column.default {
        let literal = match (backend, column.kind) {
            (Backend::Sqlite, Boolean) => if literal == "true" { "1" } else { "0" }.to_owned(),
            (_, Integer | Real | Boolean) => literal.to_owned(),
            _ => format!("'{}'", literal.replace('\'', "''")),
        };
        sql.push_str(&format!(" DEFAULT {literal}"));
    }
    for check in column_checks(backend, column) {
        sql.push_str(&format!(" CHECK ({check})"));
    }
    sql
}

fn column_checks(backend: Backend, column: &Column) -> Vec<String> {
    let name = column.name;
    let mut checks = Vec::new();
    if !column.one_of.is_empty() {
        checks.push(format!("{name} IN ('{}')", column.one_of.join("', '")));
    }
    if let Some(max) = column.max_chars {
        checks.push(format!("length({name}) <= {max}"));
    }
    if let Some((least, greatest)) = column.between {
        checks.push(format!("{name} BETWEEN {least} AND {greatest}"));
    }
    if backend == Backend::Sqlite {
        match column.kind {
            ColumnType::Boolean => checks.push(format!("{name} IN (0, 1)")),
            ColumnType::Uuid => checks.push(format!("length({name}) = 16")),
            ColumnType::Json => checks.push(format!("json_valid({name})")),
            _ => {}
        }
    }
    checks
}

fn create_index(table: &Table, index: &Index) -> String {
    let columns = match index.across {
        true => index.columns.join(", "),
        false => with_tenant(table, &index.columns),
    };
    format!(
        "CREATE {}INDEX {} ON {} ({columns}){}",
        if index.unique { "UNIQUE " } else { "" },
        index.name,
        table.name,
        index.condition.map(|c| format!(" WHERE {c}")).unwrap_or_default()
    )
}

/// Row security, policies and rights of one table or partition.
fn secure(name: &str, table: &Table) -> Vec<String> {
    let rights = if table.append_only {
        "SELECT, INSERT"
    } else {
        "SELECT, INSERT, UPDATE, DELETE"
    };
    let mut out = vec![
        format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"),
        format!("ALTER TABLE {name} FORCE ROW LEVEL SECURITY"),
    ];
    if table.has_tenant() {
        // The sub-select is evaluated once for each statement, the bare call once for each row. After a transaction
        // the setting reads as an empty string, hence nullif.
        let own = format!("tenant_id = (SELECT nullif(current_setting('{TENANT_SETTING}', true), '')::uuid)");
        out.push(format!(
            "CREATE POLICY {name}_tenant ON {name} TO {APP_ROLE} USING ({own}) WITH CHECK ({own})"
        ));
        out.push(format!("GRANT {rights} ON {name} TO {APP_ROLE}"));
    }
    if table.readable {
        out.push(format!(
            "CREATE POLICY {name}_read ON {name} FOR SELECT TO {APP_ROLE} USING (true)"
        ));
        out.push(format!("GRANT SELECT ON {name} TO {APP_ROLE}"));
    }
    if table.tenancy != Tenancy::Tenant {
        out.push(format!(
            "CREATE POLICY {name}_system ON {name} TO {SYSTEM_ROLE} USING (true) WITH CHECK (true)"
        ));
        out.push(format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {SYSTEM_ROLE}"
        ));
    }
    out
}

/// A migration that was applied.
pub(crate) struct Applied {
    pub name: String,
    pub applied_at: chrono::DateTime<chrono::Utc>,
}

pub(crate) const APPLIED: &str = "SELECT name, applied_at FROM schema_migrations ORDER BY applied_at, name";

/// The table that remembers applied migrations. Owned and read by the login alone.
pub(crate) fn migrations_table(backend: Backend) -> String {
    let at = if backend == Backend::Postgres {
        "timestamptz"
    } else {
        "text"
    };
    format!("CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at {at} NOT NULL)")
}

/// Remembers a migration. The name is ours and the time has no quotes.
pub(crate) fn mark(name: &str, at: chrono::DateTime<chrono::Utc>) -> String {
    format!(
        "INSERT INTO schema_migrations (name, applied_at) VALUES ('{name}', '{}')",
        at.to_rfc3339()
    )
}

/// Forgets a migration.
pub(crate) fn unmark(name: &str) -> String {
    format!("DELETE FROM schema_migrations WHERE name = '{name}'")
}
