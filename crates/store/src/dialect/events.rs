//! The event log's own statements: its order differs between the databases.

use super::Backend;
use crate::errors::IntoCore;
use crate::events::{EventFilter, Position};
use crate::tx::Tx;
use sea_orm::{ConnectionTrait, Statement, Value};
use synapscale_core::{Privilege, Result};

const COLUMNS: &str = "seq, tenant_id, id, kind, version, subject, actor_kind, actor_id, principal_kind, \
                       principal_id, channel, ip, changes, data, at, correlation, causation";

/// What a page of the log is asked for.
pub(crate) struct Page<'a> {
    /// Where to go on; from the end that reading begins at if none.
    pub from: Option<Position>,
    /// From the newest to the oldest.
    pub newest_first: bool,
    /// The epoch that new rows get; rows of older epochs are all settled.
    pub epoch: i64,
    pub filter: &'a EventFilter,
    pub limit: u64,
}

/// Numbers the placeholders as each database wants them.
struct Values {
    backend: Backend,
    values: Vec<Value>,
}

impl Values {
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        match self.backend {
            Backend::Sqlite => "?".to_owned(),
            Backend::Postgres => format!("${}", self.values.len()),
        }
    }
}

/// The rows after a position, in the log's order. On PostgreSQL only those below the snapshot's xmin: a transaction that
/// commits late has a lower xid and would otherwise be skipped.
pub(crate) fn page(tx: &Tx, page: &Page<'_>) -> Statement {
    let mut v = Values {
        backend: tx.backend(),
        values: Vec::new(),
    };
    let mut conditions = Vec::new();
    if tx.ctx().privilege() == Privilege::Tenant {
        conditions.push(format!("tenant_id = {}", v.bind(tx.ctx().tenant().0)));
    }
    let (beyond, direction) = if page.newest_first {
        ("<", " DESC")
    } else {
        (">", "")
    };
    let (order, extra) = match tx.backend() {
        Backend::Sqlite => {
            if let Some(from) = page.from {
                conditions.push(format!("seq {beyond} {}", v.bind(from.seq)));
            }
            (format!("seq{direction}"), "0 AS epoch, 0 AS xid")
        }
        Backend::Postgres => {
            if let Some(from) = page.from {
                let place = format!(
                    "{}, {}, {}",
                    v.bind(from.epoch),
                    v.bind(from.xid),
                    v.bind(from.seq)
                );
                conditions.push(format!("(epoch, xid, seq) {beyond} ({place})"));
            }
            conditions.push(format!("(epoch < {} OR {SETTLED})", v.bind(page.epoch)));
            (
                format!("epoch{direction}, xid{direction}, seq{direction}"),
                "epoch, xid",
            )
        }
    };
    conditions.extend(wanted(&mut v, page.filter));
    let limit = v.bind(i64::try_from(page.limit).unwrap_or(i64::MAX));
    let filter = match conditions.is_empty() {
        true => String::new(),
        false => format!("WHERE {}", conditions.join(" AND ")),
    };
    let sql = format!("SELECT {COLUMNS}, {extra} FROM events {filter} ORDER BY {order} LIMIT {limit}");
    Statement::from_sql_and_values(tx.get_database_backend(), sql, v.values)
}

/// The conditions of a filter.
fn wanted(v: &mut Values, filter: &EventFilter) -> Vec<String> {
    let mut conditions = Vec::new();
    if !filter.kinds.is_empty() {
        let kinds: Vec<String> = filter.kinds.iter().map(|kind| kind_condition(v, kind)).collect();
        conditions.push(format!("({})", kinds.join(" OR ")));
    }
    if let Some(subject) = &filter.subject {
        conditions.push(format!("subject = {}", v.bind(subject.clone())));
    }
    if let Some(actor) = filter.actor {
        conditions.push(format!(
            "(actor_id = {} OR principal_id = {})",
            v.bind(actor),
            v.bind(actor)
        ));
    }
    if let Some(from) = filter.from {
        conditions.push(format!("at >= {}", v.bind(from)));
    }
    if let Some(until) = filter.until {
        conditions.push(format!("at < {}", v.bind(until)));
    }
    conditions
}

const SETTLED: &str = "xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint";

/// `task.created` exactly, or everything below `task.*`. The prefix has no LIKE wildcards: kinds are checked words.
fn kind_condition(v: &mut Values, kind: &str) -> String {
    match kind.strip_suffix(".*") {
        Some(noun) => format!(
            "(kind >= {} AND kind < {})",
            v.bind(format!("{noun}.")),
            v.bind(format!("{noun}/"))
        ),
        None => format!("kind = {}", v.bind(kind)),
    }
}

