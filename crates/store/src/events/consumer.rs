//! Consumer groups: a durable cursor under a lease. Each event is handled in one transaction with a mark that makes the
//! effect happen once; after three failures it becomes a dead letter and the group moves on.

use super::cursor::Cursor;
use super::entity::{dead_letter, group, mark};
use super::read::{Event, EventFilter};
use crate::scoped::Scoped;
use crate::store::Store;
use crate::tx::Tx;
use async_trait::async_trait;
use chrono::Duration;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, QueryFilter};
use std::str::FromStr;
use std::sync::Arc;
use synapscale_core::{Ctx, Error, Result, new_id};
use uuid::Uuid;

/// How often an event is tried before it becomes a dead letter.
pub const MAX_ATTEMPTS: i64 = 3;
/// How long a consumer holds its group without a sign of life.
const LEASE: Duration = Duration::seconds(30);
/// Events handled under one look at the lease.
const BATCH: u32 = 100;

/// Something that acts on events.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// The group's name; consumers of one name share one cursor.
    fn name(&self) -> &'static str;
    /// Which events it wants.
    fn filter(&self) -> EventFilter;
    /// Acts on one event, in a transaction of the event's tenant.
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<()>;
}

/// Where a group stands.
#[derive(Clone, Debug)]
pub struct ConsumerStatus {
    /// Its cursor.
    pub cursor: Cursor,
    /// The lease's epoch: raised by each new holder.
    pub lease_epoch: i64,
}

impl Store {
    /// Takes or renews the group's lease for `owner`. None while somebody else holds it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_group(&self, name: &'static str, owner: Uuid) -> Result<Option<ConsumerStatus>> {
        let head = self.event_start()?;
        let ctx = Ctx::system(self.clock().clone());
        self.write(&ctx, |tx| async move {
            tx.lock_globally(&lock_key(name)).await?;
            let now = tx.ctx().clock().now();
            let found = tx
                .find_as_system::<group::Entity>()?
                .filter(group::Column::Name.eq(name))
                .row(&tx)
                .await?;
            let Some(row) = found else {
                let row = group::Model {
                    name: name.to_owned(),
                    cursor: head.to_string(),
                    owner: Some(owner),
                    lease_epoch: 1,
                    lease_until: Some(now + LEASE),
                };
                tx.insert_as_system::<group::Entity>(row).await?;
                return Ok(Some(ConsumerStatus {
                    cursor: head,
                    lease_epoch: 1,
                }));
            };
            let mine = row.owner == Some(owner);
            if !mine && row.lease_until.is_some_and(|until| until > now) {
                return Ok(None);
            }
            let lease_epoch = if mine {
                row.lease_epoch
            } else {
                row.lease_epoch + 1
            };
            let update = tx
                .update_as_system::<group::Entity>()?
                .col_expr(group::Column::Owner, Expr::val(owner))
                .col_expr(group::Column::LeaseEpoch, Expr::val(lease_epoch))
                .col_expr(group::Column::LeaseUntil, Expr::val(now + LEASE))
                .filter(group::Column::Name.eq(name));
            tx.run_update(update).await?;
            Ok(Some(ConsumerStatus {
                cursor: Cursor::from_str(&row.cursor)?,
                lease_epoch,
            }))
        })
        .await
    }

    fn event_start(&self) -> Result<Cursor> {
        let log = super::identity(self)?;
        Ok(Cursor {
            log: log.id,
            position: Default::default(),
        })
    }

    /// Handles what waits for the group, one batch. Answers how many events were settled.
    ///
    /// # Errors
    /// `lease_lost` when another process took the group over; a failing event is retried, then set aside.
    pub async fn consume(&self, consumer: &Arc<dyn Consumer>, owner: Uuid) -> Result<usize> {
        let Some(status) = self.claim_group(consumer.name(), owner).await? else {
            return Ok(0);
        };
        let ctx = Ctx::system(self.clock().clone());
        let batch = self
            .events_after(&ctx, Some(&status.cursor), &consumer.filter(), BATCH)
            .await?;
        let mut settled = 0;
        let mut last = None;
        for event in &batch.events {
            if !self.settle(consumer, event, status.lease_epoch).await? {
                break;
            }
            settled += 1;
            last = Some(event.cursor);
        }
        if let Some(cursor) = last {
            self.advance(consumer.name(), cursor, status.lease_epoch).await?;
        }
        Ok(settled)
    }

    /// True when the event is done with, handled or dead; false when it is to be tried again later.
    async fn settle(&self, consumer: &Arc<dyn Consumer>, event: &Event, lease_epoch: i64) -> Result<bool> {
        let ctx = Ctx::system(self.clock().clone())
            .system_in(event.tenant)
            .with_correlation(event.correlation);
        let name = consumer.name();
        let event = Arc::new(event.clone());
        let outcome = self
            .write(&ctx, |tx| {
                let (consumer, event) = (consumer.clone(), event.clone());
                async move {
                    guard(&tx, name, lease_epoch).await?;
                    if done_before(&tx, name, event.id).await? {
                        return Ok(());
                    }
                    consumer.handle(&tx, &event).await?;
                    set_mark(&tx, name, event.id, 0, None).await
                }
            })
            .await;
        let Err(error) = outcome else { return Ok(true) };
        if error.code() == "lease_lost" || error.is_transient() {
            return Err(error);
        }
        tracing::warn!(consumer = name, event = %event.id, %error, "event not handled");
        let text: Arc<str> = error.to_string().into();
        self.write(&ctx, |tx| {
            let (event, text) = (event.clone(), text.clone());
            async move {
                guard(&tx, name, lease_epoch).await?;
                count_failure(&tx, name, &event, &text).await
            }
        })
        .await
    }

    async fn advance(&self, name: &'static str, cursor: Cursor, lease_epoch: i64) -> Result<()> {
        let ctx = Ctx::system(self.clock().clone());
        self.write(&ctx, |tx| async move {
            tx.lock_globally(&lock_key(name)).await?;
            let update = tx
                .update_as_system::<group::Entity>()?
                .col_expr(group::Column::Cursor, Expr::val(cursor.to_string()))
                .filter(group::Column::Name.eq(name))
                .filter(group::Column::LeaseEpoch.eq(lease_epoch));
            if tx.run_update(update).await? != 1 {
                return Err(lease_lost(name));
            }
            // What was handled is behind the cursor now, which keeps it from coming again. Failures still count.
            let marks = tx
                .delete_as_system::<mark::Entity>()?
                .filter(mark::Column::Consumer.eq(name))
                .filter(mark::Column::Attempts.eq(0));
            tx.run_delete(marks).await.map(|_| ())
        })
        .await
    }
}

