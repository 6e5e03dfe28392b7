//! Dead letters: events that a group gave up. A person looks at them, and has them handled again or dropped.

use super::consumer::{Consumer, handle};
use super::cursor::Cursor;
use super::entity::dead_letter;
use super::failure::told;
use super::groups::{guard, is_abandoned};
use super::read::{Event, EventFilter};
use crate::scoped::Scoped;
use crate::store::Store;
use crate::tx::Tx;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;
use synapscale_core::{Ctx, Error, EventPayload, NewEvent, Result, TenantId, new_id};
use uuid::Uuid;

const DEAD: &str = "dead";
const QUEUED: &str = "queued";
/// What events about dead letters are about.
const NOUN: &str = "dead_letter";
/// Dead letters handled again in one turn of a group.
const REPLAYS: u64 = 20;
/// A replay that no process took up within this time is called off: whoever asked no longer expects it.
const REPLAY_WITHIN: chrono::Duration = chrono::Duration::hours(24);

/// A group gave an event up.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeadLetterAdded {
    /// The group.
    pub consumer: String,
    /// The event that could not be handled.
    pub event_id: Uuid,
    /// Its kind.
    pub kind: String,
    /// What went wrong at last.
    pub error: String,
}

impl EventPayload for DeadLetterAdded {
    const KIND: &'static str = "dead_letter.added";
    const ABOUT: &'static str = "A consumer group gave an event up after three tries.";
}

/// Somebody had a dead letter handled again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeadLetterReplayed {
    /// The group.
    pub consumer: String,
    /// The event.
    pub event_id: Uuid,
}

impl EventPayload for DeadLetterReplayed {
    const KIND: &'static str = "dead_letter.replayed";
    const ABOUT: &'static str = "Somebody asked for a dead letter to be handled again.";
}

/// Somebody dropped a dead letter.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeadLetterDropped {
    /// The group.
    pub consumer: String,
    /// The event.
    pub event_id: Uuid,
}

impl EventPayload for DeadLetterDropped {
    const KIND: &'static str = "dead_letter.dropped";
    const ABOUT: &'static str = "Somebody dropped a dead letter: its event is never handled by that group.";
}

/// An event that a group gave up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The letter's id; later ones sort after earlier ones.
    pub id: Uuid,
    /// The group.
    pub consumer: String,
    /// The event.
    pub event_id: Uuid,
    /// The event's kind.
    pub kind: String,
    /// What went wrong at last, in words.
    pub error: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was given up, or failed again.
    pub at: DateTime<Utc>,
    /// Whether it waits to be handled again.
    pub queued: bool,
    /// When the replay that it waits for is called off.
    pub queued_until: Option<DateTime<Utc>>,
}

impl From<dead_letter::Model> for DeadLetter {
    fn from(row: dead_letter::Model) -> Self {
        DeadLetter {
            id: row.id,
            consumer: row.consumer,
            event_id: row.event_id,
            kind: row.kind,
            error: row.error,
            attempts: row.attempts,
            at: row.at,
            queued: row.state == QUEUED,
            queued_until: row.queued_at.map(|at| at + REPLAY_WITHIN),
        }
    }
}

impl Tx {
    /// This workspace's dead letters, the newest first: at most `limit`, older than `before`, of one group if named.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn dead_letters(
        &self,
        consumer: Option<&str>,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<DeadLetter>> {
        let mut query = self.find::<dead_letter::Entity>();
        if let Some(consumer) = consumer {
            query = query.filter(dead_letter::Column::Consumer.eq(consumer));
        }
        if let Some(before) = before {
            query = query.filter(dead_letter::Column::Id.lt(before));
        }
        let query = query.order_by_desc(dead_letter::Column::Id).limit(limit);
        let rows = query.rows(self).await?;
        Ok(rows.into_iter().map(DeadLetter::from).collect())
    }

