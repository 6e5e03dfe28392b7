//! How the databases go about what the product asks of them: every operation is called with every field of its input, every
//! statement that this sends is seen, and for each of them the database tells its plan. None may walk a whole table that
//! grows, and on PostgreSQL none of a workspace may look into more than that workspace's partition. A new operation, field or
//! query is tried by itself.

use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use synapscale_core::{
    Actor, Channel, Clock, Ctx, Effect, Grants, Origin, PermissionSet, Privilege, TenantId, new_id,
};
use synapscale_ops::{Envelope, Sink};
use synapscale_server::{App, Config, telemetry};
use synapscale_store::StatementObserver;
use synapscale_testkit::{TestDb, db_test};
use tokio_util::sync::CancellationToken;

/// Tables that stay small whatever happens, and why.
const SMALL: &[(&str, &str)] = &[
    ("event_log", "one row"),
    ("schema_migrations", "one row for each migration"),
    ("consumer_groups", "one row for each group of the program"),
    (
        "event_archives",
        "one row for each span of a workspace's old events",
    ),
];

/// Statements that may look over a whole table, by what they begin with or contain, and why.
const ALLOWED: &[(&str, &str)] = &[
    (
        r#"DELETE FROM "sessions" WHERE "sessions"."ended_at" <"#,
        "four times a day, over all",
    ),
    (
        r#"DELETE FROM "owner_links" WHERE "owner_links"."expires_at" <"#,
        "four times a day; they live for minutes",
    ),
    (" WHERE ? = ?", "an empty list: nothing is read"),
    (
        r#"UPDATE "run_queue" SET "crashes" = "crashes" + "#,
        "once, when a server starts",
    ),
];

/// What PostgreSQL says of a statement whose parameters' types only the driver knows.
const UNTYPED: [&str; 2] = [
    "could not determine data type of parameter",
    "function sum(text) does not exist",
];

/// Every statement that was sent, and by what right.
#[derive(Default)]
struct Seen(Mutex<BTreeMap<String, Privilege>>);

impl StatementObserver for Seen {
    fn observe(&self, ctx: &Ctx, sql: &str) -> Result<(), String> {
        self.0
            .lock()
            .expect("a lock")
            .entry(sql.to_owned())
            .or_insert(ctx.privilege());
        Ok(())
    }
}

/// Some value that a schema may take.
fn sample(schema: &Value, root: &Value) -> Value {
    if let Some(path) = schema["$ref"].as_str() {
        return sample(
            root.pointer(path.trim_start_matches('#')).unwrap_or(&Value::Null),
            root,
        );
    }
    for kind in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[kind]
            .as_array()
            .and_then(|all| all.iter().find(|one| one["type"] != "null"))
        {
            return sample(first, root);
        }
    }
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    if !schema["const"].is_null() {
        return schema["const"].clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds
            .iter()
            .find(|kind| *kind != "null")
            .cloned()
            .unwrap_or_default(),
        kind => kind.clone(),
    };
    match (
        kind.as_str().unwrap_or_default(),
        schema["format"].as_str().unwrap_or_default(),
    ) {
        ("string", "uuid") => json!(new_id()),
        ("string", "date-time") => json!("2026-01-31T00:00:00Z"),
        ("string", "date") => json!("2026-01-31"),
        ("string", _) => json!("word"),
        ("integer" | "number", _) => schema.get("minimum").cloned().unwrap_or(json!(1)),
        ("boolean", _) => json!(true),
        ("array", _) => json!([sample(&schema["items"], root)]),
        ("object", _) => json!(object(schema, root, &[])),
        _ => json!("word"),
    }
}

/// An object with what is required, and `further`.
fn object(schema: &Value, root: &Value, further: &[&str]) -> Map<String, Value> {
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let names: BTreeSet<&str> = required.chain(further.iter().copied()).collect();
    let value = |name: &&str| ((*name).to_owned(), sample(&schema["properties"][*name], root));
    names.iter().map(value).collect()
}

