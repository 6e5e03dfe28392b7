//! Providers: added, shown, changed, tested, removed; and their keys, which nobody ever sees again.

use crate::home::{Home, faults, text};
use serde_json::{Value, json};
use synapscale_ops::Envelope;
use synapscale_testkit::db_test;
use synapscale_testkit::providers::{Fault, KEY, Options, Reply, Script, StandIn, any, when};

/// Nobody may meet this again, nor a part of it that is longer than the hint.
const SECRET: &str = "sk-do-not-show-QX93-zebra-7781";

fn holds_secret(text: &str) -> bool {
    text.contains("do-not-show") || text.contains("QX93-zebra")
}

db_test! {
    async fn a_provider_is_added_shown_changed_and_removed(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        let made = home.provider("main", &stand_in).await;
        assert_eq!(made["name"], "main");
        assert_eq!((&made["has_key"], &made["revision"], &made["status"]), (&json!(true), &json!(1), &json!("active")));
        let id = json!({ "provider_id": made["id"] });
        assert_eq!(home.call("providers.get", id.clone()).await, made);
        assert_eq!(home.call("providers.list", json!({})).await["items"], json!([made]));

        let change = json!({
            "provider_id": made["id"], "name": "other", "status": "disabled",
            "settings": { "default_model": "m", "pricing": "free" },
        });
        let changed = home.call("providers.update", change.clone()).await;
        assert_eq!((&changed["name"], &changed["revision"]), (&json!("other"), &json!(2)));
        assert_eq!(changed["settings"]["default_model"], "m");
        // The same again is no change.
        assert_eq!(home.call("providers.update", change).await, changed);
        let stale = Envelope { expected_revision: Some(1), ..Envelope::default() };
        let input = json!({ "provider_id": made["id"], "name": "third" });
        let error = home.try_call_with("providers.update", input, stale).await.expect_err("stale");
        assert_eq!(error.code(), "stale_revision");

        let gone = home.call("providers.delete", id.clone()).await;
        assert_eq!(gone["id"], made["id"]);
        for name in ["providers.get", "providers.delete", "providers.test"] {
            assert_eq!(home.refused(name, id.clone()).await.code(), "not_found");
        }
        let told = home.events(3).await;
        for kind in ["created", "updated", "deleted"] {
            assert!(told.contains(&format!("model_provider.{kind}")), "{told}");
        }
    }

    async fn a_key_goes_in_and_never_comes_out(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        let mut seen = Vec::new();
        let base_url = stand_in.url("/v1");
        let create = json!({
            "name": "sealed", "preset": "openai_compatible", "base_url": base_url, "key": format!(" {SECRET}\n"),
        });
        // A key in the wrong place, or of the wrong form, comes back in no refusal.
        for bad in [
            json!({ "name": "x", "preset": "openai", "key": [SECRET] }),
            json!({ "name": "x", "preset": "openai", "key": { "value": SECRET } }),
            json!({ "name": "x", "preset": "openai", "key": format!("two words {SECRET}") }),
            json!({ "name": "x", "preset": "openai", "key": format!("{SECRET}ü") }),
            json!({ "name": "x", "preset": "openai", "key": SECRET.repeat(200) }),
            json!({ "name": "x", "preset": "openai", "settings": { "default_model": [SECRET] }, "key": "k" }),
            json!({ "name": SECRET, "preset": "openai", "key": SECRET }),
        ] {
            seen.push(format!("{:?}", home.refused("providers.create", bad).await));
        }
        let envelope = Envelope { idempotency_key: Some("once".to_owned()), ..Envelope::default() };
        for _ in 0..2 {
            let made = home.try_call_with("providers.create", create.clone(), envelope.clone()).await;
            seen.push(made.expect("added").to_string());
        }
        let made: Value = serde_json::from_str(&seen[seen.len() - 1]).expect("JSON");
        assert_eq!(made["key_hint"], "7781");
        let id = made["id"].clone();
        for (name, input) in [
            ("providers.get", json!({ "provider_id": id })),
            ("providers.list", json!({})),
            ("models.list", json!({})),
            ("providers.update", json!({ "provider_id": id, "key": format!("{SECRET}b") })),
            ("providers.update", json!({ "provider_id": id, "name": "renamed" })),
        ] {
            seen.push(home.call(name, input).await.to_string());
        }
        // Providers like to quote the key that they refuse.
        let quoting = StandIn::start_with(Options { keys: vec![format!("{SECRET}b")], ..Options::default() }).await;
        quoting.script(Script::new().rule(when(any()).then(Reply::fault(Fault::ErrorInBody(
            "invalid_request_error".to_owned(),
            format!("Incorrect key {SECRET}b, as I said: {SECRET}b"),
        )))));
        let moved = json!({ "provider_id": id, "base_url": quoting.url("/v1"), "key": format!("{SECRET}c") });
        seen.push(home.call("providers.update", moved).await.to_string());
        seen.push(home.call("providers.test", json!({ "provider_id": id })).await.to_string());
        seen.push(format!("{:?}", home.chat("renamed/m", "hello").await.expect_err("refused")));
        let right = json!({ "provider_id": id, "key": format!("{SECRET}b") });
        seen.push(home.call("providers.update", right).await.to_string());
        seen.push(format!("{:?}", home.chat("renamed/m", "hello").await.expect_err("an error inside")));
        assert!(seen.last().is_some_and(|last| last.contains("[key]")), "{seen:?}");
        seen.push(home.events(5).await);
        home.usage(quoting.calls().len()).await;
        assert!(quoting.calls().iter().any(|call| call.header("authorization") == Some(&format!("Bearer {SECRET}b"))));
        seen.push(home.call("usage.list", json!({})).await.to_string());
        for text in &seen {
            assert!(!holds_secret(text), "{text}");
        }
        let kept = home.everything(db).await;
        assert!(kept.contains("renamed") && !holds_secret(&kept));
        // In quotes: the four digits alone also stand in ids and times now and then.
        assert!(!home.events(5).await.contains("\"7781\""), "not even the hint is told");
    }

    async fn nonsense_is_refused_where_it_stands(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        home.provider("taken", &stand_in).await;
        let good = json!({ "name": "fine", "preset": "openai_compatible", "base_url": stand_in.url("/v1") });
        let with = |field: &str, value: Value| {
            let mut input = good.clone();
            input[field] = value;
            input
        };
        for (input, pointer) in [
            (with("name", json!("")), "/name"),
            (with("name", json!("Upper")), "/name"),
            (with("name", json!("a/b")), "/name"),
            (with("name", json!("-a")), "/name"),
            (with("name", json!("x".repeat(65))), "/name"),
            (with("name", json!("taken")), "/name"),
            (with("preset", json!("openay")), "/preset"),
            (with("preset", json!("openai")), "/key"),
            (with("key", json!("")), "/key"),
            (with("base_url", json!("no address")), "/base_url"),
            (with("base_url", json!("http://10.0.0.1/v1")), "/base_url"),
            (with("base_url", json!("https://user:pass@example.com/v1")), "/base_url"),
            (with("base_url", json!("https://example.com/v1?key=1")), "/base_url"),
            (with("base_url", json!("file:///etc/passwd")), "/base_url"),
            (with("settings", json!({ "models": [] })), "/settings/models"),
            (with("settings", json!({ "pricing": "cheap" })), "/settings/pricing"),
            (with("secret", json!("x")), "/secret"),
        ] {
            let error = home.refused("providers.create", input.clone()).await;
            let found = faults(&error);
            assert!(found.iter().any(|(at, _)| at == pointer), "{input}: {error:?}");
        }
        let compatible = json!({ "name": "fine", "preset": "openai_compatible" });
        assert_eq!(faults(&home.refused("providers.create", compatible).await)[0].0, "/base_url");
        assert_eq!(home.call("providers.list", json!({})).await["items"].as_array().expect("items").len(), 1);
    }

    async fn a_key_does_not_follow_to_another_address(db: TestDb) {
        let (home, first, second) = (Home::new(db).await, StandIn::start().await, StandIn::start().await);
        let made = home.provider("main", &first).await;
        let id = made["id"].clone();
        let moved = json!({ "provider_id": id, "base_url": second.url("/v1") });
        let error = home.refused("providers.update", moved.clone()).await;
        assert_eq!(faults(&error), [("/key".to_owned(), "required".to_owned())]);
        let with_key = |key: Value| {
            let mut input = moved.clone();
            input["key"] = key;
            input
        };
        // Dropping it is a way, too.
        let bare = home.call("providers.update", with_key(Value::Null)).await;
        assert_eq!((&bare["has_key"], &bare["key_hint"]), (&json!(false), &Value::Null));
        let test = home.call("providers.test", json!({ "provider_id": id })).await;
        assert_eq!(test["error"], "llm_unauthorized");
        assert!(second.log()[0].request.header("authorization").is_none());
        home.call("providers.update", json!({ "provider_id": id, "key": KEY })).await;
        assert_eq!(home.call("providers.test", json!({ "provider_id": id })).await["ok"], true);
        assert!(first.log().is_empty());
        // A preset that needs a key keeps one.
        let openai = home.call("providers.create", json!({ "name": "openai", "preset": "openai", "key": SECRET })).await;
        let error = home.refused("providers.update", json!({ "provider_id": openai["id"], "key": null })).await;
        assert_eq!(faults(&error), [("/key".to_owned(), "required".to_owned())]);
    }

    async fn a_change_counts_from_its_commit(db: TestDb) {
        let (home, first, second) = (Home::new(db).await, StandIn::start().await, StandIn::start().await);
        let made = home.provider("main", &first).await;
        home.chat("main/m", "one").await.expect("an answer");
        let moved = json!({ "provider_id": made["id"], "base_url": second.url("/v1"), "key": KEY });
        home.call("providers.update", moved).await;
        home.chat("main/m", "two").await.expect("an answer");
        assert_eq!((first.calls().len(), second.calls().len()), (1, 1));
        home.call("providers.update", json!({ "provider_id": made["id"], "status": "disabled" })).await;
        assert_eq!(faults(&home.chat("main/m", "three").await.expect_err("disabled"))[0].1, "no_provider");
        home.call("providers.update", json!({ "provider_id": made["id"], "status": "active", "name": "new" })).await;
        assert_eq!(faults(&home.chat("main/m", "four").await.expect_err("renamed"))[0].1, "no_provider");
        home.chat("new/m", "five").await.expect("an answer");
        // Refused changes change nothing.
        let away = json!({ "provider_id": made["id"], "name": "gone", "base_url": "http://10.1.1.1/v1", "key": KEY });
        home.refused("providers.update", away).await;
        home.chat("new/m", "six").await.expect("an answer");
        home.call("providers.delete", json!({ "provider_id": made["id"] })).await;
        assert_eq!(faults(&home.chat("new/m", "seven").await.expect_err("removed"))[0].1, "no_provider");
    }

    async fn a_test_says_what_works(db: TestDb) {
        let home = Home::new(db).await;
        let names = vec!["b".to_owned(), "a".to_owned(), "a\u{0}c".to_owned(), "x".repeat(300), String::new()];
        let stand_in = StandIn::start_with(Options { models: Some(names), ..Options::default() }).await;
        let made = home.provider("main", &stand_in).await;
        let id = json!({ "provider_id": made["id"] });
        let test = home.call("providers.test", id.clone()).await;
        assert_eq!((&test["ok"], &test["by"], &test["models"]), (&json!(true), &json!("models"), &json!(["a", "b"])));
        let shown = home.call("providers.get", id.clone()).await;
        assert_eq!((&shown["models"], &shown["revision"]), (&json!(2), &json!(1)));
        let listed = home.call("models.list", json!({})).await;
        let ids: Vec<_> = listed["items"].as_array().expect("items").iter().map(|item| text(&item["id"])).collect();
        assert_eq!(ids, ["main/a", "main/b"]);

        // Anthropic's way.
        let input = json!({ "name": "claude", "preset": "anthropic", "base_url": stand_in.url("/v1"), "key": KEY });
        let claude = home.call("providers.create", input).await;
        assert_eq!(home.call("providers.test", json!({ "provider_id": claude["id"] })).await["ok"], true);

        let moved = |base_url: String| json!({ "provider_id": made["id"], "base_url": base_url, "key": KEY });
        home.call("providers.update", moved("http://127.0.0.1:1/v1".to_owned())).await;
        let test = home.call("providers.test", id.clone()).await;
        assert_eq!((&test["ok"], &test["error"]), (&json!(false), &json!("llm_connect")));
        // What was found before stays.
        assert_eq!(home.call("providers.get", id.clone()).await["models"], 2);
        home.call("providers.update", moved(stand_in.url("/v1"))).await;
        home.call("providers.update", json!({ "provider_id": made["id"], "key": "sk-wrong-and-long" })).await;
        let test = home.call("providers.test", id).await;
        assert_eq!(test["error"], "llm_unauthorized");
        assert!(!test.to_string().contains("sk-wrong"), "{test}");
    }

    async fn a_provider_that_lists_nothing_is_asked_for_a_word(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        // Its list would be below `/v1/v1`: a 404.
        let input = json!({
            "name": "mute", "preset": "openai_compatible", "base_url": stand_in.url("/v1/other"), "key": KEY,
        });
        let made = home.call("providers.create", input).await;
        let id = json!({ "provider_id": made["id"] });
        assert_eq!(home.call("providers.test", id.clone()).await["error"], "llm_not_found");
        let set = json!({ "provider_id": made["id"], "settings": { "default_model": "m" } });
        home.call("providers.update", set).await;
        // The default model is asked then, at an address where there is none either.
        assert_eq!(home.call("providers.test", id).await["error"], "llm_not_found");
        assert_eq!(home.usage(1).await[0]["outcome"], "llm_not_found");
    }
}
