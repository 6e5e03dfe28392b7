//! For whom something is done. A [`Ctx`] is made by authentication or from a claimed run, never from input.

use crate::{Clock, Error, Grants, PermissionSet, Result, SYSTEM_TENANT, TenantId, new_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What kind of thing acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person.
    User,
    /// An API key.
    Key,
    /// An agent of the product.
    Agent,
    /// A chat bot.
    Bot,
    /// The product itself.
    System,
    /// Nobody who proved who they are.
    Anonymous,
}

impl ActorKind {
    /// The word used on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            ActorKind::User => "user",
            ActorKind::Key => "key",
            ActorKind::Agent => "agent",
            ActorKind::Bot => "bot",
            ActorKind::System => "system",
            ActorKind::Anonymous => "anonymous",
        }
    }

    /// The kind that [`ActorKind::as_str`] names.
    pub fn parse(word: &str) -> Option<Self> {
        use ActorKind::*;
        [User, Key, Agent, Bot, System, Anonymous]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// The kind of actor.
    pub kind: ActorKind,
    /// Its id; the nil id for the system and for nobody.
    pub id: Uuid,
}

impl Actor {
    /// The product itself.
    pub const SYSTEM: Actor = Actor {
        kind: ActorKind::System,
        id: Uuid::nil(),
    };
    /// Nobody in particular.
    pub const ANONYMOUS: Actor = Actor {
        kind: ActorKind::Anonymous,
        id: Uuid::nil(),
    };

    /// A person.
    pub fn user(id: Uuid) -> Self {
        Actor {
            kind: ActorKind::User,
            id,
        }
    }

    /// An API key.
    pub fn key(id: Uuid) -> Self {
        Actor {
            kind: ActorKind::Key,
            id,
        }
    }
}

/// The door by which a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The REST API.
    Rest,
    /// The MCP endpoint.
    Mcp,
    /// A WebSocket.
    Ws,
    /// The command line, over the local socket or with the server stopped.
    Local,
    /// A webhook delivery.
    Webhook,
    /// A step of a run.
    Run,
    /// The product's own background work.
    Internal,
}

impl Channel {
    /// The word used in events and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Rest => "rest",
            Channel::Mcp => "mcp",
            Channel::Ws => "ws",
            Channel::Local => "local",
            Channel::Webhook => "webhook",
            Channel::Run => "run",
            Channel::Internal => "internal",
        }
    }
}

/// Where a call came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The door.
    pub channel: Channel,
    /// The peer's address, where there is one.
    pub ip: Option<IpAddr>,
    /// The run and step that made the call, where there is one.
    pub run: Option<Uuid>,
    /// What that run is private to, such as a conversation: so is whatever it starts.
    pub private_to: Option<Uuid>,
}

impl Origin {
    /// An origin with neither address nor run.
    pub fn of(channel: Channel) -> Self {
        Origin {
            channel,
            ip: None,
            run: None,
            private_to: None,
        }
    }
}

/// How far storage opens for a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// The rows of the context's own tenant.
    Tenant,
    /// Rows of all tenants in the tables that relay, claims and sign-in must see.
    System,
}

/// Tenant, actor, permissions, origin, request id and deadline of one call. Cheap to clone, never changed in place.
#[derive(Clone, Debug)]
pub struct Ctx(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    tenant: TenantId,
    actor: Actor,
    on_behalf_of: Option<Actor>,
    grants: Grants,
    origin: Origin,
    request_id: Uuid,
    correlation: Uuid,
    deadline: Option<Instant>,
    privilege: Privilege,
    clock: Clock,
}

impl Ctx {
    /// The context of an authenticated caller.
    pub fn authenticated(
        tenant: TenantId,
        actor: Actor,
        grants: Grants,
        origin: Origin,
        clock: Clock,
    ) -> Self {
        let request_id = new_id();
        Ctx(Arc::new(Inner {
            tenant,
            actor,
            on_behalf_of: None,
            grants,
            origin,
            request_id,
            correlation: request_id,
            deadline: None,
            privilege: Privilege::Tenant,
            clock,
        }))
    }

    /// The context of a request that nobody signed: the system tenant, and no permission.
    pub fn anonymous(origin: Origin, clock: Clock) -> Self {
        Self::authenticated(SYSTEM_TENANT, Actor::ANONYMOUS, Grants::none(), origin, clock)
    }

