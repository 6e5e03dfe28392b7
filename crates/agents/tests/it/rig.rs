//! A server's worth of this domain: store, gate, and doubles of what it needs of others.

use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use synapscale_agents::service::messages::Ended;
use synapscale_agents::view::Part;
use synapscale_agents::{Agents, NewReply, People, RunStanding, RunState, Turns};
use synapscale_core::{
    Actor, Channel, Clock, Ctx, Error, Grants, Origin, PermissionSet, Result, TenantId, new_id,
};
use synapscale_ops::{Envelope, Gate, GateConfig, Rates, Registry, Sink};
use synapscale_store::events::{Event, EventFilter};
use synapscale_store::{EntitySpec, Migrations, Store, Tx};
use synapscale_testkit::TestDb;
use uuid::Uuid;

/// Stands in for the tool loop: remembers what it was asked, and says what the test tells it to.
#[derive(Default)]
pub struct Loop {
    pub started: Mutex<Vec<(Uuid, NewReply)>>,
    pub stopped: Mutex<Vec<Uuid>>,
    pub said: Mutex<HashMap<Uuid, String>>,
    pub states: Mutex<HashMap<Uuid, RunState>>,
    /// The next run cannot be started.
    pub refuses: Mutex<bool>,
    /// Runs end in the transaction that starts them, with this text.
    pub at_once: Mutex<Option<String>>,
}

impl Loop {
    pub fn set(&self, run_id: Uuid, status: RunStanding, error: Option<Value>) {
        let mut states = self.states.lock().expect("states");
        states.insert(run_id, RunState { status, error });
    }

    pub fn last(&self) -> (Uuid, NewReply) {
        self.started
            .lock()
            .expect("started")
            .last()
            .cloned()
            .expect("a run")
    }
}

#[async_trait]
impl Turns for Loop {
    async fn start(&self, tx: &Tx, reply: NewReply) -> Result<Uuid> {
        if *self.refuses.lock().expect("refuses") {
            return Err(Error::unavailable("no_engine", "Not now."));
        }
        // What the run will read has to be there already.
        synapscale_agents::service::messages::history(tx, reply.message_id).await?;
        let run_id = new_id();
        let at_once = self.at_once.lock().expect("at once").clone();
        if let Some(words) = at_once {
            let whole = crate::history::reply(Ended::Done, &words);
            synapscale_agents::service::messages::finish(tx, reply.message_id, whole).await?;
        }
        self.set(run_id, RunStanding::Running, None);
        self.started.lock().expect("started").push((run_id, reply));
        Ok(run_id)
    }

    async fn stop(&self, _: &Tx, run_id: Uuid, _: &str) -> Result<()> {
        self.stopped.lock().expect("stopped").push(run_id);
        self.set(run_id, RunStanding::Cancelled, None);
        Ok(())
    }

    async fn so_far(&self, _: &Tx, run_id: Uuid) -> Result<Vec<Part>> {
        let said = self.said.lock().expect("said").get(&run_id).cloned();
        Ok(said.map(|text| Part::Text { text }).into_iter().collect())
    }

    async fn states(&self, _: &Tx, runs: &[Uuid]) -> Result<HashMap<Uuid, RunState>> {
        let states = self.states.lock().expect("states");
        Ok(runs
            .iter()
            .filter_map(|id| Some((*id, states.get(id)?.clone())))
            .collect())
    }
}

/// Everybody who is known, by workspace.
#[derive(Default)]
pub struct Town(Mutex<HashMap<(TenantId, Uuid), String>>);

#[async_trait]
impl People for Town {
    async fn names(&self, ctx: &Ctx, users: &[Uuid]) -> Result<HashMap<Uuid, String>> {
        let known = self.0.lock().expect("names");
        let name = |id: &Uuid| Some((*id, known.get(&(ctx.tenant(), *id))?.clone()));
        Ok(users.iter().filter_map(name).collect())
    }
}

pub struct Rig {
    pub store: Store,
    pub gate: Gate,
    pub turns: Arc<Loop>,
    pub town: Arc<Town>,
    pub entities: Vec<EntitySpec>,
    pub migrations: Migrations,
    pub tenant: TenantId,
}

