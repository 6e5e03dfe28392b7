//! Runs that start by themselves.

use crate::rig::{Rig, id, start};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use synapscale_core::{Channel, Clock, Origin};
use synapscale_testkit::db_test;

fn timed(missed: &str) -> Value {
    json!({
        "clock": { "kind": "trigger.schedule@1", "with": { "cron": "0 * * * *", "timezone": "Europe/Berlin", "missed": missed } },
        "out": { "kind": "set@1", "after": "clock", "with": { "at": "{{ input.scheduled_at }}" } },
    })
}

fn told(kinds: Value, filter: Option<&str>) -> Value {
    let mut with = json!({ "kinds": kinds });
    if let Some(filter) = filter {
        with["filter"] = json!(filter);
    }
    json!({
        "event": { "kind": "trigger.event@1", "with": with },
        "out": { "kind": "set@1", "after": "event", "with": { "kind": "{{ input.event.kind }}", "name": "{{ input.event.data.name }}" } },
    })
}

async fn runs(rig: &Rig, ctx: &synapscale_core::Ctx, workflow: &str) -> Vec<Value> {
    let listed = rig
        .call(ctx, "runs.list", json!({ "workflow": workflow, "limit": 200 }))
        .await;
    listed["items"].as_array().cloned().expect("runs")
}