    /// Has dead letters handled again by their groups within a day, and tells of it.
    ///
    /// # Errors
    /// `not_found` when one of them is not there, as one that was dropped; `consumer_gone` when no process works for its
    /// group any more.
    pub async fn replay_dead_letters(&self, ids: &[Uuid]) -> Result<()> {
        let now = self.now().await?;
        for row in self.letters(ids).await? {
            if is_abandoned(self, &row.consumer, now).await? {
                let at = ids.iter().position(|id| *id == row.id).unwrap_or_default();
                let words = format!("Nothing works for the consumer `{}` any more.", row.consumer);
                return Err(Error::conflict("consumer_gone", words).at(format!("/ids/{at}")));
            }
            if row.state == QUEUED {
                continue;
            }
            set_state(self, row.id, State::Queued(now)).await?;
            let payload = DeadLetterReplayed {
                consumer: row.consumer,
                event_id: row.event_id,
            };
            self.emit(NewEvent::new(NOUN, row.id, &payload));
        }
        Ok(())
    }

    /// Drops dead letters for good, and tells of it.
    ///
    /// # Errors
    /// `not_found` when one of them is not there.
    pub async fn drop_dead_letters(&self, ids: &[Uuid]) -> Result<()> {
        for row in self.letters(ids).await? {
            remove(self, row.id).await?;
            let payload = DeadLetterDropped {
                consumer: row.consumer,
                event_id: row.event_id,
            };
            self.emit(NewEvent::new(NOUN, row.id, &payload));
        }
        Ok(())
    }

    async fn letters(&self, ids: &[Uuid]) -> Result<Vec<dead_letter::Model>> {
        let query = self.find::<dead_letter::Entity>();
        let query = query.filter(dead_letter::Column::Id.is_in(ids.to_vec()));
        let rows = query.rows(self).await?;
        match ids.iter().position(|id| !rows.iter().any(|row| row.id == *id)) {
            Some(missing) => Err(Error::not_found("dead letter").at(format!("/ids/{missing}"))),
            None => Ok(rows),
        }
    }
}

/// Sets an event aside.
pub(crate) async fn add(tx: &Tx, name: &str, event: &Event, error: &str, attempts: i64) -> Result<()> {
    let id = new_id();
    tx.insert::<dead_letter::Entity>(dead_letter::Model {
        tenant_id: tx.ctx().tenant().0,
        id,
        consumer: name.to_owned(),
        event_id: event.id,
        kind: event.kind.clone(),
        error: error.to_owned(),
        attempts,
        at: tx.ctx().clock().now(),
        cursor: Some(event.cursor.to_string()),
        state: DEAD.to_owned(),
        queued_at: None,
    })
    .await?;
    metrics::counter!("synapscale_events_dead_letters_total", "group" => name.to_owned()).increment(1);
    // A group that fails on whatever it gets would be told of its own failures for ever.
    if !event.kind.starts_with("dead_letter.") {
        let payload = DeadLetterAdded {
            consumer: name.to_owned(),
            event_id: event.id,
            kind: event.kind.clone(),
            error: error.to_owned(),
        };
        let mut told = NewEvent::new(NOUN, id, &payload);
        told.causation = Some(event.id);
        tx.emit(told);
    }
    Ok(())
}

/// Takes a letter away; false when it is gone already.
async fn remove(tx: &Tx, id: Uuid) -> Result<bool> {
    let row = tx
        .delete::<dead_letter::Entity>()
        .filter(dead_letter::Column::Id.eq(id));
    Ok(tx.run_delete(row).await? > 0)
}

/// What a letter becomes.
enum State<'a> {
    /// It waits to be handled again, since then.
    Queued(DateTime<Utc>),
    /// It stays, for this reason; whether the event was tried once more.
    Dead { error: &'a str, tried: bool },
}

