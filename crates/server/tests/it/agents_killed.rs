//! `kill -9` in the middle of agents' runs: they go on, pay for no finished call again, and come to the right answer.

use crate::agents::{agent, provide};
use crate::process::{Server, bootstrap};
use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use synapscale_core::Clock;
use synapscale_testkit::db_test;
use synapscale_testkit::providers::{Pace, Reply, Script, StandIn, any, when};

/// How often the process is killed on each database.
const KILLS: usize = 20;
/// Tasks that each run makes, one a turn.
const STEPS: usize = 5;
/// How far the test's clock and the server's may be apart: the one is read, the other counted from a start.
const SKEW: chrono::Duration = chrono::Duration::milliseconds(20);

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

/// When each turn of a run was kept.
async fn turns(server: &Server, run: &str, name: &str, into: &mut BTreeMap<(String, String), DateTime<Utc>>) {
    let steps = server.get(&format!("/api/v1/runs/{run}/steps")).await;
    for step in steps["steps"].as_array().expect("steps") {
        let path = step["path"].as_str().expect("a path");
        if path.starts_with('t') && !path.contains('.') {
            let at = step["finished_at"]
                .as_str()
                .expect("a time")
                .parse()
                .expect("a time");
            into.insert((name.to_owned(), path.to_owned()), at);
        }
    }
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
        let (stand_in, began) = (StandIn::start().await, Clock::system().now());
        let mut server = Server::start(db, &owner.api_key, &[]).await;
        provide(&server, &stand_in).await;
        let project = server.project("Killed").await;
        stand_in.script(script(&project));
        let spec = json!({ "tools": [{ "name": "tasks.create", "approval": "never" }] });
        agent(&server, "maker", spec).await;
        let (mut runs, mut finished) = (BTreeMap::new(), BTreeMap::new());
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
            server = Server::start(db, &owner.api_key, &[]).await;
        }
        assert_eq!(runs.len(), KILLS * 3);
        for (id, name) in &runs {
            let run = server.ended(id).await;
            assert_eq!(run["status"], "succeeded", "{run}");
            assert_eq!(run["output"]["text"], format!("{name} made {STEPS}"), "{run}");
            turns(&server, id, name, &mut finished).await;
        }
        let titles = titles(&server).await;
        assert_eq!(titles.len(), runs.len() * STEPS);
        assert!(titles.values().all(|count| *count == 1), "a tool's effect stands once");
        // Once a turn stands in the journal, nobody asks for it again: not a single request comes after that.
        for request in stand_in.calls() {
            let (name, turn) = (request.last_user_text(), format!("t{}", request.turns() + 1));
            let kept = finished.get(&(name.clone(), turn.clone())).expect("every turn that was asked for is kept");
            let asked = began + chrono::Duration::from_std(request.at).expect("a duration");
            assert!(asked <= *kept + SKEW, "{name} {turn} was kept at {kept} and asked again at {asked}");
        }
        let again: usize = stand_in.finished_twice().iter().map(|group| group.len() - 1).sum();
        let calls = stand_in.calls().len();
        assert!(calls >= runs.len() * (STEPS + 1), "{calls}");
        // Each kill cuts off what is under way and no more.
        assert!(again * 3 <= calls, "{again} of {calls} calls were made again");
    }
}
