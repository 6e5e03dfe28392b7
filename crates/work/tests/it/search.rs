//! Full-text search.

use crate::home::{Home, items, text};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::Error;
use synapscale_store::Backend;
use synapscale_store::orm::ConnectionTrait;
use synapscale_testkit::db_test;
use tokio::sync::Notify;

fn titles(found: &Value) -> Vec<String> {
    items(found)
        .iter()
        .map(|hit| text(&hit["task"]["title"]))
        .collect()
}

async fn search(home: &Home, query: &str) -> Vec<String> {
    titles(&home.ok("tasks.search", json!({ "query": query })).await)
}

db_test! {
    async fn words_are_found_however_they_are_written_the_best_first(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let make = |input: Value| {
            let mut input = input;
            input["project_id"] = json!(project);
            home.ok("tasks.create", input)
        };
        make(json!({ "title": "Call the Café", "description": "in the Hauptstraße" })).await;
        make(json!({ "title": "Buy coffee", "tags": ["café"] })).await;
        let noted = make(json!({ "title": "Something else" })).await;
        home.ok("comments.create", json!({ "task_id": noted["id"], "body": "They met in a CAFE\u{301}" })).await;
        assert_eq!(search(&home, "cafe").await, ["Call the Café", "Buy coffee", "Something else"]);
        assert_eq!(search(&home, "HAUPTSTRASSE").await, ["Call the Café"]);
        assert_eq!(search(&home, "cafe haupt").await, ["Call the Café"], "the last word may be begun");
        assert_eq!(search(&home, "cof").await, ["Buy coffee"]);
        assert!(search(&home, "haupt cafe").await.is_empty(), "and only the last");
        assert!(search(&home, "xyz").await.is_empty());
        assert_eq!(home.refused("tasks.search", json!({ "query": "?!" })).await.fields()[0].pointer, "/query");
        let stranger = home.call_as(&home.stranger(), "tasks.search", json!({ "query": "cafe" })).await.expect("an answer");
        assert!(items(&stranger).is_empty());
    }

    async fn the_index_follows_every_change(db: TestDb) {
        let home = Home::new(db).await;
        let (project, other) = (home.project("P").await, home.project("Q").await);
        let task = home.task(&project, None, "alpha").await;
        home.ok("tasks.update", json!({ "task_id": task, "title": "beta", "tags": ["gamma"] })).await;
        assert!(search(&home, "alpha").await.is_empty());
        assert_eq!(search(&home, "beta gamma").await, ["beta"]);
        let comment = home.ok("comments.create", json!({ "task_id": task, "body": "delta" })).await;
        home.ok("tasks.update", json!({ "task_id": task, "description": "epsilon" })).await;
        assert_eq!(search(&home, "delta epsilon").await, ["beta"], "comments stay when the text changes");
        home.ok("comments.update", json!({ "comment_id": comment["id"], "body": "zeta" })).await;
        assert_eq!((search(&home, "delta").await.len(), search(&home, "zeta").await.len()), (0, 1));
        home.ok("comments.delete", json!({ "comment_id": comment["id"] })).await;
        assert!(search(&home, "zeta").await.is_empty());
        let set = json!({ "task_patches": [{ "op": "update", "task_id": task, "body": { "title": "eta" } }] });
        let applied = home.ok("patches.apply", set).await;
        assert_eq!(search(&home, "eta").await, ["eta"]);
        home.undo(&applied).await;
        assert_eq!(search(&home, "beta").await, ["beta"]);
        let within = |project: &str| home.ok("tasks.search", json!({ "query": "beta", "project_id": project.to_owned() }));
        assert_eq!((items(&within(&project).await).len(), items(&within(&other).await).len()), (1, 0));
        home.ok("tasks.archive", json!({ "task_id": task })).await;
        assert!(search(&home, "beta").await.is_empty());
        assert_eq!(titles(&home.ok("tasks.search", json!({ "query": "beta", "archived": true })).await), ["beta"]);
        home.ok("tasks.unarchive", json!({ "task_id": task })).await;
        home.ok("tasks.delete", json!({ "task_id": task })).await;
        assert!(search(&home, "beta").await.is_empty());
        home.ok("tasks.restore", json!({ "task_id": task })).await;
        assert_eq!(search(&home, "beta").await, ["beta"]);
    }

    async fn tasks_from_before_the_index_are_found_and_taken_up(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let make = |n: usize| json!({ "op": "create", "project_id": project, "body": { "title": format!("older {n}") } });
        home.ok("patches.apply", json!({ "task_patches": (0..250).map(make).collect::<Vec<_>>() })).await;
        // As an older version left them: rows without words.
        for statement in ["DELETE FROM task_words", "UPDATE tasks SET indexed = 0"] {
            let store = home.gate.store();
            let done = store.write(&home.ctx, |tx| async move { tx.execute_unprepared(statement).await.map(drop).map_err(Error::internal) });
            done.await.expect("done");
        }
        let fresh = home.beside();
        let found = fresh.ok("tasks.search", json!({ "query": "older 249", "limit": 5 })).await;
        assert_eq!((titles(&found), &found["complete"]), (vec!["older 249".to_owned()], &json!(true)));
        for n in 0..3 {
            fresh.task(&project, None, &format!("newer {n}")).await;
        }
        assert_eq!(search(&fresh, "older 7").await[0], "older 7");
    }

    async fn taking_up_older_tasks_waits_for_nobody(db: TestDb) {
        let home = Home::new(db).await;
        if home.gate.store().backend() == Backend::Sqlite {
            // One writes at a time there.
            return;
        }
        let project = home.project("P").await;
        for n in 0..3 {
            home.task(&project, None, &format!("older {n}")).await;
        }
        let store = home.gate.store();
        let older = "UPDATE tasks SET indexed = 0";
        let done = store.write(&home.ctx, |tx| async move { tx.execute_unprepared(older).await.map(drop).map_err(Error::internal) });
        done.await.expect("done");
        let fresh = home.beside();
        let (held, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let holder = store.write(&home.ctx, |tx| {
            let (held, go) = (held.clone(), go.clone());
            async move {
                tx.execute_unprepared("UPDATE tasks SET title = title").await.map_err(Error::internal)?;
                held.notify_one();
                go.notified().await;
                Ok(())
            }
        });
        let maker = async {
            held.notified().await;
            let made = tokio::time::timeout(Duration::from_secs(10), fresh.task(&project, None, "newer")).await;
            go.notify_one();
            made.expect("made while others hold the older ones")
        };
        let (holder, _) = tokio::join!(holder, maker);
        holder.expect("held");
        fresh.task(&project, None, "newest").await;
        assert_eq!(search(&fresh, "older").await.len(), 3);
    }

    async fn common_words_are_bounded_and_say_so(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let make = |n: usize| json!({ "op": "create", "project_id": project, "body": { "title": format!("common words {n}"), "description": "and more" } });
        for _ in 0..2 {
            home.ok("patches.apply", json!({ "task_patches": (0..400).map(make).collect::<Vec<_>>() })).await;
        }
        let found = home.ok("tasks.search", json!({ "query": "common words mor", "limit": 10 })).await;
        assert_eq!((items(&found).len(), &found["more"]), (10, &json!(true)));
        let found = home.ok("tasks.search", json!({ "query": "common 399" })).await;
        assert_eq!((items(&found).len(), &found["more"]), (2, &json!(false)));
    }
}