impl Rig {
    pub async fn new(db: &TestDb) -> Self {
        let agents = Agents::new();
        let modules = [synapscale_ops::module(), agents.module()];
        let migrations = Migrations::new(modules.iter().flat_map(|module| module.migrations.clone()));
        let entities: Vec<EntitySpec> = modules.iter().flat_map(|m| m.entities.clone()).collect();
        let store = db.open(&migrations, &entities).await;
        let registry = Arc::new(Registry::new(&modules).expect("a registry"));
        let rates = Rates::unlimited();
        let gate = Gate::new(registry.clone(), store.clone(), GateConfig { rates });
        let (turns, town) = (Arc::new(Loop::default()), Arc::new(Town::default()));
        agents.attach(turns.clone(), town.clone(), gate.tools());
        Rig {
            store,
            gate,
            turns,
            town,
            entities,
            migrations,
            tenant: TenantId(new_id()),
        }
    }

    /// A member of the workspace.
    pub fn person(&self, name: &str) -> Ctx {
        self.person_of(self.tenant, name, &["*"])
    }

    pub fn person_of(&self, tenant: TenantId, name: &str, permissions: &[&str]) -> Ctx {
        let id = new_id();
        let known = &self.town.0;
        known.lock().expect("names").insert((tenant, id), name.to_owned());
        let set = PermissionSet::parse(permissions).expect("patterns");
        let origin = Origin::of(Channel::Rest);
        Ctx::authenticated(tenant, Actor::user(id), Grants::of(set), origin, Clock::system())
    }

    pub async fn try_call(&self, ctx: &Ctx, name: &str, input: Value) -> Result<Value> {
        self.call_with(ctx, name, input, Envelope::default()).await
    }

    pub async fn call_with(&self, ctx: &Ctx, name: &str, input: Value, envelope: Envelope) -> Result<Value> {
        let answer = self.gate.call(ctx, name, input, envelope, Sink::none()).await?;
        answer.output.to_value()
    }

    pub async fn call(&self, ctx: &Ctx, name: &str, input: Value) -> Value {
        let answer = self.try_call(ctx, name, input.clone()).await;
        answer.unwrap_or_else(|error| panic!("{name} {input}: {error:?}"))
    }

    /// The code of a refusal; of the field at fault for an invalid one.
    pub async fn refused(&self, ctx: &Ctx, name: &str, input: Value) -> String {
        let shown = input.to_string();
        match self.try_call(ctx, name, input).await {
            Ok(answer) => panic!("{name} {shown} was not refused: {answer}"),
            Err(error) => code(&error),
        }
    }

    /// An agent, its id.
    pub async fn agent(&self, ctx: &Ctx, name: &str) -> String {
        let agent = self
            .call(ctx, "agents.create", json!({"name": name, "spec": {}}))
            .await;
        text(&agent["id"])
    }

    /// A conversation with a new agent, its id.
    pub async fn talk(&self, ctx: &Ctx) -> String {
        let agent = self.agent(ctx, &format!("agent-{}", new_id().simple())).await;
        let begun = self
            .call(ctx, "conversations.create", json!({"agent_id": agent}))
            .await;
        text(&begun["id"])
    }

    /// Sends a message; answers its id, the reply's and the run's.
    pub async fn send(&self, ctx: &Ctx, conversation: &str, words: &str) -> (String, String, Uuid) {
        let input = json!({"conversation_id": conversation, "text": words});
        let sent = self.call(ctx, "conversations.send", input).await;
        (
            text(&sent["message"]["id"]),
            text(&sent["reply"]["id"]),
            id(&sent["run_id"]),
        )
    }

    /// Does something in a transaction of the caller's.
    pub async fn write<T, F, Fut>(&self, ctx: &Ctx, work: F) -> Result<T>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        self.store.write(ctx, work).await
    }

    /// The branch from the head, the oldest message first.
    pub async fn branch(&self, ctx: &Ctx, conversation: &str) -> Vec<Value> {
        let input = json!({"conversation_id": conversation, "limit": 200});
        let page = self.call(ctx, "conversations.messages", input).await;
        let mut items = page["items"].as_array().cloned().expect("items");
        items.reverse();
        items
    }

    /// What the log tells the caller's workspace, once it has settled.
    pub async fn events(&self, ctx: &Ctx, wanted: usize) -> Vec<Event> {
        for _ in 0..200 {
            let batch = self
                .store
                .events_after(ctx, None, &EventFilter::default(), 1000)
                .await;
            let events = batch.expect("events").events;
            if events.len() >= wanted {
                return events;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("the log never settled");
    }
}

pub fn code(error: &Error) -> String {
    match error.fields() {
        [field, ..] => field.code.to_string(),
        [] => error.code().to_owned(),
    }
}

pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

pub fn id(value: &Value) -> Uuid {
    text(value).parse().expect("an id")
}

/// The actor behind a context.
pub fn user_id(ctx: &Ctx) -> Uuid {
    ctx.actor().id
}
