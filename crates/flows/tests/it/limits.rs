//! How many runs go on at once, how often one begins, and who goes first.

use crate::rig::{Rig, id, start};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use synapscale_core::{Ctx, TenantId, new_id};
use synapscale_engine::EngineConfig;
use synapscale_testkit::db_test;
use uuid::Uuid;

/// A run that takes a while.
fn slow() -> Value {
    json!({
        "start": start(),
        "slow": { "kind": "operation@1", "after": "start", "with": { "operation": "test.slow", "input": { "value": "{{ input.n ?? 0 }}" } } },
    })
}

/// A run that waits for a person.
fn asks() -> Value {
    json!({ "start": start(), "ask": { "kind": "approval@1", "after": "start", "with": { "title": "Well?" } } })
}

fn time(view: &Value, field: &str) -> DateTime<Utc> {
    serde_json::from_value(view[field].clone()).unwrap_or_else(|_| panic!("no {field}: {view}"))
}

/// The most runs that were under way at once, by their own times.
fn most_at_once(runs: &[Value]) -> usize {
    let at = |run: &Value| {
        let begun = time(run, "started_at");
        let under_way =
            |other: &&Value| time(other, "started_at") <= begun && begun < time(other, "finished_at");
        runs.iter().filter(under_way).count()
    };
    runs.iter().map(at).max().unwrap_or(0)
}

impl Rig {
    async fn limited(&self, ctx: &Ctx, name: &str, limits: Value, nodes: Value) {
        let file = json!({ "name": name, "limits": limits, "nodes": nodes });
        self.call(ctx, "workflows.apply", json!({ "name": name, "file": file }))
            .await;
    }

    async fn all_ended(&self, ctx: &Ctx, runs: &[Uuid]) -> Vec<Value> {
        let mut views = Vec::new();
        for run in runs {
            views.push(self.ended(ctx, *run).await);
        }
        views
    }
}

