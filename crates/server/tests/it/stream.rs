//! The event stream against the real server: replay, then follow, across kills, without a gap or a double.

use crate::process::{Server, bootstrap};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_server::modules::Modules;
use synapscale_testkit::{TestDb, db_test};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// An open event stream.
pub struct Stream(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Stream {
    async fn try_open(server: &Server, key: &str, query: &str) -> Result<Self, tungstenite::Error> {
        let url = format!(
            "{}/api/v1/events/stream?{query}",
            server.url.replace("http", "ws")
        );
        let mut request = url.into_client_request().expect("a URL");
        let bearer = format!("Bearer {key}").parse().expect("a header");
        request.headers_mut().insert("authorization", bearer);
        tokio_tungstenite::connect_async(request)
            .await
            .map(|(stream, _)| Stream(stream))
    }

    /// Opens it as the server's caller.
    pub async fn open(server: &Server, query: &str) -> Self {
        Self::try_open(server, &server.key, query)
            .await
            .expect("a stream")
    }

    /// The next message; none when the stream ended.
    pub async fn next(&mut self) -> Option<Value> {
        let wait = tokio::time::timeout(Duration::from_secs(10), self.0.next());
        match wait.await.expect("a message in time") {
            Some(Ok(Message::Text(text))) => Some(serde_json::from_str(&text).expect("JSON")),
            _ => None,
        }
    }
}

pub async fn project(server: &Server, name: &str) {
    server
        .ask(Method::POST, "/api/v1/projects", json!({ "name": name }))
        .await;
}

/// The title in what was told.
pub fn name(told: &Value) -> String {
    told["event"]["data"]["title"]
        .as_str()
        .expect("a title")
        .to_owned()
}

/// Links and archives everything, as jobs of the product do bit by bit.
async fn archive_all(db: &TestDb) {
    let store = db.open_bare(&[]).await;
    let modules = Modules::new(&store);
    modules
        .migrations()
        .migrate(&store)
        .await
        .expect("the schema stands");
    for _ in 0..400 {
        store.link_events(Duration::from_secs(10)).await.expect("linked");
        let done = store
            .archive_events(Duration::ZERO, Duration::from_secs(60), |_| Box::pin(async {}))
            .await;
        if done.expect("archived").events > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    store.close().await;
}

db_test! {
    async fn it_replays_and_then_follows(db: TestDb) {
        let server = Server::fresh(db).await;
        let mut live = Stream::open(&server, "kinds=project.*").await;
        let hello = live.next().await.expect("a greeting");
        assert_eq!(hello["type"], "hello");
        project(&server, "one").await;
        server.ask(Method::POST, "/api/v1/keys", json!({ "name": "filtered out" })).await;
        project(&server, "two").await;
        let (one, two) = (live.next().await.expect("one"), live.next().await.expect("two"));
        assert_eq!([name(&one), name(&two)], ["one", "two"]);
        assert_eq!(one["event"]["kind"], "project.created");

        let since = format!("kinds=project.*&since={}", one["cursor"].as_str().expect("a cursor"));
        let mut again = Stream::open(&server, &since).await;
        assert_eq!(again.next().await.expect("a greeting")["type"], "hello");
        assert_eq!(name(&again.next().await.expect("the replay")), "two");
        project(&server, "three").await;
        assert_eq!(name(&again.next().await.expect("the live part")), "three");

        for (query, status) in [("since=nonsense", 422), ("kind=x", 422)] {
            let refused = Stream::try_open(&server, &server.key, query).await.err();
            let Some(tungstenite::Error::Http(answer)) = refused else {
                panic!("{query}: {refused:?}");
            };
            assert_eq!(answer.status().as_u16(), status, "{query}");
        }
        let refused = Stream::try_open(&server, "sk_wrong", "").await.err();
        assert!(matches!(refused, Some(tungstenite::Error::Http(answer)) if answer.status() == 401));
    }

    async fn a_cursor_behind_which_events_left_the_log_is_told_so(db: TestDb) {
        let owner = bootstrap(db).await;
        let mut server = Server::start(db, &owner.api_key, &[]).await;
        let start = Stream::open(&server, "").await.next().await.expect("a greeting")["cursor"].clone();
        let start = start.as_str().expect("a cursor");
        project(&server, "old").await;
        // Archiving waits for the consumers.
        for _ in 0..400 {
            let groups = server.get("/api/v1/consumers").await;
            let waits = |group: &Value| group["waiting"] != json!(0);
            if !groups["items"].as_array().expect("groups").iter().any(waits) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server.stop().await;
        archive_all(db).await;
        let server = Server::start(db, &owner.api_key, &[]).await;
        let mut stream = Stream::open(&server, &format!("since={start}")).await;
        let told = stream.next().await.expect("a frame");
        assert_eq!(told["type"], "replay_gap", "{told}");
        assert_eq!(stream.next().await, None);
        let (status, problem) = server.try_ask(Method::GET, &format!("/api/v1/events?since={start}"), Value::Null).await;
        assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("replay_gap")));
        let resume = told["cursor"].as_str().expect("a cursor");
        let mut again = Stream::open(&server, &format!("since={resume}")).await;
        assert_eq!(again.next().await.expect("a greeting")["type"], "hello");
        // The audit trail still tells of it.
        let trail = server.get("/api/v1/audit?kinds=project.*").await;
        assert_eq!(trail["items"].as_array().map(Vec::len), Some(1), "{trail}");
        let archives = server.get("/api/v1/audit/archives").await;
        assert_ne!(archives["items"], json!([]));
    }

    async fn nothing_is_missed_or_told_twice_across_kills(db: TestDb) {
        let owner = bootstrap(db).await;
        let mut server = Server::start(db, &owner.api_key, &[]).await;
        // From the very beginning: the cursor of the first page's start is where an empty one points.
        let mut cursor = Stream::open(&server, "").await.next().await.expect("a greeting")["cursor"].clone();
        let (mut acknowledged, mut told) = (Vec::new(), Vec::new());
        for life in 0..6 {
            let query = format!("kinds=project.*&since={}", cursor.as_str().expect("a cursor"));
            let mut stream = Stream::open(&server, &query).await;
            let writer = async {
                for turn in 0.. {
                    let wanted = format!("{life}-{turn}");
                    let sent = server.request(Method::POST, "/api/v1/projects").json(&json!({ "name": wanted })).send().await;
                    match sent {
                        Ok(answer) if answer.status().is_success() => acknowledged.push(wanted),
                        _ => return,
                    }
                }
            };
            let reader = async {
                while let Some(message) = stream.next().await {
                    cursor = message["cursor"].clone();
                    if message["event"].is_object() {
                        told.push(name(&message));
                    }
                }
            };
            let pid = server.pid().to_string();
            let death = async {
                tokio::time::sleep(Duration::from_millis(150 + life * 40)).await;
                tokio::process::Command::new("kill").args(["-9", &pid]).status().await.expect("killed");
            };
            tokio::join!(writer, reader, death);
            server.kill().await;
            server = Server::start(db, &owner.api_key, &[]).await;
        }
        // What was acknowledged and not told before the last kill comes now; a last event marks the end.
        project(&server, "end").await;
        let query = format!("kinds=project.*&since={}", cursor.as_str().expect("a cursor"));
        let mut stream = Stream::open(&server, &query).await;
        while told.last().map(String::as_str) != Some("end") {
            let message = stream.next().await.expect("the rest");
            if message["event"].is_object() {
                told.push(name(&message));
            }
        }
        assert!(acknowledged.len() > 12, "too little load: {}", acknowledged.len());
        let mut once = told.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), told.len(), "told twice: {told:?}");
        // Writes whose answer never came may be there too: between the acknowledged ones, in their places.
        let mut all = told.iter();
        for wanted in &acknowledged {
            assert!(all.any(|name| name == wanted), "{wanted} is missing or out of order: {told:?}");
        }
    }
}
