//! What a plan writes when others write between its look and its writing.

use super::*;
use crate::patch::{TaskBody, TaskPatch};
use crate::query;
use synapscale_core::{Actor, Channel, Ctx, Grants, Origin, PermissionSet, TenantId, TestClock};
use synapscale_ops::Patch;
use synapscale_store::{Migrations, Store};
use synapscale_testkit::{TestDb, db_test};

async fn home(db: &TestDb) -> (Store, Ctx) {
    let module = crate::Work::new().module();
    let store = db
        .open(&Migrations::new(module.migrations), &module.entities)
        .await;
    let clock = TestClock::at("2026-03-02T09:00:00Z".parse().expect("a time"));
    let grants = Grants::of(PermissionSet::all());
    let origin = Origin::of(Channel::Rest);
    let tenant = TenantId(new_id());
    let ctx = Ctx::authenticated(tenant, Actor::user(new_id()), grants, origin, clock.clock());
    (store, ctx)
}

fn set(value: Value) -> PatchSet {
    serde_json::from_value(value).expect("a set")
}

/// A project with a task; the task's id.
async fn task(store: &Store, ctx: &Ctx) -> Uuid {
    let made = store.write(ctx, |tx| async move {
        let set = set(json!({
            "project_patches": [{ "op": "create", "temp_id": "p", "body": { "name": "P" } }],
            "task_patches": [{ "op": "create", "project_id": "temp:p", "body": { "title": "old" } }],
        }));
        apply(&tx, &set, Sequence::Given).await
    });
    made.await.expect("made").tasks[0].id
}

async fn row(store: &Store, ctx: &Ctx, id: Uuid) -> task::Model {
    let read = store.read(ctx, |tx| async move { query::task_at(&tx, id).await });
    read.await.expect("read").expect("a task")
}

db_test! {
    async fn an_update_leaves_alone_what_it_does_not_change(db: TestDb) {
        let (store, ctx) = home(db).await;
        let id = task(&store, &ctx).await;
        let done = store.write(&ctx, |tx| async move {
            let mut body = TaskBody { title: Patch::Value("new".to_owned()), ..TaskBody::default() };
            body.priority = Patch::Value(crate::Priority::High);
            let set = PatchSet {
                task_patches: vec![TaskPatch { body: Some(body), ..TaskPatch::of(Op::Update, Some(id)) }],
                ..PatchSet::default()
            };
            let plan = Plan::make(&tx, &set, Sequence::Given).await?;
            // Places and the minutes of a deleted task's timer change without a new revision.
            let meanwhile = tx
                .update::<task::Entity>()
                .col_expr(task::Column::Position, Expr::val("5"))
                .col_expr(task::Column::ActualMinutes, Expr::val(7))
                .filter(task::Column::Id.eq(id));
            tx.run_update(meanwhile).await?;
            write(&tx, &plan, None).await
        });
        done.await.expect("written");
        let row = row(&store, &ctx, id).await;
        assert_eq!((row.title.as_str(), row.priority.as_str(), row.priority_rank, row.revision), ("new", "high", 2, 2));
        assert_eq!((row.position.as_str(), row.actual_minutes), ("5", Some(7)));
    }

    async fn many_places_are_settled_at_once_and_only_where_there_are_none(db: TestDb) {
        let (store, ctx) = home(db).await;
        let (first, second) = (task(&store, &ctx).await, task(&store, &ctx).await);
        let done = store.write(&ctx, |tx| async move {
            let bare = tx
                .update::<task::Entity>()
                .col_expr(task::Column::Position, Expr::val(""))
                .filter(task::Column::Id.eq(first));
            tx.run_update(bare).await?;
            let mut plan = Plan::make(&tx, &PatchSet::default(), Sequence::Given).await?;
            plan.settled = vec![(first, "31".to_owned()), (second, "32".to_owned())];
            settle(&tx, &plan).await
        });
        done.await.expect("settled");
        assert_eq!(row(&store, &ctx, first).await.position, "31");
        assert_ne!(row(&store, &ctx, second).await.position, "32");
    }
}
