//! Imports on the real binary: killed in the middle, and by the command line.

use crate::process::{Server, bootstrap, command_with};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use synapscale_testkit::db_test;

/// Tasks of the file that is imported while the process dies.
const TASKS: usize = 3_000;
/// How often it dies while it imports, and while it undoes that.
const KILLS: u64 = 5;

async fn over(server: &Server, id: &str) -> Value {
    for _ in 0..1_200 {
        let found = server.get(&format!("/api/v1/imports/{id}")).await;
        assert_eq!(found["stopped"], false, "{found}");
        if ["done", "undone"]
            .map(|status| json!(status))
            .contains(&found["status"])
        {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("import {id} never ends");
}

async fn titles(server: &Server) -> Vec<String> {
    let (mut titles, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/api/v1/tasks?limit=200{cursor}")).await;
        let items = page["items"].as_array().expect("items");
        titles.extend(
            items
                .iter()
                .map(|task| task["title"].as_str().expect("a title").to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return titles,
        }
    }
}

async fn killed(mut server: Server, db: &synapscale_testkit::TestDb, key: &str) -> Server {
    for kill in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(30 + kill * 53 % 190)).await;
        server.kill().await;
        server = Server::start(db, key, &[]).await;
    }
    server
}

db_test! {
    async fn an_import_survives_being_killed_without_doubles_and_so_does_its_undo(db: TestDb) {
        let owner = bootstrap(db).await;
        let server = Server::start(db, &owner.api_key, &[]).await;
        let mut table = "id,title,parent,comment\n".to_owned();
        for n in 0..TASKS {
            let parent = if n % 7 == 0 { String::new() } else { (n - n % 7).to_string() };
            table.push_str(&format!("{n},task {n},{parent},about {n}\n"));
        }
        let made = server.ask(Method::POST, "/api/v1/imports", json!({ "name": "many.csv" })).await;
        let id = made["id"].as_str().expect("an id").to_owned();
        let path = format!("/api/v1/imports/{id}");
        let piece = json!({ "number": 0, "content": STANDARD.encode(&table) });
        server.ask(Method::POST, &format!("{path}/pieces"), piece).await;
        server.ask(Method::POST, &format!("{path}/start"), json!({})).await;
        let server = killed(server, db, &owner.api_key).await;
        let done = over(&server, &id).await;
        assert_eq!((&done["status"], &done["created"], &done["left_out"]), (&json!("done"), &json!(TASKS), &json!(0)), "{done}");
        let all = titles(&server).await;
        assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (TASKS, TASKS), "each task once");
        server.ask(Method::POST, &format!("{path}/undo"), json!({})).await;
        let mut server = killed(server, db, &owner.api_key).await;
        let undone = over(&server, &id).await;
        assert_eq!((&undone["status"], titles(&server).await.len()), (&json!("undone"), 0), "{undone}");
        server.stop().await;
    }

    async fn files_come_and_go_by_the_command_line(db: TestDb) {
        let owner = bootstrap(db).await;
        let mut server = Server::start(db, &owner.api_key, &[]).await;
        let address = server.url.clone();
        let variables = [("SYNAPSCALE_SERVER", address.as_str()), ("SYNAPSCALE_KEY", owner.api_key.as_str())];
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/import/tasks.csv");
        let (code, out, err) = command_with(db, &["tasks", "import", sample, "--dry-run"], &variables).await;
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("csv: 4 tasks; 4 new") && out.contains("estimate is taken for estimated minutes"), "{out}");
        assert!(titles(&server).await.is_empty());
        let (code, out, err) = command_with(db, &["tasks", "import", sample], &variables).await;
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("done: 4 made, 0 changed"), "{out}");
        let (code, out, err) = command_with(db, &["tasks", "export", "--format", "csv"], &variables).await;
        assert_eq!((code, out.lines().count()), (0, 5), "{err}");
        let (code, out, _) = command_with(db, &["tasks", "import", sample, "--json"], &variables).await;
        let last: Value = serde_json::from_str(out.lines().last().expect("a line")).expect("JSON");
        assert_eq!((code, &last["import"]["unchanged"]), (0, &json!(4)), "{out}");
        let first = server.get("/api/v1/imports?limit=10").await;
        let first = first["items"].as_array().expect("imports").last().expect("one")["id"].as_str().expect("an id").to_owned();
        let (code, out, err) = command_with(db, &["tasks", "undo", &first], &variables).await;
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("undone") && titles(&server).await.is_empty(), "{out}");
        let (code, _, err) = command_with(db, &["tasks", "import", sample, "--column", "nonsense"], &variables).await;
        assert_eq!(code, 2, "{err}");
        server.stop().await;
    }
}
