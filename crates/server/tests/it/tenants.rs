//! Every operation, tried as nobody, as somebody without permission, and as another tenant.

use crate::process::Server;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use synapscale_testkit::db_test;

/// Operations that anybody may call.
const PUBLIC: &[&str] = &[];
/// Not an operation: the address of all of them.
const ANY: &str = "call";

fn filled(path: &str) -> String {
    let mut out = String::new();
    for part in path.split('/').skip(1) {
        out.push('/');
        match part.starts_with('{') {
            true if part.contains("name") => out.push_str("someone-elses"),
            true => out.push_str("01890000-0000-7000-8000-000000000001"),
            false => out.push_str(part),
        }
    }
    out
}

async fn operations(server: &Server) -> Vec<(String, Method, String)> {
    let openapi = server.get("/api/v1/openapi.json").await;
    let mut found = Vec::new();
    for (path, methods) in openapi["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                continue;
            };
            let Some(name) = operation["operationId"].as_str() else {
                continue;
            };
            found.push((name.to_owned(), method, path.clone()));
        }
    }
    found
}

fn full(path: &str) -> String {
    let path = filled(path);
    if path.starts_with("/api/v1") {
        path
    } else {
        format!("/api/v1{path}")
    }
}

db_test! {
    async fn every_operation_refuses_strangers(db: TestDb) {
        let server = Server::fresh(db).await;
        let narrow = server.ask(Method::POST, "/api/v1/keys", json!({ "name": "narrow", "scopes": ["nothing:read"] })).await;
        let narrow = narrow["secret"].as_str().expect("a secret").to_owned();
        let operations = operations(&server).await;
        assert!(operations.len() > 40, "{} operations", operations.len());
        for (name, method, path) in operations {
            if name == ANY || PUBLIC.contains(&name.as_str()) {
                continue;
            }
            let path = full(&path);
            let send = |request: reqwest::RequestBuilder| async {
                let bare = [Method::GET, Method::DELETE].contains(&method);
                let request = if bare { request } else { request.json(&json!({})) };
                let answer = request.send().await.expect("an answer");
                (answer.status(), answer.json::<Value>().await.unwrap_or_default())
            };
            let (status, answer) = send(server.anonymous(method.clone(), &path)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{name} as nobody: {answer}");
            let (status, answer) = send(server.anonymous(method.clone(), &path).bearer_auth(&narrow)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{name} without permission: {answer}");
        }
    }

    async fn a_revoked_key_is_gone(db: TestDb) {
        let server = Server::fresh(db).await;
        let made = server.ask(Method::POST, "/api/v1/keys", json!({ "name": "short-lived" })).await;
        let secret = made["secret"].as_str().expect("a secret").to_owned();
        let me = || server.anonymous(Method::GET, "/api/v1/me").bearer_auth(&secret).send();
        assert_eq!(me().await.expect("an answer").status(), 200);
        let id = made["key"]["id"].as_str().expect("an id");
        server.ask(Method::DELETE, &format!("/api/v1/keys/{id}"), json!({})).await;
        assert_eq!(me().await.expect("an answer").status(), 401);
    }

    async fn a_key_cannot_make_a_broader_one(db: TestDb) {
        let server = Server::fresh(db).await;
        let made = server
            .ask(Method::POST, "/api/v1/keys", json!({ "name": "keys only", "scopes": ["keys:manage", "tasks:read"] }))
            .await;
        let narrow = made["secret"].as_str().expect("a secret").to_owned();
        let broader = server
            .anonymous(Method::POST, "/api/v1/keys")
            .bearer_auth(&narrow)
            .json(&json!({ "name": "broader", "scopes": ["*"] }))
            .send()
            .await
            .expect("an answer");
        if broader.status().is_success() {
            let broader: Value = broader.json().await.expect("JSON");
            let secret = broader["secret"].as_str().expect("a secret");
            let made = server
                .anonymous(Method::POST, "/api/v1/projects")
                .bearer_auth(secret)
                .json(&json!({ "name": "x" }))
                .send()
                .await
                .expect("an answer");
            assert_eq!(made.status(), 403);
        } else {
            assert!([403, 422].contains(&broader.status().as_u16()));
        }
    }
}
