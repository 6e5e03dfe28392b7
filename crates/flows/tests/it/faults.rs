//! What went wrong once between runs: ends that were not heard of, rows written twice, children that left too early.

use crate::rig::{Rig, id, start};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use synapscale_core::{Clock, Ctx, Error, new_id};
use synapscale_engine::{NewRun, WorkflowRef};
use synapscale_store::orm::ConnectionTrait;
use synapscale_store::orm::sea_query::{Expr, ExprTrait, Query};
use synapscale_testkit::db_test;
use uuid::Uuid;

/// A call that fails as often as the rig is told to, and pauses its run then.
fn moody() -> Value {
    json!({
        "kind": "operation@1", "after": "start", "with": { "operation": "test.moody", "input": {} },
        "retry": { "max_attempts": 1, "then": "pause" },
    })
}

fn child(workflow: &str) -> Value {
    json!({ "kind": "workflow@1", "after": "start", "with": { "workflow": workflow } })
}

fn asks() -> Value {
    json!({ "start": start(), "ask": { "kind": "approval@1", "after": "start", "with": { "title": "Well?" } } })
}

impl Rig {
    /// A paused run, and its child, which waits for a person.
    async fn paused_parent(&self, ctx: &Ctx) -> (Uuid, Uuid) {
        self.apply(ctx, "asks", asks()).await;
        self.apply(
            ctx,
            "outer",
            json!({
                "start": start(),
                "call": moody(),
                "child": child("asks"),
                "end": { "kind": "set@1", "after": ["call", "child"], "with": { "both": true } },
            }),
        )
        .await;
        self.gauge.moods.store(1, Ordering::SeqCst);
        let paused = self.run(ctx, "outer", json!({})).await;
        assert_eq!(paused["status"], "paused", "{paused}");
        let parent = id(&paused["id"]);
        let child = id(&self.steps(ctx, parent, "child").await[1]["call"]["run_id"]);
        self.reaches(ctx, child, "waiting").await;
        (parent, child)
    }

    async fn approve(&self, ctx: &Ctx, run: Uuid) {
        let asked = self.call(ctx, "approvals.list", json!({ "run_id": run })).await;
        let approval = &asked["items"][0]["id"];
        self.call(
            ctx,
            "approvals.decide",
            json!({ "approval_id": approval, "approve": true }),
        )
        .await;
    }

    /// Starts a workflow as it is private to something, as `publisher`'s and on behalf of the caller.
    async fn start_private(&self, ctx: &Ctx, name: &str, private_to: Uuid) -> Uuid {
        let view = self.call(ctx, "workflows.get", json!({ "name": name })).await;
        let workflow: Value = view["workflow"].clone();
        let publisher = serde_json::from_value(workflow["publisher"].clone()).expect("a publisher");
        let new = NewRun {
            id: None,
            graph_id: id(&workflow["graph_id"]),
            trigger: "start".to_owned(),
            input: json!({}),
            workflow: Some(WorkflowRef {
                id: id(&workflow["id"]),
                version: 1,
                name: name.to_owned(),
            }),
            principal: publisher,
            on_behalf_of: Some(ctx.actor()).filter(|actor| *actor != publisher),
            priority: 0,
            correlation: None,
            private_to: Some(private_to),
            parent: None,
            cause: None,
        };
        let started = self.engine.store().write(ctx, |tx| {
            let (engine, new) = (self.engine.clone(), new.clone());
            async move { engine.start(&tx, new).await }
        });
        started.await.expect("started").run_id
    }

    /// What every run of the workspace is private to, by workflow.
    async fn privacies(&self) -> Vec<(Option<String>, Option<Uuid>)> {
        let ctx = Ctx::system(Clock::system()).system_in(self.tenant);
        let listed = self.engine.store().read(&ctx, |tx| {
            let engine = self.engine.clone();
            async move { engine.list_runs(&tx, Default::default()).await }
        });
        let items = listed.await.expect("runs").items;
        items
            .into_iter()
            .map(|run| (run.workflow_name, run.private_to))
            .collect()
    }
}

