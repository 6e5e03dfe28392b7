//! The web pages as the server gives them out.

use crate::process::Server;
use reqwest::Method;
use synapscale_testkit::db_test;

async fn text(server: &Server, path: &str, accept: &str) -> (u16, String, String) {
    let request = server.anonymous(Method::GET, path).header("accept", accept);
    let answer = request.send().await.expect("an answer");
    let policy = answer.headers().get("content-security-policy").cloned();
    let policy = policy.map(|value| value.to_str().expect("ascii").to_owned());
    let status = answer.status().as_u16();
    (
        status,
        policy.unwrap_or_default(),
        answer.text().await.expect("text"),
    )
}

db_test! {
    async fn browsers_get_pages_and_programs_get_problems(db: TestDb) {
        let server = Server::fresh(db).await;
        let (status, policy, home) = text(&server, "/", "text/html").await;
        assert_eq!(status, 200);
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let (status, _, problem) = text(&server, "/api/v1/nowhere", "text/html").await;
        assert!(status == 404 && problem.contains("no_such_route"), "{problem}");
        let (status, _, problem) = text(&server, "/runs", "application/json").await;
        assert!(status == 404 && problem.contains("no_such_route"), "{problem}");
        if home.contains("built without its web pages") {
            // This test run had no Node; `make test` says so.
            return;
        }
        let (status, _, deep) = text(&server, "/runs/0189?tab=steps", "text/html,*/*").await;
        assert_eq!((status, &deep), (200, &home), "every page's address gives the same file");
        let script = home.split('"').find(|part| part.starts_with("/assets/") && part.ends_with(".js"));
        let request = server.anonymous(Method::GET, script.expect("a script")).header("accept-encoding", "gzip");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(answer.headers()["content-type"], "text/javascript");
        let (status, ..) = text(&server, "/assets/../index.html", "*/*").await;
        assert_eq!(status, 404);
    }
}

db_test! {
    async fn the_pages_client_is_made_from_this_api(db: TestDb) {
        let server = Server::fresh(db).await;
        let mut served = server.get("/api/v1/openapi.json").await;
        let kept = include_str!("../../../../web/openapi.json");
        let mut kept: serde_json::Value = serde_json::from_str(kept).expect("JSON");
        // Where this server is reached is its own affair.
        for document in [&mut served, &mut kept] {
            document.as_object_mut().expect("an object").remove("servers");
        }
        let differing: Vec<&String> = ["paths", "components"]
            .into_iter()
            .filter(|part| served[part] != kept[part])
            .flat_map(|part| served[part].as_object().expect("an object").keys())
            .collect();
        assert!(
            served == kept,
            "web/openapi.json is of another API: `cd web && SYNAPSCALE_SERVER=http://… npm run api` ({differing:?})"
        );
    }
}
