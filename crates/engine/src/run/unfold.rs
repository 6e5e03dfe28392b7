//! Steps that unfold into children: which are to be begun, and how each is carried out inside of a burst.

use crate::engine::Engine;
use crate::graph::{NodeClass, StepKey};
use crate::nodes::{self, StepOutcome};
use crate::run::burst::{ask, settle_by};
use crate::run::load::load;
use crate::run::state::{RunState, Wait, What, Why};
use crate::run::{journal, nested, persist};
use crate::unfold::{Act, Child, ChildAsk, ChildCall, PerItem, Unfolding, Wish, is_child_name};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use std::sync::Arc;
use synapscale_core::{Ctx, Error, Result};
use synapscale_store::Tx;
use uuid::Uuid;

/// Most children that a step may want at once.
const MAX_CHILDREN: usize = 1_000;
/// Longest call that the journal shows, in bytes of JSON.
const MAX_SHOWN: usize = 16 * 1024;
/// Most hours that a question may stand.
const MAX_HOURS: i64 = 366 * 24;

/// Whether a step belongs to a node that unfolds.
pub(crate) fn is_composite(state: &RunState, key: &StepKey) -> bool {
    state.head.graph.node(key.node).class == NodeClass::Composite
}

impl Engine {
    /// Lets `look` see what has come so far of the children of a run's node.
    ///
    /// # Errors
    /// `not_found`, or that of an expression of the node.
    pub async fn unfolding<R>(
        &self,
        tx: &Tx,
        run_id: Uuid,
        node: &str,
        look: impl FnOnce(&Unfolding<'_>) -> R,
    ) -> Result<R> {
        let mut state = load(self, tx, run_id).await?;
        let index = state.head.graph.index(node);
        let index = index.ok_or_else(|| Error::not_found("step"))?;
        let key = state.frontier.key(index);
        state.bring_children(tx, &key).await?;
        seen(&state, &key, self.store().clock().now(), look)
    }
}

/// Asks the node of `key` what it wants.
fn wish(engine: &Engine, state: &RunState, key: &StepKey, now: DateTime<Utc>) -> Result<Wish> {
    let node = state.head.graph.node(key.node);
    let kind = engine
        .unfold(&node.kind.name, node.kind.version)
        .ok_or_else(|| Error::internal(format!("no node kind `{}`", node.kind)))?;
    let wish = seen(state, key, now, |step| kind.next(step))??;
    if let Wish::Children(children) = &wish
        && (children.len() > MAX_CHILDREN || children.iter().any(|child| !is_child_name(&child.name)))
    {
        return Err(Error::internal(format!("`{}` unfolds into nonsense", node.kind)));
    }
    Ok(wish)
}

fn seen<R>(
    state: &RunState,
    key: &StepKey,
    now: DateTime<Utc>,
    look: impl FnOnce(&Unfolding<'_>) -> R,
) -> Result<R> {
    let node = state.head.graph.node(key.node);
    let began = state.unfolded_at(key);
    // Expressions see the time at which the step began, so that every look sees the same.
    let config = nodes::config(state, key, began.unwrap_or(now))?;
    let none = Default::default();
    let at = began.unwrap_or(now);
    let each = |item: &Value, index: usize| nodes::per_item(state, key, at, item, index);
    let step = Unfolding {
        run_id: state.head.id,
        node: &node.id,
        config: &config,
        input: &state.head.input,
        children: state.children.get(key).map_or(&none, |children| children),
        weight: state.weight_of_children(key),
        per_item: PerItem(&each),
        retry: node.retry.unwrap_or(state.head.graph.retry),
        unknown: node.unknown_outcome,
        timeout_s: node.timeout_s,
        began,
        now,
    };
    Ok(look(&step))
}

/// The child of that key, as its node wants it now.
pub(crate) fn child(
    engine: &Engine,
    state: &RunState,
    key: &StepKey,
    now: DateTime<Utc>,
) -> Result<Arc<Child>> {
    if let Some(known) = state.wanted.get(key) {
        return Ok(known.clone());
    }
    let gone = || Error::internal("a child that its node does not know any more");
    let (parent, name) = key.parent().zip(key.child_name()).ok_or_else(gone)?;
    match wish(engine, state, &parent, now)? {
        Wish::Done(_) => Err(gone()),
        Wish::Children(children) => children
            .into_iter()
            .find(|child| child.name == name)
            .map(Arc::new)
            .ok_or_else(gone),
    }
}

/// One look at an unfolding step, or one try of a child; false when it is left for a worker to begin.
pub(crate) async fn step(
    engine: &Engine,
    tx: &Tx,
    ctx: &Ctx,
    state: &mut RunState,
    key: StepKey,
    holds: bool,
) -> Result<bool> {
    let now = ctx.clock().now();
    if key.child_name().is_some() {
        return match child(engine, state, &key, now) {
            Ok(child) => begin(engine, tx, ctx, state, key, &child, now, holds).await,
            Err(error) => {
                fail_child(state, key, error, now);
                Ok(true)
            }
        };
    }
    let attempt = state.next_attempt(&key);
    let children = match wish(engine, state, &key, now) {
        Ok(Wish::Children(children)) => children,
        Ok(Wish::Done(output)) => {
            let port = "out".to_owned();
            let output = Arc::new(output);
            leave_open(engine, tx, state, &key).await?;
            state.record(key, attempt, What::Completed { port, output }, now);
            return Ok(true);
        }
        Err(error) => {
            // What a node decided after all that its children came to is not decided otherwise by asking again.
            let what = What::Failed {
                error,
                retry_at: None,
            };
            leave_open(engine, tx, state, &key).await?;
            state.record(key, attempt, what, now);
            return Ok(true);
        }
    };
    let fresh: Vec<(StepKey, Arc<Child>)> = children
        .into_iter()
        .map(|child| (key.child(&child.name), Arc::new(child)))
        .filter(|(child_key, _)| !state.attempts.contains_key(child_key))
        .collect();
    if fresh.is_empty() && !state.has_open_children(&key) {
        let error = Error::internal("a step that unfolds wants nothing and is not done");
        state.record(
            key,
            attempt,
            What::Failed {
                error,
                retry_at: None,
            },
            now,
        );
        return Ok(true);
    }
    for (child_key, child) in fresh {
        if !begin(engine, tx, ctx, state, child_key, &child, now, holds).await? {
            state.ready.push_front(key);
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whatever the step's open children wait for is let go: the step is over.
async fn leave_open(engine: &Engine, tx: &Tx, state: &RunState, key: &StepKey) -> Result<()> {
    let is_child = |wait: &&Wait| wait.key.parent().as_ref() == Some(key);
    let open: Vec<Wait> = state.waits.iter().filter(is_child).cloned().collect();
    for wait in &open {
        if let Why::Approval(id) = wait.why {
            persist::withdraw_approval(tx, id).await?;
        }
    }
    nested::stop_all(engine, tx, &open).await
}

/// `now` is the time of the look that wanted the child: the first child's is what all later looks see.
#[allow(clippy::too_many_arguments, reason = "the burst's own state, handed on")]
async fn begin(
    engine: &Engine,
    tx: &Tx,
    ctx: &Ctx,
    state: &mut RunState,
    key: StepKey,
    child: &Arc<Child>,
    now: DateTime<Utc>,
    holds: bool,
) -> Result<bool> {
    match &child.act {
        Act::Ask(wanted) => question(engine, tx, ctx, state, key, wanted, now)
            .await
            .map(|()| true),
        Act::Run(wanted) => nested::begin(engine, tx, ctx, state, key, wanted, now)
            .await
            .map(|()| true),
        Act::Call(wanted) => call(engine, tx, ctx, state, key, child, wanted, now, holds).await,
    }
}

#[allow(clippy::too_many_arguments, reason = "the burst's own state, handed on")]
async fn call(
    engine: &Engine,
    tx: &Tx,
    ctx: &Ctx,
    state: &mut RunState,
    key: StepKey,
    child: &Arc<Child>,
    wanted: &ChildCall,
    now: DateTime<Utc>,
    holds: bool,
) -> Result<bool> {
    let attempt = state.next_attempt(&key);
    let acting = actor_ctx(ctx, wanted.actor);
    let allowed = match wanted.is_users {
        true => nodes::refuse(engine, &acting, &wanted.operation),
        false => Ok(()),
    };
    let called = match allowed {
        Ok(()) => nodes::call_inside(engine, tx, &acting, &wanted.operation, &wanted.input).await,
        Err(error) => Err(error),
    };
    match called {
        Ok(StepOutcome::Launch) if !holds => return Ok(false),
        Ok(StepOutcome::Launch) => {
            state.wanted.insert(key.clone(), child.clone());
            state.record_call(key.clone(), attempt, What::Started, now, shown(wanted));
            state.launch.push(key);
        }
        Ok(StepOutcome::Done { port, output }) => {
            let what = What::Completed {
                port: port.into_owned(),
                output: Arc::new(output),
            };
            state.record_call(key, attempt, what, now, shown(wanted));
        }
        Ok(_) => return Err(Error::internal("an operation answered as a node")),
        // A database that is away is no failure of the step: the whole burst is tried again.
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => settle_by(state, &wanted.retry, key, attempt, error, now, shown(wanted)),
    }
    Ok(true)
}

/// The context of a child's call.
pub(crate) fn actor_ctx(ctx: &Ctx, actor: Option<synapscale_core::Actor>) -> Ctx {
    match actor {
        Some(actor) => ctx.acting_through(actor),
        None => ctx.clone(),
    }
}

/// What a child is given, as far as the journal shows it.
pub(crate) fn fit_shown(input: &Value) -> Value {
    match journal::is_larger(input, MAX_SHOWN) {
        true => json!({ "$omitted": "over 16 KiB" }),
        false => input.clone(),
    }
}

/// What the journal tells of a call.
pub(crate) fn shown(wanted: &ChildCall) -> Option<Arc<Value>> {
    let input = match &wanted.shown {
        Some(shown) => shown,
        None => &wanted.input,
    };
    Some(Arc::new(
        json!({ "operation": wanted.operation, "input": fit_shown(input) }),
    ))
}

async fn question(
    engine: &Engine,
    tx: &Tx,
    ctx: &Ctx,
    state: &mut RunState,
    key: StepKey,
    wanted: &ChildAsk,
    now: DateTime<Utc>,
) -> Result<()> {
    let attempt = state.next_attempt(&key);
    let mut detail = wanted.detail.clone();
    if let Some((operation, input)) = &wanted.preview {
        let acting = actor_ctx(ctx, wanted.actor);
        match nodes::call_inside(engine, tx, &acting, operation, input).await {
            Ok(StepOutcome::Done { output, .. }) => {
                if let Some(detail) = detail.as_object_mut() {
                    detail.insert("preview".to_owned(), output);
                }
            }
            Ok(_) => return Err(Error::internal("a preview that is no read")),
            Err(error) if error.is_transient() => return Err(error),
            // What cannot even be shown need not be asked about.
            Err(error) => {
                let what = What::Completed {
                    port: "refused".to_owned(),
                    output: Arc::new(json!({ "error": crate::run::state::error_value(&error) })),
                };
                state.record(key, attempt, what, now);
                return Ok(());
            }
        }
    }
    let (title, detail) = nodes::fit_question(&wanted.title, detail);
    let until = now + Duration::hours(wanted.hours.clamp(1, MAX_HOURS));
    let id = ask(tx, state, &key, title, detail, until).await?;
    let what = What::Waiting {
        until,
        approval: Some(id),
    };
    state.record(key, attempt, what, now);
    Ok(())
}

fn fail_child(state: &mut RunState, key: StepKey, error: Error, now: DateTime<Utc>) {
    let attempt = state.next_attempt(&key);
    state.record(
        key,
        attempt,
        What::Failed {
            error,
            retry_at: None,
        },
        now,
    );
}
