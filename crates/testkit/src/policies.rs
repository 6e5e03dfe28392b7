//! Row security as a whole: a policy that is gone is missed.

use crate::TestDb;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use synapscale_store::Store;

/// Drops each tenant policy of the schema, one after the other, sees that the store's check names the table, and puts it
/// back. Answers how many there were.
pub async fn each_is_missed(db: &TestDb, store: &Store) -> usize {
    let mut conn = PgConnection::connect(&db.connection_string())
        .await
        .expect("connected");
    conn.execute("SET search_path TO synapscale_db")
        .await
        .expect("path");
    let rows = conn
        .fetch_all(
            "SELECT p.polname::text, c.relname::text, pg_get_expr(p.polqual, p.polrelid), \
             pg_get_expr(p.polwithcheck, p.polrelid), p.polcmd::text, \
             (SELECT string_agg(r::regrole::text, ', ') FROM unnest(p.polroles) r) \
             FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE p.polname LIKE '%\\_tenant'",
        )
        .await
        .expect("policies");
    for row in &rows {
        let (policy, table): (String, String) = (row.get(0), row.get(1));
        let drop = format!("DROP POLICY {policy} ON {table}");
        conn.execute(AssertSqlSafe(drop)).await.expect("dropped");
        let refused = store
            .check_row_security()
            .await
            .expect_err(&format!("{policy} on {table}"));
        assert!(refused.message().contains(&table), "{refused}");
        conn.execute(AssertSqlSafe(definition(row))).await.expect("back");
    }
    store.check_row_security().await.expect("whole again");
    rows.len()
}

/// The statement that makes the policy of a catalogue row.
fn definition(row: &sqlx::postgres::PgRow) -> String {
    let (policy, table): (String, String) = (row.get(0), row.get(1));
    let (using, check): (Option<String>, Option<String>) = (row.get(2), row.get(3));
    let (command, roles): (String, String) = (row.get(4), row.get(5));
    let command = match command.as_str() {
        "r" => "SELECT",
        "a" => "INSERT",
        "w" => "UPDATE",
        "d" => "DELETE",
        _ => "ALL",
    };
    let using = using.map(|text| format!(" USING ({text})")).unwrap_or_default();
    let check = check
        .map(|text| format!(" WITH CHECK ({text})"))
        .unwrap_or_default();
    format!("CREATE POLICY {policy} ON {table} FOR {command} TO {roles}{using}{check}")
}
