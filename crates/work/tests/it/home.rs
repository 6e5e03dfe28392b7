//! A gate over the module, and callers of one workspace.

use serde_json::{Value, json};
use std::sync::Arc;
use synapscale_core::{
    Actor, Channel, Ctx, Error, Grants, Origin, PermissionSet, Result, TenantId, TestClock, new_id,
};
use synapscale_ops::{Envelope, Gate, GateConfig, Rates, Registry, Sink};
use synapscale_store::{Migrations, Store};
use synapscale_testkit::TestDb;
use synapscale_work::Work;

/// Everything that a test needs.
pub struct Home {
    pub gate: Gate,
    /// Who calls unless another is named.
    pub ctx: Ctx,
    /// Everybody's time.
    pub clock: TestClock,
}

/// What a member of a workspace may.
pub const MEMBER: &[&str] = &["projects:*", "tasks:*", "patches:*", "events:read"];

impl Home {
    pub async fn new(db: &TestDb) -> Self {
        let modules = [synapscale_ops::module(), Work::new().module()];
        let entities: Vec<_> = modules
            .iter()
            .flat_map(|module| module.entities.clone())
            .collect();
        let store: Store = db.open_bare(&entities).await;
        Migrations::new(modules.iter().flat_map(|module| module.migrations.clone()))
            .migrate(&store)
            .await
            .expect("migrated");
        let registry = Arc::new(Registry::new(&modules).expect("a registry"));
        Self::over(Gate::new(
            registry,
            store,
            GateConfig {
                rates: Rates::unlimited(),
            },
        ))
    }

    /// A workspace behind a gate that stands.
    pub fn over(gate: Gate) -> Self {
        let clock = TestClock::at("2026-03-02T09:00:00Z".parse().expect("a time"));
        let ctx = caller(TenantId(new_id()), &clock, &["*"]);
        Home { gate, ctx, clock }
    }

    /// The same workspace as another process sees it.
    pub fn beside(&self) -> Home {
        let modules = [synapscale_ops::module(), Work::new().module()];
        let registry = Arc::new(Registry::new(&modules).expect("a registry"));
        let rates = Rates::unlimited();
        Home {
            gate: Gate::new(registry, self.gate.store().clone(), GateConfig { rates }),
            ctx: self.ctx.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Another person of the same workspace.
    pub fn colleague(&self, permissions: &[&str]) -> Ctx {
        caller(self.ctx.tenant(), &self.clock, permissions)
    }

    /// Somebody of another workspace, who may do everything there.
    pub fn stranger(&self) -> Ctx {
        caller(TenantId(new_id()), &self.clock, &["*"])
    }

    pub async fn call_as(&self, ctx: &Ctx, name: &str, input: Value) -> Result<Value> {
        let answer = self
            .gate
            .call(ctx, name, input, Envelope::default(), Sink::none())
            .await?;
        answer.output.to_value()
    }

    /// Calls and wants success.
    pub async fn ok(&self, name: &str, input: Value) -> Value {
        self.call_as(&self.ctx, name, input)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    /// Calls and wants a refusal.
    pub async fn refused(&self, name: &str, input: Value) -> Error {
        match self.call_as(&self.ctx, name, input).await {
            Ok(answer) => panic!("{name} was done: {answer}"),
            Err(error) => error,
        }
    }

    pub async fn project(&self, name: &str) -> String {
        text(&self.ok("projects.create", json!({ "name": name })).await["id"])
    }

    /// A task by its title; answers its id.
    pub async fn task(&self, project: &str, parent: Option<&str>, title: &str) -> String {
        let input = json!({ "project_id": project, "parent_id": parent, "title": title });
        text(&self.ok("tasks.create", input).await["id"])
    }

    pub async fn get(&self, task: &str) -> Value {
        self.ok("tasks.get", json!({ "task_id": task })).await
    }

    pub async fn undo(&self, applied: &Value) -> Value {
        self.ok("patches.undo", json!({ "patch_set_id": applied["patch_set_id"] }))
            .await
    }
}

fn caller(tenant: TenantId, clock: &TestClock, permissions: &[&str]) -> Ctx {
    let grants = Grants::of(PermissionSet::parse(permissions).expect("permissions"));
    let origin = Origin::of(Channel::Rest);
    Ctx::authenticated(tenant, Actor::user(new_id()), grants, origin, clock.clock())
}

pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

pub fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().expect("items")
}
