//! The live schema against the entities.

use crate::{entities, migrations, open};
use synapscale_store::Migration;
use synapscale_store::schema::text;
use synapscale_store::{MigrationState, Migrations};
use synapscale_testkit::db_test;

db_test! {
    async fn a_fresh_schema_has_no_drift(db: TestDb) {
        let store = open(db).await;
        assert_eq!(store.check_schema(&entities()).await.expect("check"), []);
        store.check_row_security().await.expect("whole");
    }

    async fn a_planted_difference_is_reported(db: TestDb) {
        let store = open(db).await;
        let planted = Migrations::new([
            Migration::new("test_0001_notes"),
            Migration::new("test_0002_planted").add_column("notes", text("colour").null()),
        ]);
        planted.migrate(&store).await.expect("planted");
        let drift = store.check_schema(&entities()).await.expect("check");
        assert_eq!(drift.len(), 1, "{drift:?}");
        assert_eq!(drift[0].column.as_deref(), Some("colour"));
        let none = store.check_schema(&[]).await.expect("check");
        assert!(none.iter().any(|d| d.table == "notes" && d.what.contains("no entity")));
    }

    async fn an_older_binary_refuses_a_newer_schema(db: TestDb) {
        let store = open(db).await;
        let older = Migrations::new([]);
        assert_eq!(older.migrate(&store).await.expect_err("refused").code(), "schema_newer");
        let states: Vec<MigrationState> = migrations().status(&store).await.expect("status");
        assert!(states.iter().all(|state| state.known && state.applied_at.is_some()));
    }
}
