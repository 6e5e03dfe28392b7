//! Runs that are paused, resumed, run again on other versions, and treated many at once.

use crate::rig::{Rig, id, start};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use synapscale_core::{TenantId, new_id};
use synapscale_testkit::db_test;

/// Calls an operation that fails as often as it is told to, and pauses then.
fn stubborn(rest: Value) -> Value {
    let mut nodes = json!({
        "start": start(),
        "first": { "kind": "operation@1", "after": "start", "with": { "operation": "test.slow", "input": { "value": 1 } } },
        "call": {
            "kind": "operation@1", "after": "first", "with": { "operation": "test.moody", "input": {} },
            "retry": { "max_attempts": 2, "initial_delay_ms": 10, "then": "pause" },
        },
    });
    for (id, node) in rest.as_object().into_iter().flatten() {
        nodes[id] = node.clone();
    }
    nodes
}

db_test! {
    async fn a_paused_run_goes_on_where_it_failed(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        let end = json!({ "end": { "kind": "set@1", "after": "call", "with": { "got": "{{ nodes.call.output.value }}" } } });
        rig.apply(&ctx, "stubborn", stubborn(end)).await;
        // Two tries, and two more after it is resumed; the second resumption finds it well.
        rig.gauge.moods.store(5, Ordering::SeqCst);
        let paused = rig.run(&ctx, "stubborn", json!({})).await;
        assert_eq!((&paused["status"], &paused["error"]["code"]), (&json!("paused"), &json!("moody")), "{paused}");
        let run = id(&paused["id"]);
        rig.call(&ctx, "runs.resume", json!({ "run_id": run })).await;
        let again = rig.ended(&ctx, run).await;
        assert_eq!(again["status"], "paused", "{again}");
        rig.call(&ctx, "runs.resume", json!({ "run_id": run })).await;
        let done = rig.ended(&ctx, run).await;
        assert_eq!((&done["status"], &done["output"], &done["error"]), (&json!("succeeded"), &json!({ "got": "well" }), &Value::Null), "{done}");
        assert_eq!(rig.gauge.calls.load(Ordering::SeqCst), 1, "what was done is not done again");
        let step = rig.call(&ctx, "runs.step", json!({ "run_id": run, "node": "call" })).await;
        assert_eq!(step["tries"].as_array().map(Vec::len), Some(6), "{step}");
        let refused = rig.try_call(&ctx, "runs.resume", json!({ "run_id": run })).await.expect_err("ended");
        assert_eq!(refused.code(), "run_not_paused");
        let other = rig.person_of(TenantId(new_id()));
        let refused = rig.try_call(&other, "runs.resume", json!({ "run_id": run })).await.expect_err("foreign");
        assert_eq!(refused.code(), "not_found");
    }

    async fn items_that_failed_are_made_again(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "list", json!({
            "start": start(),
            "each": {
                "kind": "foreach@1", "after": "start", "retry": { "max_attempts": 1, "then": "pause" },
                "with": { "items": [1, 2, 3], "operation": "test.moody", "concurrency": 1, "input": {} },
            },
        })).await;
        rig.gauge.moods.store(1, Ordering::SeqCst);
        let paused = rig.run(&ctx, "list", json!({})).await;
        assert_eq!(paused["status"], "paused", "{paused}");
        rig.call(&ctx, "runs.resume", json!({ "run_id": paused["id"] })).await;
        let done = rig.ended(&ctx, id(&paused["id"])).await;
        assert_eq!((&done["status"], &done["output"]["total"], &done["output"]["failed"]), (&json!("succeeded"), &json!(3), &json!(0)), "{done}");
    }

    async fn a_child_that_ends_while_its_parent_is_paused_is_heard_of(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "slow", json!({ "start": start(), "wait": { "kind": "wait@1", "after": "start", "with": { "seconds": 0.5 } } })).await;
        rig.apply(&ctx, "outer", stubborn(json!({
            "child": { "kind": "workflow@1", "after": "start", "with": { "workflow": "slow" } },
            "end": { "kind": "set@1", "after": ["call", "child"], "with": { "both": true } },
        }))).await;
        rig.gauge.moods.store(2, Ordering::SeqCst);
        let paused = rig.run(&ctx, "outer", json!({})).await;
        assert_eq!(paused["status"], "paused", "{paused}");
        let child = id(&rig.steps(&ctx, id(&paused["id"]), "child").await[1]["call"]["run_id"]);
        assert_eq!(rig.ended(&ctx, child).await["status"], "succeeded");
        rig.call(&ctx, "runs.resume", json!({ "run_id": paused["id"] })).await;
        let done = rig.ended(&ctx, id(&paused["id"])).await;
        assert_eq!(done["output"], json!({ "both": true }), "{done}");
    }

    async fn a_paused_run_that_is_cancelled_takes_its_children_along(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "waits", json!({ "start": start(), "wait": { "kind": "wait@1", "after": "start", "with": { "seconds": 3600 } } })).await;
        rig.apply(&ctx, "outer", stubborn(json!({ "child": { "kind": "workflow@1", "after": "start", "with": { "workflow": "waits" } } }))).await;
        rig.gauge.moods.store(2, Ordering::SeqCst);
        let paused = rig.run(&ctx, "outer", json!({})).await;
        let child = id(&rig.steps(&ctx, id(&paused["id"]), "child").await[1]["call"]["run_id"]);
        rig.call(&ctx, "runs.cancel", json!({ "run_id": paused["id"] })).await;
        assert_eq!(rig.ended(&ctx, child).await["status"], "cancelled");
    }

    async fn a_run_goes_on_on_a_newer_version(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        let broken = |kind: Value| json!({
            "start": start(),
            "first": { "kind": "operation@1", "after": "start", "with": { "operation": "test.slow", "input": { "value": "{{ input.n }}" } } },
            "end": kind,
        });
        rig.apply(&ctx, "mended", broken(json!({ "kind": "fail@1", "after": "first", "with": { "code": "broken" } }))).await;
        let failed = rig.run(&ctx, "mended", json!({ "n": 4 })).await;
        assert_eq!(failed["error"]["code"], "broken", "{failed}");
        rig.apply(&ctx, "mended", broken(json!({ "kind": "set@1", "after": "first", "with": { "n": "{{ nodes.first.output.value }}" } }))).await;
        let again = rig.call(&ctx, "runs.rerun", json!({ "run_id": failed["id"], "from_node": "end", "latest": true })).await;
        let done = rig.ended(&ctx, id(&again["run_id"])).await;
        assert_eq!((&done["output"], &done["workflow_version"]), (&json!({ "n": 4 }), &json!(2)), "{done}");
        assert_eq!(rig.gauge.calls.load(Ordering::SeqCst), 1);
        // A version with something else before it does not follow from that run.
        rig.apply(&ctx, "mended", json!({
            "start": start(),
            "first": { "kind": "operation@1", "after": "start", "with": { "operation": "test.slow", "input": {} } },
            "more": { "kind": "set@1", "after": "first", "with": { "x": 1 } },
            "end": { "kind": "set@1", "after": "more", "with": {} },
        })).await;
        let refused = rig.try_call(&ctx, "runs.rerun", json!({ "run_id": failed["id"], "from_node": "end", "latest": true })).await.expect_err("differs");
        assert_eq!(refused.code(), "version_differs");
        let whole = rig.call(&ctx, "runs.rerun", json!({ "run_id": failed["id"], "version": 3 })).await;
        assert_eq!(rig.ended(&ctx, id(&whole["run_id"])).await["status"], "succeeded");
    }

    async fn many_runs_are_treated_each_by_itself(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "waits", json!({ "start": start(), "wait": { "kind": "wait@1", "after": "start", "with": { "seconds": 3600 } } })).await;
        rig.apply(&ctx, "other", json!({ "start": start() })).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(rig.start(&ctx, "waits", json!({})).await);
        }
        let ended = rig.start(&ctx, "other", json!({})).await;
        let named = rig.call(&ctx, "runs.cancel_many", json!({ "runs": { "run_ids": [ids[0], ended, new_id()] } })).await;
        let told: Vec<_> = named["items"].as_array().expect("items").iter().map(|one| (one["done"].as_bool(), one["error"]["code"].as_str().unwrap_or_default().to_owned())).collect();
        assert_eq!(told, [(Some(true), String::new()), (Some(false), "run_finished".to_owned()), (Some(false), "not_found".to_owned())], "{named}");
        rig.ended(&ctx, ids[0]).await;
        let found = rig.call(&ctx, "runs.cancel_many", json!({ "runs": { "workflow": "waits", "limit": 3 } })).await;
        assert_eq!((found["items"].as_array().map(Vec::len), &found["more"]), (Some(3), &json!(true)), "{found}");
        let rest = rig.call(&ctx, "runs.cancel_many", json!({ "runs": { "workflow": "waits" } })).await;
        assert_eq!(rest["more"], json!(false), "{rest}");
        for run in &ids {
            assert_eq!(rig.ended(&ctx, *run).await["status"], "cancelled");
        }
        let again = rig.call(&ctx, "runs.rerun_many", json!({ "runs": { "workflow": "waits", "status": "cancelled" } })).await;
        assert_eq!(again["items"].as_array().map(Vec::len), Some(5), "{again}");
        rig.reaches(&ctx, id(&again["items"][0]["new_run_id"]), "waiting").await;
        let none = rig.try_call(&ctx, "runs.cancel_many", json!({ "runs": {} })).await.expect_err("no filter");
        assert_eq!(none.fields()[0].code, "required");
        let resumed = rig.call(&ctx, "runs.resume_many", json!({ "runs": { "status": "cancelled" } })).await;
        assert_eq!(resumed["items"][0]["error"]["code"], "run_not_paused", "{resumed}");
        // Another workspace finds nothing.
        let other = rig.person_of(TenantId(new_id()));
        let theirs = rig.call(&other, "runs.cancel_many", json!({ "runs": { "run_ids": [ids[0]] } })).await;
        assert_eq!(theirs["items"][0]["error"]["code"], "not_found", "{theirs}");
    }

    async fn old_runs_leave_with_all_they_have(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        // Large enough for a blob.
        rig.apply(&ctx, "large", json!({ "start": start(), "out": { "kind": "set@1", "after": "start", "with": { "text": "{{ input.text }}" } } })).await;
        rig.apply(&ctx, "waits", json!({ "start": start(), "wait": { "kind": "wait@1", "after": "start", "with": { "seconds": 3600 } } })).await;
        let old = rig.run(&ctx, "large", json!({ "text": "x".repeat(100_000) })).await;
        assert_eq!(old["status"], "succeeded", "{old}");
        let open = rig.start(&ctx, "waits", json!({})).await;
        assert!(rig.count(&ctx, "blobs").await > 0);
        assert_eq!(rig.engine.purge_runs().await.expect("nothing old"), 0);
        rig.age(&ctx, id(&old["id"]), chrono::Duration::days(91)).await;
        let fresh = rig.run(&ctx, "large", json!({ "text": "x".repeat(100_000) })).await;
        let blobs = rig.count(&ctx, "blobs").await;
        assert_eq!(rig.engine.purge_runs().await.expect("purged"), 1);
        assert!(rig.count(&ctx, "blobs").await < blobs);
        let gone = rig.try_call(&ctx, "runs.get", json!({ "run_id": old["id"] })).await.expect_err("gone");
        assert_eq!(gone.code(), "not_found");
        assert_eq!(rig.get(&ctx, open).await["status"], "waiting");
        let kept = rig.get(&ctx, id(&fresh["id"])).await;
        assert_eq!(kept["output"], fresh["output"], "what another run has stays");
        let refused = rig.try_call(&ctx, "runs.purge", json!({})).await.expect_err("internal");
        assert_eq!(refused.code(), "not_found");
    }
}