/// Inputs that between them name each field once, and all values of those that are words of a list.
fn inputs(schema: &Value) -> Vec<Value> {
    let mut inputs = vec![Value::Object(object(schema, schema, &[]))];
    let Some(properties) = schema["properties"].as_object() else {
        return inputs;
    };
    for (name, property) in properties {
        let mut words = property.clone();
        while let Some(path) = words["$ref"].as_str() {
            words = schema
                .pointer(path.trim_start_matches('#'))
                .cloned()
                .unwrap_or_default();
        }
        if let Some(other) = words["anyOf"].as_array().and_then(|all| all.first()) {
            words = match other["$ref"].as_str() {
                Some(path) => schema
                    .pointer(path.trim_start_matches('#'))
                    .cloned()
                    .unwrap_or_default(),
                None => other.clone(),
            };
        }
        let with = |value: Value| {
            let mut input = object(schema, schema, &[]);
            input.insert(name.clone(), value);
            Value::Object(input)
        };
        match words["enum"].as_array() {
            Some(all) => inputs.extend(all.iter().cloned().map(with)),
            None => inputs.push(with(sample(property, schema))),
        }
        // What the schema calls a string and the operation reads as something else.
        let special: &[Value] = match name.as_str() {
            "kinds" => &[json!("task.*"), json!("task.created,run.*")],
            "subject" => &[json!("task:0192f0c1-7a3b-7cde-8f00-1234567890ab")],
            "sort" | "order" => &[json!("title"), json!("-created_at"), json!("due_date")],
            "q" | "text" | "query" => &[json!("two words")],
            _ => &[],
        };
        inputs.extend(special.iter().cloned().map(with));
    }
    inputs
}

/// Calls everything; answers every statement.
async fn statements(db: &TestDb) -> BTreeMap<String, Privilege> {
    let seen = Arc::new(Seen::default());
    let mut config = Config::dev(db.folder().to_owned(), ([127, 0, 0, 1], 0).into());
    config.database = db.url().clone();
    config.limits.rate_factor = 0;
    static FIGURES: OnceLock<metrics_exporter_prometheus::PrometheusHandle> = OnceLock::new();
    let figures = FIGURES
        .get_or_init(|| telemetry::start_metrics().expect("figures"))
        .clone();
    let app = App::build_watched(config, figures, Vec::new(), Some(seen.clone()))
        .await
        .expect("an app");
    // What setting up sends is not what is asked every day.
    seen.0.lock().expect("a lock").clear();
    let ctx = || {
        Ctx::authenticated(
            TenantId(new_id()),
            Actor::user(new_id()),
            Grants::of(PermissionSet::all()),
            Origin::of(Channel::Rest),
            Clock::system(),
        )
        .with_time_limit(Duration::from_secs(30))
    };
    let operations: Vec<_> = app
        .registry()
        .iter()
        .filter(|operation| operation.effect() != Effect::External)
        .cloned()
        .collect();
    let mut reached = 0;
    for operation in &operations {
        for input in inputs(operation.input_schema()) {
            let answer = app
                .gate()
                .call(&ctx(), operation.name(), input, Envelope::default(), Sink::none())
                .await;
            reached += usize::from(answer.is_ok());
        }
    }
    assert!(
        reached > operations.len() / 2,
        "{reached} calls of {} operations did something",
        operations.len()
    );
    let (store, engine) = (app.store(), app.engine());
    store.link_events(Duration::from_secs(5)).await.expect("linked");
    store
        .archive_events(Duration::ZERO, Duration::from_secs(5), |_| Box::pin(async {}))
        .await
        .expect("archived");
    engine.purge_runs().await.expect("purged");
    let stop = CancellationToken::new();
    let soon = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        stop.cancel();
    };
    let (worked, ()) = tokio::join!(engine.work(stop.clone()), soon);
    worked.expect("worked");
    seen.0.lock().expect("a lock").clone()
}

/// Whether a statement has a plan worth looking at.
fn is_planned(sql: &str) -> bool {
    if ALLOWED.iter().any(|(part, _)| sql.contains(part)) {
        return false;
    }
    let verb = sql.split_whitespace().next().unwrap_or_default().to_uppercase();
    ["SELECT", "UPDATE", "DELETE", "WITH"].contains(&verb.as_str())
}

fn is_small(table: &str) -> bool {
    SMALL.iter().any(|(small, _)| *small == table)
}

