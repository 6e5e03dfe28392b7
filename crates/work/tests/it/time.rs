//! Logged time and timers.

use crate::home::{Home, MEMBER, items, text};
use chrono::TimeDelta;
use serde_json::json;
use synapscale_testkit::db_test;

db_test! {
    async fn minutes_are_logged_corrected_and_summed_up_the_tree(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let top = home.task(&project, None, "top").await;
        let below = home.task(&project, Some(&top), "below").await;
        home.ok("tasks.update", json!({ "task_id": top, "actual_minutes": 5, "estimated_minutes": 60 })).await;
        home.ok("time.create", json!({ "task_id": top, "minutes": 30, "date": "2026-03-01", "note": "thinking" })).await;
        let second = home.ok("time.create", json!({ "task_id": below, "minutes": 20 })).await;
        assert_eq!(second["date"], "2026-03-02", "today by the clock");
        assert_eq!(home.get(&top).await["actual_minutes"], 35, "what was set by hand stays in it");
        let corrected = json!({ "time_entry_id": second["id"], "minutes": 25, "date": "2026-02-28" });
        assert_eq!(home.ok("time.update", corrected).await["minutes"], 25);
        let sums = home.ok("tasks.time", json!({ "task_id": top })).await;
        let figures = ["tasks", "logged_minutes", "total_logged_minutes", "actual_minutes", "total_actual_minutes", "total_estimated_minutes"];
        assert_eq!(figures.map(|figure| sums[figure].as_i64().expect("a number")), [2, 30, 55, 35, 60, 60], "{sums}");
        assert_eq!(sums["people"].as_array().expect("people").len(), 1);
        home.ok("time.delete", json!({ "time_entry_id": second["id"] })).await;
        assert_eq!(home.get(&below).await["actual_minutes"], 0);
        for (input, pointer) in [
            (json!({ "task_id": top, "minutes": 0 }), "/minutes"),
            (json!({ "task_id": top, "minutes": 1441 }), "/minutes"),
            (json!({ "task_id": top, "minutes": 5, "date": "2026-02-30" }), "/date"),
        ] {
            assert_eq!(home.refused("time.create", input).await.fields()[0].pointer, pointer);
        }
    }

    async fn time_is_listed_by_person_and_day(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let task = home.task(&project, None, "t").await;
        let colleague = home.colleague(MEMBER);
        for day in 1..=5 {
            home.ok("time.create", json!({ "task_id": task, "minutes": day, "date": format!("2026-02-0{day}") })).await;
        }
        let theirs = home.call_as(&colleague, "time.create", json!({ "task_id": task, "minutes": 9 })).await.expect("logged");
        let mine = home.ok("time.list", json!({ "person": "me", "from": "2026-02-02", "to": "2026-02-04" })).await;
        let minutes: Vec<_> = items(&mine).iter().map(|entry| entry["minutes"].as_i64().expect("minutes")).collect();
        assert_eq!(minutes, [4, 3, 2]);
        let mut seen = Vec::new();
        let mut cursor = json!(null);
        loop {
            let page = home.ok("time.list", json!({ "task_id": task, "limit": 4, "cursor": cursor })).await;
            seen.extend(items(&page).iter().map(|entry| text(&entry["id"])));
            cursor = page["next_cursor"].clone();
            if cursor.is_null() { break; }
        }
        assert_eq!(seen.len(), 6);
        assert_eq!(seen[0], text(&theirs["id"]));
        let first = &items(&mine)[0];
        let input = json!({ "time_entry_id": first["id"], "minutes": 1 });
        assert_eq!(home.call_as(&colleague, "time.update", input.clone()).await.expect_err("refused").code(), "forbidden");
        assert_eq!(home.call_as(&home.stranger(), "time.update", input).await.expect_err("refused").code(), "not_found");
        home.ok("time.update", json!({ "time_entry_id": theirs["id"], "note": "corrected by an admin" })).await;
        assert_eq!(home.refused("time.list", json!({ "from": "2026-13-01" })).await.fields()[0].pointer, "/from");
    }

    async fn one_timer_runs_for_each_person(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let (first, second) = (home.task(&project, None, "a").await, home.task(&project, None, "b").await);
        let colleague = home.colleague(MEMBER);
        home.call_as(&colleague, "timers.start", json!({ "task_id": first })).await.expect("theirs");
        let started = home.ok("timers.start", json!({ "task_id": first, "note": "deep" })).await;
        assert_eq!((&started["stopped"], &started["timer"]["minutes"]), (&json!(null), &json!(null)));
        let again = home.ok("timers.start", json!({ "task_id": first })).await;
        assert_eq!(again["timer"]["id"], started["timer"]["id"], "it goes on");
        let running = json!({ "time_entry_id": started["timer"]["id"], "minutes": 5 });
        assert_eq!(home.refused("time.update", running).await.code(), "timer_running");
        home.clock.advance(TimeDelta::seconds(29 * 60 + 40));
        let other = home.ok("timers.start", json!({ "task_id": second })).await;
        assert_eq!((&other["stopped"]["entry"]["minutes"], &other["stopped"]["cut"]), (&json!(30), &json!(false)), "{other}");
        assert_eq!(home.get(&first).await["actual_minutes"], 30);
        assert_eq!(home.ok("timers.get", json!({})).await["timer"]["task_id"], json!(second));
        // Deleted while the timer runs: the time counts all the same.
        home.ok("tasks.delete", json!({ "task_id": second })).await;
        home.clock.advance(TimeDelta::days(3));
        let stopped = home.ok("timers.stop", json!({})).await;
        assert_eq!((&stopped["entry"]["minutes"], &stopped["cut"]), (&json!(1440), &json!(true)));
        home.ok("tasks.restore", json!({ "task_id": second })).await;
        assert_eq!(home.get(&second).await["actual_minutes"], 1440);
        assert_eq!(home.refused("timers.stop", json!({})).await.code(), "no_timer");
        assert!(home.ok("timers.get", json!({})).await["timer"].is_null());
        let theirs = home.call_as(&colleague, "timers.get", json!({})).await.expect("theirs");
        assert_eq!(theirs["timer"]["task_id"], json!(first));
    }

    async fn a_timer_stops_whatever_its_task_holds_already(db: TestDb) {
        let home = Home::new(db).await;
        let project = home.project("P").await;
        let full = home.task(&project, None, "full").await;
        home.ok("tasks.update", json!({ "task_id": full, "actual_minutes": 9_999_990 })).await;
        home.ok("timers.start", json!({ "task_id": full })).await;
        home.clock.advance(TimeDelta::minutes(30));
        let stopped = home.ok("timers.stop", json!({})).await;
        assert_eq!((&stopped["entry"]["minutes"], &stopped["cut"], &stopped["lost_minutes"]), (&json!(10), &json!(true), &json!(20)), "{stopped}");
        assert_eq!(home.get(&full).await["actual_minutes"], 10_000_000);
        // No room at all; and one that was deleted meanwhile.
        home.ok("timers.start", json!({ "task_id": full })).await;
        home.clock.advance(TimeDelta::minutes(5));
        let deleted = home.ok("tasks.delete", json!({ "task_id": full })).await;
        let stopped = home.ok("timers.stop", json!({})).await;
        assert_eq!((&stopped["entry"]["minutes"], &stopped["lost_minutes"]), (&json!(0), &json!(5)), "{deleted}");
        home.ok("tasks.restore", json!({ "task_id": full })).await;
        assert_eq!(home.get(&full).await["actual_minutes"], 10_000_000);
        // Taking an entry away takes away what it counted.
        home.ok("time.delete", json!({ "time_entry_id": home.ok("time.list", json!({ "task_id": full })).await["items"][1]["id"] })).await;
        assert_eq!(home.get(&full).await["actual_minutes"], 9_999_990);
    }
}
