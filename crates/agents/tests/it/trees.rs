//! Branches: edits, retries, switches, pages.

use crate::history::done;
use crate::rig::{Rig, id, text};
use serde_json::{Value, json};
use synapscale_core::{Ctx, new_id};
use synapscale_testkit::db_test;

/// Sends, and ends the reply.
async fn said(rig: &Rig, ctx: &Ctx, talk: &str, words: &str) -> (String, String) {
    let (message, reply, _) = rig.send(ctx, talk, words).await;
    done(rig, ctx, &reply, &format!("re: {words}")).await;
    (message, reply)
}

fn texts(branch: &[Value]) -> Vec<String> {
    branch.iter().map(|message| text(&message["text"])).collect()
}

fn of(talk: &str, message: &str) -> Value {
    json!({"conversation_id": talk, "message_id": message})
}

fn with_text(talk: &str, message: &str, words: &str) -> Value {
    json!({"conversation_id": talk, "message_id": message, "text": words})
}

db_test! {
    async fn edits_retries_and_switches_make_a_tree(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        let (one, re_one) = said(&rig, &ada, &talk, "one").await;
        let (two, re_two) = said(&rig, &ada, &talk, "two").await;
        assert_eq!(texts(&rig.branch(&ada, &talk).await), ["one", "re: one", "two", "re: two"]);

        let edited = rig.call(&ada, "conversations.edit", with_text(&talk, &two, "zwei")).await;
        let (zwei, re_zwei) = (text(&edited["message"]["id"]), text(&edited["reply"]["id"]));
        assert_eq!(edited["message"]["siblings"], json!([two, zwei]));
        assert_eq!(edited["message"]["parent_id"], json!(re_one));
        done(&rig, &ada, &re_zwei, "re: zwei").await;
        assert_eq!(texts(&rig.branch(&ada, &talk).await), ["one", "re: one", "zwei", "re: zwei"]);

        let retried = rig.call(&ada, "conversations.retry", of(&talk, &re_zwei)).await;
        let again = text(&retried["reply"]["id"]);
        assert_eq!((&retried["reply"]["siblings"], &retried["reply"]["status"]), (&json!([re_zwei, again]), &json!("running")));
        assert_eq!(retried["run_id"], retried["reply"]["run_id"]);
        done(&rig, &ada, &again, "again").await;
        assert_eq!(texts(&rig.branch(&ada, &talk).await), ["one", "re: one", "zwei", "again"]);

        let root = rig.call(&ada, "conversations.edit", with_text(&talk, &one, "eins")).await;
        let (eins, re_eins) = (text(&root["message"]["id"]), text(&root["reply"]["id"]));
        assert_eq!((&root["message"]["parent_id"], &root["message"]["siblings"]), (&Value::Null, &json!([one, eins])));
        done(&rig, &ada, &re_eins, "re: eins").await;
        assert_eq!(texts(&rig.branch(&ada, &talk).await), ["eins", "re: eins"]);

        for (to, head, expected) in [
            (&one, &again, vec!["one", "re: one", "zwei", "again"]),
            (&two, &re_two, vec!["one", "re: one", "two", "re: two"]),
            (&re_zwei, &re_zwei, vec!["one", "re: one", "zwei", "re: zwei"]),
            (&eins, &re_eins, vec!["eins", "re: eins"]),
        ] {
            let view = rig.call(&ada, "conversations.switch", of(&talk, to)).await;
            assert_eq!(view["head"], json!(head));
            assert_eq!(texts(&rig.branch(&ada, &talk).await), expected);
        }
        // A branch that is not the head's is read by naming its end, and gone on with by naming the parent.
        let page = rig.call(&ada, "conversations.messages", json!({"conversation_id": talk, "head": re_two})).await;
        assert_eq!(page["items"].as_array().expect("items").len(), 4);
        let on = rig.call(&ada, "conversations.send", json!({"conversation_id": talk, "text": "on", "parent_id": re_two})).await;
        done(&rig, &ada, &text(&on["reply"]["id"]), "re: on").await;
        assert_eq!(texts(&rig.branch(&ada, &talk).await), ["one", "re: one", "two", "re: two", "on", "re: on"]);
        let history = crate::history::history_of(&rig, &ada, id(&on["reply"]["id"])).await;
        assert_eq!(history.len(), 5);
    }

    async fn what_is_none_of_the_kind_is_refused(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let (talk, other) = (rig.talk(&ada).await, rig.talk(&ada).await);
        let (one, reply) = said(&rig, &ada, &talk, "one").await;
        let (theirs, re_theirs) = said(&rig, &ada, &other, "other").await;
        let nobody = new_id().to_string();
        assert_eq!(rig.refused(&ada, "conversations.edit", with_text(&talk, &reply, "x")).await, "not_a_user_message");
        assert_eq!(rig.refused(&ada, "conversations.retry", of(&talk, &one)).await, "not_a_reply");
        for message in [&theirs, &re_theirs, &nobody] {
            assert_eq!(rig.refused(&ada, "conversations.edit", with_text(&talk, message, "x")).await, "not_found");
            assert_eq!(rig.refused(&ada, "conversations.retry", of(&talk, message)).await, "not_found");
            assert_eq!(rig.refused(&ada, "conversations.switch", of(&talk, message)).await, "not_found");
            assert_eq!(rig.refused(&ada, "conversations.messages", json!({"conversation_id": talk, "head": message})).await, "not_found");
            assert_eq!(rig.refused(&ada, "conversations.send", json!({"conversation_id": talk, "text": "x", "parent_id": message})).await, "not_found");
        }
        let send = |more: Value| { let mut input = json!({"conversation_id": talk}); input.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object")); input };
        assert_eq!(rig.refused(&ada, "conversations.send", send(json!({"text": "x", "parent_id": one}))).await, "not_a_reply");
        assert_eq!(rig.refused(&ada, "conversations.send", send(json!({"text": ""}))).await, "length");
        assert_eq!(rig.refused(&ada, "conversations.send", send(json!({"text": " \n"}))).await, "required");
        assert_eq!(rig.refused(&ada, "conversations.send", send(json!({"text": "x".repeat(200_001)}))).await, "length");
        assert_eq!(rig.refused(&ada, "conversations.send", send(json!({"text": "x", "role": "assistant"}))).await, "unknown_field");
        assert_eq!(rig.refused(&ada, "conversations.messages", json!({"conversation_id": talk, "cursor": "x"})).await, "cursor");
        assert_eq!(rig.branch(&ada, &talk).await.len(), 2, "nothing was kept");
        rig.call(&ada, "conversations.send", send(json!({"text": "x".repeat(200_000)}))).await;
    }

    async fn long_branches_come_page_by_page_and_whole_into_the_history(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        let mut last = String::new();
        for number in 0..105 {
            last = said(&rig, &ada, &talk, &number.to_string()).await.1;
        }
        let (mut cursor, mut seen) = (Value::Null, Vec::new());
        for size in [50, 50, 50, 50, 10] {
            let page = rig.call(&ada, "conversations.messages", json!({"conversation_id": talk, "cursor": cursor})).await;
            let items = page["items"].as_array().cloned().expect("items");
            assert_eq!(items.len(), size);
            seen.extend(items);
            cursor = page["next_cursor"].clone();
        }
        assert!(cursor.is_null());
        seen.reverse();
        let expected: Vec<String> = (0..105).flat_map(|n| [n.to_string(), format!("re: {n}")]).collect();
        assert_eq!(texts(&seen), expected);
        let history = crate::history::history_of(&rig, &ada, id(&json!(last))).await;
        let words: Vec<String> = history.iter().map(|said| said.message.text()).collect();
        assert_eq!(words, expected[..209]);
        let exact = rig.call(&ada, "conversations.messages", json!({"conversation_id": talk, "limit": 105})).await;
        let rest = rig.call(&ada, "conversations.messages", json!({"conversation_id": talk, "limit": 105, "cursor": exact["next_cursor"]})).await;
        assert_eq!(rest["next_cursor"], Value::Null);
    }

    async fn titles_come_from_the_first_message_unless_given(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        said(&rig, &ada, &talk, &format!("\n {} \nsecond line", "ab".repeat(60))).await;
        let view = rig.call(&ada, "conversations.get", json!({"conversation_id": talk})).await;
        assert_eq!(view["title"], "ab".repeat(40));
        assert_eq!(rig.turns.last().1.title, "ab".repeat(40));
        let agent = rig.agent(&ada, "helper").await;
        let named = rig.call(&ada, "conversations.create", json!({"agent_id": agent, "title": "Mine"})).await;
        rig.send(&ada, &text(&named["id"]), "hello").await;
        let view = rig.call(&ada, "conversations.get", json!({"conversation_id": named["id"]})).await;
        assert_eq!(view["title"], "Mine");
    }
}
