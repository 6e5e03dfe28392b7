//! The archive and the trash.

use crate::home::{Home, MEMBER, items, text};
use serde_json::{Value, json};
use synapscale_testkit::db_test;

fn titles(page: &Value) -> Vec<String> {
    items(page).iter().map(|task| text(&task["title"])).collect()
}

db_test! {
    async fn a_tree_goes_into_the_archive_and_comes_back(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let top = home.task(&project, None, "top").await;
        let early = home.task(&project, Some(&top), "early").await;
        home.task(&project, Some(&top), "late").await;
        home.task(&project, None, "other").await;
        home.ok("tasks.archive", json!({ "task_id": early })).await;
        home.clock.advance(chrono::TimeDelta::seconds(1));
        let archived = home.ok("tasks.archive", json!({ "task_id": top })).await;
        assert_eq!(archived["changes"].as_array().expect("changes").len(), 2);
        assert_eq!(titles(&home.ok("tasks.list", json!({})).await), ["other"]);
        assert_eq!(titles(&home.ok("tasks.list", json!({ "archived": "only" })).await), ["top", "early", "late"]);
        assert_eq!(titles(&home.ok("tasks.list", json!({ "archived": "included" })).await).len(), 4);
        let tree = |archived: bool| home.ok("projects.tree", json!({ "project_id": project, "archived": archived }));
        assert_eq!(tree(false).await["tasks"].as_array().expect("tasks").len(), 1);
        assert_eq!(tree(true).await["tasks"].as_array().expect("tasks").len(), 2);
        assert_eq!(home.refused("tasks.archive", json!({ "task_id": top })).await.code(), "already_archived");
        home.clock.advance(chrono::TimeDelta::seconds(1));
        home.ok("tasks.unarchive", json!({ "task_id": top })).await;
        assert_eq!(titles(&home.ok("tasks.list", json!({ "archived": "only" })).await), ["early"], "it was there before");
        let archived = home.ok("tasks.archive", json!({ "task_id": top })).await;
        home.undo(&archived).await;
        assert_eq!(titles(&home.ok("tasks.list", json!({ "archived": "only" })).await), ["early"]);
        let set = json!({ "task_patches": [{ "op": "update", "task_id": early, "body": { "archived": false } }] });
        home.ok("patches.apply", set).await;
        assert_eq!(titles(&home.ok("tasks.list", json!({})).await).len(), 4);
    }

    async fn an_archived_project_takes_its_tasks_out_of_sight(db: TestDb) {
        let home = Home::new(db).await;
        let (kept, old) = (home.project("kept").await, home.project("old").await);
        home.task(&kept, None, "here").await;
        home.task(&old, None, "there").await;
        home.ok("projects.update", json!({ "project_id": old, "status": "completed" })).await;
        let archived = home.ok("projects.archive", json!({ "project_id": old })).await;
        assert_eq!(titles(&home.ok("tasks.list", json!({})).await), ["here"]);
        assert_eq!(titles(&home.ok("tasks.list", json!({ "project_id": old })).await), ["there"], "asked for by name");
        assert_eq!(titles(&home.ok("tasks.list", json!({ "archived": "only" })).await), ["there"]);
        home.undo(&archived).await;
        assert_eq!(home.ok("projects.get", json!({ "project_id": old })).await["status"], "completed");
        assert_eq!(home.refused("projects.unarchive", json!({ "project_id": old })).await.code(), "not_archived");
    }

    async fn what_went_together_lies_together_and_comes_back_together(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let top = home.task(&project, None, "top").await;
        let child = home.task(&project, Some(&top), "child").await;
        home.task(&project, Some(&child), "grandchild").await;
        home.ok("tasks.delete", json!({ "task_id": child })).await;
        let second = home.project("Q").await;
        home.task(&second, None, "of Q").await;
        home.ok("projects.delete", json!({ "project_id": second })).await;
        let trash = home.ok("trash.list", json!({})).await;
        let shown: Vec<_> = items(&trash).iter().map(|group| (group["projects"].as_i64().expect("a number"), group["tasks"].as_i64().expect("a number"), text(&group["names"][0]["name"]))).collect();
        assert_eq!(shown, [(1, 1, "Q".to_owned()), (0, 2, "child".to_owned())]);
        assert_eq!(items(&trash)[1]["names"].as_array().expect("names").len(), 2);
        assert_eq!(items(&trash)[0]["deleted_at"], "2026-03-02T09:00:00Z");
        let first = home.ok("trash.list", json!({ "limit": 1 })).await;
        let rest = home.ok("trash.list", json!({ "limit": 1, "cursor": first["next_cursor"] })).await;
        assert_eq!((items(&rest)[0]["tasks"].as_i64(), &rest["next_cursor"]), (Some(2), &json!(null)));
        let group = items(&rest)[0]["delete_group_id"].clone();
        let restored = home.ok("trash.restore", json!({ "delete_group_id": group })).await;
        assert_eq!(restored["changes"].as_array().expect("changes").len(), 2);
        assert_eq!(home.get(&child).await["parent_id"], json!(top));
        home.undo(&restored).await;
        assert_eq!(items(&home.ok("trash.list", json!({})).await).len(), 2);
        assert_eq!(home.refused("trash.restore", json!({ "delete_group_id": group })).await.code(), "not_found", "it is another group now");
        let narrow = home.colleague(&["tasks:*"]);
        let of_project = json!({ "delete_group_id": items(&trash)[0]["delete_group_id"] });
        assert_eq!(home.call_as(&narrow, "trash.restore", of_project.clone()).await.expect_err("refused").code(), "forbidden");
        assert_eq!(home.call_as(&home.stranger(), "trash.restore", of_project).await.expect_err("refused").code(), "not_found");
    }

    async fn a_purge_is_for_good_and_leaves_nothing_behind(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let top = home.task(&project, None, "top").await;
        let below = home.task(&project, Some(&top), "below").await;
        let waits = home.task(&project, None, "waits").await;
        home.ok("tasks.block", json!({ "task_id": waits, "blocker_id": below })).await;
        home.ok("comments.create", json!({ "task_id": below, "body": "words" })).await;
        home.ok("time.create", json!({ "task_id": below, "minutes": 5 })).await;
        // Deleted earlier, below what is purged: it goes too.
        home.ok("tasks.delete", json!({ "task_id": below })).await;
        let gone = home.ok("patches.apply", json!({ "task_patches": [{ "op": "delete", "task_id": top }] })).await;
        let groups = home.ok("trash.list", json!({})).await;
        let input = json!({ "delete_group_id": items(&groups)[0]["delete_group_id"] });
        assert_eq!(home.call_as(&home.colleague(MEMBER), "trash.purge", input.clone()).await.expect_err("refused").code(), "forbidden");
        assert_eq!(home.call_as(&home.stranger(), "trash.purge", input.clone()).await.expect_err("refused").code(), "not_found");
        assert_eq!(home.ok("trash.purge", input.clone()).await, json!({ "projects": 0, "tasks": 2 }));
        assert!(items(&home.ok("trash.list", json!({})).await).is_empty());
        assert!(items(&home.ok("time.list", json!({})).await).is_empty());
        assert_eq!(home.refused("tasks.restore", json!({ "task_id": top })).await.code(), "not_found");
        let undo = json!({ "patch_set_id": gone["patch_set_id"] });
        assert_eq!(home.refused("patches.undo", undo).await.code(), "undo_conflict");
        assert_eq!(home.get(&waits).await["blocked"], false);
        let whole = home.ok("projects.delete", json!({ "project_id": project })).await;
        assert_eq!(whole["changes"].as_array().expect("changes").len(), 2);
        let groups = home.ok("trash.list", json!({})).await;
        let input = json!({ "delete_group_id": items(&groups)[0]["delete_group_id"] });
        assert_eq!(home.ok("trash.purge", input).await, json!({ "projects": 1, "tasks": 1 }));
    }

    async fn a_purged_project_keeps_its_hands_off_what_lives_elsewhere(db: TestDb) {
        let home = Home::new(db).await;
        let (old, new) = (home.project("Old").await, home.project("New").await);
        let top = home.task(&old, None, "top").await;
        let below = home.task(&old, Some(&top), "below").await;
        let deeper = home.task(&old, Some(&below), "deeper").await;
        home.ok("tasks.delete", json!({ "task_id": below })).await;
        home.ok("tasks.move", json!({ "task_id": top, "project_id": new })).await;
        home.ok("projects.delete", json!({ "project_id": old })).await;
        let groups = home.ok("trash.list", json!({})).await;
        let project = items(&groups).iter().find(|group| group["projects"] == 1).expect("the project's").clone();
        let input = json!({ "delete_group_id": project["delete_group_id"] });
        assert_eq!(home.ok("trash.purge", input).await, json!({ "projects": 1, "tasks": 0 }));
        home.ok("tasks.restore", json!({ "task_id": below })).await;
        for id in [&below, &deeper] {
            assert_eq!(home.get(id).await["project_id"], json!(new), "{id}");
        }
    }
}