async fn set_state(tx: &Tx, id: Uuid, state: State<'_>) -> Result<()> {
    use dead_letter::Column;
    let (word, queued_at) = match &state {
        State::Queued(at) => (QUEUED, Some(*at)),
        State::Dead { .. } => (DEAD, None),
    };
    let mut update = tx
        .update::<dead_letter::Entity>()
        .col_expr(Column::State, Expr::val(word))
        .col_expr(Column::QueuedAt, Expr::val(queued_at))
        .filter(Column::Id.eq(id));
    if let State::Dead { error, tried } = state {
        update = update
            .col_expr(Column::Error, Expr::val(error))
            .col_expr(
                Column::Attempts,
                Expr::col(Column::Attempts).add(i64::from(tried)),
            )
            .col_expr(Column::At, Expr::val(tx.ctx().clock().now()));
    }
    tx.run_update(update).await.map(drop)
}

impl Store {
    /// Handles the dead letters that somebody asked for, each once: outside of the order, since the group has moved on. None
    /// is begun later than `until`.
    pub(crate) async fn replay_letters(
        &self,
        consumer: &Arc<dyn Consumer>,
        lease_epoch: i64,
        until: Instant,
    ) -> Result<usize> {
        let name = consumer.name();
        let ctx = Ctx::system(self.clock().clone());
        let queued = self.read(&ctx, |tx| async move {
            let query = tx.find_as_system::<dead_letter::Entity>()?;
            let query = query
                .filter(dead_letter::Column::Consumer.eq(name))
                .filter(dead_letter::Column::State.eq(QUEUED));
            query
                .order_by_asc(dead_letter::Column::Id)
                .limit(REPLAYS)
                .rows(&tx)
                .await
        });
        let mut done = 0;
        for letter in &queued.await? {
            if Instant::now() > until {
                break;
            }
            self.replay(consumer, letter, lease_epoch).await?;
            done += 1;
        }
        Ok(done)
    }

    async fn replay(
        &self,
        consumer: &Arc<dyn Consumer>,
        letter: &dead_letter::Model,
        lease_epoch: i64,
    ) -> Result<()> {
        let (name, id) = (consumer.name(), letter.id);
        let event = self.event_of(letter).await?.map(Arc::new);
        let ctx = match &event {
            Some(event) => self.ctx_of(event),
            None => Ctx::system(self.clock().clone()).system_in(TenantId(letter.tenant_id)),
        };
        let too_late = letter
            .queued_at
            .is_some_and(|at| self.clock().now() - at > REPLAY_WITHIN);
        let handled = match &event {
            _ if too_late => Err(Error::conflict(
                "replay_expired",
                "Nobody took the replay up within a day; ask again.",
            )),
            None => Err(Error::not_found("event")),
            Some(event) => {
                self.write(&ctx, |tx| {
                    let (consumer, event) = (consumer.clone(), event.clone());
                    async move {
                        guard(&tx, name, lease_epoch).await?;
                        // Dropped meanwhile: then it is never to be handled.
                        match remove(&tx, id).await? {
                            true => handle(&consumer, &tx, &event).await,
                            false => Ok(()),
                        }
                    }
                })
                .await
            }
        };
        let Err(error) = handled else { return Ok(()) };
        if error.code() == "lease_lost" || error.is_transient() {
            return Err(error);
        }
        let (text, tried): (Arc<str>, bool) = (told(&error).into(), !too_late);
        self.write(&ctx, |tx| {
            let text = text.clone();
            async move {
                guard(&tx, name, lease_epoch).await?;
                set_state(&tx, id, State::Dead { error: &text, tried }).await
            }
        })
        .await
    }

    /// The letter's event, from the archive if it is old; none when neither holds it.
    async fn event_of(&self, letter: &dead_letter::Model) -> Result<Option<Event>> {
        let Some(cursor) = &letter.cursor else {
            return Ok(None);
        };
        let ctx = Ctx::system(self.clock().clone()).system_in(TenantId(letter.tenant_id));
        let before = Cursor::from_str(cursor)?.before();
        let batch = self.read(&ctx, |tx| async move {
            tx.events_and_archived(Some(&before), &EventFilter::default(), 1, false)
                .await
        });
        Ok(batch
            .await?
            .events
            .into_iter()
            .find(|event| event.id == letter.event_id))
    }
}
