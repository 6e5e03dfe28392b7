//! Tasks from elsewhere and to elsewhere.

use crate::home::{Home, items, text};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Actor, Channel, Clock, Ctx, Grants, Origin, PermissionSet, Result, TenantId};
use synapscale_engine::outbound::{Outbound, OutboundPolicy};
use synapscale_engine::{Engine, EngineConfig, Principals};
use synapscale_ops::{Gate, GateConfig, Rates, Registry};
use synapscale_store::Migrations;
use synapscale_testkit::{TestDb, db_test};
use synapscale_work::Work;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Everybody may do everything.
struct Everybody(Clock);

#[async_trait]
impl Principals for Everybody {
    async fn ctx_for(&self, tenant: TenantId, principal: Actor, _: Option<Actor>) -> Result<Ctx> {
        let all = Grants::of(PermissionSet::all());
        let origin = Origin::of(Channel::Run);
        Ok(Ctx::authenticated(tenant, principal, all, origin, self.0.clone()))
    }
}

/// A home with an engine at work.
struct Rig {
    home: Home,
    stop: CancellationToken,
    _tasks: TaskTracker,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    async fn new(db: &TestDb) -> Self {
        let work = Work::new();
        let modules = [synapscale_ops::module(), Engine::module(), work.module()];
        let migrations = Migrations::new(modules.iter().flat_map(|module| module.migrations.clone()));
        let entities: Vec<_> = modules
            .iter()
            .flat_map(|module| module.entities.clone())
            .collect();
        let store = db.open(&migrations, &entities).await;
        let registry = Arc::new(Registry::new(&modules).expect("a registry"));
        let gate = Gate::new(
            registry,
            store,
            GateConfig {
                rates: Rates::unlimited(),
            },
        );
        let home = Home::over(gate.clone());
        let config = EngineConfig {
            poll: Duration::from_millis(50),
            ..EngineConfig::default()
        };
        let outbound = Outbound::new(OutboundPolicy::default()).expect("a client");
        let people = Arc::new(Everybody(home.clock.clock()));
        let engine = Engine::new(gate, people, outbound, config, Vec::new());
        work.attach(engine.clone());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let token = stop.clone();
        tasks.spawn(async move { engine.work(token).await.expect("work") });
        Rig {
            home,
            stop,
            _tasks: tasks,
        }
    }

    /// Uploads a file; the import's id.
    async fn upload(&self, ctx: &Ctx, name: &str, bytes: &[u8]) -> String {
        let made = self
            .home
            .call_as(ctx, "imports.create", json!({ "name": name }))
            .await
            .expect("an import");
        let id = text(&made["id"]);
        for (number, piece) in bytes.chunks(300 * 1024).enumerate() {
            let input = json!({ "import_id": id, "number": number, "content": STANDARD.encode(piece) });
            self.home
                .call_as(ctx, "imports.upload", input)
                .await
                .expect("uploaded");
        }
        id
    }

    /// The import once it is over.
    async fn over(&self, ctx: &Ctx, id: &str) -> Value {
        for _ in 0..600 {
            let found = self
                .home
                .call_as(ctx, "imports.get", json!({ "import_id": id }))
                .await
                .expect("an import");
            let going = ["running", "undoing"]
                .map(|status| json!(status))
                .contains(&found["status"]);
            if !going || found["stopped"] == json!(true) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("import {id} never ends");
    }

    async fn import(&self, ctx: &Ctx, name: &str, bytes: &[u8]) -> Value {
        let id = self.upload(ctx, name, bytes).await;
        self.home
            .call_as(ctx, "imports.start", json!({ "import_id": id }))
            .await
            .expect("started");
        self.over(ctx, &id).await
    }

    async fn undo(&self, ctx: &Ctx, import: &Value) -> Value {
        let id = json!({ "import_id": import["id"] });
        self.home.call_as(ctx, "imports.undo", id).await.expect("an undo");
        self.over(ctx, &text(&import["id"])).await
    }

    async fn export(&self, ctx: &Ctx, format: &str) -> (String, usize) {
        let (mut file, mut cursor, mut pages) = (String::new(), json!(null), 0);
        loop {
            let page = self
                .home
                .call_as(ctx, "tasks.export", json!({ "format": format, "cursor": cursor }))
                .await;
            let page = page.expect("a page");
            file.push_str(page["content"].as_str().expect("text"));
            pages += 1;
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                return (file, pages);
            }
        }
    }

