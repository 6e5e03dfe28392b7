//! How quick searches and lists are at 100,000 tasks: `cargo nextest run -p synapscale-work --run-ignored only speed`.

use crate::home::{Home, items};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use synapscale_core::Error;
use synapscale_store::orm::ConnectionTrait;
use synapscale_testkit::TestDb;

/// Tasks of the measurement.
const TASKS: u32 = 100_000;
/// Times that each call is made.
const TIMES: usize = 40;
/// The slowest that a call of a debug build may be.
const BOUND: Duration = Duration::from_millis(100);

/// The statements that make tasks with eleven words each: from one that all have to ones that one has.
fn filling(tenant: &str, project: &str, postgres: bool) -> Vec<String> {
    let time = "2026-03-02T08:00:00.000000000+00:00";
    let columns = "tenant_id, id, project_id, title, created_at, updated_at, created_by, indexed, position";
    let rest = format!("'task ' || i, '{time}', '{time}', 'user:x', 1, '1'");
    let mut statements = vec![match postgres {
        true => format!(
            "INSERT INTO tasks ({columns}) SELECT '{tenant}', gen_random_uuid(), '{project}', {} \
             FROM generate_series(1, {TASKS}) i",
            rest.replace(&format!("'{time}'"), &format!("'{time}'::timestamptz"))
        ),
        false => format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TASKS}) \
             INSERT INTO tasks ({columns}) SELECT X'{tenant}', randomblob(16), X'{project}', {rest} FROM n"
        ),
    }];
    for class in 0..=10 {
        let many = 1_u64 << (2 * class);
        let word = match (class, postgres) {
            (0, true) => "'common'::bytea".to_owned(),
            (0, false) => "CAST('common' AS BLOB)".to_owned(),
            (_, true) => format!("convert_to('w{class}x' || floor(random() * {many})::bigint, 'UTF8')"),
            (_, false) => format!("CAST('w{class}x' || (abs(random()) % {many}) AS BLOB)"),
        };
        let tenant = if postgres {
            format!("'{tenant}'")
        } else {
            format!("X'{tenant}'")
        };
        statements.push(format!(
            "INSERT INTO task_words (tenant_id, task_id, word, weight) SELECT tenant_id, id, {word}, 8 \
             FROM tasks WHERE tenant_id = {tenant}"
        ));
    }
    statements
}

async fn fill(home: &Home, db: &TestDb, project: &str) {
    let tenant = home.ctx.tenant().0.simple().to_string();
    for statement in filling(&tenant, &project.replace('-', ""), db.is_postgres()) {
        let store = home.gate.store();
        let filled = store.write(&home.ctx, |tx| {
            let statement = statement.clone();
            async move {
                tx.execute_unprepared(&statement)
                    .await
                    .map(drop)
                    .map_err(Error::internal)
            }
        });
        filled.await.expect("filled");
    }
}

async fn slowest(home: &Home, name: &str, input: Value) -> Duration {
    let mut times = Vec::new();
    let mut found = 0;
    for _ in 0..TIMES {
        let began = Instant::now();
        found = items(&home.ok(name, input.clone()).await).len();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!(
        "{name} {input}: {found} found, median {:?}, slowest {:?}",
        times[TIMES / 2],
        times[TIMES - 1]
    );
    times[TIMES - 1]
}

async fn measure(db: &TestDb) {
    let home = Home::new(db).await;
    let project = home.project("P").await;
    fill(&home, db, &project).await;
    for query in [
        "common",
        "c",
        "w",
        "w1x2",
        "common w1x1 w2x3",
        "w1x1 w2x3 w3x",
        "common w9x",
        "w10x1234",
        "w4x7 w5x99",
        "common nothing",
    ] {
        let input = json!({ "query": query, "limit": 20 });
        assert!(slowest(&home, "tasks.search", input).await < BOUND, "{query}");
    }
    for filter in [
        json!({}),
        json!({ "status": ["todo"], "sort": "-created_at" }),
        json!({ "project_id": project, "search": "common w2x3" }),
        json!({ "search": "w10x1234" }),
    ] {
        assert!(
            slowest(&home, "tasks.list", filter.clone()).await < BOUND,
            "{filter}"
        );
    }
}

#[tokio::test]
#[ignore = "measures at 100,000 tasks: run by hand"]
async fn sqlite() {
    measure(&TestDb::sqlite()).await;
}

#[tokio::test]
#[ignore = "measures at 100,000 tasks: run by hand"]
async fn postgres() {
    let db = TestDb::postgres().await;
    measure(&db).await;
    db.discard().await;
}
