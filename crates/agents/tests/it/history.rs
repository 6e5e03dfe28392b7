//! What the tool loop reads and writes: histories and finished replies.

use crate::rig::{Rig, id, text, user_id};
use serde_json::{Value, json};
use synapscale_agents::service::messages::{
    Ended, Reply, Said, as_messages, finish, history, history_within,
};
use synapscale_agents::view::{CallStatus, Part, ReplyError, ReplyStop, ReplyUsage, StopReason};
use synapscale_core::{Ctx, Result, new_id};
use synapscale_llm::model::{self, Message, Role, ToolCall};
use synapscale_store::orm::sea_query::{Alias, Expr, ExprTrait, Query};
use synapscale_testkit::db_test;
use uuid::Uuid;

/// A reply of one text.
pub fn reply(status: Ended, words: &str) -> Reply {
    Reply {
        status,
        messages: vec![Message::assistant(words)],
        text: words.to_owned(),
        parts: vec![Part::Text {
            text: words.to_owned(),
        }],
        model: Some("test/model".to_owned()),
        usage: Some(ReplyUsage { input: 10, output: 2 }),
        cost_nano_usd: Some(5),
        stop: None,
        error: None,
    }
}

pub async fn end(rig: &Rig, ctx: &Ctx, message: &str, reply: Reply) -> Result<()> {
    let message = id(&json!(message));
    rig.write(ctx, move |tx| {
        let reply = reply.clone();
        async move { finish(&tx, message, reply).await }
    })
    .await
}

/// Ends a reply well.
pub async fn done(rig: &Rig, ctx: &Ctx, message: &str, words: &str) {
    end(rig, ctx, message, reply(Ended::Done, words))
        .await
        .expect("finished");
}

pub async fn history_of(rig: &Rig, ctx: &Ctx, message: Uuid) -> Vec<Said> {
    rig.store
        .read(ctx, move |tx| async move { history(&tx, message).await })
        .await
        .expect("a history")
}

/// How many rows of the tenant's a table has.
pub async fn count(rig: &Rig, ctx: &Ctx, table: &'static str) -> i64 {
    let rows = rig.store.read(ctx, move |tx| async move {
        let mut query = Query::select();
        query
            .expr(Expr::val(1).count())
            .from(Alias::new(table))
            .and_where(Expr::col(Alias::new("tenant_id")).eq(tx.tenant_value()));
        tx.query_by(&query, |row| row.try_get_by_index::<i64>(0)).await
    });
    rows.await.expect("counted")[0]
}

fn spoken(history: Vec<Said>) -> Vec<(Role, String)> {
    as_messages(history)
        .into_iter()
        .map(|message| (message.role, message.text()))
        .collect()
}

fn one(role: Role, words: &str) -> (Role, String) {
    (role, words.to_owned())
}

