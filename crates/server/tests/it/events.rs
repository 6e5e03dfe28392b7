//! Consumers of events in a running server, with Redis between: a failing one is seen, mended and made to catch up by REST
//! and on the command line.

use crate::adding::{Running, start_with};
use crate::process::{Server, bootstrap};
use async_trait::async_trait;
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use synapscale_core::{Error, EventPayload, NewEvent, Result, new_id};
use synapscale_ops::{Module, Operation, Outcome};
use synapscale_store::events::{Consumer, Event, EventFilter};
use synapscale_store::{Redis, Tx};
use synapscale_testkit::{TestDb, redis_url};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ring {
    /// How loud.
    volume: i64,
}

#[derive(Serialize, JsonSchema)]
struct Rung {
    volume: i64,
}

impl EventPayload for Rung {
    const KIND: &'static str = "bell.rung";
    const ABOUT: &'static str = "A bell was rung.";
}

fn ring() -> Operation {
    Operation::write("bells.ring", "Ring a bell")
        .about("Rings a bell.")
        .permission("bells:ring")
        .rest(Method::POST, "/bells")
        .handle(|tx: Tx, input: Arc<Ring>| async move {
            let volume = input.volume;
            tx.emit(NewEvent::new("bell", new_id(), &Rung { volume }));
            Ok(Outcome::Done(Rung { volume }))
        })
}

/// Hears bells, and fails on loud ones until it is mended.
#[derive(Default)]
struct Ear {
    heard: AtomicUsize,
    mended: AtomicBool,
}

#[async_trait]
impl Consumer for Ear {
    fn name(&self) -> &'static str {
        "ear"
    }

    fn filter(&self) -> EventFilter {
        EventFilter::parse("bell.*").expect("kinds")
    }

    async fn handle(&self, _: &Tx, event: &Event) -> Result<()> {
        if event.data["volume"].as_i64() > Some(10) && !self.mended.load(Ordering::SeqCst) {
            return Err(Error::conflict("too_loud", "This bell is too loud."));
        }
        self.heard.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

async fn until(server: &Running, path: &str, what: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..300 {
        let (status, body) = server.ask(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{body}");
        if what(&body) {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} never showed it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_consumer_is_seen_mended_and_caught_up() {
    let ear = Arc::new(Ear::default());
    let module = Module::new("bells")
        .operation(ring())
        .event::<Rung>()
        .consumer(ear.clone());
    let redis = Redis::new(&redis_url()).expect("a URL");
    let server = start_with(module, Some(redis)).await;
    for volume in [1, 11, 2, 12] {
        let (status, _) = server
            .ask(Method::POST, "/api/v1/bells", json!({ "volume": volume }))
            .await;
        assert_eq!(status, 200);
    }
    let dead = until(&server, "/api/v1/dead-letters?consumer=ear", |body| {
        body["items"].as_array().is_some_and(|items| items.len() == 2)
    });
    let dead = dead.await;
    assert_eq!(dead["items"][0]["attempts"], 3);
    assert!(
        dead["items"][0]["error"]
            .as_str()
            .expect("words")
            .contains("too loud")
    );
    let groups = until(&server, "/api/v1/consumers", |body| {
        body["items"][0]["waiting"] == 0
    })
    .await;
    assert_eq!(groups["items"][0]["dead_letters"], 2);
    assert_eq!(groups["items"][0]["held"], true);
    assert_eq!(ear.heard.load(Ordering::SeqCst), 2);

    let (newest, oldest) = (dead["items"][0]["id"].clone(), dead["items"][1]["id"].clone());
    let foreign = json!({ "ids": [oldest, new_id()] });
    let (status, problem) = server
        .ask(Method::POST, "/api/v1/dead-letters/replay", foreign)
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (404, &json!("not_found")),
        "{problem}"
    );
    ear.mended.store(true, Ordering::SeqCst);
    server
        .cli(&[
            "call",
            "dead_letters.replay",
            "--input",
            &json!({ "ids": [oldest] }).to_string(),
        ])
        .await;
    until(&server, "/api/v1/dead-letters", |body| {
        body["items"].as_array().is_some_and(|items| items.len() == 1)
    })
    .await;
    assert_eq!(ear.heard.load(Ordering::SeqCst), 3);
    server
        .cli(&[
            "call",
            "dead_letters.drop",
            "--input",
            &json!({ "ids": [newest] }).to_string(),
        ])
        .await;
    let (_, body) = server.ask(Method::GET, "/api/v1/dead-letters", Value::Null).await;
    assert_eq!(body["items"], json!([]));
    let kinds = "/api/v1/audit?kinds=dead_letter.*";
    let told = until(&server, kinds, |body| {
        body["items"].as_array().is_some_and(|items| items.len() == 4)
    })
    .await;
    assert_eq!(told["items"][0]["kind"], "dead_letter.dropped");

    let (_, ready) = server.ask(Method::GET, "/readyz", Value::Null).await;
    let parts = ready["components"].as_array().expect("parts");
    assert!(
        parts
            .iter()
            .any(|part| part["name"] == "redis" && part["status"] == "ok"),
        "{ready}"
    );
    let figures = server
        .client
        .get(format!("{}/metrics", server.url))
        .send()
        .await
        .expect("figures");
    let figures = figures.text().await.expect("text");
    assert!(
        figures.contains("synapscale_events_dead_letters_total{group=\"ear\"} 2"),
        "{figures}"
    );
    server.stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_revoked_in_one_process_is_soon_refused_in_another() {
    let db = TestDb::postgres().await;
    let redis = redis_url();
    let variables = [
        (
            "SYNAPSCALE_MASTER_KEY",
            "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=",
        ),
        ("SYNAPSCALE_REDIS_URL", redis.as_str()),
    ];
    let owner = bootstrap(&db).await;
    let start = |name: &'static str| {
        let (db, api_key) = (&db, &owner.api_key);
        async move { Server::start_in(db, api_key, &[], &variables, &db.folder().join(name)).await }
    };
    let (here, there) = (start("here").await, start("there").await);
    let made = here
        .ask(Method::POST, "/api/v1/keys", json!({ "name": "short-lived" }))
        .await;
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    let status = async || {
        let request = there.anonymous(Method::GET, "/api/v1/me").bearer_auth(&secret);
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(status().await, 200);
    let path = format!("/api/v1/keys/{}", made["key"]["id"].as_str().expect("an id"));
    let revoked = here
        .request(Method::DELETE, &path)
        .send()
        .await
        .expect("an answer");
    assert!(revoked.status().is_success(), "{revoked:?}");
    let began = Instant::now();
    while status().await != 401 {
        // Far below the 30 s after which nothing kept is believed anyway.
        assert!(began.elapsed() < Duration::from_secs(10), "still let in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    db.discard().await;
}
