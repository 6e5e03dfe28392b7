//! One reply at a time: busy conversations, races, stops, and runs that end without a word.

use crate::history::{done, end, reply};
use crate::rig::{Rig, code, id, text};
use futures::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use synapscale_agents::RunStanding;
use synapscale_agents::service::messages::{Ended, Reply};
use synapscale_testkit::db_test;

db_test! {
    async fn a_conversation_is_busy_until_its_reply_ends(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        let sent = rig.call(&ada, "conversations.send", json!({"conversation_id": talk, "text": "one"})).await;
        let (message, first, run) = (text(&sent["message"]["id"]), text(&sent["reply"]["id"]), id(&sent["run_id"]));
        assert_eq!((&sent["message"]["status"], &sent["reply"]["status"], &sent["reply"]["text"]), (&json!("done"), &json!("running"), &json!("")));
        assert_eq!((&sent["message"]["siblings"], &sent["reply"]["parent_id"]), (&json!([message]), &json!(message)));
        assert_eq!(sent["reply"]["author"]["kind"], "agent");
        let (started, wanted) = rig.turns.last();
        assert_eq!((started, wanted.message_id.to_string(), wanted.conversation_id.to_string(), wanted.version), (run, first.clone(), talk.clone(), 1));
        let calls = [
            ("conversations.send", json!({"conversation_id": talk, "text": "two"})),
            ("conversations.edit", json!({"conversation_id": talk, "message_id": message, "text": "two"})),
            ("conversations.retry", json!({"conversation_id": talk, "message_id": first})),
        ];
        for standing in [RunStanding::Running, RunStanding::Waiting] {
            rig.turns.set(run, standing, None);
            for (name, input) in &calls {
                assert_eq!(rig.refused(&ada, name, input.clone()).await, "conversation_busy");
            }
        }
        assert_eq!(rig.branch(&ada, &talk).await[1]["status"], "waiting");
        done(&rig, &ada, &first, "re").await;
        rig.send(&ada, &talk, "two").await;
    }

    async fn of_many_senders_at_once_one_passes(db: TestDb) {
        let rig = Arc::new(Rig::new(db).await);
        let ada = rig.person("Ada");
        for _ in 0..4 {
            let talk = rig.talk(&ada).await;
            let each = (0..6).map(|n| {
                let (rig, ada, talk) = (rig.clone(), ada.clone(), talk.clone());
                async move { rig.try_call(&ada, "conversations.send", json!({"conversation_id": talk, "text": n.to_string()})).await }
            });
            let answers = join_all(each).await;
            let refused: Vec<String> = answers.iter().filter_map(|answer| answer.as_ref().err().map(code)).collect();
            assert_eq!(refused, vec!["conversation_busy"; 5]);
            assert_eq!(rig.branch(&ada, &talk).await.len(), 2);
        }
        assert_eq!(rig.turns.started.lock().expect("started").len(), 4);
    }

    async fn a_run_that_cannot_start_leaves_nothing(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        *rig.turns.refuses.lock().expect("refuses") = true;
        assert_eq!(rig.refused(&ada, "conversations.send", json!({"conversation_id": talk, "text": "one"})).await, "no_engine");
        assert_eq!(rig.branch(&ada, &talk).await, Vec::<Value>::new());
        *rig.turns.refuses.lock().expect("refuses") = false;
        rig.send(&ada, &talk, "one").await;
    }

    async fn a_reply_may_end_in_the_transaction_that_begins_it(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        *rig.turns.at_once.lock().expect("at once") = Some("at once".to_owned());
        for _ in 0..2 {
            let sent = rig.call(&ada, "conversations.send", json!({"conversation_id": talk, "text": "one"})).await;
            assert_eq!((&sent["reply"]["status"], &sent["reply"]["text"], &sent["reply"]["run_id"]), (&json!("done"), &json!("at once"), &sent["run_id"]));
            let view = rig.call(&ada, "conversations.get", json!({"conversation_id": talk})).await;
            assert_eq!((&view["run_id"], &view["head"]), (&Value::Null, &sent["reply"]["id"]));
        }
    }

    async fn stopping_keeps_what_was_said(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        let stop = json!({"conversation_id": talk});
        let before = rig.call(&ada, "conversations.stop", stop.clone()).await;
        assert_eq!((&before["run_id"], &before["revision"]), (&Value::Null, &json!(1)), "nothing to stop");
        let (_, first, run) = rig.send(&ada, &talk, "one").await;
        rig.turns.said.lock().expect("said").insert(run, "So far".to_owned());
        let after = rig.call(&ada, "conversations.stop", stop.clone()).await;
        assert_eq!((&after["run_id"], &after["head"]), (&Value::Null, &json!(first)));
        assert_eq!(*rig.turns.stopped.lock().expect("stopped"), [run]);
        let shown = rig.branch(&ada, &talk).await[1].clone();
        assert_eq!((&shown["status"], &shown["text"], &shown["stop"]["reason"]), (&json!("stopped"), &json!("So far"), &json!("cancelled")));
        assert_eq!(shown["parts"], json!([{"type": "text", "text": "So far"}]));
        rig.call(&ada, "conversations.stop", stop).await;
        assert_eq!(rig.turns.stopped.lock().expect("stopped").len(), 1, "once is enough");
        // What the loop kept of it comes later; the reply stays stopped.
        let late = Reply { text: "So far, so good".to_owned(), ..reply(Ended::Done, "So far, so good") };
        end(&rig, &ada, &first, late).await.expect("kept");
        done(&rig, &ada, &first, "and more, much more than that").await;
        let shown = rig.branch(&ada, &talk).await[1].clone();
        assert_eq!((&shown["status"], &shown["text"], &shown["usage"]["input"]), (&json!("stopped"), &json!("So far, so good"), &json!(10)));
        let finished = rig.events(&ada, 5).await.iter().filter(|event| event.kind == "message.finished").count();
        assert_eq!(finished, 1);
        rig.send(&ada, &talk, "two").await;
    }

    async fn a_stop_and_an_end_at_once_leave_one_of_them(db: TestDb) {
        let rig = Arc::new(Rig::new(db).await);
        let ada = rig.person("Ada");
        for _ in 0..6 {
            let talk = rig.talk(&ada).await;
            let (_, first, _) = rig.send(&ada, &talk, "one").await;
            let stop = rig.try_call(&ada, "conversations.stop", json!({"conversation_id": talk}));
            let (stopped, ended) = futures::join!(stop, end(&rig, &ada, &first, reply(Ended::Done, "whole")));
            stopped.expect("stopped");
            ended.expect("ended");
            let shown = rig.branch(&ada, &talk).await[1].clone();
            let view = rig.call(&ada, "conversations.get", json!({"conversation_id": talk})).await;
            assert!(view["run_id"].is_null());
            assert!(matches!(shown["status"].as_str(), Some("done" | "stopped")), "{shown}");
            assert_eq!(shown["text"], "whole", "what was kept later counts too");
        }
    }

    async fn a_run_that_ended_without_a_word_is_told_and_settled(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let talk = rig.talk(&ada).await;
        let error = json!({"kind": "internal", "code": "crashed", "message": "It crashed.", "more": 1});
        for (standing, error, status, told) in [
            (RunStanding::Failed, Some(error), "failed", json!({"code": "crashed", "message": "It crashed."})),
            (RunStanding::Failed, None, "failed", json!({"code": "run_failed", "message": "The run ended without an answer."})),
            (RunStanding::Cancelled, None, "stopped", Value::Null),
            (RunStanding::Succeeded, None, "done", Value::Null),
        ] {
            let (_, reply, run) = rig.send(&ada, &talk, "one").await;
            rig.turns.set(run, standing, error);
            for _ in 0..2 {
                let branch = rig.branch(&ada, &talk).await;
                let shown = branch.iter().find(|message| message["id"] == json!(reply)).expect("the reply");
                assert_eq!((&shown["status"], &shown["error"]), (&json!(status), &told));
                let view = rig.call(&ada, "conversations.get", json!({"conversation_id": talk})).await;
                assert!(view["run_id"].is_null());
                // Stopping what is over settles it.
                rig.call(&ada, "conversations.stop", json!({"conversation_id": talk})).await;
            }
        }
        // A run that is gone altogether blocks nobody.
        let (_, reply, run) = rig.send(&ada, &talk, "one").await;
        rig.turns.states.lock().expect("states").remove(&run);
        rig.send(&ada, &talk, "two").await;
        let branch = rig.branch(&ada, &talk).await;
        let shown = branch.iter().find(|message| message["id"] == json!(reply)).expect("the reply");
        assert_eq!((&shown["status"], &shown["error"]["code"]), (&json!("failed"), &json!("run_lost")));
        assert!(rig.turns.stopped.lock().expect("stopped").is_empty());
    }

    async fn a_paused_agent_answers_nothing(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let agent = rig.agent(&ada, "helper").await;
        let talk = text(&rig.call(&ada, "conversations.create", json!({"agent_id": agent})).await["id"]);
        rig.call(&ada, "agents.update", json!({"agent_id": agent, "status": "paused"})).await;
        assert_eq!(rig.refused(&ada, "conversations.send", json!({"conversation_id": talk, "text": "x"})).await, "agent_paused");
        assert_eq!(rig.refused(&ada, "conversations.create", json!({"agent_id": agent})).await, "agent_paused");
        rig.call(&ada, "agents.update", json!({"agent_id": agent, "status": "active"})).await;
        rig.send(&ada, &talk, "x").await;
    }
}
