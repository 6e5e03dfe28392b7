//! Agents: made, versioned, changed, deleted, counted.

use crate::rig::{Rig, id, text, user_id};
use futures::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use synapscale_agents::service::agents::{Counted, Outcome, count, resolve};
use synapscale_core::{TenantId, new_id};
use synapscale_ops::Envelope;
use synapscale_testkit::db_test;
use uuid::Uuid;

fn counted(outcome: Outcome) -> Counted {
    Counted {
        outcome,
        turns: 3,
        tool_calls: 2,
        tool_errors: 1,
        input_tokens: 100,
        output_tokens: 10,
        cost_nano_usd: Some(7),
        ms: 50,
    }
}

db_test! {
    async fn the_schema_is_what_the_code_believes_and_goes_away_again(db: TestDb) {
        let rig = Rig::new(db).await;
        assert_eq!(rig.store.check_schema(&rig.entities).await.expect("checked"), []);
        rig.migrations.rollback(&rig.store, 1).await.expect("down");
        rig.migrations.migrate(&rig.store).await.expect("up again");
        assert_eq!(rig.store.check_schema(&rig.entities).await.expect("checked"), []);
    }

    async fn an_agent_lives_from_its_making_to_its_end(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let spec = json!({"instructions": "Be brief.", "tools": [{"name": "tasks.*"}]});
        let made = rig.call(&ada, "agents.create", json!({"name": "helper", "spec": spec, "metadata": {"a": 1}})).await;
        assert_eq!((&made["title"], &made["status"], &made["version"], &made["revision"]), (&json!("helper"), &json!("active"), &json!(1), &json!(1)));
        assert_eq!(made["spec"]["model"], "default");
        assert_eq!(made["spec"]["limits"], json!({"turns": 20, "tokens": 500_000, "seconds": 600, "cost_nano_usd": null, "parallel_tool_calls": 8}));
        assert_eq!(made["spec"]["tools"], json!([{"name": "tasks.*", "approval": "changes"}]));
        assert_eq!((&made["metadata"], &made["capabilities"], &made["settings"]), (&json!({"a": 1}), &json!({}), &json!({})));
        assert_eq!(made["created_by"]["id"], json!(user_id(&ada)));
        assert_eq!((&made["performance_metrics"]["runs"], &made["performance_metrics"]["mean_ms"]), (&json!(0), &Value::Null));
        let agent = text(&made["id"]);
        assert_eq!(rig.call(&ada, "agents.get", json!({"agent_id": agent})).await, made);
        assert_eq!(rig.refused(&ada, "agents.create", json!({"name": "helper", "spec": {}})).await, "name_taken");

        let gone = rig.call(&ada, "agents.delete", json!({"agent_id": agent})).await;
        assert_eq!(gone["name"], "helper");
        for name in ["agents.get", "agents.versions", "agents.tools", "agents.delete"] {
            assert_eq!(rig.refused(&ada, name, json!({"agent_id": agent})).await, "not_found", "{name}");
        }
        assert_eq!(rig.call(&ada, "agents.list", json!({})).await["items"], json!([]));
        let again = rig.call(&ada, "agents.create", json!({"name": "helper", "spec": {}})).await;
        assert_ne!(again["id"], made["id"], "the name is free");
        let kinds: Vec<String> = rig.events(&ada, 3).await.iter().map(|event| event.kind.to_string()).collect();
        assert_eq!(kinds, ["agent.created", "agent.deleted", "agent.created"]);
    }

    async fn a_spec_that_differs_is_a_new_version_and_old_ones_stay(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let agent = rig.agent(&ada, "helper").await;
        let update = |spec: Value| json!({"agent_id": agent, "spec": spec, "note": "n"});
        let same = rig.call(&ada, "agents.update", update(json!({"model": "default"}))).await;
        assert_eq!((&same["version"], &same["revision"]), (&json!(1), &json!(1)), "nothing changed");
        let spec = json!({"instructions": "Two.", "temperature": 0.7, "answer_schema": {"type": "object", "properties": {"n": {"type": "number", "minimum": 1.0}}}});
        let two = rig.call(&ada, "agents.update", update(spec.clone())).await;
        assert_eq!((&two["version"], &two["revision"]), (&json!(2), &json!(2)));
        let still = rig.call(&ada, "agents.update", update(spec)).await;
        assert_eq!(still["version"], 2, "what the database gives back is the same");
        let renamed = rig.call(&ada, "agents.update", json!({"agent_id": agent, "name": "other", "settings": {"x": [1]}, "description": "d"})).await;
        assert_eq!((&renamed["version"], &renamed["revision"], &renamed["name"]), (&json!(2), &json!(3), &json!("other")));
        let versions = rig.call(&ada, "agents.versions", json!({"agent_id": agent})).await;
        let numbers: Vec<_> = versions["items"].as_array().expect("items").iter().map(|v| (v["version"].clone(), v["spec"]["instructions"].clone(), v["note"].clone())).collect();
        assert_eq!(numbers, [(json!(2), json!("Two."), json!("n")), (json!(1), json!(""), Value::Null)]);
        let first = rig.call(&ada, "agents.versions", json!({"agent_id": agent, "limit": 1})).await;
        let rest = rig.call(&ada, "agents.versions", json!({"agent_id": agent, "limit": 1, "cursor": first["next_cursor"]})).await;
        assert_eq!((&rest["items"][0]["version"], &rest["next_cursor"]), (&json!(1), &Value::Null));

        let stale = Envelope { expected_revision: Some(2), ..Envelope::default() };
        let refused = rig.call_with(&ada, "agents.update", json!({"agent_id": agent, "title": "t"}), stale.clone()).await;
        assert_eq!(refused.expect_err("stale").code(), "stale_revision");
        let refused = rig.call_with(&ada, "agents.delete", json!({"agent_id": agent}), stale).await;
        assert_eq!(refused.expect_err("stale").code(), "stale_revision");
    }

    async fn versions_are_numbered_one_by_one_however_many_write(db: TestDb) {
        let rig = Arc::new(Rig::new(db).await);
        let ada = rig.person("Ada");
        let agent = rig.agent(&ada, "helper").await;
        let each = (0..8).map(|n| {
            let (rig, ada, agent) = (rig.clone(), ada.clone(), agent.clone());
            async move { rig.call(&ada, "agents.update", json!({"agent_id": agent, "spec": {"instructions": n.to_string()}})).await }
        });
        let mut numbers: Vec<i64> = join_all(each).await.iter().map(|a| a["version"].as_i64().expect("a number")).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [2, 3, 4, 5, 6, 7, 8, 9]);
    }

    async fn lists_page_by_name_and_filter_by_status(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        for name in ["b", "d", "a", "c"] {
            rig.agent(&ada, name).await;
        }
        let names = |page: &Value| -> Vec<String> { page["items"].as_array().expect("items").iter().map(|a| text(&a["name"])).collect() };
        let first = rig.call(&ada, "agents.list", json!({"limit": 3})).await;
        let rest = rig.call(&ada, "agents.list", json!({"limit": 3, "cursor": first["next_cursor"]})).await;
        assert_eq!((names(&first), names(&rest), &rest["next_cursor"]), (vec!["a".into(), "b".into(), "c".into()], vec!["d".into()], &Value::Null));
        let c = text(&first["items"][2]["id"]);
        rig.call(&ada, "agents.update", json!({"agent_id": c, "status": "paused"})).await;
        assert_eq!(names(&rig.call(&ada, "agents.list", json!({"status": "paused"})).await), ["c"]);
        assert_eq!(names(&rig.call(&ada, "agents.list", json!({"status": "active"})).await), ["a", "b", "d"]);
    }

    async fn nonsense_is_refused_with_its_place(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let big = json!({"x": "y".repeat(65 * 1024)});
        let with = |spec: Value| json!({"name": "n", "spec": spec});
        for (input, expected) in [
            (json!({"name": "n"}), "required"),
            (json!({"name": "N", "spec": {}}), "pattern"),
            (json!({"name": "1n", "spec": {}}), "pattern"),
            (json!({"name": "n".repeat(65), "spec": {}}), "pattern"),
            (json!({"name": format!("a{}", &Uuid::nil().to_string()[1..]), "spec": {}}), "name"),
            (json!({"name": "n", "title": "", "spec": {}}), "length"),
            (json!({"name": "n", "title": "t".repeat(201), "spec": {}}), "length"),
            (json!({"name": "n", "description": "t".repeat(10_001), "spec": {}}), "length"),
            (json!({"name": "n", "metadata": [], "spec": {}}), "type"),
            (json!({"name": "n", "metadata": big, "spec": {}}), "too_large"),
            (json!({"name": "n", "capabilities": big, "spec": {}}), "too_large"),
            (json!({"name": "n", "settings": big, "spec": {}}), "too_large"),
            (json!({"name": "n", "status": "paused", "spec": {}}), "unknown_field"),
            (with(json!({"modle": "m"})), "unknown_field"),
            (with(json!({"model": ""})), "length"),
            (with(json!({"model": " m"})), "model"),
            (with(json!({"instructions": "i".repeat(100_001)})), "length"),
            (with(json!({"tools": [{"name": "tasks"}]})), "pattern"),
            (with(json!({"tools": [{"name": "tasks.*", "approval": "sometimes"}]})), "shape"),
            (with(json!({"tools": vec![json!({"name": "tasks.list"}); 101]})), "count"),
            (with(json!({"tools": [{"name": "approvals.decide"}]})), "never_a_tool"),
            (with(json!({"limits": {"turns": 0}})), "range"),
            (with(json!({"limits": {"turns": 201}})), "range"),
            (with(json!({"limits": {"seconds": 86_401}})), "range"),
            (with(json!({"limits": {"tokens": 100_000_001}})), "range"),
            (with(json!({"limits": {"parallel_tool_calls": 33}})), "range"),
            (with(json!({"limits": {"cost_nano_usd": -1}})), "range"),
            (with(json!({"limits": {"bananas": 1}})), "unknown_field"),
            (with(json!({"temperature": 2.1})), "range"),
            (with(json!({"max_output_tokens": 0})), "range"),
            (with(json!({"reasoning_effort": "extreme"})), "shape"),
            (with(json!({"answer_schema": []})), "type"),
            (with(json!({"answer_schema": {"type": "array"}})), "object_schema"),
            (with(json!({"answer_schema": {"type": "object", "properties": 1}})), "bad_schema"),
        ] {
            let shown: String = input.to_string().chars().take(200).collect();
            assert_eq!(rig.refused(&ada, "agents.create", input).await, expected, "{shown}");
        }
        let agent = rig.agent(&ada, "good").await;
        for (input, expected) in [
            (json!({"agent_id": agent, "name": null}), "required"),
            (json!({"agent_id": agent, "spec": null}), "required"),
            (json!({"agent_id": agent, "status": "gone"}), "shape"),
            (json!({"agent_id": agent, "settings": big}), "too_large"),
            (json!({"agent_id": new_id()}), "not_found"),
            (json!({"agent_id": "x"}), "format"),
        ] {
            assert_eq!(rig.refused(&ada, "agents.update", input.clone()).await, expected, "{input}");
        }
        assert_eq!(rig.refused(&ada, "agents.list", json!({"cursor": "!"})).await, "cursor");
        let cleared = rig.call(&ada, "agents.update", json!({"agent_id": agent, "settings": null})).await;
        assert_eq!(cleared["settings"], json!({}));
    }

    async fn another_workspace_sees_nothing(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let agent = rig.agent(&ada, "helper").await;
        let stranger = rig.person_of(TenantId(new_id()), "Eve", &["*"]);
        for name in ["agents.get", "agents.update", "agents.versions", "agents.tools", "agents.delete"] {
            assert_eq!(rig.refused(&stranger, name, json!({"agent_id": agent})).await, "not_found", "{name}");
        }
        assert_eq!(rig.refused(&stranger, "conversations.create", json!({"agent_id": agent})).await, "not_found");
        assert_eq!(rig.call(&stranger, "agents.list", json!({})).await["items"], json!([]));
        rig.agent(&stranger, "helper").await;
    }

    async fn permissions_are_asked_for(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let agent = rig.agent(&ada, "helper").await;
        let viewer = rig.person_of(rig.tenant, "Vi", &["agents:read"]);
        rig.call(&viewer, "agents.get", json!({"agent_id": agent})).await;
        for (name, input) in [
            ("agents.create", json!({"name": "x", "spec": {}})),
            ("agents.update", json!({"agent_id": agent})),
            ("agents.delete", json!({"agent_id": agent})),
            ("conversations.create", json!({"agent_id": agent})),
            ("conversations.list", json!({})),
        ] {
            assert_eq!(rig.refused(&viewer, name, input).await, "forbidden", "{name}");
        }
    }

    async fn agents_resolve_by_id_and_name_at_any_version(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let agent = rig.agent(&ada, "helper").await;
        rig.call(&ada, "agents.update", json!({"agent_id": agent, "spec": {"instructions": "Two."}})).await;
        let find = |what: &str, version: Option<i64>| {
            let what = what.to_owned();
            let (rig, ada) = (&rig, &ada);
            async move {
                rig.store.read(ada, |tx| { let what = what.clone(); async move { resolve(&tx, &what, version).await } }).await
            }
        };
        let latest = find("helper", None).await.expect("found");
        assert_eq!((latest.version, latest.spec.instructions.as_str(), latest.id.to_string()), (2, "Two.", agent.clone()));
        assert_eq!(find(&agent, Some(1)).await.expect("found").spec.instructions, "");
        assert_eq!(find("helper", Some(3)).await.expect_err("none").code(), "not_found");
        assert_eq!(find("nobody", None).await.expect_err("none").code(), "not_found");
        for (status, expected) in [("paused", "agent_paused"), ("archived", "agent_archived")] {
            rig.call(&ada, "agents.update", json!({"agent_id": agent, "status": status})).await;
            assert_eq!(find("helper", None).await.expect_err("not active").code(), expected);
        }
        rig.call(&ada, "agents.delete", json!({"agent_id": agent})).await;
        assert_eq!(find(&agent, None).await.expect_err("gone").code(), "not_found");
    }

    async fn figures_add_up_however_many_runs_end_at_once(db: TestDb) {
        let rig = Arc::new(Rig::new(db).await);
        let ada = rig.person("Ada");
        let (one, other) = (rig.agent(&ada, "one").await, rig.agent(&ada, "other").await);
        let one_id = id(&json!(one));
        let each = (0..40).map(|n| {
            let (rig, ada) = (rig.clone(), ada.clone());
            let outcome = [Outcome::Succeeded, Outcome::Succeeded, Outcome::Failed, Outcome::Stopped][n % 4];
            async move { rig.write(&ada, move |tx| async move { count(&tx, one_id, counted(outcome)).await }).await }
        });
        for done in join_all(each).await {
            done.expect("counted");
        }
        let unknown = Counted { cost_nano_usd: None, input_tokens: u64::MAX, ms: 0, ..counted(Outcome::Succeeded) };
        let other_id = id(&json!(other));
        rig.write(&ada, move |tx| async move { count(&tx, other_id, unknown).await }).await.expect("counted");
        let list = rig.call(&ada, "agents.list", json!({})).await;
        let metrics = &list["items"][0]["performance_metrics"];
        let expected = json!({"runs": 40, "succeeded": 20, "failed": 10, "stopped": 10, "turns": 120, "tool_calls": 80, "tool_errors": 40,
            "input_tokens": 4000, "output_tokens": 400, "cost_nano_usd": 280, "mean_ms": 50});
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&metrics[name], value, "{name}");
        }
        assert!(metrics["last_run_at"].is_string());
        let metrics = &list["items"][1]["performance_metrics"];
        assert_eq!((&metrics["runs"], &metrics["cost_nano_usd"], &metrics["mean_ms"]), (&json!(1), &json!(0), &json!(0)));
        assert_eq!(rig.call(&ada, "agents.get", json!({"agent_id": one})).await["performance_metrics"], list["items"][0]["performance_metrics"]);
    }

    async fn tools_are_those_of_the_patterns_and_of_the_caller(db: TestDb) {
        let rig = Rig::new(db).await;
        let ada = rig.person("Ada");
        let spec = json!({"tools": [
            {"name": "*"}, {"name": "agents.*", "approval": "always"}, {"name": "agents.list", "approval": "never"}, {"name": "mcp.github.*"},
        ]});
        let agent = text(&rig.call(&ada, "agents.create", json!({"name": "n", "spec": spec})).await["id"]);
        let tools = rig.call(&ada, "agents.tools", json!({"agent_id": agent})).await;
        assert_eq!(tools["unknown"], json!(["mcp.github.*"]));
        let asks = |name: &str| tools["items"].as_array().expect("items").iter().find(|tool| tool["name"] == name).map(|tool| tool["asks"].clone());
        assert_eq!(asks("agents.get"), Some(json!(true)));
        assert_eq!(asks("agents.list"), Some(json!(false)));
        assert_eq!(asks("ops.list"), Some(json!(false)), "a read by `*`");
        assert_eq!(asks("conversations.send"), None, "`*` leaves it out");
        let reader = rig.person_of(rig.tenant, "Vi", &["agents:read"]);
        let tools = rig.call(&reader, "agents.tools", json!({"agent_id": agent})).await;
        let names: Vec<_> = tools["items"].as_array().expect("items").iter().map(|tool| text(&tool["name"])).collect();
        assert_eq!(names, ["agents.list", "agents.get", "agents.versions", "agents.tools"]);
    }
}
