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
