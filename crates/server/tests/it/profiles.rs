//! dev, staging and prod: what each starts with, what prod refuses, and that the files of `examples/config` are good.

use crate::process::{Server, bootstrap, command_with};
use crate::sessions::cookie_by_link;
use reqwest::Method;
use serde_json::Value;
use std::path::Path;
use synapscale_testkit::TestDb;

/// Settings that no production should have, by what the guards call them.
const WEAK: &[(&str, &str, &str)] = &[
    ("public_url", "SYNAPSCALE_PUBLIC_URL", "http://work.example.org"),
    ("trusted_proxies", "SYNAPSCALE_LISTEN", "0.0.0.0:0"),
    (
        "master_key",
        "SYNAPSCALE_MASTER_KEY",
        "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=",
    ),
    ("log/filter", "SYNAPSCALE_LOG", "warn,rmcp=debug"),
    ("limits/rate_factor", "SYNAPSCALE_RATE_FACTOR", "0"),
    ("http/allow", "SYNAPSCALE_HTTP_ALLOW", "169.254.169.254"),
    ("redis/url", "SYNAPSCALE_REDIS_URL", "redis://:redis@127.0.0.1:1"),
];

fn weak() -> Vec<(&'static str, &'static str)> {
    WEAK.iter()
        .map(|(_, variable, value)| (*variable, *value))
        .collect()
}

/// What prod asks for, and no more.
const GOOD: &[(&str, &str)] = &[
    ("SYNAPSCALE_PROFILE", "prod"),
    ("SYNAPSCALE_PUBLIC_URL", "https://work.example.org"),
    ("SYNAPSCALE_TRUSTED_PROXIES", "127.0.0.1"),
];

fn findings(doctor: &str, status: &str) -> Vec<String> {
    let lines: Vec<Value> = serde_json::from_str(doctor).unwrap_or_else(|error| panic!("{error}: {doctor}"));
    lines
        .iter()
        .filter(|line| line["check"] == "guards" && line["status"] == status)
        .map(|line| {
            assert!(status == "ok" || line["advice"].is_string(), "{line}");
            line["detail"].as_str().expect("words").to_owned()
        })
        .collect()
}