db_test! {
    async fn a_child_that_ends_while_its_parent_is_resumed_is_heard_of(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        let (parent, child) = rig.paused_parent(&ctx).await;
        if !db.is_postgres() {
            // One writer: nothing happens at the same moment.
            rig.approve(&ctx, child).await;
            rig.call(&ctx, "runs.resume", json!({ "run_id": parent })).await;
            assert_eq!(rig.ended(&ctx, parent).await["status"], "succeeded");
            return;
        }
        // Holds the child's commit up between its word to the parent and its end.
        let (held, holding) = tokio::sync::oneshot::channel::<()>();
        let (let_go, gone) = tokio::sync::oneshot::channel::<()>();
        let (held, gone) = (std::sync::Mutex::new(Some(held)), tokio::sync::Mutex::new(Some(gone)));
        let holder = rig.engine.store().write(&ctx, |tx| {
            let (held, gone) = (&held, &gone);
            async move {
                let mut update = Query::update();
                update
                    .table("runs")
                    .value("work_ms", 0_i64)
                    .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant().0))
                    .and_where(Expr::col("id").eq(child));
                tx.execute(&update).await.map_err(Error::internal)?;
                let told = held.lock().expect("held").take();
                let wait = gone.lock().await.take();
                if let (Some(told), Some(wait)) = (told, wait) {
                    let _ = told.send(());
                    let _ = wait.await;
                }
                Ok(())
            }
        });
        let rest = async {
            holding.await.expect("held");
            rig.approve(&ctx, child).await;
            tokio::time::sleep(Duration::from_millis(700)).await;
            let resumed = rig.call(&ctx, "runs.resume", json!({ "run_id": parent }));
            let release = async {
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                let _ = let_go.send(());
            };
            tokio::join!(resumed, release);
        };
        let (kept, ()) = tokio::join!(holder, rest);
        kept.expect("held");
        assert_eq!(rig.ended(&ctx, child).await["status"], "succeeded");
        assert_eq!(rig.ended(&ctx, parent).await["status"], "succeeded");
    }

    async fn resuming_again_what_was_never_tried_again(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        // The first item ends while the second is under way, and what the third is given cannot be said.
        let file = json!({ "name": "list", "retry": { "then": "pause" }, "nodes": {
            "start": start(),
            "each": { "kind": "foreach@1", "after": "start", "with": {
                "items": [1, 2, 3], "operation": "test.slow", "concurrency": 2, "input": { "value": "{{ 6 / (index - 2) }}" },
            } },
        } });
        rig.call(&ctx, "workflows.apply", json!({ "name": "list", "file": file })).await;
        let paused = rig.run(&ctx, "list", json!({})).await;
        for _ in 0..3 {
            rig.call(&ctx, "runs.resume", json!({ "run_id": paused["id"] })).await;
            let again = rig.ended(&ctx, id(&paused["id"])).await;
            assert_eq!((&again["status"], &again["error"]["code"]), (&json!("paused"), &json!("expression_failed")), "{again}");
        }
    }

    async fn a_child_whose_journal_cannot_be_read_still_tells_its_parent(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "stuck", json!({ "start": start(), "call": moody() })).await;
        rig.apply(&ctx, "outer", json!({ "start": start(), "child": child("stuck") })).await;
        rig.gauge.moods.store(1, Ordering::SeqCst);
        let parent = rig.start(&ctx, "outer", json!({})).await;
        rig.reaches(&ctx, parent, "waiting").await;
        let child = id(&rig.steps(&ctx, parent, "child").await[1]["call"]["run_id"]);
        rig.reaches(&ctx, child, "paused").await;
        let broken = rig.engine.store().write(&ctx, |tx| async move {
            let mut insert = Query::insert();
            insert
                .into_table("journal")
                .columns(["tenant_id", "run_id", "seq", "node", "path", "attempt", "kind", "data", "at"])
                .values([
                    tx.ctx().tenant().0.into(), child.into(), 1_000_i64.into(), "nowhere".into(), "".into(), 1_i64.into(),
                    "started".into(), json!({}).into(), Clock::system().now().into(),
                ])
                .map_err(Error::internal)?;
            tx.execute(&insert).await.map_err(Error::internal)
        });
        broken.await.expect("broken");
        rig.call(&ctx, "runs.cancel", json!({ "run_id": child })).await;
        let failed = rig.ended(&ctx, parent).await;
        assert_eq!(failed["error"]["code"], "child_cancelled", "{failed}");
    }

    async fn what_a_private_run_starts_is_private(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "leaf", json!({ "start": start() })).await;
        rig.apply(&ctx, "middle", json!({ "start": start(), "child": child("leaf") })).await;
        let hands_on = json!({ "kind": "operation@1", "after": "start", "with": { "operation": "workflows.run", "input": { "name": "middle" } } });
        // In its first burst, before it has a row, and in a later one.
        rig.apply(&ctx, "talk", json!({
            "start": start(), "now": hands_on.clone(),
            "slow": { "kind": "operation@1", "after": "start", "with": { "operation": "test.slow", "input": {} } },
            "later": { "kind": "operation@1", "after": "slow", "with": { "operation": "workflows.run", "input": { "name": "leaf" } } },
        })).await;
        let (private_to, guest) = (new_id(), rig.person());
        rig.start_private(&guest, "talk", private_to).await;
        for _ in 0..200 {
            let all = rig.privacies().await;
            if all.len() == 4 {
                assert!(all.iter().all(|(_, to)| *to == Some(private_to)), "{all:?}");
                // It runs as its publisher, for the guest: it is the guest's.
                let listed = rig.call(&ctx, "runs.list", json!({})).await;
                assert_eq!(listed["items"], json!([]), "{listed}");
                let listed = rig.call(&guest, "runs.list", json!({ "workflow": "talk" })).await;
                assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not all were started: {:?}", rig.privacies().await);
    }

    async fn a_child_stays_until_its_parent_has_heard_of_it(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        let (parent, child) = rig.paused_parent(&ctx).await;
        rig.approve(&ctx, child).await;
        rig.ended(&ctx, child).await;
        rig.age(&ctx, child, chrono::Duration::days(91)).await;
        assert_eq!(rig.engine.purge_runs().await.expect("purged"), 0);
        rig.call(&ctx, "runs.resume", json!({ "run_id": parent })).await;
        assert_eq!(rig.ended(&ctx, parent).await["status"], "succeeded");
        assert_eq!(rig.engine.purge_runs().await.expect("purged"), 1);
    }
}

