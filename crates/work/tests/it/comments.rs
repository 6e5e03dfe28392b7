//! Comments, and what is told of a task.

use crate::home::{Home, MEMBER, items, text};
use serde_json::json;
use synapscale_testkit::db_test;

db_test! {
    async fn comments_are_written_edited_paged_and_deleted(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let task = home.task(&project, None, "t").await;
        let mut ids = Vec::new();
        for n in 0..5 {
            let made = home.ok("comments.create", json!({ "task_id": task, "body": format!("**{n}**") })).await;
            ids.push(text(&made["id"]));
        }
        let page = home.ok("comments.list", json!({ "task_id": task, "limit": 3 })).await;
        assert_eq!(items(&page).len(), 3);
        let rest = home.ok("comments.list", json!({ "task_id": task, "limit": 3, "cursor": page["next_cursor"] })).await;
        assert_eq!((items(&rest).len(), &rest["next_cursor"]), (2, &json!(null)));
        let newest = home.ok("comments.list", json!({ "task_id": task, "newest_first": true, "limit": 1 })).await;
        assert_eq!(items(&newest)[0]["body"], "**4**");
        let edited = home.ok("comments.update", json!({ "comment_id": ids[0], "body": "other" })).await;
        assert_eq!((&edited["body"], &edited["revision"]), (&json!("other"), &json!(2)));
        home.ok("comments.delete", json!({ "comment_id": ids[1] })).await;
        assert_eq!(items(&home.ok("comments.list", json!({ "task_id": task })).await).len(), 4);
        let error = home.refused("comments.create", json!({ "task_id": task, "body": "  " })).await;
        assert_eq!(error.fields()[0].pointer, "/body");
    }

    async fn comments_belong_to_their_authors(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let task = home.task(&project, None, "t").await;
        let colleague = home.colleague(MEMBER);
        let mine = home.ok("comments.create", json!({ "task_id": task, "body": "mine" })).await;
        let theirs = home.call_as(&colleague, "comments.create", json!({ "task_id": task, "body": "theirs" })).await.expect("theirs");
        let update = json!({ "comment_id": mine["id"], "body": "taken" });
        assert_eq!(home.call_as(&colleague, "comments.update", update.clone()).await.expect_err("refused").code(), "not_author");
        let delete = json!({ "comment_id": mine["id"] });
        assert_eq!(home.call_as(&colleague, "comments.delete", delete.clone()).await.expect_err("refused").code(), "forbidden");
        // An admin edits nobody's words, and may take them away.
        assert_eq!(home.refused("comments.update", json!({ "comment_id": theirs["id"], "body": "x" })).await.code(), "not_author");
        home.ok("comments.delete", json!({ "comment_id": theirs["id"] })).await;
        let stranger = home.stranger();
        for (name, input) in [("comments.update", update), ("comments.delete", delete), ("comments.list", json!({ "task_id": task })), ("tasks.activity", json!({ "task_id": task }))] {
            assert_eq!(home.call_as(&stranger, name, input).await.expect_err("refused").code(), "not_found", "{name}");
        }
        home.ok("tasks.delete", json!({ "task_id": task })).await;
        assert_eq!(home.refused("comments.list", json!({ "task_id": task })).await.code(), "not_found");
        assert_eq!(home.refused("comments.update", json!({ "comment_id": mine["id"], "body": "x" })).await.code(), "not_found");
    }

    async fn activity_tells_what_happened_to_a_task_and_no_other(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let (task, other) = (home.task(&project, None, "t").await, home.task(&project, None, "o").await);
        home.ok("tasks.update", json!({ "task_id": task, "title": "u" })).await;
        home.ok("tasks.update", json!({ "task_id": other, "title": "v" })).await;
        home.ok("comments.create", json!({ "task_id": task, "body": "words" })).await;
        let mut kinds: Vec<String> = Vec::new();
        // On PostgreSQL the log shows what no running transaction can still precede.
        for _ in 0..100 {
            let all = home.ok("tasks.activity", json!({ "task_id": task })).await;
            kinds = items(&all).iter().map(|item| text(&item["kind"])).collect();
            if kinds.len() == 3 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(kinds, ["comment.created", "task.updated", "task.created"]);
        let first = home.ok("tasks.activity", json!({ "task_id": task, "limit": 2 })).await;
        assert_eq!(items(&first)[1]["changes"]["title"], json!({ "before": "t", "after": "u" }));
        let rest = home.ok("tasks.activity", json!({ "task_id": task, "limit": 2, "cursor": first["next_cursor"] })).await;
        assert_eq!(items(&rest)[0]["kind"], "task.created");
        assert_eq!(home.refused("tasks.activity", json!({ "task_id": task, "cursor": "x" })).await.fields()[0].pointer, "/cursor");
    }
}
