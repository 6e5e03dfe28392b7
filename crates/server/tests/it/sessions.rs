//! Signing in by browser and by token against the real server: links, cookies, CSRF, rotation, locks, sockets.

use crate::process::{Server, bootstrap, command, further};
use futures::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use synapscale_testkit::{TestDb, db_test};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};

const PASSWORD: &str = "a quiet green river";
const EMAIL: &str = "owner@example.com";

/// What a browser is given by the server of a link: the whole line that sets the cookie.
pub async fn cookie_by_link(db: &TestDb, server: &Server) -> String {
    let body = json!({ "token": link(db).await, "password": PASSWORD });
    let got = post(server, "owner-link/accept", body).await;
    got.cookie.unwrap_or_else(|| panic!("no cookie: {}", got.json))
}

/// A browser that is signed in.
struct Browser {
    cookie: String,
    csrf: String,
    session: Value,
}

/// What came back: status, JSON, and the cookie that was set.
struct Got {
    status: StatusCode,
    json: Value,
    cookie: Option<String>,
}

impl Got {
    fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }
}

async fn send(request: reqwest::RequestBuilder) -> Got {
    let answer = request.send().await.expect("an answer");
    let set = answer.headers().get("set-cookie");
    let cookie = set.map(|value| value.to_str().expect("ASCII").to_owned());
    Got {
        status: answer.status(),
        cookie,
        json: answer.json().await.unwrap_or(Value::Null),
    }
}

/// A caller of its own each time: ten tries a minute are all that one address has.
async fn post(server: &Server, path: &str, body: Value) -> Got {
    static CALLERS: AtomicU32 = AtomicU32::new(0);
    let caller = CALLERS.fetch_add(1, Ordering::Relaxed);
    let address = format!("198.51.{}.{}", caller / 250 % 250, caller % 250);
    let request = server.anonymous(Method::POST, &format!("/api/v1/auth/{path}"));
    send(request.header("x-forwarded-for", address).json(&body)).await
}

fn entered(got: Got) -> Browser {
    assert_eq!(got.status, 200, "{}", got.json);
    let line = got.cookie.expect("a cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(line.contains(part), "{line}");
    }
    let cookie = line.split(';').next().expect("a pair").to_owned();
    assert!(cookie.starts_with("synapscale_session="), "{line}");
    assert!(
        !got.json
            .to_string()
            .contains(&cookie["synapscale_session=".len()..])
    );
    Browser {
        cookie,
        csrf: got.json["csrf_token"].as_str().expect("a token").to_owned(),
        session: got.json,
    }
}

impl Browser {
    fn bare(&self, server: &Server, method: Method, path: &str) -> reqwest::RequestBuilder {
        server
            .anonymous(method, &format!("/api/v1{path}"))
            .header("cookie", &self.cookie)
    }

    fn full(&self, server: &Server, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.bare(server, method, path).header("x-csrf-token", &self.csrf)
    }

    async fn is_in(&self, server: &Server) -> bool {
        let got = send(self.bare(server, Method::GET, "/auth/session")).await;
        assert!([200, 401].contains(&got.status.as_u16()), "{}", got.json);
        got.status == 200
    }
}

async fn link(db: &TestDb) -> String {
    let (code, out, err) = command(db, &["admin", "owner-link", "--json"]).await;
    assert_eq!(code, 0, "{out}\n{err}");
    let made: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(made["email"], EMAIL);
    let url = made["url"].as_str().expect("a link");
    url.split_once("/#owner=").expect("a token").1.to_owned()
}

/// A server whose owner has a password.
async fn with_password(db: &TestDb) -> (Server, Browser) {
    let owner = bootstrap(db).await;
    let server = Server::start_in(
        db,
        &owner.api_key,
        &[],
        &[("SYNAPSCALE_TRUSTED_PROXIES", "127.0.0.1")],
        db.folder(),
    )
    .await;
    let token = link(db).await;
    let got = post(
        &server,
        "owner-link/accept",
        json!({ "token": token, "password": PASSWORD }),
    )
    .await;
    let browser = entered(got);
    (server, browser)
}

