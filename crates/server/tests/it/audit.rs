//! The audit trail from the command line, beside a running server.

use crate::process::{Server, command_with};
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_testkit::db_test;

db_test! {
    async fn the_trail_is_verified_searched_and_exported(db: TestDb) {
        let server = Server::fresh(db).await;
        let project = server.project("Watched").await;
        let key = [("SYNAPSCALE_SERVER", server.url.as_str()), ("SYNAPSCALE_KEY", server.key.as_str())];
        let (code, out, err) = command_with(db, &["audit", "verify", "--json"], &key).await;
        assert_eq!(code, 0, "{err}");
        let verdict: Value = serde_json::from_str(&out).expect("JSON");
        assert!(verdict["faults"] == json!([]) && verdict["not_linked"].as_i64() > Some(0), "{verdict}");
        let wrong = format!("7:{}", "ab".repeat(32));
        let (code, out, _) = command_with(db, &["audit", "verify", "--expect", &wrong], &key).await;
        assert!(code == 1 && out.contains("kept elsewhere is another one"), "{code} {out}");
        let (code, _, _) = command_with(db, &["audit", "verify", "--expect", "nonsense"], &key).await;
        assert_eq!(code, 2);
        let subject = format!("project:{project}");
        // On PostgreSQL an event settles when all transactions that began before it are over.
        for _ in 0..400 {
            if server.get(&format!("/api/v1/audit?subject={subject}")).await["items"] != json!([]) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let (code, out, err) = command_with(db, &["audit", "export", "--subject", &subject], &key).await;
        assert_eq!(code, 0, "{err}");
        let event: Value = serde_json::from_str(out.trim()).expect("one line");
        assert_eq!((&event["kind"], &event["subject"]), (&"project.created".into(), &subject.into()));
        let (_, csv, _) = command_with(db, &["audit", "export", "--format", "csv", "--kinds", "project.*"], &key).await;
        assert!(csv.starts_with("at,kind,subject,") && csv.lines().count() == 2, "{csv}");
        // Who, and when.
        let actor = event["actor"]["id"].as_str().expect("an id");
        let at = event["at"].as_str().expect("a time");
        for (query, found) in [
            (format!("actor_id={actor}&kinds=project.*"), 1),
            (format!("actor_id={project}&kinds=project.*"), 0),
            (format!("from={at}&kinds=project.*"), 1),
            (format!("until={at}&kinds=project.*"), 0),
        ] {
            let page = server.get(&format!("/api/v1/audit?{query}")).await;
            assert_eq!(page["items"].as_array().map(Vec::len), Some(found), "{query}: {page}");
        }
    }
}