    async fn titles(&self) -> Vec<String> {
        let page = self
            .home
            .ok(
                "tasks.list",
                json!({ "limit": 200, "sort": "title", "archived": "included" }),
            )
            .await;
        items(&page).iter().map(|task| text(&task["title"])).collect()
    }
}

fn counts(import: &Value) -> [i64; 4] {
    ["created", "updated", "unchanged", "left_out"].map(|count| import[count].as_i64().expect("a count"))
}

/// An export with titles in the place of ids, so that two workspaces can be compared.
fn comparable(file: &str) -> BTreeMap<String, Value> {
    let file: Value = serde_json::from_str(file).expect("JSON");
    let tasks = file["tasks"].as_array().expect("tasks");
    let titles: BTreeMap<&str, &str> = tasks
        .iter()
        .map(|task| {
            (
                task["id"].as_str().expect("an id"),
                task["title"].as_str().expect("a title"),
            )
        })
        .collect();
    let plain = |task: &Value| {
        let mut task = task.clone();
        task["id"] = json!(null);
        if let Some(parent) = task["parent_id"].as_str() {
            task["parent_id"] = json!(titles[parent]);
        }
        for blocker in task["blocked_by"].as_array_mut().into_iter().flatten() {
            *blocker = json!(titles[blocker.as_str().expect("an id")]);
        }
        for list in ["comments", "time"] {
            for entry in task[list].as_array_mut().into_iter().flatten() {
                entry["id"] = json!(null);
                entry["author"] = json!(null);
                entry["person"] = json!(null);
            }
        }
        (text(&task["title"]), task)
    };
    tasks.iter().map(plain).collect()
}

const TABLE: &str = "id,title,project,parent,status,due,blocked_by,comment\n\
    1,One,P,,todo,2026-04-01,,hello\n2,Two,P,1,done,,1,\n3,Three,Q,,todo,soon,1,\n4,,Q,,,,,\n";