/// Opens a session of the first owner's by a link; answers its id.
pub async fn open_session(db: &TestDb, server: &Server) -> String {
    let body = json!({ "token": link(db).await, "password": PASSWORD });
    entered(post(server, "owner-link/accept", body).await);
    let listed = server.get("/api/v1/sessions").await;
    listed["items"][0]["id"].as_str().expect("a session").to_owned()
}

async fn sign_in(server: &Server) -> Browser {
    entered(post(server, "sign-in", json!({ "email": EMAIL, "password": PASSWORD })).await)
}

async fn tokens(server: &Server) -> Value {
    let got = post(server, "token", json!({ "email": EMAIL, "password": PASSWORD })).await;
    assert_eq!(got.status, 200, "{}", got.json);
    got.json
}

async fn me(server: &Server, access: &Value) -> StatusCode {
    let access = access["access_token"].as_str().expect("a token");
    send(server.anonymous(Method::GET, "/api/v1/me").bearer_auth(access))
        .await
        .status
}

async fn refresh(server: &Server, pair: &Value) -> Got {
    post(
        server,
        "refresh",
        json!({ "refresh_token": pair["refresh_token"] }),
    )
    .await
}

async fn socket(server: &Server, cookie: &str, origin: Option<&str>) -> Result<Value, u16> {
    let url = format!("{}/api/v1/events/stream", server.url.replace("http", "ws"));
    let mut request = url.into_client_request().expect("a URL");
    let headers = request.headers_mut();
    headers.insert("cookie", cookie.parse().expect("a header"));
    if let Some(origin) = origin {
        headers.insert("origin", origin.parse().expect("a header"));
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok((mut stream, _)) => {
            let first = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
            let Ok(Some(Ok(Message::Text(text)))) = first else {
                panic!("no greeting: {first:?}");
            };
            Ok(serde_json::from_str(&text).expect("JSON"))
        }
        Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

db_test! {
    async fn an_owner_link_is_good_once(db: TestDb) {
        let server = Server::fresh(db).await;
        let older = link(db).await;
        let token = link(db).await;
        let look = |token: String| {
            let server = &server;
            async move { post(server, "owner-link", json!({ "token": token })).await }
        };
        let got = look(older).await;
        assert_eq!((got.status.as_u16(), got.code()), (410, "link_used_or_expired"));
        for _ in 0..2 {
            let got = look(token.clone()).await;
            assert_eq!(got.status, 200, "{}", got.json);
            assert_eq!(got.json["email"], EMAIL);
            assert_eq!(got.json["workspace_name"], "Test");
            assert_eq!(got.json["password_set"], false);
        }
        let accept = |password: &'static str| {
            let (server, token) = (&server, token.clone());
            async move { post(server, "owner-link/accept", json!({ "token": token, "password": password })).await }
        };
        let weak = accept("short").await;
        assert_eq!(weak.status, 422, "{}", weak.json);
        assert_eq!(weak.json["errors"][0]["pointer"], "/password");
        let browser = entered(accept(PASSWORD).await);
        assert_eq!(browser.session["workspace"]["role"], "owner");
        assert_eq!(browser.session["permissions"], json!(["*"]));
        assert!(browser.is_in(&server).await);
        let again = accept("another good password").await;
        assert_eq!((again.status.as_u16(), again.code()), (410, "link_used_or_expired"));
        assert_eq!(look(token.clone()).await.status, 410);
        sign_in(&server).await;
    }

    async fn a_cookie_reads_and_changes_only_with_its_csrf_token(db: TestDb) {
        let (server, _) = with_password(db).await;
        let browser = sign_in(&server).await;
        let got = send(browser.bare(&server, Method::GET, "/me")).await;
        assert_eq!(got.status, 200, "{}", got.json);
        assert_eq!(got.json["user"]["email"], EMAIL);
        let project = json!({ "name": "By a page" });
        let make = |request: reqwest::RequestBuilder| send(request.json(&project));
        let without = make(browser.bare(&server, Method::POST, "/projects")).await;
        assert_eq!((without.status.as_u16(), without.code()), (403, "csrf_failed"));
        let wrong = browser.bare(&server, Method::POST, "/projects").header("x-csrf-token", "A".repeat(43));
        assert_eq!(make(wrong).await.status, 403);
        for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("origin", "null")] {
            let foreign = browser.full(&server, Method::POST, "/projects").header(name, value);
            let got = make(foreign).await;
            assert_eq!((got.status.as_u16(), got.code()), (403, "csrf_failed"), "{name}: {value}");
        }
        let made = make(browser.full(&server, Method::POST, "/projects").header("origin", &server.url)).await;
        assert_eq!(made.status, 201, "{}", made.json);
        let called = browser.full(&server, Method::POST, "/call/projects.list").json(&json!({}));
        assert_eq!(send(called).await.status, 200);
        // What is no browser's is no cookie's: MCP takes tokens only.
        let mcp = server.anonymous(Method::POST, "/mcp").header("cookie", &browser.cookie);
        let mcp = mcp.header("x-csrf-token", &browser.csrf).json(&json!({}));
        assert_eq!(send(mcp).await.status, 401);
        // Nobody is signed in from another site's page.
        let login = server.anonymous(Method::POST, "/api/v1/auth/sign-in").header("origin", "https://evil.example");
        let got = send(login.json(&json!({ "email": EMAIL, "password": PASSWORD }))).await;
        assert_eq!(got.code(), "csrf_failed");
    }

    async fn signing_out_ends_the_session(db: TestDb) {
        let (server, other) = with_password(db).await;
        let browser = sign_in(&server).await;
        let refused = send(browser.bare(&server, Method::POST, "/auth/sign-out")).await;
        assert_eq!(refused.code(), "csrf_failed");
        let listed = send(browser.bare(&server, Method::GET, "/sessions")).await;
        assert_eq!(listed.json["items"].as_array().map(Vec::len), Some(2), "{}", listed.json);
        let left = send(browser.full(&server, Method::POST, "/auth/sign-out")).await;
        assert_eq!(left.status, 204);
        assert!(left.cookie.expect("cleared").contains("synapscale_session=; "));
        assert!(!browser.is_in(&server).await);
        assert_eq!(send(browser.bare(&server, Method::GET, "/me")).await.status, 401);
        assert!(other.is_in(&server).await);
        // Once more is no fault.
        assert_eq!(send(browser.full(&server, Method::POST, "/auth/sign-out")).await.status, 204);
    }

    async fn signing_out_everywhere_ends_all(db: TestDb) {
        let (server, other) = with_password(db).await;
        let browser = sign_in(&server).await;
        let pair = tokens(&server).await;
        assert_eq!(me(&server, &pair).await, 200);
        let left = send(browser.full(&server, Method::POST, "/auth/sign-out-everywhere")).await;
        assert_eq!(left.status, 204, "{}", left.json);
        for gone in [&browser, &other] {
            assert!(!gone.is_in(&server).await);
        }
        assert_eq!(me(&server, &pair).await, 401);
        assert_eq!(refresh(&server, &pair).await.status, 401);
        // Keys are no sessions.
        server.get("/api/v1/me").await;
        sign_in(&server).await;
    }

    async fn refresh_tokens_rotate_and_a_copy_ends_the_family(db: TestDb) {
        let (server, _) = with_password(db).await;
        let (first, apart) = (tokens(&server).await, tokens(&server).await);
        let second = refresh(&server, &first).await;
        assert_eq!(second.status, 200, "{}", second.json);
        assert_ne!(second.json["refresh_token"], first["refresh_token"]);
        assert_eq!(second.json["expires_in"], 900);
        assert_eq!(me(&server, &second.json).await, 200);
        assert_eq!(me(&server, &first).await, 200);
        let copied = refresh(&server, &first).await;
        assert_eq!((copied.status.as_u16(), copied.code()), (401, "refresh_token_refused"));
        assert_eq!(refresh(&server, &second.json).await.status, 401);
        for gone in [&first, &second.json] {
            assert_eq!(me(&server, gone).await, 401);
        }
        assert_eq!(me(&server, &apart).await, 200);
        assert_eq!(refresh(&server, &apart).await.status, 200);
        for nonsense in ["", "x", "eyJhbGciOiJub25lIn0.e30."] {
            let got = post(&server, "refresh", json!({ "refresh_token": nonsense })).await;
            assert_eq!(got.status, 401);
        }
    }

    async fn failures_tell_nothing_and_lock(db: TestDb) {
        let (server, _) = with_password(db).await;
        server.ask(Method::POST, "/api/v1/members", json!({ "email": "nopass@example.com", "role": "member" })).await;
        let attempt = |email: &'static str, password: &'static str| {
            let server = &server;
            async move { post(server, "sign-in", json!({ "email": email, "password": password })).await }
        };
        for email in [EMAIL, "nobody@example.com", "nopass@example.com"] {
            for turn in 0..5 {
                let got = attempt(email, "wrong password").await;
                assert_eq!((got.status.as_u16(), got.code()), (401, "sign_in_failed"), "{email} {turn}");
                assert_eq!(got.json["detail"], "The address or the password is wrong.");
            }
            let got = attempt(email, PASSWORD).await;
            assert_eq!((got.status.as_u16(), got.code()), (429, "sign_in_locked"), "{email}");
            assert!(got.json["retry_after"].as_u64().is_some_and(|wait| (800..=900).contains(&wait)));
        }
        let token = post(&server, "token", json!({ "email": EMAIL, "password": PASSWORD })).await;
        assert_eq!(token.code(), "sign_in_locked");
        let nonsense = attempt("no address at all", "x").await;
        assert_eq!(nonsense.code(), "sign_in_failed");
        // The owner of the data gets in again.
        let again = link(db).await;
        entered(post(&server, "owner-link/accept", json!({ "token": again, "password": PASSWORD })).await);
        sign_in(&server).await;
    }

    async fn switching_stays_among_ones_own_workspaces(db: TestDb) {
        let (server, _) = with_password(db).await;
        let (second, foreign) = (further(db, EMAIL).await, further(db, "eve@example.com").await);
        let browser = sign_in(&server).await;
        let switch = |browser: &Browser, id: &str| {
            send(browser.full(&server, Method::POST, "/auth/switch").json(&json!({ "workspace_id": id })))
        };
        let refused = switch(&browser, &foreign.workspace_id).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (404, "not_found"));
        assert!(browser.is_in(&server).await);
        let moved = entered(switch(&browser, &second.workspace_id).await);
        assert_eq!(moved.session["workspace"]["id"], second.workspace_id.as_str());
        assert_eq!(moved.session["workspaces"].as_array().map(Vec::len), Some(2));
        assert_eq!(moved.session["expires_at"], browser.session["expires_at"]);
        assert!(!browser.is_in(&server).await);
        let shown = send(moved.bare(&server, Method::GET, "/workspace")).await;
        assert_eq!(shown.json["id"], second.workspace_id.as_str());
        let elsewhere = json!({ "email": EMAIL, "password": PASSWORD, "workspace_id": foreign.workspace_id });
        let got = post(&server, "sign-in", elsewhere).await;
        assert_eq!((got.status.as_u16(), got.code()), (403, "no_workspace"));
    }

    async fn a_socket_takes_the_cookie_from_our_pages_only(db: TestDb) {
        let (server, browser) = with_password(db).await;
        let hello = socket(&server, &browser.cookie, Some(&server.url)).await.expect("a stream");
        assert_eq!(hello["type"], "hello");
        for origin in [None, Some("https://evil.example"), Some("null")] {
            assert_eq!(socket(&server, &browser.cookie, origin).await, Err(403), "{origin:?}");
        }
        let made_up = format!("synapscale_session={}", "A".repeat(43));
        assert_eq!(socket(&server, &made_up, Some(&server.url)).await, Err(401));
    }

    async fn the_database_holds_no_token(db: TestDb) {
        let (server, browser) = with_password(db).await;
        let pair = tokens(&server).await;
        let secrets = [
            browser.cookie["synapscale_session=".len()..].to_owned(),
            browser.csrf.clone(),
            pair["refresh_token"].as_str().expect("a token").to_owned(),
            pair["access_token"].as_str().expect("a token").to_owned(),
            PASSWORD.to_owned(),
        ];
        let mut places = vec![db.folder().join("server.log")];
        if !db.is_postgres() {
            places.extend(["synapscale.db", "synapscale.db-wal"].map(|name| db.folder().join(name)));
        }
        for place in places {
            let bytes = std::fs::read(&place).unwrap_or_default();
            for secret in &secrets {
                let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!found, "a secret stands in {}", place.display());
            }
        }
    }
}
