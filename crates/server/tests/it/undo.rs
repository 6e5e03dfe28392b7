//! Undo and races of patch sets: what must come back comes back, what must not is left alone.

use crate::process::Server;
use reqwest::Method;
use serde_json::{Value, json};
use synapscale_testkit::db_test;

async fn task(server: &Server, project: &str, parent: Option<&str>, title: &str) -> String {
    let path = format!("/api/v1/projects/{project}/tasks");
    let made = server
        .ask(
            Method::POST,
            &path,
            json!({ "title": title, "parent_id": parent }),
        )
        .await;
    made["id"].as_str().expect("an id").to_owned()
}

async fn undo(server: &Server, applied: &Value) -> (u16, Value) {
    let id = applied["patch_set_id"].as_str().expect("an id");
    let (status, answer) = server
        .try_ask(Method::POST, &format!("/api/v1/patches/{id}/undo"), json!({}))
        .await;
    (status.as_u16(), answer)
}

async fn get_task(server: &Server, id: &str) -> Value {
    server.get(&format!("/api/v1/tasks/{id}")).await
}

fn codes(answer: &Value) -> Vec<&str> {
    let errors = answer["errors"].as_array().expect("errors");
    errors.iter().filter_map(|error| error["code"].as_str()).collect()
}

db_test! {
    async fn a_move_to_another_project_is_undone(db: TestDb) {
        let server = Server::fresh(db).await;
        let (here, there) = (server.project("here").await, server.project("there").await);
        let id = task(&server, &here, None, "top").await;
        let child = task(&server, &here, Some(&id), "child").await;
        let applied = server.patch(json!({ "task_patches": [{ "op": "update", "task_id": id, "project_id": there }] })).await;
        assert_eq!(get_task(&server, &child).await["project_id"], json!(there));
        assert_eq!(undo(&server, &applied).await.0, 200);
        assert_eq!(get_task(&server, &id).await["project_id"], json!(here));
        assert_eq!(get_task(&server, &child).await["project_id"], json!(here));
    }

    async fn a_new_project_that_took_a_task_gives_it_back(db: TestDb) {
        let server = Server::fresh(db).await;
        let here = server.project("here").await;
        let id = task(&server, &here, None, "top").await;
        let applied = server.patch(json!({
            "project_patches": [{ "op": "create", "temp_id": "new", "body": { "name": "new" } }],
            "task_patches": [{ "op": "update", "task_id": id, "project_id": "temp:new" }],
        })).await;
        let (status, answer) = undo(&server, &applied).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(get_task(&server, &id).await["project_id"], json!(here));
        let projects = server.get("/api/v1/projects?sort=-name").await;
        assert_eq!(projects["items"].as_array().expect("items").len(), 1);
    }

    async fn undo_takes_nothing_of_others_along(db: TestDb) {
        let server = Server::fresh(db).await;
        let here = server.project("here").await;
        let set = json!({ "task_patches": [
            { "op": "create", "temp_id": "a", "project_id": here, "body": { "title": "a" } },
            { "op": "create", "temp_id": "b", "parent_id": "temp:a", "body": { "title": "b" } },
        ] });
        let applied = server.patch(set.clone()).await;
        let above = applied["temp_ids"]["a"].as_str().expect("an id").to_owned();
        let stranger = task(&server, &here, Some(&above), "stranger").await;
        let (status, answer) = undo(&server, &applied).await;
        assert_eq!((status, codes(&answer)), (409, vec!["added_since"]), "{answer}");
        server.ask(Method::DELETE, &format!("/api/v1/tasks/{stranger}"), Value::Null).await;
        assert_eq!(undo(&server, &applied).await.0, 200);

        let applied = server.patch(set).await;
        let below = applied["temp_ids"]["b"].as_str().expect("an id").to_owned();
        server.ask(Method::PATCH, &format!("/api/v1/tasks/{below}"), json!({ "title": "edited" })).await;
        let (status, answer) = undo(&server, &applied).await;
        assert_eq!((status, codes(&answer)), (409, vec!["changed_since"]), "{answer}");
        assert_eq!(get_task(&server, &below).await["title"], "edited");
    }

    async fn one_set_may_restore_and_change(db: TestDb) {
        let server = Server::fresh(db).await;
        let here = server.project("here").await;
        let id = task(&server, &here, None, "old").await;
        server.ask(Method::DELETE, &format!("/api/v1/tasks/{id}"), Value::Null).await;
        server.patch(json!({ "task_patches": [
            { "op": "restore", "task_id": id },
            { "op": "update", "task_id": id, "body": { "title": "new" } },
        ] })).await;
        assert_eq!(get_task(&server, &id).await["title"], "new");
        let both = json!({ "task_patches": [{ "op": "delete", "task_id": id }, { "op": "restore", "task_id": id }] });
        let (status, answer) = server.try_ask(Method::POST, "/api/v1/patches", both).await;
        assert_eq!((status.as_u16(), codes(&answer)), (422, vec!["deleted_in_set"]));
        let stray = json!({ "task_patches": [{ "op": "delete", "task_id": id, "temp_id": "x", "body": { "title": "t" } }] });
        let (status, answer) = server.try_ask(Method::POST, "/api/v1/patches", stray).await;
        assert_eq!((status.as_u16(), codes(&answer)), (422, vec!["unexpected", "unexpected"]));
        let stale = json!({ "task_patches": [{ "op": "delete", "task_id": id, "expected_revision": 1 }] });
        let (status, answer) = server.try_ask(Method::POST, "/api/v1/patches", stale).await;
        assert_eq!((status.as_u16(), &answer["errors"][0]["pointer"]), (412, &json!("/task_patches/0/expected_revision")));
    }

    async fn what_comes_at_the_same_moment_leaves_a_whole_tree(db: TestDb) {
        let server = Server::fresh(db).await;
        let home = server.project("home").await;
        for round in 0..6 {
            let doomed = server.project("doomed").await;
            let (a, b) = (task(&server, &home, None, "a").await, task(&server, &home, None, "b").await);
            let create = format!("/api/v1/projects/{doomed}/tasks");
            let creates = (0..4).map(|n| server.try_ask(Method::POST, &create, json!({ "title": format!("t{n}") })));
            let delete = format!("/api/v1/projects/{doomed}");
            let (to_a, to_b) = (format!("/api/v1/tasks/{a}/move"), format!("/api/v1/tasks/{b}/move"));
            let (_, _, first, second) = tokio::join!(
                futures::future::join_all(creates),
                server.try_ask(Method::DELETE, &delete, Value::Null),
                server.try_ask(Method::POST, &to_a, json!({ "parent_id": b })),
                server.try_ask(Method::POST, &to_b, json!({ "parent_id": a })),
            );
            let mut both = [first.0.as_u16(), second.0.as_u16()];
            both.sort_unstable();
            assert_eq!(both, [200, 422], "round {round}: one move makes the other a circle");
            let left = server.get(&format!("/api/v1/tasks?project_id={doomed}")).await;
            assert_eq!(left["items"], json!([]), "round {round}: no task lives in a deleted project");
        }
    }
}