db_test! {
    async fn a_whole_reply_comes_back_with_its_tools(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        let (_, first, run) = rig.send(&ada, &talk, "look").await;
        let asked = Message::of(Role::Assistant, vec![
            model::Part::Thinking(model::ThinkingPart { text: "hm".to_owned(), signature: Some("s".to_owned()) }),
            model::Part::ToolCall(ToolCall::new("c1".to_owned(), "tasks_list".to_owned(), "{\"limit\": 1.50}".to_owned())),
        ]);
        let messages = vec![asked, Message::tool_result("c1", "x\0".repeat(60_000)), Message::assistant("Done\0.")];
        let parts = vec![
            Part::Thinking { text: "hm".to_owned() },
            Part::ToolCall { id: "c1".to_owned(), name: "tasks.list".to_owned(), arguments: json!({"limit": 1.5}), status: CallStatus::Done, result: json!("y".repeat(70_000)), path: "t1.c0".to_owned() },
            Part::Text { text: "Done\0.".to_owned() },
        ];
        let whole = Reply { messages: messages.clone(), parts, text: "Done\0.".to_owned(), ..reply(Ended::Done, "") };
        end(&rig, &ada, &first, whole).await.expect("finished");
        let shown = rig.branch(&ada, &talk).await[1].clone();
        assert_eq!((&shown["status"], &shown["text"]), (&json!("done"), &json!("Done\u{fffd}.")));
        assert_eq!((&shown["model"], &shown["usage"], &shown["cost_nano_usd"]), (&json!("test/model"), &json!({"input": 10, "output": 2}), &json!(5)));
        assert_eq!((&shown["parts"][1]["name"], &shown["parts"][1]["status"], &shown["parts"][1]["path"]), (&json!("tasks.list"), &json!("done"), &json!("t1.c0")));
        assert_eq!(text(&shown["parts"][1]["result"]).len(), 70_000);
        assert!(shown["finished_at"].is_string());
        assert_eq!(count(&rig, &ada, "blobs").await, 2, "both are too large for the row");

        let (_, second, _) = rig.send(&ada, &talk, "and now?").await;
        let read = history_of(&rig, &ada, id(&json!(second))).await;
        assert!(read.iter().all(|said| said.author.is_none()), "one person needs no name");
        let read: Vec<Message> = read.into_iter().map(|said| said.message).collect();
        assert_eq!((read.len(), &read[0], &read[1], &read[4]), (5, &Message::user("look"), &messages[0], &Message::user("and now?")));
        assert_eq!(read[2].content.len(), 1);
        let told = rig.events(&ada, 6).await;
        let finished = told.iter().find(|event| event.kind == "message.finished").expect("told");
        assert_eq!(finished.data, json!({"conversation_id": talk, "run_id": run, "status": "done"}));
        assert_eq!(finished.subject, format!("message:{first}"));
        rig.call(&ada, "conversations.delete", json!({"conversation_id": talk})).await;
        assert_eq!(count(&rig, &ada, "blobs").await, 0);
    }

    async fn what_failed_or_was_stopped_gives_its_text_only(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        let (_, first, _) = rig.send(&ada, &talk, "one").await;
        let failed = Reply { text: String::new(), error: Some(ReplyError { code: "boom".to_owned(), message: "It broke.".to_owned() }), ..reply(Ended::Failed, "never") };
        end(&rig, &ada, &first, failed).await.expect("finished");
        let (_, second, _) = rig.send(&ada, &talk, "two").await;
        let stop = ReplyStop { reason: StopReason::Turns, detail: "20 turns".to_owned() };
        let stopped = Reply { text: "half".to_owned(), stop: Some(stop), cost_nano_usd: None, usage: None, ..reply(Ended::Stopped, "never") };
        end(&rig, &ada, &second, stopped).await.expect("finished");
        let (_, third, _) = rig.send(&ada, &talk, "three").await;
        let read = history_of(&rig, &ada, id(&json!(third))).await;
        assert_eq!(read.len(), 4, "an empty reply is left out");
        assert_eq!(spoken(read), [one(Role::User, "one\n\ntwo"), one(Role::Assistant, "half"), one(Role::User, "three")]);
        let branch = rig.branch(&ada, &talk).await;
        assert_eq!((&branch[1]["status"], &branch[1]["error"]), (&json!("failed"), &json!({"code": "boom", "message": "It broke."})));
        assert_eq!((&branch[3]["status"], &branch[3]["stop"]), (&json!("stopped"), &json!({"reason": "turns", "detail": "20 turns"})));
        assert_eq!((&branch[3]["usage"], &branch[3]["cost_nano_usd"]), (&Value::Null, &Value::Null));
    }

    async fn names_are_given_where_several_people_talk(db: TestDb) {
        let rig = Rig::new(db).await;
        let (ada, bob) = (rig.person("Ada"), rig.person("Bob"));
        let talk = rig.talk(&ada).await;
        let (_, first, _) = rig.send(&ada, &talk, "hello").await;
        assert_eq!(spoken(history_of(&rig, &ada, id(&json!(first))).await), [one(Role::User, "hello")]);
        done(&rig, &ada, &first, "hi").await;
        rig.call(&ada, "conversations.invite", json!({"conversation_id": talk, "user_id": user_id(&bob)})).await;
        let (_, second, _) = rig.send(&bob, &talk, "me too").await;
        let expected = [one(Role::User, "Ada: hello"), one(Role::Assistant, "hi"), one(Role::User, "Bob: me too")];
        assert_eq!(spoken(history_of(&rig, &ada, id(&json!(second))).await), expected);
        done(&rig, &ada, &second, "hi").await;
        // Whoever left has still said it.
        rig.call(&ada, "conversations.leave", json!({"conversation_id": talk, "user_id": user_id(&bob)})).await;
        let (_, third, _) = rig.send(&ada, &talk, "bye").await;
        let read = history_of(&rig, &ada, id(&json!(third))).await;
        assert_eq!(read[2].author.as_deref(), Some("Bob"));
    }

    async fn a_reply_ends_once(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        let (_, first, run) = rig.send(&ada, &talk, "one").await;
        let busy = rig.call(&ada, "conversations.get", json!({"conversation_id": talk})).await;
        assert_eq!(busy["run_id"], json!(run));
        done(&rig, &ada, &first, "first").await;
        done(&rig, &ada, &first, "second").await;
        end(&rig, &ada, &first, reply(Ended::Failed, "third")).await.expect("nothing");
        let branch = rig.branch(&ada, &talk).await;
        assert_eq!((&branch[1]["text"], &branch[1]["status"]), (&json!("first"), &json!("done")));
        let free = rig.call(&ada, "conversations.get", json!({"conversation_id": talk})).await;
        assert_eq!((&free["run_id"], &free["head"]), (&Value::Null, &json!(first)));
        assert!(free["revision"].as_i64() > busy["revision"].as_i64());
        let finished = rig.events(&ada, 5).await.iter().filter(|event| event.kind == "message.finished").count();
        assert_eq!(finished, 1);
        end(&rig, &ada, &new_id().to_string(), reply(Ended::Done, "x")).await.expect("a message that is gone is no fault");
    }

    async fn a_history_over_its_bound_loses_its_oldest(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        for number in 0..4 {
            let (_, answer, _) = rig.send(&ada, &talk, &number.to_string()).await;
            done(&rig, &ada, &answer, &format!("{number}{}", "x".repeat(6_000))).await;
        }
        let (_, last, _) = rig.send(&ada, &talk, "end").await;
        let last = id(&json!(last));
        for (bytes, expected) in [
            (16_000, vec!["2", "2xx", "3", "3xx", "end"]),
            (12_500, vec!["2", "2xx", "3", "3xx", "end"]),
            (7_000, vec!["3", "3xx", "end"]),
            (100, vec!["end"]),
            (0, vec!["end"]),
        ] {
            let read = rig.store.read(&ada, |tx| async move { history_within(&tx, last, bytes).await }).await.expect("a history");
            let starts: Vec<String> = read.iter().map(|said| said.message.text().chars().take(3).collect()).collect();
            assert_eq!(starts, expected, "{bytes}");
        }
        assert_eq!(history_of(&rig, &ada, last).await.len(), 9);
    }
}
