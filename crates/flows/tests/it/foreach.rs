//! Something is done for each item of a list.

use crate::rig::{Rig, id, start};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use synapscale_testkit::db_test;

fn each(with: Value) -> Value {
    json!({ "start": start(), "each": { "kind": "foreach@1", "after": "start", "with": with } })
}

db_test! {
    async fn results_keep_the_items_order(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "list", each(json!({
            "items": "{{ input.items }}", "operation": "test.slow", "concurrency": 4,
            "input": { "value": "{{ [index, item.name, input.tag] }}" },
        }))).await;
        let items: Vec<Value> = (0..12).map(|n| json!({ "name": format!("n{n}") })).collect();
        let done = rig.run(&ctx, "list", json!({ "items": items, "tag": "t" })).await;
        assert_eq!(done["status"], "succeeded", "{done}");
        let output = &done["output"];
        assert_eq!((&output["total"], &output["failed"], &output["errors"]), (&json!(12), &json!(0), &json!([])));
        for n in 0..12 {
            assert_eq!(output["results"][n]["value"], json!([n, format!("n{n}"), "t"]));
        }
        let most = rig.gauge.most.load(Ordering::SeqCst);
        assert!((2..=4).contains(&most), "{most} at once");
        assert_eq!(rig.gauge.calls.load(Ordering::SeqCst), 12);
        let none = rig.run(&ctx, "list", json!({ "items": [], "tag": "t" })).await;
        assert_eq!(none["output"]["results"], json!([]), "{none}");
    }

    async fn each_item_can_be_a_run(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "square", json!({ "start": start(), "out": { "kind": "set@1", "after": "start", "with": { "squared": "{{ input.n * input.n }}" } } })).await;
        rig.apply(&ctx, "list", each(json!({ "items": [{ "n": 2 }, { "n": 3 }, { "n": 4 }], "workflow": "square", "concurrency": 2 }))).await;
        let done = rig.run(&ctx, "list", json!({})).await;
        assert_eq!(done["output"]["results"], json!([{ "squared": 4 }, { "squared": 9 }, { "squared": 16 }]), "{done}");
        let steps = rig.steps(&ctx, id(&done["id"]), "each").await;
        assert_eq!(steps.len(), 4, "{steps:?}");
        assert_eq!(rig.get(&ctx, id(&steps[3]["call"]["run_id"])).await["parent_run_id"], done["id"]);
    }

    async fn an_item_that_fails_ends_it_or_is_told(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        let with = |policy: &str| json!({
            "items": [0, 1, 2, 3], "operation": "test.echo", "concurrency": 1, "on_item_error": policy,
            "input": { "value": "{{ item }}", "fail": "{{ item == 1 }}" },
        });
        rig.apply(&ctx, "collects", each(with("collect"))).await;
        let done = rig.run(&ctx, "collects", json!({})).await;
        let output = &done["output"];
        assert_eq!((&output["failed"], &output["errors"][0]["index"], &output["errors"][0]["error"]["code"]), (&json!(1), &json!(1), &json!("told_to_fail")), "{done}");
        assert_eq!(output["results"], json!([{ "value": 0 }, null, { "value": 2 }, { "value": 3 }]));
        rig.apply(&ctx, "fails", each(with("fail"))).await;
        let failed = rig.run(&ctx, "fails", json!({})).await;
        assert_eq!(failed["error"]["code"], "told_to_fail", "{failed}");
        assert_eq!(rig.steps(&ctx, id(&failed["id"]), "each").await.len(), 3, "nothing begins after it");
    }

    async fn runs_under_way_end_with_the_item_that_failed(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "mixed", json!({
            "start": start(),
            "which": { "kind": "if@1", "after": "start", "with": { "when": "{{ input.wait }}" } },
            "wait": { "kind": "wait@1", "after": "which.true", "with": { "seconds": 3600 } },
            "fail": { "kind": "fail@1", "after": "which.false", "with": { "code": "broken" } },
        })).await;
        rig.apply(&ctx, "list", json!({
            "start": start(),
            "each": { "kind": "foreach@1", "after": "start", "on_error": "branch", "with": { "items": [{ "wait": true }, { "wait": false }], "workflow": "mixed" } },
            "after": { "kind": "set@1", "after": "each.error", "with": { "code": "{{ nodes.each.output.error.code }}" } },
        })).await;
        let done = rig.run(&ctx, "list", json!({})).await;
        assert_eq!(done["output"], json!({ "code": "broken" }), "{done}");
        let steps = rig.steps(&ctx, id(&done["id"]), "each").await;
        let waiting = id(&steps[1]["call"]["run_id"]);
        assert_eq!(rig.ended(&ctx, waiting).await["status"], "cancelled");
    }

    async fn what_no_file_may_name_is_refused(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "sneaky", each(json!({ "items": [{}], "operation": "hooks.prune" }))).await;
        assert_eq!(rig.run(&ctx, "sneaky", json!({})).await["error"]["code"], "not_found");
        rig.apply(&ctx, "long", each(json!({ "items": "{{ range(0, input.n) }}", "operation": "test.echo", "input": {} }))).await;
        assert_eq!(rig.run(&ctx, "long", json!({ "n": 1001 })).await["error"]["code"], "too_large");
        let file = json!({ "name": "both", "nodes": each(json!({ "items": [1], "operation": "test.echo", "workflow": "x", "concurrency": 0, "input": "{{ nobody }}" })) });
        let found = rig.call(&ctx, "workflows.validate", json!({ "file": file })).await;
        let codes: Vec<_> = found["problems"].as_array().expect("problems").iter().map(|p| p["code"].as_str().unwrap_or_default().to_owned()).collect();
        assert_eq!(codes, ["range", "unknown_name"], "{found}");
        let file = json!({ "name": "both", "nodes": each(json!({ "items": "{{ input.x }}", "operation": "test.echo", "workflow": "x" })) });
        let found = rig.call(&ctx, "workflows.validate", json!({ "file": file })).await;
        assert_eq!(found["problems"][0]["pointer"], "/nodes/each/with/operation", "{found}");
    }
}