db_test! {
    async fn a_table_is_shown_imported_once_changed_and_undone(db: TestDb) {
        let rig = Rig::new(db).await;
        let home = &rig.home;
        let id = rig.upload(&home.ctx, "list.csv", TABLE.as_bytes()).await;
        let shown = home.ok("imports.preview", json!({ "import_id": id })).await;
        assert_eq!((&shown["format"], &shown["items"], &shown["created"]), (&json!("csv"), &json!(3), &json!(3)), "{shown}");
        assert_eq!((&shown["projects"], &shown["problems"]["errors"]), (&json!(["P", "Q"]), &json!(1)));
        let places: Vec<&str> = shown["problems"]["items"].as_array().expect("problems").iter().map(|p| p["at"].as_str().expect("a place")).collect();
        assert_eq!(places, ["line 4", "line 5"]);
        assert!(rig.titles().await.is_empty(), "a preview makes nothing");
        let done = rig.import(&home.ctx, "list.csv", TABLE.as_bytes()).await;
        assert_eq!((&done["status"], counts(&done)), (&json!("done"), [3, 0, 0, 1]), "{done}");
        assert_eq!(rig.titles().await, ["One", "Three", "Two"]);
        let page = home.ok("tasks.list", json!({ "sort": "title" })).await;
        let (one, two) = (&items(&page)[0], &items(&page)[2]);
        assert_eq!((&two["parent_id"], &two["status"]), (&one["id"], &json!("done")));
        let said = home.ok("comments.list", json!({ "task_id": one["id"] })).await;
        assert_eq!(items(&said)[0]["body"], "hello");
        assert_eq!(items(&home.ok("tasks.search", json!({ "query": "hello" })).await).len(), 1);
        // The same file again changes nothing; a changed one changes what it changes.
        let again = rig.import(&home.ctx, "list.csv", TABLE.as_bytes()).await;
        assert_eq!(counts(&again), [0, 0, 3, 1]);
        assert_eq!(home.get(&text(&one["id"])).await["revision"], one["revision"]);
        let changed = TABLE.replace("3,Three", "3,Third") + "5,Five,P,1,,,2,\n";
        let update = rig.import(&home.ctx, "list.csv", changed.as_bytes()).await;
        assert_eq!(counts(&update), [1, 1, 2, 1], "{update}");
        assert_eq!(rig.titles().await, ["Five", "One", "Third", "Two"]);
        // Each is undone as a whole, and then the one before it.
        let undone = rig.undo(&home.ctx, &update).await;
        assert_eq!((&undone["status"], rig.titles().await), (&json!("undone"), vec!["One".to_owned(), "Three".into(), "Two".into()]), "{undone}");
        let undone = rig.undo(&home.ctx, &done).await;
        assert_eq!((&undone["status"], rig.titles().await.len()), (&json!("undone"), 0), "{undone}");
        assert!(items(&home.ok("projects.list", json!({})).await).is_empty());
        // And comes in anew.
        let anew = rig.import(&home.ctx, "list.csv", TABLE.as_bytes()).await;
        assert_eq!(counts(&anew), [3, 0, 0, 1]);
    }

    async fn an_export_comes_back_as_it_was(db: TestDb) {
        let rig = Rig::new(db).await;
        let home = &rig.home;
        let (project, other) = (home.project("P").await, home.project("Q").await);
        let make = |input: Value| home.ok("tasks.create", input);
        let top = make(json!({ "project_id": project, "title": "top", "description": "more\nlines", "tags": ["a,b", "c"], "assignee": "ada", "estimated_minutes": 90, "metadata": { "k": [1] }, "integration_ids": { "x": "1" } })).await;
        let below = make(json!({ "project_id": project, "parent_id": top["id"], "title": "below", "priority": "high", "due_date": "2026-03-05T09:00:00Z" })).await;
        let last = make(json!({ "project_id": project, "parent_id": top["id"], "title": "=last" })).await;
        home.ok("tasks.move", json!({ "task_id": last["id"], "before": below["id"] })).await;
        make(json!({ "project_id": other, "title": "again", "due_date": "2026-03-05T09:00:00Z", "scheduled_date": "2026-03-04T09:00:00Z", "recurrence": { "every": 2, "unit": "week", "weekdays": ["mon"] } })).await;
        let away = make(json!({ "project_id": other, "title": "away", "status": "cancelled" })).await;
        home.ok("tasks.archive", json!({ "task_id": away["id"] })).await;
        // A parent that waits for its child, and a child for one of another project.
        home.ok("tasks.block", json!({ "task_id": top["id"], "blocker_id": below["id"] })).await;
        home.ok("tasks.block", json!({ "task_id": below["id"], "blocker_id": away["id"] })).await;
        home.ok("comments.create", json!({ "task_id": top["id"], "body": "first" })).await;
        home.ok("comments.create", json!({ "task_id": top["id"], "body": "second" })).await;
        home.ok("time.create", json!({ "task_id": below["id"], "minutes": 25, "date": "2026-02-28", "note": "by hand" })).await;
        let (file, _) = rig.export(&home.ctx, "json").await;
        let there = home.stranger();
        let done = rig.import(&there, "tasks.json", file.as_bytes()).await;
        assert_eq!(counts(&done), [5, 0, 0, 0], "{done}");
        assert_eq!(done["problems"]["warnings"], 0, "{done}");
        let (copy, _) = rig.export(&there, "json").await;
        let (mut before, mut after) = (comparable(&file), comparable(&copy));
        for file in [&mut before, &mut after] {
            for task in file.values_mut() {
                // Who imports is the author; the text says who wrote it.
                for comment in task["comments"].as_array_mut().into_iter().flatten() {
                    let body = text(&comment["body"]);
                    comment["body"] = json!(body.rsplit("\n\n").next());
                }
            }
        }
        assert_eq!(before, after);
        let again = rig.import(&there, "tasks.json", file.as_bytes()).await;
        assert_eq!(counts(&again), [0, 0, 5, 0]);
        let undone = rig.undo(&there, &done).await;
        assert_eq!(undone["status"], "undone", "{undone}");
        // As a table, nothing of it is a formula, and it comes back too.
        let (table, _) = rig.export(&home.ctx, "csv").await;
        assert!(table.starts_with("id,project,parent_id,title") && table.contains(",'=last,"), "{table}");
        let done = rig.import(&there, "tasks.csv", table.as_bytes()).await;
        assert_eq!(counts(&done), [5, 0, 0, 0], "{done}");
        let page = home.call_as(&there, "tasks.list", json!({ "sort": "title" })).await.expect("a list");
        assert_eq!(items(&page)[0]["title"], "=last");
        // And for Taskwarrior.
        let (list, _) = rig.export(&home.ctx, "taskwarrior").await;
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let named = |title: &str| list.as_array().expect("a list").iter().find(|task| task["description"] == title).expect("there").clone();
        assert_eq!((&named("top")["depends"], &named("away")["status"]), (&json!([below["id"]]), &json!("deleted")));
        assert_eq!(named("top")["annotations"].as_array().expect("annotations").len(), 3);
    }

    async fn many_tasks_go_in_parts_and_out_in_pages(db: TestDb) {
        let rig = Rig::new(db).await;
        let home = &rig.home;
        let mut table = "id,title,parent,blocked_by\n".to_owned();
        for n in 0..1_000 {
            let parent = if n % 10 == 0 { String::new() } else { (n - n % 10).to_string() };
            // Half wait for one that comes later.
            let waits = if n % 2 == 0 { ((n + 1) % 1_000).to_string() } else { String::new() };
            table.push_str(&format!("{n},task {n},{parent},{waits}\n"));
        }
        let done = rig.import(&home.ctx, "many.csv", table.as_bytes()).await;
        assert_eq!((&done["status"], counts(&done)), (&json!("done"), [1_000, 0, 0, 0]), "{done}");
        assert_eq!((&done["parts"], &done["parts_done"], &done["problems"]["warnings"]), (&done["parts_done"], &done["parts"], &json!(0)), "{done}");
        let blocked = home.ok("tasks.list", json!({ "blocked": true, "limit": 200 })).await;
        assert_eq!(items(&blocked).len(), 200);
        let (file, pages) = rig.export(&home.ctx, "json").await;
        let file: Value = serde_json::from_str(&file).expect("JSON");
        assert_eq!((file["tasks"].as_array().expect("tasks").len(), pages), (1_000, 4));
        let run = home.ok("imports.get", json!({ "import_id": done["id"] })).await;
        assert_eq!(run["stopped"], false);
        let again = rig.import(&home.ctx, "many.csv", table.as_bytes()).await;
        assert_eq!(counts(&again), [0, 0, 1_000, 0], "{again}");
        let undone = rig.undo(&home.ctx, &done).await;
        assert_eq!((&undone["status"], &undone["parts_done"], rig.titles().await.len()), (&json!("undone"), &json!(0), 0), "{undone}");
    }

    async fn what_people_do_with_imported_tasks_counts_more(db: TestDb) {
        let rig = Rig::new(db).await;
        let home = &rig.home;
        let done = rig.import(&home.ctx, "list.csv", TABLE.as_bytes()).await;
        let page = home.ok("tasks.list", json!({ "sort": "title" })).await;
        let (one, three) = (text(&items(&page)[0]["id"]), text(&items(&page)[1]["id"]));
        home.ok("tasks.update", json!({ "task_id": one, "assignee": "ada" })).await;
        let refused = home.refused("imports.undo", json!({ "import_id": done["id"] })).await;
        assert_eq!((refused.code(), refused.fields()[0].pointer.as_str()), ("undo_conflict", format!("/tasks/{one}").as_str()));
        // A field that the file does not name stays; what was deleted here stays deleted.
        home.ok("tasks.delete", json!({ "task_id": three })).await;
        let changed = TABLE.replace("1,One", "1,Uno").replace("3,Three", "3,Tre");
        let update = rig.import(&home.ctx, "list.csv", changed.as_bytes()).await;
        assert_eq!(counts(&update), [0, 1, 2, 1], "{update}");
        let uno = home.get(&one).await;
        assert_eq!((&uno["title"], &uno["assignee"]), (&json!("Uno"), &json!("ada")));
        let codes: Vec<&Value> = update["problems"]["items"].as_array().expect("problems").iter().map(|p| &p["code"]).collect();
        assert!(codes.contains(&&json!("deleted_here")), "{update}");
        let undone = rig.undo(&home.ctx, &update).await;
        assert_eq!((&undone["status"], &home.get(&one).await["title"]), (&json!("undone"), &json!("One")));
    }

    async fn odd_imports_are_answered_with_errors(db: TestDb) {
        let rig = Rig::new(db).await;
        let home = &rig.home;
        let id = rig.upload(&home.ctx, "odd.csv", b"title\n\xff").await;
        let by = |id: &str| json!({ "import_id": id });
        assert_eq!(home.refused("imports.preview", by(&id)).await.code(), "not_utf8");
        assert_eq!(home.refused("imports.start", by(&id)).await.code(), "not_utf8");
        assert_eq!(home.refused("imports.upload", json!({ "import_id": id, "number": 0, "content": "no base64!" })).await.fields()[0].pointer, "/content");
        let good = json!({ "import_id": id, "number": 0, "content": STANDARD.encode("title\na\n") });
        home.ok("imports.upload", good.clone()).await;
        let gap = json!({ "import_id": id, "number": 2, "content": STANDARD.encode("b\n") });
        home.ok("imports.upload", gap).await;
        assert_eq!(home.refused("imports.preview", by(&id)).await.code(), "piece_missing");
        home.ok("imports.upload", json!({ "import_id": id, "number": 1, "content": STANDARD.encode("c\n") })).await;
        assert_eq!(home.ok("imports.preview", by(&id)).await["items"], 3);
        let nowhere = json!({ "import_id": id, "project_id": "00000000-0000-7000-8000-000000000000" });
        assert_eq!(home.refused("imports.start", nowhere).await.code(), "not_found");
        for operation in ["imports.get", "imports.preview", "imports.start", "imports.undo", "imports.delete", "imports.resume"] {
            let refused = home.call_as(&home.stranger(), operation, by(&id)).await.expect_err("refused");
            assert_eq!(refused.code(), "not_found", "{operation}");
        }
        assert_eq!(home.refused("imports.undo", by(&id)).await.code(), "not_started");
        home.ok("imports.start", by(&id)).await;
        assert_eq!(home.refused("imports.start", by(&id)).await.code(), "import_started");
        rig.over(&home.ctx, &id).await;
        assert_eq!(home.refused("imports.upload", good).await.code(), "import_started");
        assert_eq!(home.refused("imports.resume", by(&id)).await.code(), "nothing_to_resume");
        // A part that is done stays as it is, whoever asks.
        let done = home.ok("imports.advance", json!({ "import_id": id, "part": 0 })).await;
        assert_eq!((&done["parts_done"], rig.titles().await.len()), (&json!(1), 3));
        home.ok("imports.delete", by(&id)).await;
        assert_eq!((home.refused("imports.get", by(&id)).await.code(), rig.titles().await.len()), ("not_found", 3));
        for _ in 0..20 {
            home.ok("imports.create", json!({ "name": "n" })).await;
        }
        assert_eq!(home.refused("imports.create", json!({ "name": "n" })).await.code(), "too_many_imports");
        home.clock.advance(chrono::TimeDelta::hours(25));
        home.ok("imports.create", json!({ "name": "n" })).await;
        assert_eq!(items(&home.ok("imports.list", json!({})).await).len(), 1, "what was not started is forgotten");
    }

    async fn nothing_comes_in_that_a_database_cannot_keep(db: TestDb) {
        let rig = Rig::new(db).await;
        let table = b"id,title,due,project,tags,comment\n\0,t\0i,so\0on,P\0Q,a\0b,x\0y\n";
        let done = rig.import(&rig.home.ctx, "nul.csv", table).await;
        assert_eq!((&done["status"], counts(&done)), (&json!("done"), [1, 0, 0, 0]), "{done}");
        let own = r#"{"format":"synapscale.tasks","version":1,"tasks":[{"id":"a\u0000","title":"n\u0000","project":"\u0000",
            "metadata":{"k\u0000":["\u0000"]},"integration_ids":{"x":"\u0000"},"tags":["\u0000"],"parent_id":"\u0000",
            "comments":[{"id":"\u0000","body":"b\u0000","author":"\u0000"}]}]}"#;
        let done = rig.import(&rig.home.ctx, "nul.json", own.as_bytes()).await;
        assert_eq!((&done["status"], counts(&done)), (&json!("done"), [1, 0, 0, 0]), "{done}");
        assert_eq!(rig.titles().await, ["n", "t i"]);
    }

    async fn the_samples_are_what_they_say(db: TestDb) {
        let rig = Rig::new(db).await;
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/import");
        for (name, format, tasks) in [
            ("tasks.csv", "csv", 4),
            ("todoist.csv", "todoist_csv", 3),
            ("todoist.json", "todoist", 3),
            ("taskwarrior.json", "taskwarrior", 4),
            ("github-issues.json", "github", 2),
            ("synapscale.json", "json", 3),
        ] {
            let bytes = std::fs::read(format!("{folder}/{name}")).expect("a sample");
            let done = rig.import(&rig.home.ctx, name, &bytes).await;
            assert_eq!((&done["format"], counts(&done)), (&json!(format), [tasks, 0, 0, 0]), "{name}: {done}");
            assert_eq!(done["problems"]["warnings"], 0, "{name}: {done}");
            let again = rig.import(&rig.home.ctx, name, &bytes).await;
            assert_eq!(counts(&again), [0, 0, tasks, 0], "{name}");
        }
        let rent = rig.home.ok("tasks.list", json!({ "text": "rent" })).await;
        assert_eq!(items(&rent)[0]["recurrence"]["unit"], "month");
        let ship = rig.home.ok("tasks.list", json!({ "text": "ship" })).await;
        assert_eq!(items(&ship)[0]["blocked"], true);
    }
}
