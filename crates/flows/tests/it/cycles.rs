//! Workflows that go round.

use crate::rig::{Rig, id, start};
use serde_json::{Value, json};
use synapscale_testkit::db_test;

/// Counts to `input.to`, by way of calls that leave the database.
fn counts() -> Value {
    json!({
        "start": start(),
        "head": { "kind": "merge@1", "after": ["start", "more.true"], "join": "any", "with": { "max_iterations": 20 } },
        "count": { "kind": "set@1", "after": "head", "with": { "n": "{{ (nodes.count?.output.n ?? 0) + 1 }}" } },
        "call": { "kind": "operation@1", "after": "count", "with": { "operation": "test.slow", "input": { "value": "{{ nodes.count.output.n }}" } } },
        "more": { "kind": "if@1", "after": "call", "with": { "when": "{{ nodes.call.output.value < input.to }}" } },
        "end": { "kind": "set@1", "after": "more.false", "with": { "reached": "{{ nodes.count.output.n }}" } },
    })
}

db_test! {
    async fn a_cycle_goes_round_until_it_leads_out(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "counts", counts()).await;
        let done = rig.run(&ctx, "counts", json!({ "to": 5 })).await;
        assert_eq!((&done["status"], &done["output"]), (&json!("succeeded"), &json!({ "reached": 5 })), "{done}");
        let run = id(&done["id"]);
        let shown = rig.steps(&ctx, run, "call").await;
        assert_eq!((shown.len(), &shown[0]["path"], &shown[0]["output"]), (1, &json!("5"), &json!({ "value": 5 })), "{shown:?}");
        // Every round can be looked at, with what it was given then.
        for (path, value) in [("2", 2), ("", 5)] {
            let step = rig.call(&ctx, "runs.step", json!({ "run_id": run, "node": "call", "path": path })).await;
            assert_eq!((&step["step"]["output"]["value"], &step["input"]["input"]["value"]), (&json!(value), &json!(value)), "{step}");
        }
        let none = rig.try_call(&ctx, "runs.step", json!({ "run_id": run, "node": "call", "path": "9" })).await;
        assert_eq!(none.expect_err("no such round").code(), "not_found");
        let again = rig.call(&ctx, "runs.rerun", json!({ "run_id": run, "from_node": "end" })).await;
        let again = rig.ended(&ctx, id(&again["run_id"])).await;
        assert_eq!(again["output"], json!({ "reached": 5 }), "{again}");
        assert_eq!(rig.gauge.calls.load(std::sync::atomic::Ordering::SeqCst), 5, "taken over, not done again");
    }

    async fn rounds_are_counted(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "counts", counts()).await;
        let failed = rig.run(&ctx, "counts", json!({ "to": 100 })).await;
        assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("too_many_rounds")), "{failed}");
        assert_eq!(rig.gauge.calls.load(std::sync::atomic::Ordering::SeqCst), 20);
    }

    async fn runs_and_items_go_round_too(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "double", json!({ "start": start(), "out": { "kind": "set@1", "after": "start", "with": { "n": "{{ input.n * 2 }}" } } })).await;
        rig.apply(&ctx, "grows", json!({
            "start": start(),
            "head": { "kind": "merge@1", "after": ["start", "more.true"], "join": "any" },
            "child": { "kind": "workflow@1", "after": "head", "with": { "workflow": "double", "input": { "n": "{{ nodes.child?.output.n ?? 1 }}" } } },
            "each": { "kind": "foreach@1", "after": "child", "with": { "items": [1, 2], "operation": "test.echo", "input": { "value": "{{ item * nodes.child.output.n }}" } } },
            "more": { "kind": "if@1", "after": "each", "with": { "when": "{{ nodes.child.output.n < 8 }}" } },
            "end": { "kind": "set@1", "after": "more.false", "with": { "values": "{{ nodes.each.output.results }}" } },
        })).await;
        let done = rig.run(&ctx, "grows", json!({})).await;
        assert_eq!(done["output"], json!({ "values": [{ "value": 8 }, { "value": 16 }] }), "{done}");
        let steps = rig.steps(&ctx, id(&done["id"]), "each").await;
        let paths: Vec<_> = steps.iter().map(|step| step["path"].as_str().expect("a path").to_owned()).collect();
        assert_eq!(paths, ["3", "3/i0", "3/i1"], "{steps:?}");
        let earlier = rig.call(&ctx, "runs.step", json!({ "run_id": done["id"], "node": "each", "path": "1/i1" })).await;
        assert_eq!(earlier["step"]["output"], json!({ "value": 4 }), "{earlier}");
    }
}
