//! Another tenant: every operation is tried with somebody else's ids. Nothing is found, nothing shows, nothing changes.

use crate::process::{Owner, Server, bootstrap, further};
use crate::sessions::open_session;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use synapscale_server::modules::Modules;
use synapscale_testkit::{TestDb, db_test, policies};

/// Stands in every text that the first tenant owns.
const MARK: &str = "zebra-of-the-first-tenant";

/// What the first tenant has, by the parameter that names it.
pub struct Theirs {
    pub ids: BTreeMap<&'static str, String>,
}

pub async fn furnish(db: &TestDb, server: &Server, owner: &Owner) -> Theirs {
    let id = |value: &Value| value.as_str().expect("an id").to_owned();
    let project = server
        .ask(Method::POST, "/api/v1/projects", json!({ "name": MARK }))
        .await;
    let path = format!("/api/v1/projects/{}/tasks", id(&project["id"]));
    let task = server
        .ask(Method::POST, &path, json!({ "title": MARK, "assignee": MARK }))
        .await;
    let set =
        json!({ "task_patches": [{ "op": "update", "task_id": task["id"], "body": { "tags": [MARK] } }] });
    let applied = server.ask(Method::POST, "/api/v1/patches", set).await;
    let path = format!("/api/v1/tasks/{}", id(&task["id"]));
    let said = json!({ "body": MARK });
    let comment = server.ask(Method::POST, &format!("{path}/comments"), said).await;
    let spent = json!({ "minutes": 5, "note": MARK });
    let time = server.ask(Method::POST, &format!("{path}/time"), spent).await;
    let filter = json!({ "name": MARK, "filter": { "tag": MARK }, "shared": true });
    let filter = server.ask(Method::POST, "/api/v1/filters", filter).await;
    let gone = server.project(MARK).await;
    server
        .ask(Method::DELETE, &format!("/api/v1/projects/{gone}"), Value::Null)
        .await;
    let trash = server.get("/api/v1/trash").await;
    let workflow = server
        .apply(json!({
            "name": MARK, "title": MARK,
            "nodes": {
                "hook": { "kind": "trigger.webhook@1", "with": { "scheme": "github" } },
                "start_of_theirs": { "kind": "trigger.manual@1" },
                "clock": { "kind": "trigger.schedule@1", "with": { "cron": "0 0 1 1 *" } },
                "ask": { "kind": "approval@1", "after": ["hook", "start_of_theirs", "clock"], "join": "any", "with": { "title": MARK } },
            },
        }))
        .await;
    let runs = format!("/api/v1/workflows/{MARK}/runs");
    let run = server.ask(Method::POST, &runs, json!({ "input": {} })).await;
    let mut approval = Value::Null;
    for _ in 0..200 {
        approval = server.get("/api/v1/approvals").await["items"][0]["id"].clone();
        if approval.is_string() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let key = server
        .ask(Method::POST, "/api/v1/keys", json!({ "name": MARK }))
        .await;
    let mcp = json!({ "name": "theirs", "title": MARK, "transport": "http", "url": "https://mcp.example.com/mcp",
        "headers": { "Authorization": MARK } });
    let mcp = server.ask(Method::POST, "/api/v1/mcp/servers", mcp).await;
    let provider = json!({ "name": MARK, "preset": "openai", "key": format!("sk-{MARK}") });
    let provider = server
        .ask(Method::POST, "/api/v1/models/providers", provider)
        .await;
    let way = json!([{ "provider_id": provider["id"], "model": MARK }]);
    let route = json!({ "alias": MARK, "deployments": way });
    let route = server.ask(Method::POST, "/api/v1/models/routes", route).await;
    let agent =
        json!({ "name": "theirs", "title": MARK, "description": MARK, "spec": { "instructions": MARK } });
    let agent = server.ask(Method::POST, "/api/v1/agents", agent).await;
    let talk = json!({ "agent_id": agent["id"], "title": MARK });
    let talk = server.ask(Method::POST, "/api/v1/conversations", talk).await;
    let path = format!("/api/v1/conversations/{}/messages", id(&talk["id"]));
    let said = server.ask(Method::POST, &path, json!({ "text": MARK })).await;
    server.ended(&id(&said["run_id"])).await;
    let import = server
        .ask(Method::POST, "/api/v1/imports", json!({ "name": MARK }))
        .await;
    let ids = BTreeMap::from([
        ("agent_id", id(&agent["id"])),
        ("conversation_id", id(&talk["id"])),
        ("message_id", id(&said["reply"]["id"])),
        ("provider_id", id(&provider["id"])),
        ("route_id", id(&route["id"])),
        ("project_id", id(&project["id"])),
        ("task_id", id(&task["id"])),
        ("blocker_id", id(&task["id"])),
        ("filter_id", id(&filter["id"])),
        ("import_id", id(&import["id"])),
        ("comment_id", id(&comment["id"])),
        ("time_entry_id", id(&time["id"])),
        ("delete_group_id", id(&trash["items"][0]["delete_group_id"])),
        ("patch_set_id", id(&applied["patch_set_id"])),
        ("name", MARK.to_owned()),
        ("run_id", id(&run["run_id"])),
        ("node", "start_of_theirs".to_owned()),
        ("approval_id", id(&approval)),
        ("hook_id", id(&workflow["hooks"][0]["id"])),
        ("key_id", id(&key["key"]["id"])),
        ("session_id", open_session(db, server).await),
        ("user_id", owner.user_id.clone()),
        ("server_id", id(&mcp["id"])),
    ]);
    Theirs { ids }
}

/// Everything that the first tenant can read of what it has.
async fn picture(server: &Server) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in [
        "projects",
        "tasks",
        "patches",
        "time",
        "timer",
        "trash",
        "filters",
        "imports",
        "workflows",
        "runs",
        "approvals",
        "hooks",
        "triggers",
        "keys",
        "members",
        "workspace",
        "mcp/servers",
        "mcp/tools",
        "models",
        "models/providers",
        "models/routes",
        "usage",
        "agents",
        "conversations",
    ] {
        let mut answer = server.get(&format!("/api/v1/{path}")).await;
        // When a key was last used is kept as keys are used.
        for item in answer["items"].as_array_mut().into_iter().flatten() {
            item.as_object_mut().map(|item| item.remove("last_used_at"));
        }
        seen.push(answer);
    }
    seen
}

