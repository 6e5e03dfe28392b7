//! `kill -9` in the middle of agents' runs: they go on, pay for no finished call again, and come to the right answer.

use crate::agents::{agent, provide};
use crate::process::{Server, bootstrap};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use synapscale_testkit::db_test;
use synapscale_testkit::providers::{Pace, Reply, Script, StandIn, any, when};

/// How often the process is killed on each database.
const KILLS: usize = 20;
/// Tasks that each run makes, one a turn.
const STEPS: usize = 5;
/// A call that ended this shortly before a kill may not have been journalled: nobody had it yet.
const UNKNOWN: Duration = Duration::from_millis(400);

/// Makes one task a turn, then says so.
fn script(project: &str) -> Script {
    let project = project.to_owned();
    let pace = Pace {
        first: Duration::from_millis(25),
        between: Duration::from_millis(2),
        chars: 8,
    };
    Script::new().rule(when(any()).then_with(move |request| {
        let (run, done) = (request.last_user_text(), request.turns());
        let reply = match done < STEPS {
            true => {
                let title = format!("{run} step {done}");
                Reply::tool("tasks_create", json!({ "project_id": project, "title": title }))
            }
            false => Reply::text(format!("{run} made {done}")),
        };
        reply.paced(pace)
    }))
}

async fn start(server: &Server, name: &str) -> Option<String> {
    let task = json!({ "agent": "maker", "input": name });
    let sent = server
        .request(Method::POST, "/api/v1/agents/run")
        .json(&task)
        .send()
        .await
        .ok()?;
    let answer: Value = sent.json().await.ok()?;
    answer["run_id"].as_str().map(str::to_owned)
}

async fn titles(server: &Server) -> BTreeMap<String, usize> {
    let (mut titles, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let page = server.get(&format!("/api/v1/tasks?limit=200{cursor}")).await;
        for task in page["items"].as_array().expect("items") {
            let title = task["title"].as_str().expect("a title").to_owned();
            *titles.entry(title).or_default() += 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return titles,
        }
    }
}

db_test! {
    async fn killed_twenty_times_no_finished_call_is_paid_again(db: TestDb) {
        let owner = bootstrap(db).await;
        let (stand_in, began) = (StandIn::start().await, Instant::now());
        let mut server = Server::start(db, &owner.api_key, &[]).await;
        provide(&server, &stand_in).await;
        let project = server.project("Killed").await;
        stand_in.script(script(&project));
        let spec = json!({ "tools": [{ "name": "tasks.create", "approval": "never" }] });
        agent(&server, "maker", spec).await;
        let (mut runs, mut kills) = (BTreeMap::new(), Vec::new());
        for kill in 0..KILLS {
            let asked = stand_in.calls().len();
            for number in 0..3 {
                let name = format!("run-{kill}-{number}");
                if let Some(run) = start(&server, &name).await {
                    runs.insert(run, name);
                }
            }
            // In the middle: models are being asked. Then a spread of moments that is the same in each run of the test.
            assert!(stand_in.wait_for_calls(asked + 3, Duration::from_secs(30)).await, "no calls");
            tokio::time::sleep(Duration::from_millis((kill as u64 * 53) % 260)).await;
            server.kill().await;
            kills.push(began.elapsed());
            server = Server::start(db, &owner.api_key, &[]).await;
        }
        assert_eq!(runs.len(), KILLS * 3);
        for (id, name) in &runs {
            let run = server.ended(id).await;
            assert_eq!(run["status"], "succeeded", "{run}");
            assert_eq!(run["output"]["text"], format!("{name} made {STEPS}"), "{run}");
        }
        let titles = titles(&server).await;
        assert_eq!(titles.len(), runs.len() * STEPS);
        assert!(titles.values().all(|count| *count == 1), "a tool's effect stands once");
        // What was asked twice was under way, or hardly over, when the process died.
        let mut again = 0;
        for group in stand_in.finished_twice() {
            let (_, earlier) = group.split_last().expect("a group");
            for exchange in earlier {
                again += 1;
                let ended = exchange.request.at + exchange.took.unwrap_or_default();
                let excused = kills.iter().any(|kill| ended + UNKNOWN >= *kill && ended <= *kill + UNKNOWN);
                assert!(excused, "a finished call was asked again: {:?}", exchange.request.last_user_text());
            }
        }
        let calls = stand_in.calls().len();
        assert!(calls >= runs.len() * (STEPS + 1), "{calls}");
        assert!(again <= KILLS * 3, "{again} of {calls} calls were made again");
    }
}
