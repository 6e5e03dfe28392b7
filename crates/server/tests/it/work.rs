//! Projects, tasks and patch sets through the API.

use crate::process::Server;
use reqwest::Method;
use serde_json::{Value, json};
use synapscale_testkit::db_test;

fn create(project: &str, temp: &str, parent: Option<&str>, title: &str) -> Value {
    let mut patch =
        json!({ "op": "create", "temp_id": temp, "project_id": project, "body": { "title": title } });
    if let Some(parent) = parent {
        patch["parent_id"] = json!(format!("temp:{parent}"));
    }
    patch
}

/// Six levels of tasks, the deepest allowed.
async fn chain(server: &Server, project: &str) -> Vec<String> {
    let names = ["a", "b", "c", "d", "e", "f"];
    let patches: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(depth, name)| {
            create(
                project,
                name,
                depth.checked_sub(1).map(|above| names[above]),
                name,
            )
        })
        .collect();
    let applied = server.patch(json!({ "task_patches": patches })).await;
    names
        .iter()
        .map(|name| applied["temp_ids"][name].as_str().expect("an id").to_owned())
        .collect()
}

fn titles(tree: &Value, found: &mut Vec<String>) {
    found.push(format!(
        "{}:{}",
        tree["task"]["depth"],
        tree["task"]["title"].as_str().expect("a title")
    ));
    for child in tree["children"].as_array().expect("children") {
        titles(child, found);
    }
}