/// A body that the operation would take, with the other tenant's ids wherever an id goes.
pub fn sent_by(name: &str, theirs: &Theirs) -> Value {
    let id = |of: &str| theirs.ids[of].clone();
    let patch = json!({ "task_patches": [
        { "op": "update", "task_id": id("task_id"), "body": { "title": "taken" } },
        { "op": "create", "project_id": id("project_id"), "body": { "title": "put in" } },
        { "op": "create", "parent_id": id("task_id"), "body": { "title": "put below" } },
        { "op": "delete", "task_id": id("task_id") },
    ], "project_patches": [{ "op": "delete", "project_id": id("project_id") }] });
    match name {
        "projects.create" => json!({ "name": "mine" }),
        "projects.update" => json!({ "name": "taken" }),
        "tasks.create" => json!({ "title": "put in" }),
        "tasks.update" => json!({ "title": "taken" }),
        "tasks.move" => json!({ "parent_id": id("task_id") }),
        "tasks.block" => json!({ "blocker_id": id("task_id") }),
        "comments.create" | "comments.update" => json!({ "body": "put in" }),
        "time.create" => json!({ "minutes": 1 }),
        "filters.create" => json!({ "name": "mine", "filter": { "project_id": id("project_id") } }),
        "filters.update" => json!({ "name": "taken" }),
        "imports.create" => json!({ "name": "mine" }),
        "imports.upload" => json!({ "number": 0, "content": "dGl0bGUKYQo=" }),
        "imports.preview" | "imports.start" => json!({ "project_id": id("project_id") }),
        "imports.advance" => json!({ "part": 0 }),
        "time.update" => json!({ "note": "taken" }),
        "patches.preview" | "patches.apply" => patch,
        "workflows.apply" | "workflows.validate" => json!({ "file": {
            "name": MARK, "nodes": { "start": { "kind": "trigger.manual@1" } },
        } }),
        "workflows.run" => json!({ "input": {} }),
        "workflows.update" => json!({ "status": "paused" }),
        "runs.cancel_many" | "runs.resume_many" | "runs.rerun_many" => {
            json!({ "runs": { "run_ids": [id("run_id")] } })
        }
        "approvals.decide" => json!({ "approve": true }),
        "providers.create" => json!({ "name": "mine", "preset": "openai", "key": "sk-of-nobody" }),
        "providers.update" => json!({ "name": "taken" }),
        "routes.create" => json!({ "alias": "mine", "deployments": [
            { "provider_id": id("provider_id"), "model": "m" },
        ] }),
        "routes.update" => json!({ "alias": "taken" }),
        "llm.chat" => json!({ "model": MARK, "messages": [{ "role": "user", "content": "hello" }] }),
        "agents.create" => json!({ "name": "mine", "spec": {} }),
        "agents.update" => json!({ "title": "taken" }),
        "agents.run" => json!({ "agent": id("agent_id"), "input": "act" }),
        "conversations.create" => json!({ "agent_id": id("agent_id") }),
        "conversations.update" => json!({ "title": "taken" }),
        "conversations.send" | "conversations.edit" => json!({ "text": "put in" }),
        "conversations.invite" => json!({ "user_id": id("user_id") }),
        "members.update" => json!({ "role": "viewer" }),
        "members.add" => json!({ "email": "new@example.com", "role": "viewer" }),
        "keys.create" => json!({ "name": "mine", "user_id": id("user_id") }),
        _ => json!({}),
    }
}

