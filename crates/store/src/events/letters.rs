//! Dead letters: events that a group gave up. A person looks at them, and has them handled again or dropped.

use super::consumer::{Consumer, handle, told};
use super::cursor::Cursor;
use super::entity::dead_letter;
use super::groups::guard;
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
use synapscale_core::{Ctx, Error, EventPayload, NewEvent, Result, TenantId, new_id};
use uuid::Uuid;

const DEAD: &str = "dead";
const QUEUED: &str = "queued";
/// What events about dead letters are about.
const NOUN: &str = "dead_letter";
/// Dead letters handled again in one turn of a group.
const REPLAYS: u64 = 20;

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

    /// Has dead letters handled again by their groups, and tells of it.
    ///
    /// # Errors
    /// `not_found` when one of them is not there.
    pub async fn replay_dead_letters(&self, ids: &[Uuid]) -> Result<()> {
        for row in self.letters(ids).await? {
            if row.state == QUEUED {
                continue;
            }
            set_state(self, row.id, QUEUED, None).await?;
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

async fn remove(tx: &Tx, id: Uuid) -> Result<()> {
    let row = tx
        .delete::<dead_letter::Entity>()
        .filter(dead_letter::Column::Id.eq(id));
    tx.run_delete(row).await.map(drop)
}

async fn set_state(tx: &Tx, id: Uuid, state: &str, error: Option<&str>) -> Result<()> {
    let mut update = tx
        .update::<dead_letter::Entity>()
        .col_expr(dead_letter::Column::State, Expr::val(state))
        .filter(dead_letter::Column::Id.eq(id));
    if let Some(error) = error {
        let attempts = Expr::col(dead_letter::Column::Attempts).add(1);
        update = update
            .col_expr(dead_letter::Column::Error, Expr::val(error))
            .col_expr(dead_letter::Column::Attempts, attempts)
            .col_expr(dead_letter::Column::At, Expr::val(tx.ctx().clock().now()));
    }
    tx.run_update(update).await.map(drop)
}

impl Store {
    /// Handles the dead letters that somebody asked for, each once: outside of the order, since the group has moved on.
    pub(crate) async fn replay_letters(
        &self,
        consumer: &Arc<dyn Consumer>,
        lease_epoch: i64,
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
        let queued = queued.await?;
        for letter in &queued {
            self.replay(consumer, letter, lease_epoch).await?;
        }
        Ok(queued.len())
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
        let handled = match &event {
            None => Err(Error::not_found("event")),
            Some(event) => {
                self.write(&ctx, |tx| {
                    let (consumer, event) = (consumer.clone(), event.clone());
                    async move {
                        guard(&tx, name, lease_epoch).await?;
                        remove(&tx, id).await?;
                        handle(&consumer, &tx, &event).await
                    }
                })
                .await
            }
        };
        let Err(error) = handled else { return Ok(()) };
        if error.code() == "lease_lost" || error.is_transient() {
            return Err(error);
        }
        let text: Arc<str> = told(&error).into();
        self.write(&ctx, |tx| {
            let text = text.clone();
            async move {
                guard(&tx, name, lease_epoch).await?;
                set_state(&tx, id, DEAD, Some(&text)).await
            }
        })
        .await
    }

    /// The letter's event; none when the log no longer holds it.
    async fn event_of(&self, letter: &dead_letter::Model) -> Result<Option<Event>> {
        let Some(cursor) = &letter.cursor else {
            return Ok(None);
        };
        let ctx = Ctx::system(self.clock().clone()).system_in(TenantId(letter.tenant_id));
        let before = Cursor::from_str(cursor)?.before();
        let batch = self
            .events_after(&ctx, Some(&before), &EventFilter::default(), 1)
            .await?;
        Ok(batch.events.into_iter().find(|event| event.id == letter.event_id))
    }
}