db_test! {
    async fn so_many_at_once_for_each_key(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.limited(&ctx, "careful", json!({ "concurrency": { "max": 2, "key": "{{ input.who }}" } }), slow()).await;
        let mut often = Vec::new();
        for _ in 0..14 {
            often.push(rig.start(&ctx, "careful", json!({ "who": "a" })).await);
        }
        let rare = rig.start(&ctx, "careful", json!({ "who": "b" })).await;
        let last = often[13];
        let view = rig.get(&ctx, last).await;
        let waits = &view["waits_for"];
        if view["status"] == "queued" && waits["what"] == "concurrency" {
            assert_eq!((&waits["key"], &waits["max"]), (&json!("a"), &json!(2)), "{view}");
        }
        let rare = rig.ended(&ctx, rare).await;
        let often = rig.all_ended(&ctx, &often).await;
        assert!(often.iter().all(|run| run["status"] == "succeeded"), "{often:?}");
        assert_eq!(most_at_once(&often), 2);
        assert!(time(&rare, "finished_at") < time(&often[13], "finished_at"), "a full key holds no other up");
        assert_eq!(rig.gauge.calls.load(Ordering::SeqCst), 15);
    }

    async fn two_workers_pass_no_limit(db: TestDb) {
        let one = Rig::new(db).await;
        let ctx = one.person();
        // SQLite has one process, and one worker in it.
        let mut other = match db.is_postgres() {
            true => Some(Rig::idle(db).await),
            false => None,
        };
        if let Some(other) = &mut other {
            other.tenant = one.tenant;
            other.work();
        }
        one.limited(&ctx, "careful", json!({ "concurrency": { "max": 3 } }), slow()).await;
        let mut runs = Vec::new();
        for n in 0..24 {
            let by = other.as_ref().filter(|_| n % 2 == 0).unwrap_or(&one);
            runs.push(by.start(&ctx, "careful", json!({ "n": n })).await);
        }
        let ended = one.all_ended(&ctx, &runs).await;
        assert!(ended.iter().all(|run| run["status"] == "succeeded"), "{ended:?}");
        assert!((2..=3).contains(&most_at_once(&ended)), "{}", most_at_once(&ended));
        let calls = |rig: &Rig| rig.gauge.calls.load(Ordering::SeqCst);
        assert_eq!(calls(&one) + other.as_ref().map_or(0, calls), 24);
    }

    async fn what_finds_no_place_is_dropped_or_takes_the_oldests(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.limited(&ctx, "drops", json!({ "concurrency": { "max": 1, "when_full": "drop" } }), asks()).await;
        let first = rig.start(&ctx, "drops", json!({})).await;
        rig.reaches(&ctx, first, "waiting").await;
        let second = rig.run(&ctx, "drops", json!({})).await;
        assert_eq!((&second["status"], &second["error"]["code"]), (&json!("cancelled"), &json!("dropped_at_limit")), "{second}");
        rig.call(&ctx, "runs.cancel", json!({ "run_id": first })).await;
        rig.ended(&ctx, first).await;
        let third = rig.start(&ctx, "drops", json!({})).await;
        rig.reaches(&ctx, third, "waiting").await;

        rig.limited(&ctx, "newest", json!({ "concurrency": { "max": 2, "when_full": "cancel_oldest" } }), asks()).await;
        let mut runs = Vec::new();
        for _ in 0..3 {
            runs.push(rig.start(&ctx, "newest", json!({})).await);
            rig.reaches(&ctx, runs[runs.len() - 1], "waiting").await;
        }
        assert_eq!(rig.ended(&ctx, runs[0]).await["status"], "cancelled");
        for run in &runs[1..] {
            assert_eq!(rig.get(&ctx, *run).await["status"], "waiting");
        }
    }

    async fn a_waiting_run_can_be_cancelled_and_a_paused_one_holds_no_place(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.limited(&ctx, "single", json!({ "concurrency": { "max": 1 } }), json!({
            "start": start(),
            "call": { "kind": "operation@1", "after": "start", "with": { "operation": "test.moody", "input": {} }, "retry": { "max_attempts": 1, "then": "pause" } },
            "ask": { "kind": "approval@1", "after": "call", "with": { "title": "Well?" } },
        })).await;
        rig.gauge.moods.store(1, Ordering::SeqCst);
        let paused = rig.run(&ctx, "single", json!({})).await;
        assert_eq!(paused["status"], "paused", "{paused}");
        let second = rig.start(&ctx, "single", json!({})).await;
        rig.reaches(&ctx, second, "waiting").await;
        rig.call(&ctx, "runs.resume", json!({ "run_id": paused["id"] })).await;
        let third = rig.start(&ctx, "single", json!({})).await;
        for run in [id(&paused["id"]), third] {
            for _ in 0..200 {
                if rig.get(&ctx, run).await["waits_for"]["what"] == "concurrency" {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            let view = rig.get(&ctx, run).await;
            assert_eq!((&view["status"], &view["waits_for"]["what"]), (&json!("queued"), &json!("concurrency")), "{view}");
        }
        rig.call(&ctx, "runs.cancel", json!({ "run_id": third })).await;
        assert_eq!(rig.ended(&ctx, third).await["status"], "cancelled");
        rig.call(&ctx, "runs.cancel", json!({ "run_id": second })).await;
        rig.reaches(&ctx, id(&paused["id"]), "waiting").await;
        assert_eq!(rig.count(&ctx, "run_slots").await, 1);
    }

    async fn runs_begin_no_more_often_than_they_may(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.limited(&ctx, "seldom", json!({ "rate": { "max": 2, "per_seconds": 2 } }), slow()).await;
        let mut runs = Vec::new();
        for n in 0..5 {
            runs.push(rig.start(&ctx, "seldom", json!({ "n": n })).await);
        }
        for _ in 0..200 {
            if rig.get(&ctx, runs[4]).await["waits_for"]["what"] == "rate" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let view = rig.get(&ctx, runs[4]).await;
        // On a slow machine its time may have come before anybody looked.
        if view["waits_for"]["what"] == "rate" {
            assert!(time(&view["waits_for"], "until") > time(&view, "created_at"), "{view}");
        }
        let ended = rig.all_ended(&ctx, &runs).await;
        let mut begun: Vec<_> = ended.iter().map(|run| time(run, "started_at")).collect();
        begun.sort();
        // A worker may take a run a little later than it might begin.
        let apart = begun.windows(3).map(|three| three[2] - three[0]).min().expect("five");
        assert!(apart > Duration::milliseconds(1_400), "{begun:?}");
        rig.limited(&ctx, "drops", json!({ "rate": { "max": 1, "per_seconds": 3600, "key": "{{ input.n }}", "when_full": "drop" } }), slow()).await;
        let mut statuses = Vec::new();
        for n in [1, 1, 2] {
            statuses.push(rig.run(&ctx, "drops", json!({ "n": n })).await["status"].clone());
        }
        assert_eq!(statuses, ["succeeded", "cancelled", "succeeded"]);
    }

    async fn sub_workflows_go_on_under_the_same_limit(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        // It calls itself: the second needs no place of its own, or both would wait for ever.
        rig.limited(&ctx, "again", json!({ "concurrency": { "max": 1 } }), json!({
            "start": start(),
            "more": { "kind": "if@1", "after": "start", "with": { "when": "{{ input.n > 0 }}" } },
            "child": { "kind": "workflow@1", "after": "more.true", "with": { "workflow": "again", "input": { "n": "{{ input.n - 1 }}" } } },
        })).await;
        let (one, two) = (rig.start(&ctx, "again", json!({ "n": 2 })).await, rig.start(&ctx, "again", json!({ "n": 2 })).await);
        let ended = rig.all_ended(&ctx, &[one, two]).await;
        assert!(ended.iter().all(|run| run["status"] == "succeeded"), "{ended:?}");
        assert_eq!(most_at_once(&ended), 1);
        // Another workflow's limit is its own, by whomever it is called.
        rig.limited(&ctx, "part", json!({ "concurrency": { "max": 2 } }), slow()).await;
        rig.apply(&ctx, "whole", json!({
            "start": start(),
            "each": { "kind": "foreach@1", "after": "start", "with": { "items": [{}, {}, {}, {}, {}, {}], "workflow": "part", "concurrency": 6 } },
        })).await;
        let done = rig.run(&ctx, "whole", json!({})).await;
        assert_eq!(done["status"], "succeeded", "{done}");
        assert!(rig.gauge.most.load(Ordering::SeqCst) <= 2);
        // One limit for two workflows.
        let shared = json!({ "concurrency": { "max": 1, "key": "press", "scope": "workspace" } });
        rig.limited(&ctx, "left", shared.clone(), slow()).await;
        rig.limited(&ctx, "right", shared, slow()).await;
        let mut runs = Vec::new();
        for n in 0..6 {
            runs.push(rig.start(&ctx, if n % 2 == 0 { "left" } else { "right" }, json!({})).await);
        }
        assert_eq!(most_at_once(&rig.all_ended(&ctx, &runs).await), 1);
    }

    async fn a_workspace_has_so_many_at_work_and_so_many_queued(db: TestDb) {
        let settings = EngineConfig { tenant_running: 2, ..EngineConfig::default() };
        let rig = Rig::with(db, settings).await;
        rig.work();
        let (busy, other) = (rig.person(), rig.person_of(TenantId(new_id())));
        rig.apply(&busy, "slow", slow()).await;
        rig.apply(&other, "slow", slow()).await;
        let mut runs = Vec::new();
        for n in 0..40 {
            runs.push(rig.start(&busy, "slow", json!({ "n": n })).await);
        }
        let quick = rig.start(&other, "slow", json!({})).await;
        let quick = rig.ended(&other, quick).await;
        let ended = rig.all_ended(&busy, &runs).await;
        assert!(ended.iter().all(|run| run["status"] == "succeeded"), "{ended:?}");
        let last = ended.iter().map(|run| time(run, "finished_at")).max().expect("runs");
        assert!(time(&quick, "finished_at") < last, "one workspace holds no other up");
        assert!(rig.gauge.most.load(Ordering::SeqCst) <= 3, "two of one and one of the other");
    }

    async fn a_workspace_queues_so_many(db: TestDb) {
        let settings = EngineConfig { tenant_queued: 3, tenant_running: 1, ..EngineConfig::default() };
        let rig = Rig::with(db, settings).await;
        let (ctx, other) = (rig.person(), rig.person_of(TenantId(new_id())));
        rig.apply(&ctx, "slow", slow()).await;
        rig.apply(&other, "slow", slow()).await;
        let mut runs = Vec::new();
        for n in 0..3 {
            runs.push(rig.start(&ctx, "slow", json!({ "n": n })).await);
        }
        let input = json!({ "name": "slow", "input": {} });
        let refused = rig.try_call(&ctx, "workflows.run", input.clone()).await.expect_err("full");
        assert_eq!((refused.code(), refused.retry_delay().map(|delay| delay.as_secs())), ("too_many_queued_runs", Some(10)));
        rig.start(&other, "slow", json!({})).await;
        rig.work();
        rig.all_ended(&ctx, &runs).await;
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        rig.call(&ctx, "workflows.run", input).await;
    }

    async fn the_urgent_go_first(db: TestDb) {
        let settings = EngineConfig { worker_slots: 1, ..EngineConfig::default() };
        let rig = Rig::with(db, settings).await;
        let ctx = rig.person();
        rig.apply(&ctx, "slow", slow()).await;
        let mut runs = Vec::new();
        for priority in [0, 0, -5, -5, 0, 0, 0, 0, 60, 5] {
            let input = json!({ "name": "slow", "priority": priority });
            runs.push(id(&rig.call(&ctx, "workflows.run", input).await["run_id"]));
        }
        rig.work();
        let ended = rig.all_ended(&ctx, &runs).await;
        let mut order: Vec<_> = ended.iter().map(|run| (time(run, "finished_at"), run["priority"].as_i64().expect("one"))).collect();
        order.sort();
        let order: Vec<i64> = order.into_iter().map(|(_, priority)| priority).collect();
        // The first was in hand before the others came.
        assert_eq!(order, [0, 60, 5, 0, 0, 0, 0, 0, -5, -5]);
    }

    async fn whatever_happens_to_runs_no_place_is_lost_or_given_twice(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.limited(&ctx, "busy", json!({ "concurrency": { "max": 2, "key": "{{ input.key }}" } }), json!({
            "start": start(),
            "slow": { "kind": "operation@1", "after": "start", "with": { "operation": "test.slow", "input": {} } },
            "call": { "kind": "operation@1", "after": "slow", "with": { "operation": "test.moody", "input": {} }, "retry": { "max_attempts": 1, "then": "pause" } },
            "pause": { "kind": "wait@1", "after": "call", "with": { "seconds": 0.02 } },
            "more": { "kind": "operation@1", "after": "pause", "with": { "operation": "test.slow", "input": {} } },
        })).await;
        rig.gauge.moods.store(12, Ordering::SeqCst);
        let mut dice: u64 = 42;
        let mut roll = |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        let mut runs = Vec::new();
        for _ in 0..30 {
            let input = json!({ "name": "busy", "input": { "key": roll(2) }, "priority": i64::try_from(roll(21)).expect("small") - 10 });
            runs.push(id(&rig.call(&ctx, "workflows.run", input).await["run_id"]));
            let chosen = runs[usize::try_from(roll(runs.len() as u64)).expect("small")];
            let what = ["runs.cancel", "runs.resume", "runs.resume", "runs.get"][usize::try_from(roll(4)).expect("small")];
            match rig.try_call(&ctx, what, json!({ "run_id": chosen })).await {
                Ok(_) => {}
                Err(error) => assert!(["run_finished", "run_not_paused"].contains(&error.code()), "{what}: {error:?}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(roll(30))).await;
        }
        for run in &runs {
            for _ in 0..20 {
                let view = rig.ended(&ctx, *run).await;
                if view["status"] != "paused" {
                    assert!(view["status"] == "succeeded" || view["status"] == "cancelled", "{view}");
                    break;
                }
                let _ = rig.try_call(&ctx, "runs.resume", json!({ "run_id": run })).await;
            }
        }
        assert_eq!(rig.count(&ctx, "run_slots").await, 0);
        let most = rig.gauge.most.load(Ordering::SeqCst);
        // The call of a run that is cancelled is broken off a moment after its place is free.
        assert!(most <= 5, "{most} at once for two keys of two");
    }

    async fn limits_that_are_none_are_told(db: TestDb) {
        let rig = Rig::idle(db).await;
        let ctx = rig.person();
        let file = json!({ "name": "x", "nodes": { "start": start() }, "limits": {
            "concurrency": { "max": 0, "key": "{{ nodes.start.output }}", "when_full": "explode" },
            "rate": { "max": 1, "scope": "workspace", "often": true },
        } });
        let found = rig.call(&ctx, "workflows.validate", json!({ "file": file })).await;
        let mut told: Vec<_> = found["problems"].as_array().expect("problems").iter()
            .map(|one| (one["pointer"].as_str().unwrap_or_default().to_owned(), one["code"].as_str().unwrap_or_default().to_owned()))
            .collect();
        told.sort();
        let at = |pointer: &str, code: &str| (format!("/limits/{pointer}"), code.to_owned());
        assert_eq!(told, [
            at("concurrency/max", "range"), at("concurrency/when_full", "one_of"), at("rate/often", "unknown_field"), at("rate/per_seconds", "required"),
        ], "{found}");
        let file = json!({ "name": "x", "nodes": { "start": start() }, "limits": {
            "concurrency": { "max": 1, "key": "{{ nodes.start.output }}" }, "rate": { "max": 1, "per_seconds": 1, "scope": "workspace" },
        } });
        let found = rig.call(&ctx, "workflows.validate", json!({ "file": file })).await;
        let codes: Vec<_> = found["problems"].as_array().expect("problems").iter().map(|one| one["code"].clone()).collect();
        assert_eq!(codes, ["unknown_name", "required"], "{found}");
        // A key that cannot be said is the run's failure.
        rig.limited(&ctx, "keyed", json!({ "concurrency": { "max": 1, "key": "{{ input.a.b }}" } }), slow()).await;
        rig.work();
        let failed = rig.run(&ctx, "keyed", json!({})).await;
        assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("expression_failed")), "{failed}");
    }
}
