//! An Ollama on this machine: found, offered where nothing else is, and gone again.

use crate::home::{Home, SOON, faults, text};
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_llm::service::ModelsConfig;
use synapscale_testkit::providers::{Dialect, Options, StandIn};
use synapscale_testkit::{TestDb, db_test};

async fn ollama() -> StandIn {
    let options = Options {
        keys: Vec::new(),
        models: Some(vec!["llama3.2:latest".to_owned(), "qwen3:8b".to_owned()]),
        dialect: Dialect::Ollama,
        ..Options::default()
    };
    StandIn::start_with(options).await
}

/// Nobody's providers may stand on this machine, but its Ollama is looked for.
fn looking(db: &TestDb, at: &str) -> ModelsConfig {
    ModelsConfig {
        allow: Vec::new(),
        local_ollama: true,
        ollama_host: Some(at.to_owned()),
        spill: Some(db.folder().join("usage")),
        ..ModelsConfig::default()
    }
}

async fn listed(home: &Home, count: usize) -> Value {
    let waiting = async {
        loop {
            let list = home.call("models.list", json!({})).await;
            if list["items"].as_array().expect("items").len() == count {
                return list;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("the list")
}

db_test! {
    async fn a_local_ollama_serves_who_has_nothing_else(db: TestDb) {
        let stand_in = ollama().await;
        let home = Home::with(db, looking(db, &stand_in.url(""))).await;
        let list = listed(&home, 2).await;
        let ids: Vec<_> = list["items"].as_array().expect("items").iter().map(|item| text(&item["id"])).collect();
        assert_eq!(ids, ["ollama/llama3.2:latest", "ollama/qwen3:8b"]);
        assert_eq!((&list["routes"], &list["items"][0]["source"]), (&json!(["default"]), &json!("ollama")));

        let answer = home.chat("ollama/qwen3:8b", "hello").await.expect("an answer");
        assert_eq!((&answer["provider"], &answer["cost_nano_usd"]), (&json!("ollama"), &json!(0)));
        assert_eq!(home.chat("default", "hello").await.expect("an answer")["model"], "llama3.2:latest");
        for model in ["ollama", "other/x", "fast"] {
            assert_eq!(faults(&home.chat(model, "x").await.expect_err(model))[0].1, "no_provider");
        }
        let row = &home.usage(2).await[0];
        assert_eq!((&row["provider"], &row["route"]), (&json!("ollama"), &json!("default")));

        // A workspace with providers of its own has those; a disabled one counts.
        let made = home.call("providers.create", json!({ "name": "main", "preset": "openai", "key": "sk-of-nobody" })).await;
        home.call("providers.update", json!({ "provider_id": made["id"], "status": "disabled" })).await;
        assert_eq!(home.call("models.list", json!({})).await["items"], json!([]));
        for model in ["default", "ollama/qwen3:8b"] {
            assert_eq!(faults(&home.chat(model, "x").await.expect_err(model))[0].0, "/model");
        }
        // Nor does it open this machine to what a tenant enters.
        let input = json!({ "name": "mine", "preset": "ollama", "base_url": stand_in.url("/v1") });
        assert_eq!(faults(&home.refused("providers.create", input).await)[0].0, "/base_url");
        home.models.stop().await;
    }

    async fn it_is_not_looked_for_unasked(db: TestDb) {
        let stand_in = ollama().await;
        let config = ModelsConfig { local_ollama: false, ..looking(db, &stand_in.url("")) };
        let home = Home::with(db, config).await;
        assert_eq!(faults(&home.chat("default", "x").await.expect_err("nothing"))[0].1, "no_provider");
        home.models.stop().await;
        assert!(stand_in.log().is_empty());
    }
}
