//! What the operations show is what is declared: each field a column or computed, each column shown or hidden.

use crate::process::command;
use synapscale_core::{Error, Result};
use synapscale_ops::{Faces, Operation, View, check_faces};
use synapscale_server::modules::Modules;
use synapscale_store::{EntitySpec, own_entities};
use synapscale_testkit::TestDb;

#[tokio::test]
async fn every_field_is_a_column_or_computed_and_every_column_shown_or_hidden() {
    let db = TestDb::sqlite();
    let store = db.open_bare(&[]).await;
    let found = Modules::new(&store).check_faces();
    let told: Vec<String> = found
        .iter()
        .map(|one| format!("{}: {}", one.place, one.what))
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// A view of tasks that lost its column, and shows the secret of a hook.
#[derive(schemars::JsonSchema, serde::Serialize)]
struct Careless {
    id: String,
    estimated_hours: i64,
    secret_sealed: String,
}

#[tokio::test]
async fn a_careless_view_is_refused() {
    let db = TestDb::sqlite();
    let store = db.open_bare(&[]).await;
    let mut modules = Modules::new(&store);
    let careless = Operation::read("hooks.careless", "Show too much")
        .about("Shows too much.")
        .permission("workflows:read")
        .handle(|_, _: std::sync::Arc<synapscale_ops::NoInput>| async move {
            let never: Result<Careless> = Err(Error::unauthenticated());
            never
        });
    let faces = Faces::default()
        .view(View::of::<Careless>("tasks").computed(&["secret_sealed"]))
        .view(View::of::<Careless>("hooks").computed(&["estimated_hours"]));
    modules.list.push(
        synapscale_ops::Module::new("careless")
            .operation(careless)
            .faces(faces),
    );
    let entities: Vec<EntitySpec> = own_entities().into_iter().chain(modules.entities()).collect();
    let found = check_faces(&modules.list, &entities);
    let told = |place: &str, words: &str| {
        found
            .iter()
            .any(|one| one.place == place && one.what.contains(words))
    };
    assert!(told("tasks.estimated_hours", "no column"), "{found:?}");
    assert!(
        told("hooks.secret_sealed", "declared hidden, and a view shows it"),
        "{found:?}"
    );
    assert_eq!(found.len(), 2, "{found:?}");
}

#[tokio::test]
async fn db_check_tells_that_schema_and_api_are_as_declared() {
    let db = TestDb::sqlite();
    let (code, _, err) = command(&db, &["db", "migrate"]).await;
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = command(&db, &["db", "check", "--json"]).await;
    assert_eq!(code, 0, "{out}\n{err}");
    let told: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&told["ok"], &told["api"]),
        (&serde_json::json!(true), &serde_json::json!([]))
    );
}
