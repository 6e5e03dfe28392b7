//! Workflows that run workflows.

use crate::rig::{Rig, id, start};
use serde_json::{Value, json};
use synapscale_core::{Actor, TenantId, new_id};
use synapscale_testkit::db_test;

/// Doubles what it is given, by way of a call that leaves the database.
fn double() -> Value {
    json!({
        "start": start(),
        "slow": { "kind": "operation@1", "after": "start", "with": { "operation": "test.slow", "input": { "value": "{{ input.n * 2 }}" } } },
        "out": { "kind": "set@1", "after": "slow", "with": { "doubled": "{{ nodes.slow.output.value }}", "of": "{{ run.workflow }}" } },
    })
}

fn calls(workflow: &str) -> Value {
    json!({ "kind": "workflow@1", "after": "start", "with": { "workflow": workflow, "input": { "n": "{{ input.n }}" } } })
}

db_test! {
    async fn a_child_gives_its_output(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "double", double()).await;
        rig.apply(&ctx, "outer", json!({
            "start": start(),
            "child": calls("double"),
            "end": { "kind": "set@1", "after": "child", "with": { "got": "{{ nodes.child.output.doubled }}" } },
        })).await;
        let input = json!({ "name": "outer", "input": { "n": 21 }, "priority": 7 });
        let started = rig.call(&ctx, "workflows.run", input).await;
        let done = rig.ended(&ctx, id(&started["run_id"])).await;
        assert_eq!((&done["status"], &done["output"]), (&json!("succeeded"), &json!({ "got": 42 })), "{done}");
        let steps = rig.steps(&ctx, id(&done["id"]), "child").await;
        assert_eq!(steps.len(), 2, "{steps:?}");
        assert_eq!((&steps[1]["kind"], &steps[1]["path"], &steps[1]["call"]["workflow"]), (&json!("run"), &json!("run"), &json!("double")));
        let child = rig.get(&ctx, id(&steps[1]["call"]["run_id"])).await;
        assert_eq!((&child["parent_run_id"], &child["parent_node"], &child["depth"]), (&done["id"], &json!("child"), &json!(1)), "{child}");
        let listed = rig.call(&ctx, "runs.list", json!({ "top_level": true })).await;
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
        assert_eq!((&child["priority"], &child["correlation"]), (&json!(7), &done["correlation"]), "{child}");
    }

    async fn a_childs_error_is_its_steps(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "bad", json!({
            "start": start(),
            "end": { "kind": "fail@1", "after": "start", "with": { "code": "no_luck", "message": "Not today." } },
        })).await;
        rig.apply(&ctx, "falls", json!({ "start": start(), "child": { "kind": "workflow@1", "after": "start", "with": { "workflow": "bad" } } })).await;
        let failed = rig.run(&ctx, "falls", json!({})).await;
        assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("no_luck")), "{failed}");
        rig.apply(&ctx, "catches", json!({
            "start": start(),
            "child": { "kind": "workflow@1", "after": "start", "with": { "workflow": "bad" }, "on_error": "branch" },
            "end": { "kind": "set@1", "after": "child.error", "with": { "code": "{{ nodes.child.output.error.code }}" } },
        })).await;
        let caught = rig.run(&ctx, "catches", json!({})).await;
        assert_eq!(caught["output"], json!({ "code": "no_luck" }), "{caught}");
        rig.apply(&ctx, "lost", json!({ "start": start(), "child": { "kind": "workflow@1", "after": "start", "with": { "workflow": "nobody" } } })).await;
        assert_eq!(rig.run(&ctx, "lost", json!({})).await["error"]["code"], "not_found");
    }

    async fn a_waiting_parent_goes_on_when_its_child_ends(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "asks", json!({
            "start": start(),
            "ask": { "kind": "approval@1", "after": "start", "with": { "title": "Go on?" } },
            "yes": { "kind": "set@1", "after": "ask.approved", "with": { "went": true } },
        })).await;
        rig.apply(&ctx, "outer", json!({ "start": start(), "child": { "kind": "workflow@1", "after": "start", "with": { "workflow": "asks" } } })).await;
        let run = rig.start(&ctx, "outer", json!({})).await;
        rig.reaches(&ctx, run, "waiting").await;
        let mut asked = Value::Null;
        for _ in 0..200 {
            asked = rig.call(&ctx, "approvals.list", json!({ "status": "pending" })).await["items"][0].clone();
            if asked.is_object() { break; }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        rig.call(&ctx, "approvals.decide", json!({ "approval_id": asked["id"], "approve": true })).await;
        let done = rig.ended(&ctx, run).await;
        assert_eq!(done["output"], json!({ "went": true }), "{done}");
    }

    async fn a_child_is_cancelled_with_its_parent(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "waits", json!({ "start": start(), "wait": { "kind": "wait@1", "after": "start", "with": { "seconds": 3600 } } })).await;
        rig.apply(&ctx, "between", json!({ "start": start(), "child": { "kind": "workflow@1", "after": "start", "with": { "workflow": "waits" } } })).await;
        rig.apply(&ctx, "outer", json!({ "start": start(), "child": { "kind": "workflow@1", "after": "start", "with": { "workflow": "between" } } })).await;
        let top = rig.start(&ctx, "outer", json!({})).await;
        let mut family = vec![top];
        for _ in 0..2 {
            rig.reaches(&ctx, *family.last().expect("one"), "waiting").await;
            let steps = rig.steps(&ctx, *family.last().expect("one"), "child").await;
            family.push(id(&steps[1]["call"]["run_id"]));
        }
        rig.reaches(&ctx, family[2], "waiting").await;
        rig.call(&ctx, "runs.cancel", json!({ "run_id": top, "reason": "enough" })).await;
        for run in family {
            assert_eq!(rig.ended(&ctx, run).await["status"], "cancelled");
        }
        // A child that is ended by hand ends its step.
        let top = rig.start(&ctx, "outer", json!({})).await;
        rig.reaches(&ctx, top, "waiting").await;
        let child = id(&rig.steps(&ctx, top, "child").await[1]["call"]["run_id"]);
        rig.reaches(&ctx, child, "waiting").await;
        rig.call(&ctx, "runs.cancel", json!({ "run_id": child })).await;
        assert_eq!(rig.ended(&ctx, top).await["error"]["code"], "child_cancelled");
    }

    async fn a_workflow_that_starts_itself_comes_to_an_end(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "snake", json!({ "start": start(), "child": { "kind": "workflow@1", "after": "start", "with": { "workflow": "snake" } } })).await;
        let failed = rig.run(&ctx, "snake", json!({})).await;
        assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("too_deep")), "{failed}");
        let all = rig.call(&ctx, "runs.list", json!({})).await;
        assert_eq!(all["items"].as_array().map(Vec::len), Some(8), "{all}");
        // Nor does it help not to wait.
        rig.apply(&ctx, "hare", json!({ "start": start(), "again": { "kind": "operation@1", "after": "start", "with": { "operation": "workflows.run", "input": { "name": "hare" } } } })).await;
        rig.run(&ctx, "hare", json!({})).await;
        for _ in 0..200 {
            let failed = rig.call(&ctx, "runs.list", json!({ "workflow": "hare", "status": "failed" })).await;
            if let Some(last) = failed["items"].get(0) {
                assert_eq!(last["error"]["code"], "too_deep", "{last}");
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        let all = rig.call(&ctx, "runs.list", json!({ "workflow": "hare" })).await;
        assert_eq!(all["items"].as_array().map(Vec::len), Some(8), "{all}");
    }

    async fn a_child_has_no_more_rights_than_whoever_it_runs_for(db: TestDb) {
        let rig = Rig::new(db).await;
        let (owner, guest) = (rig.person(), rig.person());
        rig.apply(&owner, "double", double()).await;
        rig.apply(&owner, "outer", json!({ "start": start(), "child": calls("double") })).await;
        rig.people.0.lock().expect("people").push((guest.actor().id, vec!["workflows:run", "runs:read"]));
        let run = rig.start(&guest, "outer", json!({ "n": 1 })).await;
        let failed = rig.ended(&owner, run).await;
        assert_eq!(failed["error"]["code"], "forbidden", "{failed}");
        let child = id(&rig.steps(&owner, run, "child").await[1]["call"]["run_id"]);
        let child = rig.get(&owner, child).await;
        let whom: Actor = serde_json::from_value(child["on_behalf_of"].clone()).expect("an actor");
        assert_eq!(whom, guest.actor());
        // Another workspace's workflow is not there.
        let other = rig.person_of(TenantId(new_id()));
        rig.apply(&other, "outer", json!({ "start": start(), "child": calls("double") })).await;
        assert_eq!(rig.run(&other, "outer", json!({ "n": 1 })).await["error"]["code"], "not_found");
    }

    async fn whenever_it_is_cancelled_all_of_it_ends(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "part", json!({
            "start": start(),
            "slow": { "kind": "operation@1", "after": "start", "with": { "operation": "test.slow", "input": { "value": 1 } } },
            "wait": { "kind": "wait@1", "after": "slow", "with": { "seconds": 0.03 } },
            "more": { "kind": "operation@1", "after": "wait", "with": { "operation": "test.echo", "input": { "value": 2 } } },
        })).await;
        rig.apply(&ctx, "middle", json!({ "start": start(), "child": { "kind": "workflow@1", "after": "start", "with": { "workflow": "part" } } })).await;
        rig.apply(&ctx, "whole", json!({
            "start": start(),
            "head": { "kind": "merge@1", "after": ["start", "each"], "join": "any", "with": { "max_iterations": 3 } },
            "each": { "kind": "foreach@1", "after": "head", "with": { "items": [1, 2, 3, 4], "workflow": "middle", "concurrency": 2, "on_item_error": "collect" } },
        })).await;
        let mut tops = Vec::new();
        for turn in 0..12_u64 {
            let top = rig.start(&ctx, "whole", json!({})).await;
            tokio::time::sleep(std::time::Duration::from_millis(turn * 47 % 500)).await;
            let steps = rig.steps(&ctx, top, "each").await;
            let child = steps.iter().rev().find_map(|step| step["call"]["run_id"].as_str()).map(str::to_owned);
            let whole = rig.try_call(&ctx, "runs.cancel", json!({ "run_id": top }));
            let part = async {
                match child {
                    Some(child) => rig.try_call(&ctx, "runs.cancel", json!({ "run_id": child })).await.map(|_| ()),
                    None => Ok(()),
                }
            };
            let (whole, part) = tokio::join!(whole, part);
            for ended in [whole.map(|_| ()), part].into_iter().filter_map(Result::err) {
                assert_eq!(ended.code(), "run_finished");
            }
            tops.push(top);
        }
        for top in tops {
            let ended = rig.ended(&ctx, top).await;
            assert!(ended["status"] == "cancelled" || ended["error"]["code"] == "too_many_rounds", "{ended}");
        }
        for _ in 0..200 {
            let mut open = 0;
            for status in ["queued", "running", "waiting", "paused"] {
                let listed = rig.call(&ctx, "runs.list", json!({ "status": status })).await;
                open += listed["items"].as_array().map_or(0, Vec::len);
            }
            if open == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("some runs never ended");
    }
}