/// The last settled position that the context sees.
pub(crate) fn head(tx: &Tx, epoch: i64) -> Statement {
    let mut v = Values {
        backend: tx.backend(),
        values: Vec::new(),
    };
    let mut conditions = Vec::new();
    if tx.ctx().privilege() == Privilege::Tenant {
        conditions.push(format!("tenant_id = {}", v.bind(tx.ctx().tenant().0)));
    }
    let (columns, order) = match tx.backend() {
        Backend::Sqlite => ("0 AS epoch, 0 AS xid, seq", "seq DESC"),
        Backend::Postgres => {
            conditions.push(format!("(epoch < {} OR {SETTLED})", v.bind(epoch)));
            ("epoch, xid, seq", "epoch DESC, xid DESC, seq DESC")
        }
    };
    let filter = match conditions.is_empty() {
        true => String::new(),
        false => format!("WHERE {}", conditions.join(" AND ")),
    };
    let sql = format!("SELECT {columns} FROM events {filter} ORDER BY {order} LIMIT 1");
    Statement::from_sql_and_values(tx.get_database_backend(), sql, v.values)
}

/// How many rows follow a position, counted up to the page's limit, and when the first of them came.
pub(crate) fn waiting(tx: &Tx, of: &Page<'_>) -> Statement {
    let mut inner = page(tx, of);
    inner.sql = format!(
        "SELECT count(*) AS waiting, min(at) AS oldest FROM ({}) AS w",
        inner.sql
    );
    inner
}

/// The position of the oldest rows' last one, when there are `limit` of them up to `until`.
pub(crate) fn nth_until(tx: &Tx, until: Position, limit: u64) -> Statement {
    let mut v = Values {
        backend: tx.backend(),
        values: Vec::new(),
    };
    let skipped = i64::try_from(limit.saturating_sub(1)).unwrap_or(i64::MAX);
    let sql = match tx.backend() {
        Backend::Sqlite => format!(
            "SELECT 0 AS epoch, 0 AS xid, seq FROM events WHERE seq <= {} ORDER BY seq LIMIT 1 OFFSET {}",
            v.bind(until.seq),
            v.bind(skipped)
        ),
        Backend::Postgres => format!(
            "SELECT epoch, xid, seq FROM events WHERE (epoch, xid, seq) <= ({}, {}, {}) \
             ORDER BY epoch, xid, seq LIMIT 1 OFFSET {}",
            v.bind(until.epoch),
            v.bind(until.xid),
            v.bind(until.seq),
            v.bind(skipped)
        ),
    };
    Statement::from_sql_and_values(tx.get_database_backend(), sql, v.values)
}

/// Takes all rows up to a position away.
pub(crate) fn remove_until(tx: &Tx, until: Position) -> Statement {
    let mut v = Values {
        backend: tx.backend(),
        values: Vec::new(),
    };
    let sql = match tx.backend() {
        Backend::Sqlite => format!("DELETE FROM events WHERE seq <= {}", v.bind(until.seq)),
        Backend::Postgres => format!(
            "DELETE FROM events WHERE (epoch, xid, seq) <= ({}, {}, {})",
            v.bind(until.epoch),
            v.bind(until.xid),
            v.bind(until.seq)
        ),
    };
    Statement::from_sql_and_values(tx.get_database_backend(), sql, v.values)
}

/// Which cluster this is; another one has other transaction ids.
pub(crate) async fn system_identifier(tx: &Tx) -> Result<String> {
    let sql = "SELECT system_identifier::text FROM pg_control_system()";
    one(tx, sql.to_owned(), Vec::new()).await
}

/// Whether a stored transaction id of this epoch is not below the present one: the rows came from elsewhere.
pub(crate) async fn xids_went_back(tx: &Tx, epoch: i64) -> Result<bool> {
    let sql =
        "SELECT coalesce(max(xid), 0) >= pg_current_xact_id()::text::bigint FROM events WHERE epoch = $1";
    one(tx, sql.to_owned(), vec![epoch.into()]).await
}

/// New rows belong to `epoch` from now on.
pub(crate) fn set_epoch(epoch: i64) -> String {
    format!("ALTER TABLE events ALTER COLUMN epoch SET DEFAULT {epoch}")
}

async fn one<T: sea_orm::TryGetable>(tx: &Tx, sql: String, values: Vec<Value>) -> Result<T> {
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    let row = tx.query_one_raw(statement).await.map_err(IntoCore::into_core)?;
    let row = row.ok_or_else(|| synapscale_core::Error::internal("no row"))?;
    row.try_get_by_index(0).map_err(IntoCore::into_core)
}
