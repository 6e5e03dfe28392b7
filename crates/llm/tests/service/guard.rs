//! Which addresses a workspace's providers may stand at, and what a provider cannot lead us to.

use crate::home::{Home, faults, open_to_loopback};
use serde_json::json;
use std::time::Duration;
use synapscale_llm::service::ModelsConfig;
use synapscale_testkit::providers::{KEY, StandIn};
use synapscale_testkit::{Receiver, TestDb, db_test};

fn allowing(db: &TestDb, rules: &[&str]) -> ModelsConfig {
    ModelsConfig {
        allow: rules.iter().map(|rule| rule.parse().expect("a rule")).collect(),
        ..open_to_loopback(db)
    }
}

async fn added(home: &Home, name: &str, base_url: &str) -> Result<serde_json::Value, synapscale_core::Error> {
    let input = json!({ "name": name, "preset": "openai_compatible", "base_url": base_url, "key": KEY });
    home.try_call("providers.create", input).await
}

db_test! {
    async fn without_leave_only_the_public_internet_is_open(db: TestDb) {
        let home = Home::with(db, allowing(db, &[])).await;
        let stand_in = StandIn::start().await;
        for address in [
            stand_in.url("/v1").as_str(),
            "http://api.example.com/v1",
            "http://localhost:11434/v1",
            "https://127.0.0.1/v1",
            "https://127.1/v1",
            "https://0x7f.0.0.1/v1",
            "https://2130706433/v1",
            "https://0/v1",
            "https://10.1.2.3/v1",
            "https://172.16.0.1/v1",
            "https://192.168.1.1/v1",
            "https://100.64.0.1/v1",
            "https://169.254.169.254/latest",
            "https://[::1]/v1",
            "https://[::]/v1",
            "https://[::ffff:127.0.0.1]/v1",
            "https://[fd00::1]/v1",
            "https://[fe80::1]/v1",
            "https://[64:ff9b::7f00:1]/v1",
            "https://[2002:7f00:1::]/v1",
            "gopher://example.com/v1",
        ] {
            let error = added(&home, "x", address).await.expect_err(address);
            assert_eq!(faults(&error)[0].0, "/base_url", "{address}: {error:?}");
        }
        // A preset of one's own machine stands at such an address by itself.
        let error = home.refused("providers.create", json!({ "name": "x", "preset": "ollama" })).await;
        assert_eq!(faults(&error)[0].0, "/base_url");
        // A name is judged by where it leads, when it is used.
        let made = added(&home, "named", "https://localhost/v1").await.expect("a name tells nothing");
        let test = home.call("providers.test", json!({ "provider_id": made["id"] })).await;
        assert_eq!((&test["ok"], &test["error"]), (&json!(false), &json!("llm_connect")));
        assert!(stand_in.log().is_empty());
    }

    async fn what_was_allowed_once_is_judged_anew(db: TestDb) {
        let stand_in = StandIn::start().await;
        let (ctx, id) = {
            let home = Home::new(db).await;
            let made = home.provider("main", &stand_in).await;
            home.chat("main/m", "x").await.expect("an answer");
            home.close().await;
            (home.ctx.clone(), made["id"].clone())
        };
        let mut home = Home::with(db, allowing(db, &[])).await;
        home.ctx = ctx;
        assert_eq!(home.chat("main/m", "x").await.expect_err("shut").code(), "llm_bad_config");
        let test = home.call("providers.test", json!({ "provider_id": id })).await;
        assert_eq!(test["error"], "llm_bad_config");
        assert_eq!(stand_in.calls().len(), 1);
    }

    async fn the_operators_word_opens_what_it_names(db: TestDb) {
        let stand_in = StandIn::start().await;
        let port = stand_in.url("").rsplit_once(':').map(|(_, port)| port.to_owned()).expect("a port");
        let (named, at) = (format!("localhost:{port}"), format!("http://localhost:{port}/v1"));
        let home = Home::with(db, allowing(db, &[&named])).await;
        // The name, at that port, and nothing else.
        added(&home, "named", &at).await.expect("opened");
        home.chat("named/m", "x").await.expect("an answer");
        for shut in [stand_in.url("/v1"), "http://localhost:9/v1".to_owned(), "http://127.0.0.1/v1".to_owned()] {
            assert!(added(&home, "shut", &shut).await.is_err(), "{shut}");
        }
        home.close().await;
        drop(home);

        let home = Home::with(db, allowing(db, &["127.0.0.0/8"])).await;
        let made = home.provider("by-address", &stand_in).await;
        home.chat("by-address/m", "x").await.expect("an answer");
        assert_eq!(home.call("providers.test", json!({ "provider_id": made["id"] })).await["ok"], true);
        // A network is opened for names that lead into it, as long as they come by https.
        assert!(added(&home, "plain", &at).await.is_err());
    }

    async fn a_redirect_is_not_followed(db: TestDb) {
        let home = Home::new(db).await;
        let (elsewhere, moved) = (Receiver::start().await, Receiver::start().await);
        for _ in 0..2 {
            let to = vec![("location", elsewhere.url("/stolen"))];
            moved.plan(307, Duration::ZERO, to);
        }
        let made = added(&home, "moved", &moved.url("/v1")).await.expect("added");
        let way = json!([{ "provider_id": made["id"], "model": "m", "retries": 0 }]);
        home.call("routes.create", json!({ "alias": "away", "deployments": way })).await;
        let test = home.call("providers.test", json!({ "provider_id": made["id"] })).await;
        assert_eq!(test["ok"], false);
        assert!(home.chat("away", "x").await.is_err());
        assert_eq!(moved.received().len(), 2);
        assert!(elsewhere.received().is_empty(), "the key would have gone along");
    }
}
