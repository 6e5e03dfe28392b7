//! Lists in words, saved filters and the order among siblings.

use crate::home::{Home, MEMBER, items, text};
use serde_json::{Value, json};
use synapscale_testkit::db_test;

fn titles(page: &Value) -> Vec<String> {
    items(page).iter().map(|task| text(&task["title"])).collect()
}

async fn shape(home: &Home, project: &str) -> Vec<String> {
    let tree = home.ok("projects.tree", json!({ "project_id": project })).await;
    let tasks = tree["tasks"].as_array().expect("tasks");
    tasks.iter().map(|node| text(&node["task"]["title"])).collect()
}

db_test! {
    async fn dates_are_asked_for_in_words(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        // It is Monday, the 2nd of March 2026, 09:00 in UTC.
        for (title, due) in [("late", "2026-03-02T08:00:00Z"), ("today", "2026-03-02T23:30:00Z"), ("tomorrow", "2026-03-03T10:00:00Z"), ("sunday", "2026-03-08T23:00:00Z"), ("monday", "2026-03-09T10:00:00Z")] {
            let input = json!({ "project_id": project, "title": title, "due_date": due, "scheduled_date": due });
            home.ok("tasks.create", input).await;
        }
        home.task(&project, None, "someday").await;
        let done = json!({ "project_id": project, "title": "done", "due_date": "2026-03-01T08:00:00Z", "status": "done" });
        home.ok("tasks.create", done).await;
        for (when, wanted) in [
            ("overdue", vec!["late"]),
            ("today", vec!["late", "today"]),
            ("tomorrow", vec!["tomorrow"]),
            ("this_week", vec!["late", "today", "tomorrow", "sunday"]),
            ("next_7_days", vec!["late", "today", "tomorrow", "sunday"]),
            ("none", vec!["someday"]),
        ] {
            assert_eq!(titles(&home.ok("tasks.list", json!({ "due": when })).await), wanted, "{when}");
        }
        assert_eq!(titles(&home.ok("tasks.list", json!({ "scheduled": "any" })).await).len(), 5);
        // Two hours ahead, half past eleven at night is tomorrow.
        let there = home.ok("tasks.list", json!({ "due": "tomorrow", "utc_offset_minutes": 120 })).await;
        assert_eq!(titles(&there), ["today", "tomorrow"]);
        assert_eq!(home.refused("tasks.list", json!({ "due": "someday" })).await.fields()[0].pointer, "/due");
    }

    async fn lists_ask_for_tags_people_and_words(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        for (title, tags, who) in [("Über alles", json!(["a", "b"]), Some("ada")), ("Other", json!(["a"]), None)] {
            home.ok("tasks.create", json!({ "project_id": project, "title": title, "tags": tags, "assignee": who })).await;
        }
        for (filter, wanted) in [
            (json!({ "tags": ["a", "b"] }), vec!["Über alles"]),
            (json!({ "tags": ["a"] }), vec!["Über alles", "Other"]),
            (json!({ "unassigned": true }), vec!["Other"]),
            (json!({ "unassigned": false }), vec!["Über alles"]),
            (json!({ "search": "uber all" }), vec!["Über alles"]),
            (json!({ "search": "alles uber" }), vec!["Über alles"]),
            (json!({ "search": "nothing" }), vec![]),
        ] {
            assert_eq!(titles(&home.ok("tasks.list", filter.clone()).await), wanted, "{filter}");
        }
        assert_eq!(home.refused("tasks.list", json!({ "search": "!" })).await.fields()[0].pointer, "/search");
    }

    async fn tags_are_found_letter_for_letter(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        for tag in ["home", "Home", "ho_e", "100%", "say \"hi\"", "back\\slash", "Übung", "übung"] {
            home.ok("tasks.create", json!({ "project_id": project, "title": tag, "tags": [tag, "all"] })).await;
        }
        home.ok("projects.create", json!({ "name": "Q", "tags": ["Home"] })).await;
        for tag in ["home", "Home", "ho_e", "100%", "say \"hi\"", "back\\slash", "Übung", "übung"] {
            assert_eq!(titles(&home.ok("tasks.list", json!({ "tag": tag })).await), [tag]);
        }
        for tag in ["HOME", "hom", "100", "ÜBUNG", "%", "ho?e"] {
            assert!(titles(&home.ok("tasks.list", json!({ "tags": [tag] })).await).is_empty(), "{tag}");
        }
        assert_eq!(items(&home.ok("tasks.list", json!({ "tags": ["all"] })).await).len(), 8);
        assert_eq!(items(&home.ok("projects.list", json!({ "tag": "Home" })).await).len(), 1);
        assert!(items(&home.ok("projects.list", json!({ "tag": "home" })).await).is_empty());
    }

    async fn filters_are_saved_shared_changed_and_run(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        for (title, priority) in [("a", "low"), ("b", "high"), ("c", "high")] {
            home.ok("tasks.create", json!({ "project_id": project, "title": title, "priority": priority })).await;
        }
        let saved = home.ok("filters.create", json!({ "name": "Urgent", "filter": { "priority": ["high"] }, "sort": "-title" })).await;
        let id = json!({ "filter_id": saved["id"] });
        assert_eq!(titles(&home.ok("filters.run", id.clone()).await), ["c", "b"]);
        let colleague = home.colleague(MEMBER);
        let refused = home.call_as(&colleague, "filters.run", id.clone()).await.expect_err("refused");
        assert_eq!(refused.code(), "not_found", "a filter is its owner's until it is shared");
        home.ok("filters.update", json!({ "filter_id": saved["id"], "shared": true, "filter": { "priority": ["low"] } })).await;
        assert_eq!(titles(&home.call_as(&colleague, "filters.run", id.clone()).await.expect("shared")), ["a"]);
        let taken = json!({ "filter_id": saved["id"], "name": "taken" });
        assert_eq!(home.call_as(&colleague, "filters.update", taken).await.expect_err("refused").code(), "forbidden");
        assert_eq!(home.call_as(&home.stranger(), "filters.get", id.clone()).await.expect_err("refused").code(), "not_found");
        let theirs = home.call_as(&colleague, "filters.create", json!({ "name": "Theirs", "filter": {} })).await.expect("saved");
        assert_eq!(items(&home.ok("filters.list", json!({})).await).len(), 1);
        assert_eq!(items(&home.call_as(&colleague, "filters.list", json!({})).await.expect("a list")).len(), 2);
        assert_eq!(home.refused("filters.delete", json!({ "filter_id": theirs["id"] })).await.code(), "not_found");
        home.ok("filters.delete", id.clone()).await;
        assert_eq!(home.refused("filters.get", id).await.code(), "not_found");
        for (filter, sort, pointer) in [(json!({ "search": "?" }), "title", "/filter/search"), (json!({}), "colour", "/sort"), (json!({ "colour": "red" }), "title", "/filter/colour")] {
            let input = json!({ "name": "odd", "filter": filter, "sort": sort });
            assert_eq!(home.refused("filters.create", input).await.fields()[0].pointer, pointer);
        }
    }

    async fn tasks_are_moved_before_and_after_others(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let mut ids = Vec::new();
        for title in ["a", "b", "c", "d"] {
            ids.push(home.task(&project, None, title).await);
            home.clock.advance(chrono::TimeDelta::milliseconds(1));
        }
        assert_eq!(shape(&home, &project).await, ["a", "b", "c", "d"]);
        home.ok("tasks.move", json!({ "task_id": ids[3], "before": ids[0] })).await;
        assert_eq!(shape(&home, &project).await, ["d", "a", "b", "c"]);
        home.ok("tasks.move", json!({ "task_id": ids[3], "after": ids[1] })).await;
        assert_eq!(shape(&home, &project).await, ["a", "b", "d", "c"]);
        assert_eq!(titles(&home.ok("tasks.list", json!({ "sort": "-position" })).await), ["c", "d", "b", "a"]);
        // Several in one set, beside one another, and back.
        let set = json!({ "task_patches": [
            { "op": "update", "task_id": ids[0], "after": ids[2] },
            { "op": "update", "task_id": ids[1], "after": ids[2] },
            { "op": "update", "task_id": ids[3], "before": ids[0] },
        ] });
        let applied = home.ok("patches.apply", set).await;
        assert_eq!(shape(&home, &project).await, ["c", "b", "d", "a"]);
        home.undo(&applied).await;
        assert_eq!(shape(&home, &project).await, ["a", "b", "d", "c"]);
        // Below another parent by its child's name; and to the top again, behind all.
        let child = home.task(&project, Some(&ids[0]), "child").await;
        let moved = home.ok("tasks.move", json!({ "task_id": ids[1], "before": child })).await;
        assert_eq!((&moved["parent_id"], &moved["depth"]), (&json!(ids[0]), &json!(1)));
        home.ok("tasks.move", json!({ "task_id": ids[1] })).await;
        assert_eq!(shape(&home, &project).await, ["a", "d", "c", "b"]);
        for (input, pointer) in [
            (json!({ "task_id": ids[0], "before": ids[0] }), "/before"),
            (json!({ "task_id": ids[0], "before": ids[1], "after": ids[2] }), "/after"),
            (json!({ "task_id": ids[1], "after": child, "parent_id": ids[2] }), "/after"),
            (json!({ "task_id": ids[0], "after": child }), "/parent_id"),
        ] {
            assert_eq!(home.refused("tasks.move", input).await.fields()[0].pointer, pointer);
        }
        assert_eq!(home.refused("tasks.update", json!({ "task_id": ids[0], "position": "10" })).await.fields()[0].pointer, "/position");
    }

    async fn tasks_from_before_there_were_places_keep_their_order(db: TestDb) {
        use synapscale_core::Error;
        use synapscale_store::orm::ConnectionTrait;
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let mut ids = Vec::new();
        for title in ["a", "b", "c"] {
            ids.push(home.task(&project, None, title).await);
            home.clock.advance(chrono::TimeDelta::milliseconds(1));
        }
        let store = home.gate.store();
        let done = store.write(&home.ctx, |tx| async move { tx.execute_unprepared("UPDATE tasks SET position = ''").await.map(drop).map_err(Error::internal) });
        done.await.expect("done");
        home.task(&project, None, "new").await;
        assert_eq!(shape(&home, &project).await, ["a", "b", "c", "new"]);
        let set = json!({ "task_patches": [{ "op": "update", "task_id": ids[2], "before": ids[1] }] });
        let preview = home.ok("patches.preview", set.clone()).await;
        assert_eq!(preview["changes"].as_array().expect("changes").len(), 1);
        let applied = home.ok("patches.apply", set).await;
        assert_eq!(shape(&home, &project).await, ["a", "c", "b", "new"]);
        home.undo(&applied).await;
        assert_eq!(shape(&home, &project).await, ["a", "b", "c", "new"]);
    }
}
