//! Tasks that come again.

use crate::home::{Home, items, text};
use serde_json::{Value, json};
use synapscale_testkit::db_test;

fn titled<'a>(page: &'a Value, status: &str) -> Vec<&'a Value> {
    items(page)
        .iter()
        .filter(|task| task["status"] == status)
        .collect()
}

db_test! {
    async fn completing_a_task_makes_the_next_one_and_undo_takes_it_away(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let top = home.task(&project, None, "top").await;
        let made = home.ok("tasks.create", json!({
            "project_id": project, "parent_id": top, "title": "water", "tags": ["home"], "assignee": "ada", "actual_minutes": 5,
            "due_date": "2026-03-02T17:00:00Z", "scheduled_date": "2026-03-02T08:00:00Z",
            "recurrence": { "every": 1, "unit": "week", "weekdays": ["mon", "thu"] }, "integration_ids": { "x": "1" },
        })).await;
        let id = text(&made["id"]);
        let set = json!({ "task_patches": [{ "op": "update", "task_id": id, "body": { "status": "done" } }] });
        let applied = home.ok("patches.apply", set).await;
        let list = || home.ok("tasks.list", json!({ "tag": "home" }));
        let page = list().await;
        let open = titled(&page, "todo");
        assert_eq!(open.len(), 1, "{page}");
        let next = open[0];
        assert_eq!((&next["due_date"], &next["scheduled_date"]), (&json!("2026-03-05T17:00:00Z"), &json!("2026-03-05T08:00:00Z")));
        assert_eq!((&next["parent_id"], &next["assignee"], &next["actual_minutes"], &next["integration_ids"]), (&json!(top), &json!("ada"), &json!(null), &json!({})));
        assert_eq!((&home.get(&id).await["recurrence"], &next["recurrence"]["weekdays"]), (&json!(null), &json!(["mon", "thu"])));
        let undone = home.undo(&applied).await;
        let page = list().await;
        assert_eq!((items(&page).len(), &items(&page)[0]["recurrence"]["unit"]), (1, &json!("week")), "{page}");
        home.undo(&undone).await;
        assert_eq!(titled(&list().await, "todo").len(), 1, "done again, and no more than one");
        // Opened and completed once more, it has handed its rule on.
        home.ok("tasks.update", json!({ "task_id": id, "status": "todo" })).await;
        home.ok("tasks.update", json!({ "task_id": id, "status": "done" })).await;
        assert_eq!(items(&list().await).len(), 2);
    }

    async fn rules_are_checked_ended_and_cleared(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let with = |rule: Value| json!({ "project_id": project, "title": "t", "due_date": "2026-03-02T17:00:00Z", "recurrence": rule });
        for (rule, pointer) in [
            (json!({ "every": 0, "unit": "day" }), "/recurrence/every"),
            (json!({ "every": 1, "unit": "day", "weekdays": ["mon"] }), "/recurrence/weekdays"),
            (json!({ "every": 1, "unit": "week", "month_day": 3 }), "/recurrence/month_day"),
            (json!({ "every": 1, "unit": "month", "month_day": 32 }), "/recurrence/month_day"),
        ] {
            assert_eq!(home.refused("tasks.create", with(rule)).await.fields()[0].pointer, pointer);
        }
        let ended = home.ok("tasks.create", with(json!({ "every": 1, "unit": "day", "until": "2026-03-03T00:00:00Z" }))).await;
        home.ok("tasks.update", json!({ "task_id": ended["id"], "status": "done" })).await;
        let cleared = home.ok("tasks.create", with(json!({ "every": 1, "unit": "day" }))).await;
        home.ok("tasks.update", json!({ "task_id": cleared["id"], "recurrence": null })).await;
        home.ok("tasks.update", json!({ "task_id": cleared["id"], "status": "done" })).await;
        let page = home.ok("tasks.list", json!({ "sort": "scheduled_date" })).await;
        assert!(titled(&page, "todo").is_empty(), "{page}");
        // Without any date, the next one is scheduled.
        let bare = json!({ "project_id": project, "title": "t", "recurrence": { "every": 2, "unit": "day", "from": "completion" } });
        let bare = home.ok("tasks.create", bare).await;
        home.ok("tasks.update", json!({ "task_id": bare["id"], "status": "done" })).await;
        let page = home.ok("tasks.list", json!({ "scheduled_after": "2026-03-03T00:00:00Z", "scheduled_before": "2026-03-05T00:00:00Z" })).await;
        assert_eq!(items(&page)[0]["scheduled_date"], "2026-03-04T09:00:00Z", "{page}");
    }

    async fn opening_a_completed_task_again_leaves_one_open(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let made = home.ok("tasks.create", json!({ "project_id": project, "title": "water", "due_date": "2026-03-02T17:00:00Z", "recurrence": { "every": 1, "unit": "day" } })).await;
        let id = text(&made["id"]);
        let state = |status: &str| json!({ "task_patches": [{ "op": "update", "task_id": id, "body": { "status": status } }] });
        let open = || async { titled(&home.ok("tasks.list", json!({})).await, "todo").len() };
        home.ok("patches.apply", state("done")).await;
        let opened = home.ok("patches.apply", state("todo")).await;
        assert_eq!((open().await, &home.get(&id).await["recurrence"]["unit"]), (1, &json!("day")), "{opened}");
        let undone = home.undo(&opened).await;
        assert_eq!((open().await, &home.get(&id).await["status"]), (1, &json!("done")), "{undone}");
        home.undo(&undone).await;
        assert_eq!((open().await, &home.get(&id).await["status"]), (1, &json!("todo")));
        // In one set.
        let both = json!({ "task_patches": [state("done")["task_patches"][0], state("todo")["task_patches"][0]] });
        let both = home.ok("patches.apply", both).await;
        assert_eq!((open().await, &home.get(&id).await["recurrence"]["unit"]), (1, &json!("day")), "{both}");
        // Somebody has begun with the next one: both stay, and the rule with the next.
        home.ok("tasks.update", json!({ "task_id": id, "status": "done" })).await;
        let next = home.ok("tasks.list", json!({ "status": ["todo"] })).await;
        home.task(&project, Some(&text(&items(&next)[0]["id"])), "fetch the can").await;
        home.ok("tasks.update", json!({ "task_id": id, "status": "in_progress" })).await;
        assert_eq!((open().await, &home.get(&id).await["recurrence"]), (2, &json!(null)));
    }

    async fn undo_makes_no_next_task(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let made = home.ok("tasks.create", json!({ "project_id": project, "title": "t", "status": "done", "recurrence": { "every": 1, "unit": "day" } })).await;
        let set = json!({ "task_patches": [{ "op": "update", "task_id": made["id"], "body": { "status": "todo" } }] });
        let applied = home.ok("patches.apply", set).await;
        home.undo(&applied).await;
        assert_eq!(items(&home.ok("tasks.list", json!({})).await).len(), 1);
        assert_eq!(home.get(&text(&made["id"])).await["recurrence"]["unit"], "day");
    }

    async fn a_rule_survives_a_century_of_missed_days(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let made = home.ok("tasks.create", json!({ "project_id": project, "title": "t", "due_date": "1875-03-02T17:00:00Z", "recurrence": { "every": 1, "unit": "day" } })).await;
        home.ok("tasks.update", json!({ "task_id": made["id"], "status": "done" })).await;
        let page = home.ok("tasks.list", json!({ "status": ["todo"] })).await;
        assert_eq!(items(&page)[0]["due_date"], "2026-03-02T17:00:00Z", "{page}");
    }
}
