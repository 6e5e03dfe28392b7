//! Conversations: who sees them, who may do what, and how they end.

use crate::rig::{Rig, text, user_id};
use serde_json::{Value, json};
use synapscale_core::{
    Actor, ActorKind, Channel, Clock, Ctx, Grants, Origin, PermissionSet, TenantId, new_id,
};
use synapscale_ops::Envelope;
use synapscale_testkit::db_test;

fn ids(page: &Value) -> Vec<String> {
    page["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| text(&item["id"]))
        .collect()
}

fn names(view: &Value) -> Vec<(String, String)> {
    let participants = view["participants"].as_array().expect("participants");
    participants
        .iter()
        .map(|one| (text(&one["name"]), text(&one["role"])))
        .collect()
}

fn pair(name: &str, role: &str) -> (String, String) {
    (name.to_owned(), role.to_owned())
}

db_test! {
    async fn a_conversation_is_pinned_and_changed(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let agent = rig.agent(&ada, "helper").await;
        let begun = rig.call(&ada, "conversations.create", json!({"agent_id": agent})).await;
        let talk = text(&begun["id"]);
        rig.call(&ada, "agents.update", json!({"agent_id": agent, "title": "The helper", "spec": {"instructions": "Two."}})).await;
        let view = rig.call(&ada, "conversations.get", json!({"conversation_id": talk})).await;
        assert_eq!((&view["agent_version"], &view["agent_name"], &view["agent_title"]), (&json!(1), &json!("helper"), &json!("The helper")));
        assert_eq!((&view["title"], &view["status"], &view["head"], &view["run_id"]), (&json!(""), &json!("active"), &Value::Null, &Value::Null));
        assert_eq!(names(&view), [pair("Ada", "owner")]);
        assert_eq!(rig.branch(&ada, &talk).await, Vec::<Value>::new());

        let change = |more: Value| { let mut input = json!({"conversation_id": talk}); input.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object")); input };
        let changed = rig.call(&ada, "conversations.update", change(json!({"title": " Plans ", "agent_version": 2}))).await;
        assert_eq!((&changed["title"], &changed["agent_version"], &changed["revision"]), (&json!("Plans"), &json!(2), &json!(2)));
        assert_eq!(rig.refused(&ada, "conversations.update", change(json!({"agent_version": 3}))).await, "not_found");
        assert_eq!(rig.refused(&ada, "conversations.update", change(json!({"title": "t".repeat(201)}))).await, "length");
        assert_eq!(rig.refused(&ada, "conversations.update", change(json!({"status": null}))).await, "required");
        let stale = Envelope { expected_revision: Some(1), ..Envelope::default() };
        let refused = rig.call_with(&ada, "conversations.update", change(json!({"title": "x"})), stale).await;
        assert_eq!(refused.expect_err("stale").code(), "stale_revision");
        rig.call(&ada, "conversations.update", change(json!({"status": "archived"}))).await;
        assert_eq!(rig.refused(&ada, "conversations.send", json!({"conversation_id": talk, "text": "x"})).await, "conversation_archived");
        let second = rig.call(&ada, "conversations.create", json!({"agent_id": agent, "version": 1, "title": "One"})).await;
        assert_eq!((&second["agent_version"], &second["title"]), (&json!(1), &json!("One")));
        assert_eq!(rig.refused(&ada, "conversations.create", json!({"agent_id": agent, "version": 9})).await, "not_found");
        assert_eq!(rig.refused(&ada, "conversations.create", json!({"agent_id": agent, "version": 0})).await, "range");
    }

    async fn lists_hold_ones_own_and_the_last_changed_first(db: TestDb) {
        let rig = Rig::new(db).await;
        let (ada, bob) = (rig.person("Ada"), rig.person("Bob"));
        let agent = rig.agent(&ada, "helper").await;
        let mut made = Vec::new();
        for _ in 0..3 {
            made.push(text(&rig.call(&ada, "conversations.create", json!({"agent_id": agent})).await["id"]));
        }
        rig.call(&bob, "conversations.create", json!({"agent_id": agent})).await;
        rig.send(&ada, &made[0], "hello").await;
        let first = rig.call(&ada, "conversations.list", json!({"limit": 2})).await;
        let rest = rig.call(&ada, "conversations.list", json!({"limit": 2, "cursor": first["next_cursor"]})).await;
        assert_eq!([ids(&first), ids(&rest)].concat(), [made[0].clone(), made[2].clone(), made[1].clone()]);
        assert!(first["items"][0]["run_id"].is_string() && first["items"][1]["run_id"].is_null());
        rig.call(&ada, "conversations.update", json!({"conversation_id": made[1], "status": "archived"})).await;
        assert_eq!(ids(&rig.call(&ada, "conversations.list", json!({"status": "archived"})).await), [made[1].clone()]);
        assert_eq!(ids(&rig.call(&ada, "conversations.list", json!({"agent_id": agent, "status": "active"})).await).len(), 2);
        assert!(ids(&rig.call(&ada, "conversations.list", json!({"agent_id": new_id()})).await).is_empty());
        assert_eq!(rig.refused(&ada, "conversations.list", json!({"cursor": "e30"})).await, "cursor");
    }

    async fn only_participants_see_a_conversation(db: TestDb) {
        let rig = Rig::new(db).await;
        let (ada, bob) = (rig.person("Ada"), rig.person("Bob"));
        let eve = rig.person_of(TenantId(new_id()), "Eve", &["*"]);
        let talk = rig.talk(&ada).await;
        let (message, reply, _) = rig.send(&ada, &talk, "secret").await;
        let of = |more: Value| { let mut input = json!({"conversation_id": talk}); input.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object")); input };
        for who in [&bob, &eve] {
            for (name, input) in [
                ("conversations.get", of(json!({}))),
                ("conversations.update", of(json!({"title": "x"}))),
                ("conversations.delete", of(json!({}))),
                ("conversations.leave", of(json!({"user_id": user_id(who)}))),
                ("conversations.messages", of(json!({}))),
                ("conversations.messages", of(json!({"head": reply}))),
                ("conversations.send", of(json!({"text": "x"}))),
                ("conversations.edit", of(json!({"message_id": message, "text": "x"}))),
                ("conversations.retry", of(json!({"message_id": reply}))),
                ("conversations.switch", of(json!({"message_id": reply}))),
                ("conversations.stop", of(json!({}))),
                ("conversations.invite", of(json!({"user_id": user_id(who)}))),
            ] {
                assert_eq!(rig.refused(who, name, input).await, "not_found", "{name}");
            }
            assert!(ids(&rig.call(who, "conversations.list", json!({})).await).is_empty());
        }
        assert!(rig.turns.stopped.lock().expect("stopped").is_empty());
        // Nothing of what was said stands in the log, which more people read.
        let events = rig.events(&ada, 4).await;
        assert!(events.iter().all(|event| !format!("{:?} {:?}", event.data, event.changes).contains("secret")), "{events:?}");
    }

    async fn people_come_and_go(db: TestDb) {
        let rig = Rig::new(db).await;
        let (ada, bob, cyd) = (rig.person("Ada"), rig.person("Bob\n"), rig.person("Cyd"));
        let talk = rig.talk(&ada).await;
        let with = |who: &Ctx| json!({"conversation_id": talk, "user_id": user_id(who)});
        let eve = rig.person_of(TenantId(new_id()), "Eve", &["*"]);
        assert_eq!(rig.refused(&ada, "conversations.invite", with(&eve)).await, "not_found", "no member of this workspace");
        let two = rig.call(&ada, "conversations.invite", with(&bob)).await;
        assert_eq!(names(&two), [pair("Ada", "owner"), pair("Bob", "member")]);
        let again = rig.call(&ada, "conversations.invite", with(&bob)).await;
        assert_eq!(again["revision"], two["revision"], "nothing changed");
        assert_eq!(rig.refused(&bob, "conversations.invite", with(&cyd)).await, "owner_only");
        assert_eq!(rig.refused(&bob, "conversations.leave", with(&ada)).await, "owner_only");
        assert_eq!(rig.refused(&bob, "conversations.delete", json!({"conversation_id": talk})).await, "owner_only");
        rig.call(&ada, "conversations.invite", with(&cyd)).await;
        rig.send(&bob, &talk, "hello from Bob").await;
        assert_eq!(rig.branch(&cyd, &talk).await[0]["author"]["id"], json!(user_id(&bob)));
        rig.call(&ada, "conversations.leave", with(&cyd)).await;
        assert_eq!(rig.refused(&cyd, "conversations.get", json!({"conversation_id": talk})).await, "not_found");
        assert_eq!(rig.refused(&ada, "conversations.leave", with(&cyd)).await, "not_found");
        rig.call(&ada, "conversations.leave", with(&ada)).await;
        let left = rig.call(&bob, "conversations.get", json!({"conversation_id": talk})).await;
        assert_eq!(names(&left), [pair("Bob", "owner")], "the conversation passes on");
        assert_eq!(rig.refused(&bob, "conversations.leave", with(&bob)).await, "last_participant");
    }

    async fn agents_act_for_their_person_and_nobody_alone_owns_nothing(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        let all = Grants::of(PermissionSet::all());
        let agent = Actor { kind: ActorKind::Agent, id: new_id() };
        let alone = Ctx::authenticated(rig.tenant, agent, all.clone(), Origin::of(Channel::Run), Clock::system());
        for (name, input) in [("conversations.get", json!({"conversation_id": talk})), ("conversations.list", json!({}))] {
            assert_eq!(rig.refused(&alone, name, input).await, "person_required");
        }
        let for_ada = alone.on_behalf_of(ada.actor(), &all);
        rig.send(&for_ada, &talk, "hi").await;
        assert_eq!(rig.branch(&ada, &talk).await[0]["author"], json!({"kind": "user", "id": user_id(&ada)}));
        let bob = rig.person("Bob");
        let for_bob = ada.on_behalf_of(bob.actor(), &all);
        assert_eq!(rig.refused(&for_bob, "conversations.get", json!({"conversation_id": talk})).await, "not_found");
    }

    async fn a_deleted_conversation_leaves_nothing(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        let (_, _, run) = rig.send(&ada, &talk, "hello").await;
        let stale = Envelope { expected_revision: Some(1), ..Envelope::default() };
        let refused = rig.call_with(&ada, "conversations.delete", json!({"conversation_id": talk}), stale).await;
        assert_eq!(refused.expect_err("stale").code(), "stale_revision");
        rig.call(&ada, "conversations.delete", json!({"conversation_id": talk})).await;
        assert_eq!(*rig.turns.stopped.lock().expect("stopped"), [run]);
        assert_eq!(rig.refused(&ada, "conversations.get", json!({"conversation_id": talk})).await, "not_found");
        for table in ["conversations", "conversation_members", "conversation_messages"] {
            assert_eq!(crate::history::count(&rig, &ada, table).await, 0, "{table}");
        }
        let events = rig.events(&ada, 5).await;
        let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_ref()).collect();
        assert_eq!(kinds, ["agent.created", "conversation.created", "message.added", "message.added", "conversation.deleted"]);
    }

    async fn a_deleted_agents_conversations_stay_readable(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        let (_, reply, run) = rig.send(&ada, &talk, "hello").await;
        crate::history::done(&rig, &ada, &reply, "hi").await;
        rig.turns.set(run, synapscale_agents::RunStanding::Succeeded, None);
        let view = rig.call(&ada, "conversations.get", json!({"conversation_id": talk})).await;
        rig.call(&ada, "agents.delete", json!({"agent_id": view["agent_id"]})).await;
        let after = rig.call(&ada, "conversations.get", json!({"conversation_id": talk})).await;
        assert_eq!(after["agent_name"], view["agent_name"]);
        assert_eq!(rig.branch(&ada, &talk).await.len(), 2);
        assert_eq!(rig.refused(&ada, "conversations.send", json!({"conversation_id": talk, "text": "x"})).await, "agent_deleted");
    }
}