    /// The context of the product's own work. It sees all tenants where a table allows that.
    pub fn system(clock: Clock) -> Self {
        let all = Grants::of(PermissionSet::all());
        let origin = Origin::of(Channel::Internal);
        let mut ctx = Self::authenticated(SYSTEM_TENANT, Actor::SYSTEM, all, origin, clock);
        Arc::make_mut(&mut ctx.0).privilege = Privilege::System;
        ctx
    }

    /// The product's own work inside of one tenant: sees only that tenant's rows.
    pub fn system_in(&self, tenant: TenantId) -> Self {
        self.with(|inner| {
            inner.tenant = tenant;
            inner.actor = Actor::SYSTEM;
            inner.grants = Grants::of(PermissionSet::all());
            inner.privilege = Privilege::Tenant;
        })
    }

    fn with(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = (*self.0).clone();
        change(&mut inner);
        Ctx(Arc::new(inner))
    }

    /// The same call with storage opened to all tenants: for sign-in, claims and relay only.
    pub fn elevated(&self) -> Self {
        self.with(|inner| inner.privilege = Privilege::System)
    }

    /// The same call made for somebody else: permissions become the intersection.
    pub fn on_behalf_of(&self, actor: Actor, grants: &Grants) -> Self {
        self.with(|inner| {
            inner.on_behalf_of = Some(actor);
            inner.grants = inner.grants.intersect(grants);
        })
    }

    /// The same call made through `actor`, which acts for whoever called: with that caller's permissions, and no others.
    pub fn acting_through(&self, actor: Actor) -> Self {
        self.with(|inner| {
            inner.on_behalf_of = Some(inner.on_behalf_of.unwrap_or(inner.actor));
            inner.actor = actor;
        })
    }

    /// The same call under a given request id.
    pub fn with_request_id(&self, id: Uuid) -> Self {
        self.with(|inner| {
            inner.request_id = id;
            inner.correlation = id;
        })
    }

    /// The same call as part of a longer story, such as a run.
    pub fn with_correlation(&self, id: Uuid) -> Self {
        self.with(|inner| inner.correlation = id)
    }

    /// The same call coming from elsewhere.
    pub fn with_origin(&self, origin: Origin) -> Self {
        self.with(|inner| inner.origin = origin)
    }

    /// The same call, to be over within `limit`; an earlier deadline stays.
    pub fn with_time_limit(&self, limit: Duration) -> Self {
        let end = Instant::now().checked_add(limit);
        self.with(|inner| {
            inner.deadline = match (inner.deadline, end) {
                (Some(old), Some(new)) => Some(old.min(new)),
                (old, new) => old.or(new),
            };
        })
    }

    /// The workspace.
    pub fn tenant(&self) -> TenantId {
        self.0.tenant
    }

    /// Who acts.
    pub fn actor(&self) -> Actor {
        self.0.actor
    }

    /// For whom, when the actor acts for somebody else.
    pub fn principal(&self) -> Option<Actor> {
        self.0.on_behalf_of
    }

    /// What the caller may do.
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    /// Where the call came from.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// The id under which logs, errors and events tell of this call.
    pub fn request_id(&self) -> Uuid {
        self.0.request_id
    }

    /// The id of the longer story; the request id unless a run set another.
    pub fn correlation(&self) -> Uuid {
        self.0.correlation
    }

    /// How far storage opens.
    pub fn privilege(&self) -> Privilege {
        self.0.privilege
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What is left of the time limit, if there is one.
    ///
    /// # Errors
    /// `deadline_exceeded` once it has passed.
    pub fn time_left(&self) -> Result<Option<Duration>> {
        let Some(deadline) = self.0.deadline else {
            return Ok(None);
        };
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(Error::deadline_exceeded()),
        }
    }

    /// Refuses what the caller may not do.
    ///
    /// # Errors
    /// `unauthenticated` for nobody, `forbidden` for somebody without the permission.
    pub fn require(&self, permission: &str) -> Result<()> {
        if self.0.grants.allows(permission) {
            return Ok(());
        }
        match self.0.actor.kind {
            ActorKind::Anonymous => Err(Error::unauthenticated()),
            _ => Err(Error::forbidden(permission)),
        }
    }
}