fn lock_key(name: &str) -> String {
    format!("consumer/{name}")
}

fn lease_lost(name: &str) -> Error {
    Error::conflict(
        "lease_lost",
        format!("Another process took over the consumer `{name}`."),
    )
}

/// Refuses a consumer whose lease was taken over in the meantime.
async fn guard(tx: &Tx, name: &str, lease_epoch: i64) -> Result<()> {
    tx.lock_globally(&lock_key(name)).await?;
    let row = super::entity::group_row(tx, name).await?;
    match row {
        Some(row) if row.lease_epoch == lease_epoch => Ok(()),
        _ => Err(lease_lost(name)),
    }
}

async fn done_before(tx: &Tx, name: &str, event: Uuid) -> Result<bool> {
    Ok(find_mark(tx, name, event)
        .await?
        .is_some_and(|mark| mark.attempts == 0))
}

async fn find_mark(tx: &Tx, name: &str, event: Uuid) -> Result<Option<mark::Model>> {
    tx.find::<mark::Entity>()
        .filter(mark::Column::Consumer.eq(name))
        .filter(mark::Column::EventId.eq(event))
        .row(tx)
        .await
}

/// Zero attempts marks an event as handled; more count its failures.
async fn set_mark(tx: &Tx, name: &str, event: Uuid, attempts: i64, error: Option<String>) -> Result<()> {
    let old = tx
        .delete::<mark::Entity>()
        .filter(mark::Column::Consumer.eq(name))
        .filter(mark::Column::EventId.eq(event));
    tx.run_delete(old).await?;
    tx.insert::<mark::Entity>(mark::Model {
        tenant_id: tx.ctx().tenant().0,
        consumer: name.to_owned(),
        event_id: event,
        attempts,
        error,
        at: tx.ctx().clock().now(),
    })
    .await
}

async fn count_failure(tx: &Tx, name: &str, event: &Event, error: &str) -> Result<bool> {
    let attempts = find_mark(tx, name, event.id)
        .await?
        .map_or(0, |mark| mark.attempts)
        + 1;
    if attempts < MAX_ATTEMPTS {
        set_mark(tx, name, event.id, attempts, Some(error.to_owned())).await?;
        return Ok(false);
    }
    tx.insert::<dead_letter::Entity>(dead_letter::Model {
        tenant_id: tx.ctx().tenant().0,
        id: new_id(),
        consumer: name.to_owned(),
        event_id: event.id,
        kind: event.kind.clone(),
        error: error.to_owned(),
        attempts,
        at: tx.ctx().clock().now(),
    })
    .await?;
    set_mark(tx, name, event.id, 0, None).await?;
    Ok(true)
}
