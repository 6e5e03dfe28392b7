//! Routes: added, changed, removed; what a call may name.

use crate::home::{Home, faults};
use serde_json::{Value, json};
use synapscale_ops::Envelope;
use synapscale_testkit::db_test;
use synapscale_testkit::providers::StandIn;

db_test! {
    async fn a_route_is_added_shown_changed_and_removed(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        let provider = home.provider("main", &stand_in).await;
        let made = home.route("fast", &[(&provider, "m1"), (&provider, "m2")]).await;
        assert_eq!((&made["alias"], &made["strategy"], &made["revision"]), (&json!("fast"), &json!("ordered"), &json!(1)));
        assert_eq!(made["total_timeout_ms"], 900_000);
        let id = json!({ "route_id": made["id"] });
        assert_eq!(home.call("routes.get", id.clone()).await, made);
        assert_eq!(home.call("routes.list", json!({})).await["items"], json!([made]));
        let change = json!({ "route_id": made["id"], "alias": "quick", "strategy": "cheapest", "total_timeout_ms": 5000 });
        let changed = home.call("routes.update", change.clone()).await;
        assert_eq!((&changed["alias"], &changed["total_timeout_ms"], &changed["revision"]), (&json!("quick"), &json!(5000), &json!(2)));
        assert_eq!(changed["deployments"], made["deployments"]);
        assert_eq!(home.call("routes.update", change).await, changed);
        let reset = home.call("routes.update", json!({ "route_id": made["id"], "total_timeout_ms": null })).await;
        assert_eq!(reset["total_timeout_ms"], 900_000);
        let stale = Envelope { expected_revision: Some(1), ..Envelope::default() };
        let input = json!({ "route_id": made["id"], "alias": "x" });
        assert_eq!(home.try_call_with("routes.update", input, stale).await.expect_err("stale").code(), "stale_revision");

        // A provider stays while a route leads to it.
        let provider_id = json!({ "provider_id": provider["id"] });
        let error = home.refused("providers.delete", provider_id.clone()).await;
        assert!(error.code() == "provider_in_use" && error.message().contains("quick"), "{error:?}");
        home.call("routes.delete", id.clone()).await;
        for name in ["routes.get", "routes.delete"] {
            assert_eq!(home.refused(name, id.clone()).await.code(), "not_found");
        }
        home.call("providers.delete", provider_id).await;
        let told = home.events(6).await;
        for kind in ["created", "updated", "deleted"] {
            assert!(told.contains(&format!("model_route.{kind}")), "{told}");
        }
    }

    async fn nonsense_is_refused_where_it_stands(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        let provider = home.provider("main", &stand_in).await;
        home.route("taken", &[(&provider, "m")]).await;
        let way = json!({ "provider_id": provider["id"], "model": "m" });
        let with = |field: &str, value: Value| {
            let mut way = way.clone();
            way[field] = value;
            json!({ "alias": "fine", "deployments": [way] })
        };
        for (input, pointer) in [
            (json!({ "alias": "fine", "deployments": [] }), "/deployments"),
            (json!({ "alias": "fine", "deployments": vec![way.clone(); 21] }), "/deployments"),
            (json!({ "alias": "a/b", "deployments": [way] }), "/alias"),
            (json!({ "alias": "taken", "deployments": [way] }), "/alias"),
            (json!({ "alias": "fine", "deployments": [way], "strategy": "dearest" }), "/strategy"),
            (json!({ "alias": "fine", "deployments": [way], "total_timeout_ms": 5 }), "/total_timeout_ms"),
            (with("provider_id", json!("01890000-0000-7000-8000-000000000001")), "/deployments/0/provider_id"),
            (with("model", json!("")), "/deployments/0/model"),
            (with("retries", json!(11)), "/deployments/0/retries"),
            (with("weight", json!(-1)), "/deployments/0/weight"),
            (with("idle_ms", json!(1)), "/deployments/0/idle_ms"),
            (with("price", json!(1)), "/deployments/0/price"),
        ] {
            let error = home.refused("routes.create", input.clone()).await;
            assert!(faults(&error).iter().any(|(at, _)| at == pointer), "{input}: {error:?}");
        }
        let all = home.call("routes.list", json!({})).await;
        let id = all["items"][0]["id"].clone();
        let gone = json!({ "route_id": id, "deployments": [
            { "provider_id": "01890000-0000-7000-8000-000000000001", "model": "m" },
        ] });
        assert_eq!(faults(&home.refused("routes.update", gone).await)[0].0, "/deployments/0/provider_id");
    }

    async fn a_call_names_a_route_a_provider_or_nothing(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        let ask = json!({ "messages": [{ "role": "user", "content": "hello" }] });
        // Without any provider.
        assert_eq!(faults(&home.refused("llm.chat", ask.clone()).await)[0].1, "no_provider");
        let provider = home.provider("main", &stand_in).await;
        for (model, code) in [
            ("default", "no_default_model"),
            ("fast", "no_route"),
            ("other/m", "no_provider"),
        ] {
            let error = home.chat(model, "x").await.expect_err(model);
            assert_eq!(faults(&error)[0], ("/model".to_owned(), code.to_owned()), "{error:?}");
        }
        assert_eq!(home.chat("main/", "x").await.expect_err("no model").code(), "llm_bad_config");
        assert!(stand_in.calls().is_empty());

        let answer = home.chat("main/deep/model:7b", "hello").await.expect("an answer");
        assert_eq!((&answer["provider"], &answer["model"]), (&json!("main"), &json!("deep/model:7b")));
        assert_eq!(answer["message"]["content"][0]["text"], "You said: hello");
        let set = json!({ "provider_id": provider["id"], "settings": { "default_model": "usual" } });
        home.call("providers.update", set).await;
        assert_eq!(home.call("llm.chat", ask.clone()).await["model"], "usual");
        assert_eq!(home.call("models.list", json!({})).await["routes"], json!(["default"]));
        // With two there is no only one.
        home.provider("second", &stand_in).await;
        assert_eq!(faults(&home.refused("llm.chat", ask.clone()).await)[0].1, "no_route");
        home.route("default", &[(&provider, "chosen")]).await;
        assert_eq!(home.call("llm.chat", ask).await["model"], "chosen");
        let rows = home.usage(3).await;
        let routes: Vec<_> = rows.iter().rev().map(|row| row["route"].clone()).collect();
        assert_eq!(routes, [Value::Null, json!("default"), json!("default")]);
    }

    async fn a_route_works_around_what_is_disabled(db: TestDb) {
        let (home, first, second) = (Home::new(db).await, StandIn::start().await, StandIn::start().await);
        let (one, two) = (home.provider("one", &first).await, home.provider("two", &second).await);
        home.route("both", &[(&one, "m"), (&two, "m")]).await;
        home.call("providers.update", json!({ "provider_id": one["id"], "status": "disabled" })).await;
        assert_eq!(home.chat("both", "x").await.expect("an answer")["provider"], "two");
        home.call("providers.update", json!({ "provider_id": two["id"], "status": "disabled" })).await;
        assert_eq!(home.chat("both", "x").await.expect_err("none left").code(), "llm_no_deployment");
        assert!(first.calls().is_empty());
    }
}