/// Looks until nothing more is due; the log's readers see a commit a moment later.
async fn fire(rig: &Rig) -> usize {
    let mut all = 0;
    for _ in 0..12 {
        all += rig.flows.fire().await.expect("fired");
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    all
}

db_test! {
    async fn a_turn_has_one_run_whoever_looks(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "hourly", timed("all")).await;
        let listed = rig.call(&ctx, "triggers.list", json!({ "workflow": "hourly" })).await;
        let next = listed["schedules"][0]["next_at"].as_str().expect("a turn").to_owned();
        assert!(next.parse::<DateTime<Utc>>().expect("a time") > Clock::system().now(), "{listed}");
        assert_eq!(fire(&rig).await, 0, "nothing is due");
        // As if nothing had run for three hours.
        rig.back(&ctx, Duration::hours(3)).await;
        let (one, two, three) = tokio::join!(rig.flows.fire(), rig.flows.fire(), rig.flows.fire());
        let fired = one.expect("one") + two.expect("two") + three.expect("three");
        let found = runs(&rig, &ctx, "hourly").await;
        assert_eq!((fired, found.len()), (3, 3), "{found:?}");
        assert_eq!(fire(&rig).await, 0);
        let listed = rig.call(&ctx, "triggers.list", json!({})).await;
        let shown = &listed["schedules"][0];
        assert_eq!((&shown["next_at"], &shown["failure"]), (&json!(next), &Value::Null), "{listed}");
        let last = rig.ended(&ctx, id(&shown["last_run_id"])).await;
        assert_eq!(last["output"]["at"], last["input"]["scheduled_at"], "{last}");
        // The same row fired again, as after a restored backup, has the same runs.
        rig.back(&ctx, Duration::hours(3)).await;
        assert_eq!(fire(&rig).await, 0);
    }

    async fn missed_turns_are_one_run_or_none(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "once", timed("once")).await;
        rig.back(&ctx, Duration::hours(5)).await;
        assert_eq!(fire(&rig).await, 1);
        rig.call(&ctx, "workflows.update", json!({ "name": "once", "status": "paused" })).await;
        rig.back(&ctx, Duration::hours(9)).await;
        assert_eq!(fire(&rig).await, 0, "paused");
        rig.call(&ctx, "workflows.delete", json!({ "name": "once" })).await;
        let listed = rig.call(&ctx, "triggers.list", json!({})).await;
        assert_eq!(listed["schedules"], json!([]), "{listed}");
    }

    async fn what_is_no_schedule_is_told(db: TestDb) {
        let rig = Rig::idle(db).await;
        let ctx = rig.person();
        let file = json!({ "name": "bad", "nodes": {
            "a": { "kind": "trigger.schedule@1", "with": { "cron": "99 * * * *" } },
            "b": { "kind": "trigger.schedule@1", "with": { "cron": "0 9 * * *", "timezone": "Nowhere/Land" } },
            "c": { "kind": "trigger.event@1", "with": { "kinds": ["task.created"], "filter": "input.x == 1" } },
        } });
        let found = rig.call(&ctx, "workflows.validate", json!({ "file": file })).await;
        let faults: Vec<_> = found["problems"].as_array().expect("problems").iter().map(|p| (p["pointer"].as_str().unwrap_or_default(), p["code"].as_str().unwrap_or_default())).collect();
        assert_eq!(faults, [("/nodes/a/with/cron", "cron"), ("/nodes/b/with/timezone", "time_zone"), ("/nodes/c/with/filter", "expression")], "{found}");
        let turns = rig.call(&ctx, "triggers.preview", json!({ "cron": "30 9 * * MON-FRI", "timezone": "Europe/Berlin", "count": 3 })).await;
        assert_eq!(turns["turns"].as_array().map(Vec::len), Some(3), "{turns}");
        let refused = rig.try_call(&ctx, "triggers.preview", json!({ "cron": "x" })).await.expect_err("no cron");
        assert_eq!(refused.fields()[0].code, "cron");
    }

    async fn an_event_starts_a_run_once(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        rig.apply(&ctx, "before", json!({ "start": start() })).await;
        rig.apply(&ctx, "follows", told(json!(["workflow.applied"]), Some("event.data.name != 'uninteresting' && event.data.name != 'follows'"))).await;
        rig.apply(&ctx, "uninteresting", json!({ "start": start() })).await;
        rig.apply(&ctx, "interesting", json!({ "start": start() })).await;
        // Another workspace's events are its own.
        let other = rig.person_of(synapscale_core::TenantId(synapscale_core::new_id()));
        rig.apply(&other, "theirs", json!({ "start": start() })).await;
        let mut fired = 0;
        for _ in 0..800 {
            let (one, two) = tokio::join!(rig.flows.fire(), rig.flows.fire());
            fired += one.expect("one") + two.expect("two");
            if fired > 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        fired += fire(&rig).await;
        let found = runs(&rig, &ctx, "follows").await;
        assert_eq!((fired, found.len()), (1, 1), "{found:?}");
        let done = rig.ended(&ctx, id(&found[0]["id"])).await;
        assert_eq!(done["output"], json!({ "kind": "workflow.applied", "name": "interesting" }), "{done}");
    }

    async fn runs_that_start_runs_by_their_events_come_to_an_end(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        // Each starts when the other does.
        for (name, other) in [("ping", "pong"), ("pong", "ping")] {
            let filter = format!("event.kind == 'run.started' && event.data.workflow == '{other}'");
            rig.apply(&ctx, name, json!({
                "start": start(),
                "event": { "kind": "trigger.event@1", "with": { "kinds": ["run.*"], "filter": filter } },
            })).await;
        }
        // And this one when anything of its own happens.
        rig.apply(&ctx, "narcissus", json!({
            "start": start(),
            "event": { "kind": "trigger.event@1", "with": { "kinds": ["run.*"], "filter": "event.kind == 'run.started'" } },
        })).await;
        rig.call(&ctx, "workflows.run", json!({ "name": "narcissus", "trigger": "start" })).await;
        fire(&rig).await;
        assert_eq!(runs(&rig, &ctx, "narcissus").await.len(), 1, "its own events never start it");
        rig.call(&ctx, "workflows.update", json!({ "name": "narcissus", "status": "paused" })).await;
        rig.call(&ctx, "workflows.run", json!({ "name": "ping", "trigger": "start" })).await;
        // A shared PostgreSQL settles its log when every transaction of that moment is over, whoever's it is.
        let (mut pings, mut pongs) = (0, 0);
        for _ in 0..60 {
            fire(&rig).await;
            pings = runs(&rig, &ctx, "ping").await.len();
            pongs = runs(&rig, &ctx, "pong").await.len();
            if pings + pongs >= 8 {
                break;
            }
        }
        fire(&rig).await;
        fire(&rig).await;
        pings = pings.max(runs(&rig, &ctx, "ping").await.len());
        pongs = pongs.max(runs(&rig, &ctx, "pong").await.len());
        assert_eq!((pings, pongs), (4, 4));
        for _ in 0..60 {
            let listed = rig.call(&ctx, "triggers.list", json!({})).await;
            let all = listed["events"].as_array().expect("events");
            if all.iter().any(|trigger| trigger["failure"]["code"] == "too_deep") {
                return;
            }
            fire(&rig).await;
        }
        panic!("nobody is told why no ninth run was started");
    }

    async fn a_step_of_a_run_is_not_told_a_hooks_secret(db: TestDb) {
        let rig = Rig::new(db).await;
        let ctx = rig.person();
        let file = |name: &str| json!({ "name": name, "nodes": {
            "hook": { "kind": "trigger.webhook@1", "with": { "scheme": "github" } },
            "out": { "kind": "set@1", "after": "hook", "with": { "ok": true } },
        } });
        let input = |name: &str| json!({ "name": name, "file": file(name) });
        let applied = rig.call(&ctx, "workflows.apply", input("by-hand")).await;
        assert!(applied["hooks"][0]["secret"].is_string(), "{applied}");
        let origin = Origin { channel: Channel::Run, ip: None, run: Some(ctx.request_id()), private_to: None };
        let applied = rig.call(&ctx.with_origin(origin), "workflows.apply", input("by-a-run")).await;
        let hook = &applied["hooks"][0];
        assert!(hook["url_path"].is_string() && hook.get("secret").is_none(), "{applied}");
        let rotated = rig.call(&ctx, "hooks.rotate_secret", json!({ "hook_id": hook["id"] })).await;
        assert!(rotated["secret"].is_string(), "{rotated}");
    }
}
