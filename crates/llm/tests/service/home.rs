//! A service over a test's database, called as the product's faces call it.

use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Actor, Channel, Ctx, Error, Grants, Origin, PermissionSet, Result, TenantId, new_id};
use synapscale_llm::service::{Models, ModelsConfig};
use synapscale_ops::{Answer, Envelope, ExternalRunner, Gate, GateConfig, Prepared, Rates, Registry, Sink};
use synapscale_store::events::EventFilter;
use synapscale_store::{Migrations, Store};
use synapscale_testkit::TestDb;
use synapscale_testkit::providers::{KEY, StandIn};

/// Longest wait for something that comes at once but on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// The service, its gate, and somebody who may do everything in one workspace.
pub struct Home {
    pub store: Store,
    pub models: Models,
    pub gate: Gate,
    pub ctx: Ctx,
}

/// Runs an external operation at once: the engine's journal is tested elsewhere.
struct AtOnce(Gate);

#[async_trait]
impl ExternalRunner for AtOnce {
    async fn run_external(&self, _ctx: &Ctx, prepared: Prepared) -> Result<Answer> {
        self.0.perform(&prepared, new_id().to_string()).await
    }
}

struct Nobody;

#[async_trait]
impl ExternalRunner for Nobody {
    async fn run_external(&self, _ctx: &Ctx, _prepared: Prepared) -> Result<Answer> {
        Err(Error::unavailable("closed", "The test closed it."))
    }
}

/// Settings under which providers may stand on the loopback address.
pub fn open_to_loopback(db: &TestDb) -> ModelsConfig {
    ModelsConfig {
        allow: vec!["127.0.0.1".parse().expect("a rule")],
        spill: Some(db.folder().join("usage")),
        ..ModelsConfig::default()
    }
}

/// Somebody of a workspace with these permissions.
pub fn somebody(store: &Store, tenant: TenantId, permissions: &[&str]) -> Ctx {
    let set = PermissionSet::parse(permissions).expect("permissions");
    Ctx::authenticated(
        tenant,
        Actor::user(new_id()),
        Grants::of(set),
        Origin::of(Channel::Rest),
        store.clock().clone(),
    )
}

impl Home {
    /// A service whose providers may stand on the loopback address.
    pub async fn new(db: &TestDb) -> Self {
        Self::with(db, open_to_loopback(db)).await
    }

    pub async fn with(db: &TestDb, config: ModelsConfig) -> Self {
        let entities = Models::entities();
        let store = db.open_bare(&entities).await;
        let models = Models::new(store.clone(), store.clock().clone(), config).expect("a service");
        let modules = [synapscale_ops::module(), models.module()];
        let all = modules.iter().flat_map(|module| module.migrations.clone());
        Migrations::new(all).migrate(&store).await.expect("migrated");
        let registry = Arc::new(Registry::new(&modules).expect("a registry"));
        let rates = Rates::unlimited();
        let gate = Gate::new(registry, store.clone(), GateConfig { rates });
        gate.set_external(Arc::new(AtOnce(gate.clone())));
        models.start().expect("started");
        let ctx = somebody(&store, TenantId(new_id()), &["*:*"]);
        Home {
            store,
            models,
            gate,
            ctx,
        }
    }

    /// Stops it and closes its database, so that another one can stand on it.
    pub async fn close(&self) {
        self.models.stop().await;
        self.store.close().await;
        // The gate holds its runner, and the runner the gate.
        self.gate.set_external(Arc::new(Nobody));
    }

    /// The same service for somebody of another workspace.
    pub fn elsewhere(&self) -> Home {
        Home {
            store: self.store.clone(),
            models: self.models.clone(),
            gate: self.gate.clone(),
            ctx: somebody(&self.store, TenantId(new_id()), &["*:*"]),
        }
    }

    pub async fn try_call(&self, name: &str, input: Value) -> Result<Value> {
        self.try_call_with(name, input, Envelope::default()).await
    }

    pub async fn try_call_with(&self, name: &str, input: Value, envelope: Envelope) -> Result<Value> {
        let answer = self
            .gate
            .call(&self.ctx, name, input, envelope, Sink::none())
            .await?;
        answer.output.to_value()
    }

    pub async fn call(&self, name: &str, input: Value) -> Value {
        let answer = self.try_call(name, input.clone()).await;
        answer.unwrap_or_else(|error| panic!("{name} {input}: {error:?}"))
    }