db_test! {
    async fn large_outputs_stay_in_their_blobs_until_they_are_needed(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        // Each round waits, so that the run is brought back from its journal.
        rig.apply(&ctx, "rounds", json!({
            "start": start(),
            "head": { "kind": "merge@1", "after": ["start", "more.true"], "join": "any", "with": { "max_iterations": 10 } },
            "work": { "kind": "set@1", "after": "head", "with": { "text": "{{ input.text }}", "round": "{{ (nodes.work.output?.round ?? 0) + 1 }}" } },
            "pause": { "kind": "wait@1", "after": "work", "with": { "seconds": 0.02 } },
            "more": { "kind": "if@1", "after": "pause", "with": { "when": "{{ nodes.work.output.round < 4 }}" } },
            "end": { "kind": "set@1", "after": "more.false", "with": { "round": "{{ nodes.work.output.round }}", "long": "{{ len(nodes.work.output.text) }}" } },
        })).await;
        let done = rig.run(&ctx, "rounds", json!({ "text": "x".repeat(100_000) })).await;
        assert_eq!(done["output"], json!({ "round": 4, "long": 100_000 }), "{done}");
        let work = &rig.steps(&ctx, id(&done["id"]), "work").await[0];
        assert_eq!((&work["path"], work["output"]["text"].as_str().map(str::len)), (&json!("4"), Some(100_000)));
        let again = rig.call(&ctx, "runs.rerun", json!({ "run_id": done["id"], "from_node": "end" })).await;
        assert_eq!(rig.ended(&ctx, id(&again["run_id"])).await["output"], done["output"]);
    }

    async fn what_a_run_may_hold_has_an_end(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "list", json!({
            "start": start(),
            "each": { "kind": "foreach@1", "after": "start", "with": {
                "items": "{{ range(0, 100) }}", "operation": "test.echo", "concurrency": 1, "input": { "value": "{{ input.text }}" },
            } },
        })).await;
        let failed = rig.run(&ctx, "list", json!({ "text": "x".repeat(200_000) })).await;
        assert_eq!(failed["error"]["code"], "too_large", "{failed}");
        let begun = rig.steps(&ctx, id(&failed["id"]), "each").await.len();
        assert!((40..60).contains(&begun), "nothing begins once it is too much: {begun}");
    }
}