async fn faults_on_sqlite(url: &str, seen: &BTreeMap<String, Privilege>) -> Vec<String> {
    let mut conn = SqliteConnection::connect(url).await.expect("the file");
    let tables = sqlx::query("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .fetch_all(&mut conn)
        .await
        .expect("tables");
    let tables: BTreeSet<String> = tables.iter().map(|row| row.get(0)).collect();
    let mut faults = Vec::new();
    for sql in seen.keys().filter(|sql| is_planned(sql)) {
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(&mut conn)
            .await;
        let plan = plan.unwrap_or_else(|error| {
            faults.push(format!("no plan: {error}: {sql}"));
            Vec::new()
        });
        for step in plan {
            let detail: String = step.get(3);
            let Some(scanned) = detail.strip_prefix("SCAN ") else {
                continue;
            };
            let (table, by) = scanned.split_once(' ').unwrap_or((scanned, ""));
            // In an index's order up to a limit is no walk over all; nor in the table's own, if it takes every row.
            let takes_all = !sql.contains("WHERE");
            let bounded = sql.contains("LIMIT") && (by.starts_with("USING") || takes_all);
            if tables.contains(table) && !is_small(table) && !bounded {
                faults.push(format!("{detail}: {sql}"));
            }
        }
    }
    faults
}

/// What is wrong in a plan, and the partitions that it looks into.
fn look(
    node: &Value,
    limited: bool,
    faults: &mut Vec<String>,
    parts: &mut BTreeMap<String, BTreeSet<String>>,
) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    // Decided before anything is read: an empty list, as it comes here.
    if !node["One-Time Filter"].is_null() {
        return;
    }
    if let Some(relation) = node["Relation Name"].as_str() {
        let table = match relation.rsplit_once("_p") {
            Some((table, number)) if number.parse::<u32>().is_ok() => {
                parts
                    .entry(table.to_owned())
                    .or_default()
                    .insert(relation.to_owned());
                table
            }
            _ => relation,
        };
        let index = ["Index Scan", "Index Only Scan"].contains(&kind);
        let walks = kind == "Seq Scan" || (index && node["Index Cond"].is_null() && !limited);
        if walks && !is_small(table) {
            faults.push(format!("{kind} of {relation}"));
        }
    }
    let limited = limited || kind == "Limit";
    for below in node["Plans"].as_array().into_iter().flatten() {
        look(below, limited, faults, parts);
    }
}

async fn faults_on_postgres(url: &str, seen: &BTreeMap<String, Privilege>) -> Vec<String> {
    let mut conn = PgConnection::connect(url).await.expect("connected");
    let (mut faults, mut untyped) = (Vec::new(), 0);
    for (sql, privilege) in seen.iter().filter(|(sql, _)| is_planned(sql)) {
        let role = match privilege {
            Privilege::Tenant => "synapscale_app",
            Privilege::System => "synapscale_system",
        };
        let most = (1..100)
            .rev()
            .find(|number| sql.contains(&format!("${number}")))
            .unwrap_or(0);
        let nulls = vec!["NULL"; most].join(", ");
        let values = if most == 0 {
            String::new()
        } else {
            format!("({nulls})")
        };
        // The tables of a test are small, and a walk over them would be right: it is asked what there is beside it.
        let setup = format!(
            "DEALLOCATE ALL; BEGIN; SET LOCAL search_path = synapscale_db; SET LOCAL enable_seqscan = off; \
             SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL ROLE {role}; \
             SELECT set_config('app.tenant_id', '{}', true); PREPARE asked AS {sql}",
            new_id()
        );
        if let Err(error) = sqlx::raw_sql(AssertSqlSafe(setup)).execute(&mut conn).await {
            match UNTYPED.iter().any(|words| error.to_string().contains(words)) {
                true => untyped += 1,
                false => faults.push(format!("no plan: {error}: {sql}")),
            }
            sqlx::raw_sql("ROLLBACK").execute(&mut conn).await.expect("over");
            continue;
        }
        let asked = format!("EXPLAIN (FORMAT JSON) EXECUTE asked{values}");
        let plan: Value = sqlx::raw_sql(AssertSqlSafe(asked))
            .fetch_one(&mut conn)
            .await
            .expect("a plan")
            .get(0);
        sqlx::raw_sql("ROLLBACK").execute(&mut conn).await.expect("over");
        let (mut found, mut parts) = (Vec::new(), BTreeMap::new());
        look(&plan[0]["Plan"], false, &mut found, &mut parts);
        if *privilege == Privilege::Tenant {
            let many = parts.iter().filter(|(_, parts)| parts.len() > 1);
            found.extend(many.map(|(table, parts)| format!("{} partitions of {table}", parts.len())));
        }
        faults.extend(found.into_iter().map(|fault| format!("{fault}: {sql}")));
    }
    assert!(untyped <= 8, "{untyped} statements could not be planned");
    faults
}

db_test! {
    async fn no_statement_walks_a_table_that_grows(db: TestDb) {
        let seen = statements(db).await;
        let planned = seen.keys().filter(|sql| is_planned(sql)).count();
        assert!(planned > 120, "{planned} statements");
        let url = db.connection_string();
        let faults = match db.is_postgres() {
            true => faults_on_postgres(&url, &seen).await,
            false => faults_on_sqlite(&url, &seen).await,
        };
        assert!(faults.is_empty(), "{} of {planned}:\n{}", faults.len(), faults.join("\n"));
    }
}
