//! What breaks around the server: the disk, the database, Redis, the clock, a migration half-way, a torn log. Each ends in a
//! typed answer while it lasts, and in everything that was acknowledged when it is over, without a person's hand.

mod clock;
mod disk;
mod outage;
mod torn;

use crate::process::{Server, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// What was acknowledged, and is to be there for ever.
#[derive(Default)]
struct Kept {
    names: Vec<String>,
    tried: usize,
}

impl Kept {
    /// Tries to make a project. Any refusal has to be a typed 503; answers its code.
    async fn make(&mut self, server: &Server) -> Option<String> {
        let name = format!("kept-{}", self.tried);
        self.tried += 1;
        let request = server
            .request(Method::POST, "/api/v1/projects")
            .json(&json!({ "name": name }));
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or(Value::Null);
        if status.is_success() {
            self.names.push(name);
            return None;
        }
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
        assert!(
            body["request_id"].is_string() && body["status"] == 503,
            "no problem: {body}"
        );
        Some(body["code"].as_str().expect("a code").to_owned())
    }

    /// Everything that was acknowledged is there, once, and with one event.
    async fn check(&self, server: &Server) {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = server.get(&format!("/api/v1/projects?limit=200{cursor}")).await;
            let items = page["items"].as_array().expect("items");
            found.extend(
                items
                    .iter()
                    .map(|item| item["name"].as_str().expect("a name").to_owned()),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        for name in &self.names {
            assert_eq!(
                found.iter().filter(|other| *other == name).count(),
                1,
                "{name} of {found:?}"
            );
        }
        // On PostgreSQL an event is read once all transactions before it are over.
        let told = async || {
            let page = server.get("/api/v1/events?kinds=project.created&limit=200").await;
            let told = page["items"].as_array().expect("items").len();
            assert!(told <= found.len(), "{told} events of {} projects", found.len());
            told == found.len()
        };
        until("each project is told of once", told).await;
    }
}