/// Makes a thing of the same name in the caller's own workspace: right, and no sign of the other.
const OWN_NAMES: &[&str] = &["workflows.apply", "workflows.validate"];

db_test! {
    async fn another_tenants_things_are_not_there(db: TestDb) {
        let first = bootstrap(db).await;
        let mut server = Server::start(db, &first.api_key, &[]).await;
        let theirs = furnish(db, &server, &first).await;
        let before = picture(&server).await;
        let second = further(db, "stranger@example.com").await;
        assert_ne!(first.workspace_id, second.workspace_id);

        server.key = second.api_key.clone();
        let openapi = server.get("/api/v1/openapi.json").await;
        let mut tried = 0;
        let paths = openapi["paths"].as_object().expect("paths");
        // Applied last: from then on the second tenant has a workflow of that name, and reads its own.
        let mut calls: Vec<(String, Method, &str)> = paths
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().expect("methods").iter().filter_map(move |(method, operation)| {
                    // `call` is no operation but the address of all of them.
                    let name = operation["operationId"].as_str().filter(|name| *name != "call")?;
                    let name = name.replacen('_', ".", 1);
                    Some((name, method.to_uppercase().parse().ok()?, path.as_str()))
                })
            })
            .collect();
        calls.sort_by_key(|(name, ..)| OWN_NAMES.contains(&name.as_str()));
        for (name, method, path) in calls {
            let mut named = false;
            let path = path.split('/').skip(1).fold(String::new(), |so_far, part| {
                let parameter = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
                named |= parameter.is_some();
                let part = parameter.map_or(part, |parameter| {
                    theirs.ids.get(parameter).unwrap_or_else(|| panic!("{name}: which {parameter}?"))
                });
                format!("{so_far}/{part}")
            });
            let path = if path.starts_with("/api/v1") { path } else { format!("/api/v1{path}") };
            let (status, answer) = server.try_ask(method, &path, sent_by(&name, &theirs)).await;
            tried += 1;
            if OWN_NAMES.contains(&name.as_str()) {
                assert!(status.is_success(), "{name}: {status} {answer}");
                continue;
            }
            if named {
                assert_eq!(status, 404, "{name} {path}: {answer}");
            }
            let text = answer.to_string();
            for word in theirs.ids.values().filter(|id| !sent_by(&name, &theirs).to_string().contains(id.as_str())) {
                let echoed = path.contains(word.as_str()) && !status.is_success();
                assert!(echoed || !text.contains(word.as_str()), "{name} shows {word}: {answer}");
            }
        }
        assert!(tried > 45, "{tried} operations");
        // Nothing by reference either: the second tenant's own task below the first one's, its key for the other's user.
        let mine = server.ask(Method::POST, "/api/v1/projects", json!({ "name": "mine" })).await;
        let path = format!("/api/v1/projects/{}/tasks", mine["id"].as_str().expect("an id"));
        let own = server.ask(Method::POST, &path, json!({ "title": "own" })).await;
        let below = json!({ "parent_id": theirs.ids["task_id"] });
        let to = format!("/api/v1/tasks/{}/move", own["id"].as_str().expect("an id"));
        for (path, body) in [
            (to.as_str(), below),
            (to.as_str(), json!({ "project_id": theirs.ids["project_id"] })),
            ("/api/v1/patches", sent_by("patches.apply", &theirs)),
            ("/api/v1/keys", sent_by("keys.create", &theirs)),
            ("/api/v1/models/routes", sent_by("routes.create", &theirs)),
        ] {
            let (status, answer) = server.try_ask(Method::POST, path, body).await;
            assert!([404, 422].contains(&status.as_u16()), "{path}: {status} {answer}");
            assert!(!answer.to_string().contains(MARK));
        }

        server.key = first.api_key.clone();
        assert_eq!(picture(&server).await, before, "nothing of the first tenant changed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_policy_of_any_module_is_missed() {
    let db = TestDb::postgres().await;
    let store = db.open_bare(&[]).await;
    Modules::new(&store)
        .migrations()
        .migrate(&store)
        .await
        .expect("migrated");
    let dropped = policies::each_is_missed(&db, &store).await;
    assert!(dropped > 30, "{dropped} policies");
    db.discard().await;
}
