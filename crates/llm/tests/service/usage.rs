//! Usage: pages, filters, sums that are exactly what was served; and rows that outlive the database's absence.

use crate::home::{Home, SOON, faults, open_to_loopback, text};
use serde_json::{Value, json};
use std::collections::HashSet;
use synapscale_llm::service::ModelsConfig;
use synapscale_testkit::db_test;
use synapscale_testkit::providers::{Fault, Reply, Script, StandIn, any, attempt, nth, when};

fn fixed(input: u64, output: u64) -> Value {
    json!({ "pricing": { "fixed": { "input": input, "output": output } } })
}

fn of_items(page: &Value) -> Vec<Value> {
    page["items"].as_array().expect("items").clone()
}

db_test! {
    async fn pages_and_filters_tell_each_row_once(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        let (one, two) = (home.provider("one", &stand_in).await, home.provider("two", &stand_in).await);
        home.route("fast", &[(&one, "a")]).await;
        home.route("slow", &[(&two, "b")]).await;
        for number in 0..23 {
            let model = ["fast", "slow", "one/c"][number % 3];
            home.chat(model, &format!("call {number}")).await.expect("an answer");
        }
        let all = home.usage(23).await;
        let (mut cursor, mut seen) = (Value::Null, Vec::new());
        loop {
            let mut input = json!({ "limit": 5 });
            if cursor.is_string() {
                input["cursor"] = cursor.clone();
            }
            let page = home.call("usage.list", input).await;
            seen.extend(of_items(&page));
            // A row that comes meanwhile does not shift the pages.
            if seen.len() == 10 {
                home.chat("fast", "in between").await.expect("an answer");
                home.usage(24).await;
            }
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(seen, all);
        let ids: HashSet<_> = seen.iter().map(|row| text(&row["id"])).collect();
        assert_eq!(ids.len(), 23);
        let times: Vec<_> = seen.iter().map(|row| text(&row["at"])).collect();
        assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "{times:?}");

        for (filter, count) in [
            (json!({ "route": "fast" }), 9),
            (json!({ "route": "slow" }), 8),
            (json!({ "provider": "one" }), 16),
            (json!({ "model": "c" }), 7),
            (json!({ "provider": "two", "model": "c" }), 0),
            (json!({ "route": "no-such" }), 0),
            (json!({ "run_id": "01890000-0000-7000-8000-000000000001" }), 0),
            (json!({ "from": times[22], "to": times[0] }), 22),
            (json!({ "from": "2999-01-01T00:00:00Z" }), 0),
            (json!({ "to": times[22] }), 0),
        ] {
            let mut input = filter.clone();
            input["limit"] = json!(200);
            let found = of_items(&home.call("usage.list", input).await).len();
            assert_eq!(found, count, "{filter}");
        }
        for (input, pointer) in [
            (json!({ "cursor": "!" }), "/cursor"),
            (json!({ "cursor": "InRleHQi" }), "/cursor"),
            (json!({ "limit": 0 }), "/limit"),
            (json!({ "limit": 201 }), "/limit"),
            (json!({ "from": "yesterday" }), "/from"),
            (json!({ "tenant": "x" }), "/tenant"),
        ] {
            assert_eq!(faults(&home.refused("usage.list", input).await)[0].0, pointer);
        }
        assert_eq!(faults(&home.refused("usage.summary", json!({ "by": "actor" })).await)[0].0, "/by");
        assert_eq!(faults(&home.refused("usage.summary", json!({})).await)[0].0, "/by");
    }

    async fn sums_are_what_was_served(db: TestDb) {
        let home = Home::new(db).await;
        let (first, second) = (StandIn::start().await, StandIn::start().await);
        let (one, two) = (home.provider("one", &first).await, home.provider("two", &second).await);
        home.call("providers.update", json!({ "provider_id": one["id"], "settings": fixed(3_000_000, 15_000_000) })).await;
        home.route("fast", &[(&one, "a"), (&two, "b")]).await;
        // Each fifth call of the first fails over, some with a retry that fails as well.
        first.script(Script::new().sometimes(0.3, Fault::status(503)).seed(7));
        let calls = (0..40).map(|number| {
            let home = &home;
            async move { home.chat("fast", &format!("question {number} {}", "x".repeat(number))).await.expect("an answer") }
        });
        let answers = futures::future::join_all(calls).await;
        let (served, other) = (first.served_usage(), second.served_usage());
        assert!(other.total() > 0 && served.total() > 0);
        let count = first.calls().len() + second.calls().len();
        home.usage(count).await;
        let sums = home.call("usage.summary", json!({ "by": "provider" })).await;
        let items = of_items(&sums);
        let keys: Vec<_> = items.iter().map(|item| text(&item["key"])).collect();
        assert_eq!((keys, &sums["truncated"]), (vec!["one".to_owned(), "two".to_owned()], &json!(false)));
        for (item, stand_in, served) in [(&items[0], &first, served), (&items[1], &second, other)] {
            assert_eq!(item["attempts"], stand_in.calls().len());
            assert_eq!(item["failed"], stand_in.calls().len() - stand_in.count_finished(|_| true));
            assert_eq!((&item["input_tokens"], &item["output_tokens"]), (&json!(served.prompt()), &json!(served.output)));
        }
        let cost = served.prompt() * 3000 + served.output * 15_000;
        assert_eq!((&items[0]["cost_nano_usd"], &items[0]["unknown_costs"]), (&json!(cost), &json!(0)));
        let unknown = second.count_finished(|_| true);
        assert_eq!((&items[1]["cost_nano_usd"], &items[1]["unknown_costs"]), (&Value::Null, &json!(unknown)));
        let told: u64 = answers.iter().filter_map(|answer| answer["cost_nano_usd"].as_u64()).sum();
        assert_eq!(told, cost);

        let by = |by: &'static str| home.call("usage.summary", json!({ "by": by }));
        let models = of_items(&by("model").await);
        let keys: Vec<_> = models.iter().map(|item| text(&item["key"])).collect();
        assert_eq!(keys, ["one/a", "two/b"]);
        home.chat("two/b", "by no route").await.expect("an answer");
        home.usage(count + 1).await;
        let routes = of_items(&by("route").await);
        let keys: Vec<_> = routes.iter().map(|item| (item["key"].clone(), item["attempts"].clone())).collect();
        assert_eq!(keys, [(Value::Null, json!(1)), (json!("fast"), json!(count))]);
        let days = of_items(&by("day").await);
        let attempts: u64 = days.iter().map(|day| day["attempts"].as_u64().expect("a number")).sum();
        assert_eq!(attempts, count as u64 + 1);
        assert_eq!(text(&days[0]["key"]).len(), 10);
        let none = home.call("usage.summary", json!({ "by": "day", "from": "2999-01-01T00:00:00Z" })).await;
        assert_eq!(none["items"], json!([]));
    }

    async fn a_cached_and_reasoned_share_is_told_apart(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        home.provider("main", &stand_in).await;
        let usage = synapscale_testkit::providers::Usage { input: 60, output: 50, cache_read: 40, cache_write: 0, reasoning: 20 };
        stand_in.script(Script::new().rule(when(any()).then(Reply::text("x").usage(usage))));
        home.chat("main/m", "x").await.expect("an answer");
        home.usage(1).await;
        let item = of_items(&home.call("usage.summary", json!({ "by": "provider" })).await)[0].clone();
        assert_eq!((&item["input_tokens"], &item["cached_tokens"]), (&json!(100), &json!(40)));
        assert_eq!((&item["output_tokens"], &item["reasoning_tokens"]), (&json!(50), &json!(20)));
    }

    async fn retries_are_rows_of_their_own(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        let provider = home.provider("main", &stand_in).await;
        stand_in.script(Script::new().rule(when(attempt(1)).then(Reply::fault(Fault::status(500)))));
        let way = json!([{ "provider_id": provider["id"], "model": "m", "retries": 1 }]);
        home.call("routes.create", json!({ "alias": "again", "deployments": way })).await;
        home.chat("again", "x").await.expect("an answer");
        let outcomes = home.outcomes(2).await;
        assert_eq!(outcomes, [("llm_provider".to_owned(), Some(500)), ("ok".to_owned(), None)]);
    }

    async fn an_orderly_stop_leaves_no_row_behind(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        home.provider("main", &stand_in).await;
        let calls = (0..30).map(|number| {
            let home = &home;
            async move { home.chat("main/m", &format!("{number}")).await.expect("an answer") }
        });
        futures::future::join_all(calls).await;
        home.models.stop().await;
        let figures = home.models.figures().expect("figures");
        assert_eq!((figures.written(), figures.spilled(), figures.lost()), (30, 0, 0));
        assert_eq!(home.usage(30).await.len(), 30);
        // Whoever calls even now is recorded on disk.
        home.chat("main/m", "late").await.expect("an answer");
        assert_eq!((figures.spilled(), figures.lost()), (1, 0));
    }

    async fn what_the_closed_database_missed_is_there_after_the_restart(db: TestDb) {
        let stand_in = StandIn::start().await;
        let tenant = {
            let home = Home::new(db).await;
            home.provider("main", &stand_in).await;
            home.chat("main/m", "before").await.expect("an answer");
            home.usage(1).await;
            // The call's way is in memory, its row has nowhere to go.
            stand_in.script(Script::new().rule(when(nth(2)).then(Reply::text("while it is away"))));
            home.store.close().await;
            let request = synapscale_llm::model::ChatRequest::new(vec![synapscale_llm::model::Message::user("away")]);
            let nobody = tokio_util::sync::CancellationToken::new();
            let answer = home.models.chat(&home.ctx, "main/m", &request, &nobody, &mut synapscale_llm::NoSink).await;
            assert_eq!(answer.expect("an answer").message.0.text(), "while it is away");
            tokio::time::timeout(SOON, home.models.stop()).await.expect("stopped");
            let figures = home.models.figures().expect("figures");
            // SQLite takes it even now, which is as good.
            assert_eq!((figures.lost(), figures.spilled()), (0, u64::from(db.is_postgres())));
            home.close().await;
            home.ctx.clone()
        };
        let mut home = Home::new(db).await;
        home.ctx = tenant;
        let rows = home.usage(2).await;
        assert_eq!(rows.iter().filter(|row| row["outcome"] == "ok").count(), 2);
        home.models.stop().await;
        assert_eq!(home.usage(2).await, rows, "once, and no more");
    }

    async fn a_service_that_never_started_keeps_its_rows(db: TestDb) {
        let stand_in = StandIn::start().await;
        let home = Home::new(db).await;
        home.provider("main", &stand_in).await;
        let spill = ModelsConfig { spill: Some(db.folder().join("other")), ..open_to_loopback(db) };
        let idle = synapscale_llm::Models::new(home.store.clone(), home.store.clock().clone(), spill).expect("a service");
        let request = synapscale_llm::model::ChatRequest::new(vec![synapscale_llm::model::Message::user("x")]);
        let nobody = tokio_util::sync::CancellationToken::new();
        idle.chat(&home.ctx, "main/m", &request, &nobody, &mut synapscale_llm::NoSink).await.expect("an answer");
        tokio::time::timeout(SOON, idle.stop()).await.expect("stopped");
        let figures = idle.figures().expect("figures");
        assert_eq!((figures.written(), figures.spilled(), figures.lost()), (0, 1, 0));
    }
}