    /// The refusal of a call.
    pub async fn refused(&self, name: &str, input: Value) -> Error {
        let answer = self.try_call(name, input.clone()).await;
        answer.expect_err(&format!("{name} {input}"))
    }

    /// Adds a stand-in that speaks OpenAI's language; answers the provider.
    pub async fn provider(&self, name: &str, stand_in: &StandIn) -> Value {
        let input = json!({
            "name": name, "preset": "openai_compatible", "base_url": stand_in.url("/v1"), "key": KEY,
        });
        self.call("providers.create", input).await
    }

    /// Adds a route to models of providers, without retries; answers it.
    pub async fn route(&self, alias: &str, ways: &[(&Value, &str)]) -> Value {
        let deployments: Vec<Value> = ways
            .iter()
            .map(|(provider, model)| json!({ "provider_id": provider["id"], "model": model, "retries": 0 }))
            .collect();
        self.call(
            "routes.create",
            json!({ "alias": alias, "deployments": deployments }),
        )
        .await
    }

    /// Asks a model.
    pub async fn chat(&self, model: &str, text: &str) -> Result<Value> {
        self.try_call("llm.chat", said(model, text)).await
    }

    /// The events of this workspace, once there are so many. PostgreSQL tells them when no older transaction is under way,
    /// of other tests too.
    pub async fn events(&self, count: usize) -> String {
        let waiting = async {
            loop {
                let all = EventFilter::default();
                let batch = self
                    .store
                    .events_after(&self.ctx, None, &all, 200)
                    .await
                    .expect("events");
                if batch.events.len() >= count {
                    assert_eq!(batch.events.len(), count, "{:?}", batch.events);
                    return format!("{:?}", batch.events);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, waiting).await.expect("events")
    }

    /// The rows of usage, once there are so many; the newest first.
    pub async fn usage(&self, count: usize) -> Vec<Value> {
        let waiting = async {
            loop {
                let page = self.call("usage.list", json!({ "limit": 200 })).await;
                let items = page["items"].as_array().expect("items").clone();
                if items.len() >= count {
                    return items;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let rows = tokio::time::timeout(SOON, waiting).await.expect("rows of usage");
        assert_eq!(rows.len(), count, "{rows:?}");
        rows
    }

    /// What became of the attempts: outcome and status, in order.
    pub async fn outcomes(&self, count: usize) -> Vec<(String, Option<i64>)> {
        let rows = self.usage(count).await;
        let outcome = |row: &Value| (text(&row["outcome"]), row["status_code"].as_i64());
        rows.iter().rev().map(outcome).collect()
    }

    /// Everything that this database keeps, as text: on SQLite the file itself, on PostgreSQL all rows of all tables.
    pub async fn everything(&self, db: &TestDb) -> String {
        let synapscale_store::DatabaseUrl::Postgres(url) = db.url() else {
            let folder = std::fs::read_dir(db.folder()).expect("a folder");
            let files = folder
                .map(|entry| entry.expect("a file").path())
                .filter(|path| path.is_file());
            let bytes: Vec<u8> = files
                .flat_map(|path| std::fs::read(path).expect("a file"))
                .collect();
            return String::from_utf8_lossy(&bytes).into_owned();
        };
        use sqlx::Connection;
        let mut conn = sqlx::PgConnection::connect(url).await.expect("a connection");
        let tables =
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'synapscale_db'";
        let tables: Vec<(String,)> = sqlx::query_as(tables).fetch_all(&mut conn).await.expect("tables");
        assert!(tables.len() > 5);
        let mut all = String::new();
        for (table,) in tables {
            let rows = format!("SELECT r::text FROM {table} r");
            let rows: Vec<(Option<String>,)> = sqlx::query_as(sqlx::AssertSqlSafe(rows))
                .fetch_all(&mut conn)
                .await
                .expect("rows");
            all.extend(rows.into_iter().filter_map(|(row,)| row));
        }
        all
    }
}

/// The input of a call.
pub fn said(model: &str, text: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": text }] })
}

pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

/// The pointers and codes of a refusal.
pub fn faults(error: &Error) -> Vec<(String, String)> {
    let pair = |field: &synapscale_core::FieldError| (field.pointer.clone(), field.code.to_string());
    error.fields().iter().map(pair).collect()
}
