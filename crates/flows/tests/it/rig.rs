//! A server's worth of engine and flows, with a worker, and operations that tests steer.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use synapscale_core::{
    Actor, Channel, Clock, Ctx, Error, Grants, Origin, PermissionSet, Result, TenantId, new_id,
};
use synapscale_engine::outbound::{Outbound, OutboundPolicy};
use synapscale_engine::{Engine, EngineConfig, Principals, RunStatus};
use synapscale_flows::Flows;
use synapscale_ops::{Envelope, ExternalCx, Gate, GateConfig, Module, Operation, Rates, Registry, Sink};
use synapscale_store::orm::ConnectionTrait;
use synapscale_store::orm::sea_query::{Expr, ExprTrait, Query};
use synapscale_store::{Migrations, Tx};
use synapscale_testkit::TestDb;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Everybody may do everything, except those who are told they may not.
#[derive(Default)]
pub struct Everybody(pub Mutex<Vec<(Uuid, Vec<&'static str>)>>);

#[async_trait]
impl Principals for Everybody {
    async fn ctx_for(&self, tenant: TenantId, principal: Actor, on_behalf_of: Option<Actor>) -> Result<Ctx> {
        let grants = |actor: Actor| {
            let narrowed = self.0.lock().expect("narrowed");
            let own = narrowed.iter().find(|(id, _)| *id == actor.id);
            let words = own.map_or(vec!["*"], |(_, words)| words.clone());
            Grants::of(PermissionSet::parse(&words).expect("patterns"))
        };
        let origin = Origin::of(Channel::Run);
        let ctx = Ctx::authenticated(tenant, principal, grants(principal), origin, Clock::system());
        Ok(match on_behalf_of {
            Some(other) => ctx.on_behalf_of(other, &grants(other)),
            None => ctx,
        })
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Echo {
    #[serde(default)]
    value: Value,
    #[serde(default)]
    fail: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Echoed {
    value: Value,
}

/// How many calls of `test.slow` are under way, and the most there were.
#[derive(Default)]
pub struct Gauge {
    pub now: AtomicI64,
    pub most: AtomicI64,
    pub calls: AtomicI64,
    /// How often `test.moody` is still to fail.
    pub moods: AtomicI64,
}

/// A call of `test.slow`, until it is over or broken off.
struct UnderWay(Arc<Gauge>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

fn echo(input: &Echo) -> Result<Echoed> {
    match input.fail {
        true => Err(Error::conflict("told_to_fail", "It was told to fail.")),
        false => Ok(Echoed {
            value: input.value.clone(),
        }),
    }
}

fn operations(gauge: &Arc<Gauge>) -> Vec<Operation> {
    let (gauge, moods) = (gauge.clone(), gauge.clone());
    vec![
        Operation::read("test.echo", "Echo")
            .about("Gives what it was given.")
            .permission("test:read")
            .handle(|_: Tx, input: Arc<Echo>| async move { echo(&input) }),
        Operation::external("test.moody", "Fail as often as told")
            .about("Fails as often as the test says, as another side that is away.")
            .permission("test:read")
            .handle_external(move |_: ExternalCx, _: Arc<Echo>| {
                let moods = moods.clone();
                async move {
                    match moods.moods.fetch_sub(1, Ordering::SeqCst) > 0 {
                        true => Err(Error::unavailable("moody", "Not now.")),
                        false => Ok(Echoed { value: json!("well") }),
                    }
                }
            }),
        Operation::external("test.slow", "Echo slowly")
            .about("Gives what it was given, after a while.")
            .permission("test:read")
            .handle_external(move |_: ExternalCx, input: Arc<Echo>| {
                let gauge = gauge.clone();
                async move {
                    gauge.calls.fetch_add(1, Ordering::SeqCst);
                    let now = gauge.now.fetch_add(1, Ordering::SeqCst) + 1;
                    let _under_way = UnderWay(gauge.clone());
                    gauge.most.fetch_max(now, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(60)).await;
                    echo(&input)
                }
            }),
    ]
}

pub struct Rig {
    pub flows: Flows,
    pub gate: Gate,
    pub engine: Engine,
    pub people: Arc<Everybody>,
    pub gauge: Arc<Gauge>,
    pub tenant: TenantId,
    pub stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rig {
    /// With a worker at work.
    pub async fn new(db: &TestDb) -> Self {
        let rig = Self::idle(db).await;
        rig.work();
        rig
    }

    /// Without a worker at work.
    pub async fn idle(db: &TestDb) -> Self {
        Self::with(db, EngineConfig::default()).await
    }

    /// As [`Rig::idle`], with an engine of those settings.
    pub async fn with(db: &TestDb, settings: EngineConfig) -> Self {
        let flows = Flows::new();
        let gauge = Arc::new(Gauge::default());
        let mut test = Module::new("test");
        test.operations = operations(&gauge);
        let modules = [synapscale_ops::module(), Engine::module(), flows.module(), test];
        let migrations = Migrations::new(modules.iter().flat_map(|module| module.migrations.clone()));
        let entities: Vec<_> = modules.iter().flat_map(|m| m.entities.clone()).collect();
        let store = db.open(&migrations, &entities).await;
        let registry = Arc::new(Registry::new(&modules).expect("a registry"));
        let rates = Rates::unlimited();
        let gate = Gate::new(registry, store.clone(), GateConfig { rates });
        let people = Arc::new(Everybody::default());
        let config = EngineConfig {
            poll: Duration::from_millis(100),
            ..settings
        };
        let outbound = Outbound::new(OutboundPolicy::default()).expect("a client");
        let engine = Engine::new(gate.clone(), people.clone(), outbound, config, Vec::new());
        flows.attach(engine.clone(), store.secrets().clone());
        Rig {
            gate,
            engine,
            flows,
            people,
            gauge,
            tenant: TenantId(new_id()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Sets the worker to work.
    pub fn work(&self) {
        let (engine, stop) = (self.engine.clone(), self.stop.clone());
        self.tasks
            .spawn(async move { engine.work(stop).await.expect("work") });
    }

    /// Somebody in the workspace who may do everything.
    pub fn person(&self) -> Ctx {
        self.person_of(self.tenant)
    }

    pub fn person_of(&self, tenant: TenantId) -> Ctx {
        let all = Grants::of(PermissionSet::all());
        let origin = Origin::of(Channel::Rest);
        Ctx::authenticated(tenant, Actor::user(new_id()), all, origin, Clock::system())
    }

    pub async fn try_call(&self, ctx: &Ctx, name: &str, input: Value) -> Result<Value> {
        let answer = self
            .gate
            .call(ctx, name, input, Envelope::default(), Sink::none())
            .await?;
        answer.output.to_value()
    }

    pub async fn call(&self, ctx: &Ctx, name: &str, input: Value) -> Value {
        let answer = self.try_call(ctx, name, input.clone()).await;
        answer.unwrap_or_else(|error| panic!("{name} {input}: {error:?}"))
    }

    /// Applies a workflow of these nodes.
    pub async fn apply(&self, ctx: &Ctx, name: &str, nodes: Value) {
        let file = json!({ "name": name, "nodes": nodes });
        self.call(ctx, "workflows.apply", json!({ "name": name, "file": file }))
            .await;
    }

    /// Starts a workflow, its run's id.
    pub async fn start(&self, ctx: &Ctx, name: &str, input: Value) -> Uuid {
        let started = self
            .call(ctx, "workflows.run", json!({ "name": name, "input": input }))
            .await;
        id(&started["run_id"])
    }

    /// Runs a workflow to its end.
    pub async fn run(&self, ctx: &Ctx, name: &str, input: Value) -> Value {
        let run = self.start(ctx, name, input).await;
        self.ended(ctx, run).await
    }

    /// The run once it has ended, or is paused.
    pub async fn ended(&self, ctx: &Ctx, run: Uuid) -> Value {
        let status = self
            .engine
            .wait_end(ctx, run, Duration::from_secs(30))
            .await
            .expect("a run");
        let view = self.get(ctx, run).await;
        assert!(
            status.is_final() || status == RunStatus::Paused,
            "never ended: {view}"
        );
        view
    }

    /// Puts the next turns of the workspace's schedules back, as if nothing had run for so long.
    pub async fn back(&self, ctx: &Ctx, by: chrono::Duration) {
        let listed = self.call(ctx, "triggers.list", json!({})).await;
        for schedule in listed["schedules"].as_array().expect("schedules") {
            let next: DateTime<Utc> = serde_json::from_value(schedule["next_at"].clone()).expect("a turn");
            let (id, next) = (id(&schedule["id"]), next - by);
            let done = self.engine.store().write(ctx, |tx| async move {
                let mut update = Query::update();
                update
                    .table("schedules")
                    .value("next_at", next)
                    .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant().0))
                    .and_where(Expr::col("id").eq(id));
                tx.execute(&update).await.map_err(Error::internal)
            });
            assert_eq!(done.await.expect("moved").rows_affected(), 1);
        }
    }

    /// As if the run had ended so long ago.
    pub async fn age(&self, ctx: &Ctx, run: Uuid, by: chrono::Duration) {
        let ended = Clock::system().now() - by;
        let done = self.engine.store().write(ctx, |tx| async move {
            let mut update = Query::update();
            update
                .table("runs")
                .value("finished_at", ended)
                .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant().0))
                .and_where(Expr::col("id").eq(run));
            tx.execute(&update).await.map_err(Error::internal)
        });
        assert_eq!(done.await.expect("aged").rows_affected(), 1);
    }

    /// How many rows the workspace has in a table.
    pub async fn count(&self, ctx: &Ctx, table: &'static str) -> usize {
        let rows = self.engine.store().read(ctx, |tx| async move {
            let mut select = Query::select();
            select
                .column("tenant_id")
                .from(table)
                .and_where(Expr::col("tenant_id").eq(tx.ctx().tenant().0));
            tx.query_all(&select).await.map_err(Error::internal)
        });
        rows.await.expect("rows").len()
    }

    pub async fn get(&self, ctx: &Ctx, run: Uuid) -> Value {
        self.call(ctx, "runs.get", json!({ "run_id": run })).await
    }

    /// Waits until the run stands so.
    pub async fn reaches(&self, ctx: &Ctx, run: Uuid, status: &str) -> Value {
        for _ in 0..600 {
            let view = self.get(ctx, run).await;
            if view["status"] == status {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("run {run} never was {status}: {}", self.get(ctx, run).await);
    }

    /// The run's steps of one node.
    pub async fn steps(&self, ctx: &Ctx, run: Uuid, node: &str) -> Vec<Value> {
        let steps = self.call(ctx, "runs.steps", json!({ "run_id": run })).await;
        let all = steps["steps"].as_array().cloned().expect("steps");
        all.into_iter().filter(|step| step["node"] == node).collect()
    }
}

pub fn id(value: &Value) -> Uuid {
    let text = value.as_str().unwrap_or_else(|| panic!("no id: {value}"));
    text.parse().expect("an id")
}

pub fn start() -> Value {
    json!({ "kind": "trigger.manual@1" })
}