#[tokio::test]
async fn prod_refuses_everything_weak_at_once_and_says_how_to_mend_it() {
    let db = TestDb::sqlite();
    let mut variables = weak();
    variables.push(("SYNAPSCALE_PROFILE", "prod"));
    variables.push(("SYNAPSCALE_DATABASE_URL", "postgres://ada:postgres@127.0.0.1:1/x"));
    let (code, out, err) = command_with(&db, &["serve"], &variables).await;
    assert_eq!(code, 2, "{out}\n{err}");
    for setting in WEAK.iter().map(|(setting, ..)| *setting).chain(["database_url"]) {
        assert!(
            err.contains(&format!("/{setting}: ")),
            "{setting} is not in {err}"
        );
    }
    for mend in ["SYNAPSCALE_PUBLIC_URL", "openssl rand -base64 32", "ALTER ROLE"] {
        assert!(err.contains(mend), "{mend} is not in {err}");
    }
    assert!(!db.folder().join("profile").exists(), "nothing was begun");

    // The doctor says the same of the same settings. It would wait for a database that does not answer.
    variables.pop();
    let (code, out, _) = command_with(&db, &["doctor", "--json"], &variables).await;
    assert_eq!(code, 1, "{out}");
    let failed = findings(&out, "fail");
    for setting in WEAK.iter().map(|(setting, ..)| *setting) {
        assert!(
            failed.iter().any(|detail| detail.starts_with(setting)),
            "{setting} is not in {out}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staging_starts_with_the_same_and_warns_of_it() {
    let db = TestDb::sqlite();
    // The harness names an address of this machine, and Redis that does not answer would be a warning of its own.
    let variables: Vec<_> = weak()
        .into_iter()
        .filter(|(name, _)| !["SYNAPSCALE_LISTEN", "SYNAPSCALE_REDIS_URL"].contains(name))
        .collect();
    let _server = Server::start_in(&db, "none", &[], &variables, db.folder()).await;
    let log = std::fs::read_to_string(db.folder().join("server.log")).expect("a log");
    for setting in [
        "public_url",
        "trusted_proxies",
        "master_key",
        "log/filter",
        "limits/rate_factor",
        "http/allow",
    ] {
        assert!(
            log.contains(&format!("\"setting\":\"{setting}\"")),
            "{setting} is not in {log}"
        );
    }
    let mark = std::fs::read_to_string(db.folder().join("profile")).expect("a mark");
    assert_eq!(mark, "staging");
    // Another place's data is not production's to open.
    let (code, _, err) = command_with(&db, &["serve"], GOOD).await;
    assert!(code == 2 && err.contains("/data: "), "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prod_keeps_secrets_out_of_its_log_and_cookies_to_tls() {
    let db = TestDb::sqlite();
    let owner = bootstrap(&db).await;
    let mut variables = GOOD.to_vec();
    // Whatever is to be known of requests and runs, short of what prod refuses.
    variables.push((
        "SYNAPSCALE_LOG",
        "info,synapscale_api=trace,synapscale_identity=trace,synapscale_server=trace",
    ));
    let server = Server::start_in(&db, &owner.api_key, &[], &variables, db.folder()).await;
    let cookie = cookie_by_link(&db, &server).await;
    assert!(
        cookie.starts_with("__Host-") && cookie.contains("; Secure"),
        "{cookie}"
    );
    let asked = server
        .request(Method::OPTIONS, "/api/v1/me")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "GET")
        .send()
        .await
        .expect("an answer");
    assert!(
        !asked
            .headers()
            .keys()
            .any(|name| name.as_str().starts_with("access-control-"))
    );
    let figures = server
        .anonymous(Method::GET, "/metrics")
        .header("x-forwarded-for", "192.0.2.1");
    assert_eq!(figures.send().await.expect("an answer").status(), 401);
    for path in ["/debug", "/debug/pprof", "/api/v1/debug", "/console", "/env"] {
        let found = server
            .anonymous(Method::GET, path)
            .send()
            .await
            .expect("an answer");
        assert_eq!(found.status(), 404, "{path}");
    }
    let log = std::fs::read_to_string(db.folder().join("server.log")).expect("a log");
    assert!(!log.contains("\"setting\":"), "nothing to warn of: {log}");
    let session = cookie.split(['=', ';']).nth(1).expect("a token");
    for secret in ["owner=", owner.api_key.as_str(), session, "a quiet green river"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
    let (code, _, err) = command_with(&db, &["serve", "--profile", "dev"], &[]).await;
    assert!(
        code == 2 && err.contains("/data: "),
        "production's data is nobody else's: {err}"
    );
}

#[tokio::test]
async fn the_example_files_are_good_and_apart() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/config");
    let db = TestDb::sqlite();
    let mut addresses = Vec::new();
    for profile in ["dev", "staging", "prod"] {
        let name = format!("synapscale.{profile}.toml");
        let text = std::fs::read_to_string(folder.join(&name)).expect("an example");
        // As a person would: the file lies where the server starts, and the profile is all that is said.
        std::fs::write(db.folder().join(&name), text).expect("copied");
        let none = [("SYNAPSCALE_DATABASE_URL", ""), ("SYNAPSCALE_DATA", "")];
        let (_, out, err) = command_with(&db, &["doctor", "--json", "--profile", profile], &none).await;
        let lines: Vec<Value> =
            serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out} {err}"));
        let line = |check: &str| lines.iter().find(|line| line["check"] == check).expect("a line");
        assert_eq!(line("settings")["status"], "ok", "{out}");
        assert!(
            line("settings")["detail"]
                .as_str()
                .expect("words")
                .starts_with(&format!("profile {profile},"))
        );
        assert_eq!(findings(&out, "ok").len(), 1, "{out}");
        let data = match profile {
            "dev" => "data ".to_owned(),
            other => format!("data-{other} "),
        };
        assert!(
            line("data directory")["detail"]
                .as_str()
                .expect("words")
                .starts_with(&data),
            "{out}"
        );
        addresses.push(line("address")["detail"].to_string());
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 3, "{addresses:?}");
}