db_test! {
    async fn sets_apply_whole_or_not_at_all(db: TestDb) {
        let server = Server::fresh(db).await;
        let project = server.project("P").await;
        let good = create(&project, "x", None, "good");
        let (status, answer) = server
            .try_ask(Method::POST, "/api/v1/patches", json!({ "task_patches": [
                good,
                { "op": "create", "project_id": project, "body": {} },
                { "op": "update", "task_id": "temp:nobody", "body": { "title": "x" } },
                { "op": "delete", "task_id": "01890000-0000-7000-8000-000000000001" },
            ] }))
            .await;
        assert_eq!(status, 422, "{answer}");
        let pointers: Vec<&str> = answer["errors"].as_array().expect("errors").iter().filter_map(|e| e["pointer"].as_str()).collect();
        assert_eq!(pointers, ["/task_patches/1/body/title", "/task_patches/2/task_id", "/task_patches/3/task_id"]);
        assert_eq!(server.get("/api/v1/tasks").await["items"], json!([]));
    }

    async fn trees_nest_and_stay_within_bounds(db: TestDb) {
        let server = Server::fresh(db).await;
        let project = server.project("P").await;
        let ids = chain(&server, &project).await;
        let tree = server.get(&format!("/api/v1/tasks/{}/tree", ids[0])).await;
        let mut found = Vec::new();
        titles(&tree, &mut found);
        assert_eq!(found, ["0:a", "1:b", "2:c", "3:d", "4:e", "5:f"]);
        let path = format!("/api/v1/projects/{project}/tasks");
        let (status, answer) = server.try_ask(Method::POST, &path, json!({ "title": "deeper", "parent_id": ids[5] })).await;
        assert_eq!((status.as_u16(), &answer["errors"][0]["code"]), (422, &json!("too_deep")), "{answer}");
        let to = |id: &str| format!("/api/v1/tasks/{id}/move");
        let (status, answer) = server.try_ask(Method::POST, &to(&ids[0]), json!({ "parent_id": ids[3] })).await;
        assert_eq!((status.as_u16(), &answer["errors"][0]["code"]), (422, &json!("cycle")), "{answer}");
        let moved = server.ask(Method::POST, &to(&ids[3]), json!({ "parent_id": null })).await;
        assert_eq!(moved["depth"], 0);
        let mut found = Vec::new();
        titles(&server.get(&format!("/api/v1/tasks/{}/tree", ids[3])).await, &mut found);
        assert_eq!(found, ["0:d", "1:e", "2:f"]);
    }

    async fn a_delete_takes_what_is_below_and_brings_exactly_that_back(db: TestDb) {
        let server = Server::fresh(db).await;
        let project = server.project("P").await;
        let ids = chain(&server, &project).await;
        server.ask(Method::DELETE, &format!("/api/v1/tasks/{}", ids[4]), Value::Null).await;
        let gone = server.ask(Method::DELETE, &format!("/api/v1/tasks/{}", ids[1]), Value::Null).await;
        assert_eq!(gone["changes"].as_array().expect("changes").len(), 3, "{gone}");
        assert_eq!(server.get("/api/v1/tasks").await["items"].as_array().expect("items").len(), 1);
        server.ask(Method::POST, &format!("/api/v1/tasks/{}/restore", ids[1]), json!({})).await;
        let mut found = Vec::new();
        titles(&server.get(&format!("/api/v1/tasks/{}/tree", ids[0])).await, &mut found);
        assert_eq!(found, ["0:a", "1:b", "2:c", "3:d"], "the other group stays deleted");
    }

    async fn sets_are_previewed_undone_and_redone(db: TestDb) {
        let server = Server::fresh(db).await;
        let project = server.project("P").await;
        let ids = chain(&server, &project).await;
        let set = json!({ "task_patches": [
            { "op": "update", "task_id": ids[5], "parent_id": ids[0], "body": { "title": "moved", "assignee": "ada" } },
            { "op": "delete", "task_id": ids[2] },
            { "op": "create", "project_id": project, "body": { "title": "new" } },
        ] });
        let before = server.get(&format!("/api/v1/projects/{project}/tree")).await;
        let preview = server.ask(Method::POST, "/api/v1/patches/preview", set.clone()).await;
        assert!(preview["patch_set_id"].is_null());
        assert_eq!(server.get(&format!("/api/v1/projects/{project}/tree")).await, before);
        let applied = server.patch(set).await;
        let count = |answer: &Value| answer["changes"].as_array().expect("changes").len();
        assert_eq!(count(&preview), count(&applied));
        let undo = |id: &Value| format!("/api/v1/patches/{}/undo", id.as_str().expect("an id"));
        let undone = server.ask(Method::POST, &undo(&applied["patch_set_id"]), json!({})).await;
        let shape = |tree: &Value| {
            let mut found = Vec::new();
            tree["tasks"].as_array().expect("tasks").iter().for_each(|task| titles(task, &mut found));
            found
        };
        assert_eq!(shape(&server.get(&format!("/api/v1/projects/{project}/tree")).await), shape(&before));
        let (status, answer) = server.try_ask(Method::POST, &undo(&applied["patch_set_id"]), json!({})).await;
        assert_eq!((status.as_u16(), &answer["code"]), (409, &json!("already_undone")));
        server.ask(Method::POST, &undo(&undone["patch_set_id"]), json!({})).await;
        let redone = shape(&server.get(&format!("/api/v1/projects/{project}/tree")).await);
        assert!(redone.contains(&"1:moved".to_owned()) && redone.contains(&"0:new".to_owned()), "{redone:?}");
    }

    async fn undo_sees_what_changed_since(db: TestDb) {
        let server = Server::fresh(db).await;
        let project = server.project("P").await;
        let applied = server.patch(json!({ "task_patches": [create(&project, "x", None, "x")] })).await;
        let id = applied["temp_ids"]["x"].as_str().expect("an id");
        server.ask(Method::PATCH, &format!("/api/v1/tasks/{id}"), json!({ "title": "y" })).await;
        let undo = format!("/api/v1/patches/{}/undo", applied["patch_set_id"].as_str().expect("an id"));
        let (status, answer) = server.try_ask(Method::POST, &undo, json!({})).await;
        assert_eq!((status.as_u16(), &answer["code"]), (409, &json!("undo_conflict")), "{answer}");
    }

    async fn stale_revisions_and_repeated_keys_are_told(db: TestDb) {
        let server = Server::fresh(db).await;
        let project = server.project("P").await;
        let path = format!("/api/v1/projects/{project}/tasks");
        let send = || server.request(Method::POST, &path).header("idempotency-key", "once").json(&json!({ "title": "t" })).send();
        let first: Value = send().await.expect("an answer").json().await.expect("JSON");
        let again = send().await.expect("an answer");
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert_eq!(again.json::<Value>().await.expect("JSON"), first);
        let other = server.request(Method::POST, &path).header("idempotency-key", "once").json(&json!({ "title": "u" })).send();
        assert_eq!(other.await.expect("an answer").status(), 422);
        let task = format!("/api/v1/tasks/{}", first["id"].as_str().expect("an id"));
        let change = |revision: &'static str| {
            server.request(Method::PATCH, &task).header("if-match", revision).json(&json!({ "status": "done" })).send()
        };
        assert_eq!(change("\"7\"").await.expect("an answer").status(), 412);
        assert_eq!(change("\"1\"").await.expect("an answer").status(), 200);
    }

    async fn lists_filter_sort_and_page(db: TestDb) {
        let server = Server::fresh(db).await;
        let project = server.project("P").await;
        let patches: Vec<Value> = (0..25)
            .map(|n| json!({ "op": "create", "project_id": project, "body": {
                "title": format!("Task {n:02} 100%_x"), "priority": (["low", "high"][n % 2]), "tags": [format!("t{}", n % 5)],
            } }))
            .collect();
        server.patch(json!({ "task_patches": patches })).await;
        let page = |query: &str| server.get(Box::leak(format!("/api/v1/tasks?{query}").into_boxed_str()));
        let count = |page: &Value| page["items"].as_array().expect("items").len();
        assert_eq!(count(&page("tag=t3").await), 5);
        assert_eq!(count(&page("priority=high").await), 12);
        assert_eq!(count(&page("text=100%25_X").await), 25);
        assert_eq!(count(&page("text=1000").await), 0);
        for sort in ["title", "-title", "-priority", "due_date", "-created_at"] {
            let mut seen = std::collections::BTreeSet::new();
            let mut cursor = String::new();
            loop {
                let page = page(&format!("limit=10&sort={sort}{cursor}")).await;
                for item in page["items"].as_array().expect("items") {
                    assert!(seen.insert(item["id"].as_str().expect("an id").to_owned()), "{sort}: twice");
                }
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen.len(), 25, "{sort}");
        }
    }
}

db_test! {
    async fn the_audit_trail_tells_who_changed_what(db: TestDb) {
        let server = Server::fresh(db).await;
        let project = server.project("P").await;
        let path = format!("/api/v1/projects/{project}");
        server.ask(Method::PATCH, &path, json!({ "name": "Renamed" })).await;
        // On PostgreSQL the log shows what no running transaction can still precede.
        let mut last = Value::Null;
        for _ in 0..100 {
            last = server.get("/api/v1/audit?kinds=project.*&limit=1").await;
            if last["items"][0]["kind"] == "project.updated" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let event = &last["items"][0];
        assert_eq!(event["changes"]["name"], json!({ "before": "P", "after": "Renamed" }), "{last}");
        assert_eq!(event["subject"], json!(format!("project:{project}")));
        assert_eq!(event["channel"], "rest");
        let older = server.get(&format!("/api/v1/audit?kinds=project.*&since={}", last["next_cursor"].as_str().expect("a cursor"))).await;
        assert_eq!(older["items"][0]["kind"], "project.created", "{older}");
        let first = server.get("/api/v1/events?kinds=project.*&limit=1").await;
        assert_eq!(first["items"][0]["kind"], "project.created");
    }
}
