//! Dependencies between tasks.

use crate::home::{Home, items, text};
use serde_json::{Value, json};
use synapscale_testkit::db_test;

fn ids(list: &Value) -> Vec<String> {
    list.as_array()
        .expect("a list")
        .iter()
        .map(|other| text(&other["task_id"]))
        .collect()
}

db_test! {
    async fn a_task_is_blocked_while_what_it_waits_for_is_open(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let (a, b, c) = (home.task(&project, None, "a").await, home.task(&project, None, "b").await, home.task(&project, None, "c").await);
        let blocked = home.ok("tasks.block", json!({ "task_id": b, "blocker_id": a })).await;
        assert_eq!(blocked["blocked"], true, "{blocked}");
        home.ok("tasks.block", json!({ "task_id": b, "blocker_id": c })).await;
        let shown = home.ok("tasks.dependencies", json!({ "task_id": b })).await;
        assert_eq!((ids(&shown["blocked_by"]).len(), &shown["blocked"]), (2, &json!(true)));
        assert_eq!(ids(&home.ok("tasks.dependencies", json!({ "task_id": a })).await["blocks"]), std::slice::from_ref(&b));
        let only = |page: &Value| items(page).iter().map(|task| text(&task["title"])).collect::<Vec<_>>();
        assert_eq!(only(&home.ok("tasks.list", json!({ "blocked": true })).await), ["b"]);
        assert_eq!(only(&home.ok("tasks.list", json!({ "blocked": false })).await), ["a", "c"]);
        let tree = home.ok("projects.tree", json!({ "project_id": project })).await;
        assert_eq!(tree["tasks"][1]["task"]["blocked"], true);
        home.ok("tasks.update", json!({ "task_id": a, "status": "done" })).await;
        assert_eq!(home.get(&b).await["blocked"], true);
        home.ok("tasks.delete", json!({ "task_id": c })).await;
        assert_eq!(home.get(&b).await["blocked"], false, "what is deleted keeps nobody waiting");
        home.ok("tasks.restore", json!({ "task_id": c })).await;
        assert_eq!(home.get(&b).await["blocked"], true);
        let free = home.ok("tasks.unblock", json!({ "task_id": b, "blocker_id": c })).await;
        assert_eq!(free["blocked"], false);
        assert_eq!(home.refused("tasks.unblock", json!({ "task_id": b, "blocker_id": c })).await.code(), "not_found");
    }

    async fn circles_are_refused_also_through_what_is_deleted(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let mut chain = Vec::new();
        for n in 0..4 {
            chain.push(home.task(&project, None, &n.to_string()).await);
        }
        for pair in chain.windows(2) {
            home.ok("tasks.block", json!({ "task_id": pair[1], "blocker_id": pair[0] })).await;
        }
        home.ok("tasks.delete", json!({ "task_id": chain[2] })).await;
        for (blocked, blocker) in [(0, 3), (0, 0), (0, 1)] {
            let error = home.refused("tasks.block", json!({ "task_id": chain[blocked], "blocker_id": chain[blocker] })).await;
            assert_eq!((&*error.fields()[0].code, &*error.fields()[0].pointer), ("cycle", "/blocker_id"));
        }
        let error = home.refused("tasks.block", json!({ "task_id": chain[0], "blocker_id": chain[2] })).await;
        assert_eq!(error.fields()[0].code, "not_found", "{error:?}");
        // In one set, among tasks that it makes.
        let make = |temp: &str, waits: Value| json!({ "op": "create", "temp_id": temp, "project_id": project, "add_blocked_by": waits, "body": { "title": temp } });
        let set = json!({ "task_patches": [make("x", json!([])), make("y", json!(["temp:x"])), { "op": "update", "task_id": "temp:x", "add_blocked_by": ["temp:y"] }] });
        let error = home.refused("patches.apply", set).await;
        assert_eq!((error.fields()[0].pointer.as_str(), &*error.fields()[0].code), ("/task_patches/2/add_blocked_by/0", "cycle"));
        let stranger = home.stranger();
        let pair = json!({ "task_id": chain[0], "blocker_id": chain[1] });
        for name in ["tasks.block", "tasks.unblock"] {
            assert_eq!(home.call_as(&stranger, name, pair.clone()).await.expect_err("refused").code(), "not_found");
        }
    }

    async fn dependencies_are_part_of_sets_and_of_their_undo(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let (a, b) = (home.task(&project, None, "a").await, home.task(&project, None, "b").await);
        home.ok("tasks.block", json!({ "task_id": b, "blocker_id": a })).await;
        let set = json!({ "task_patches": [
            { "op": "create", "temp_id": "new", "project_id": project, "add_blocked_by": [b], "body": { "title": "new" } },
            { "op": "update", "task_id": b, "add_blocked_by": ["temp:new"], "remove_blocked_by": [a] },
        ] });
        assert_eq!(home.refused("patches.preview", set).await.fields()[0].code, "cycle");
        let set = json!({ "task_patches": [
            { "op": "create", "temp_id": "new", "project_id": project, "body": { "title": "new" } },
            { "op": "update", "task_id": b, "add_blocked_by": ["temp:new"], "remove_blocked_by": [a] },
        ] });
        let preview = home.ok("patches.preview", set.clone()).await;
        assert!(preview["tasks"].as_array().expect("tasks").iter().any(|task| task["title"] == "b" && task["blocked"] == true));
        let applied = home.ok("patches.apply", set).await;
        let new = text(&applied["temp_ids"]["new"]);
        let waits = || async { ids(&home.ok("tasks.dependencies", json!({ "task_id": b })).await["blocked_by"]) };
        assert_eq!(waits().await, std::slice::from_ref(&new));
        let change = applied["changes"].as_array().expect("changes").iter().find(|change| change["id"] == json!(b)).expect("b").clone();
        assert_eq!(change["diff"]["blocked_by"], json!({ "before": [a], "after": [new] }));
        let undone = home.undo(&applied).await;
        assert_eq!(waits().await, std::slice::from_ref(&a));
        home.undo(&undone).await;
        assert_eq!(waits().await, std::slice::from_ref(&new));
        // What a set makes and deletes again leaves nobody waiting.
        let set = json!({ "task_patches": [
            { "op": "create", "temp_id": "gone", "project_id": project, "add_blocked_by": [a], "body": { "title": "gone" } },
            { "op": "delete", "task_id": "temp:gone" },
        ] });
        home.ok("patches.apply", set).await;
        assert_eq!(ids(&home.ok("tasks.dependencies", json!({ "task_id": a })).await["blocks"]).len(), 0);
    }
}
