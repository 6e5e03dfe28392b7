//! A chain of hashes over the log, so that a row that is changed, added or taken away afterwards shows. A link covers the
//! events that came since the link before it: `SHA-256(the hash before, its number, the digest of each event)`. Links are
//! made by a job of the product, each over at most [`LINK_EVENTS`] events.
//!
//! Whoever may write to the database may also write the chain anew from some place on. That shows to whoever kept a link's
//! number and hash elsewhere: see [`Verdict::holds`].

mod verify;

pub use verify::{ChainPage, Fault, Verdict};

use super::archive::canonical;
use super::entity::link;
use super::read::{MAX_BATCH, waiting};
use super::{Cursor, Event, EventFilter, Position, not_migrated};
use crate::scoped::Scoped;
use crate::store::Store;
use crate::tx::Tx;
use aws_lc_rs::digest::{Context, SHA256, digest};
use chrono::{DateTime, SubsecRound, Utc};
use metrics::gauge;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::time::{Duration, Instant};
use synapscale_core::{Ctx, Result};

/// Most events of one link.
pub const LINK_EVENTS: u32 = MAX_BATCH;
/// How far events that are not linked yet are counted.
const NOT_LINKED: u32 = 100_000;
/// Before the first link.
const BEGINNING: &[u8] = b"synapscale audit chain 1";

/// A link of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Counted from 1.
    pub number: i64,
    /// How many events it covers.
    pub events: i64,
    /// Its hash, in hexadecimal digits.
    pub hash: String,
    /// When it was made.
    pub at: DateTime<Utc>,
}

/// What a turn of linking came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// How many events the new links cover.
    pub events: u64,
    /// How many are not covered yet, counted up to 100,000.
    pub behind: u64,
}

impl Store {
    /// Adds links until all events are covered or `within` is over: each is read and hashed outside of the transaction that
    /// adds it, so that others' writes are not held up.
    ///
    /// # Errors
    /// When the database fails; the links until then stay.
    pub async fn link_events(&self, within: Duration) -> Result<Linked> {
        let began = Instant::now();
        let mut linked = Linked::default();
        while let Some(next) = self.next_link().await? {
            let (events, full) = (next.events, next.events >= i64::from(LINK_EVENTS));
            if self.add_link(next).await? {
                linked.events += events.unsigned_abs();
            }
            if !full || began.elapsed() > within {
                break;
            }
        }
        linked.behind = self.chain_behind(NOT_LINKED).await?;
        #[allow(clippy::cast_precision_loss, reason = "counted up to 100,000")]
        gauge!("synapscale_audit_behind_events").set(linked.behind as f64);
        Ok(linked)
    }

    /// How many events no link covers yet, counted up to `most`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn chain_behind(&self, most: u32) -> Result<u64> {
        let ctx = Ctx::system(self.clock().clone());
        self.read(&ctx, |tx| async move { not_linked(&tx, most).await })
            .await
    }

    /// The link of that number, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn chain_link(&self, number: i64) -> Result<Option<Link>> {
        let ctx = Ctx::system(self.clock().clone());
        let found = self.read(
            &ctx,
            |tx| async move { links(&tx, number.saturating_sub(1), 1).await },
        );
        let found = found.await?.pop().filter(|link| link.number == number);
        Ok(found.map(|link| shown(&link)))
    }

    /// The link over what came since the last one; none when nothing came.
    async fn next_link(&self) -> Result<Option<link::Model>> {
        let ctx = Ctx::system(self.clock().clone());
        let read = self.read(&ctx, |tx| async move {
            let last = last_link(&tx).await?;
            let since = last.as_ref().map(|link| Cursor::from_str(&link.until));
            let batch = tx
                .events(
                    since.transpose()?.as_ref(),
                    &EventFilter::default(),
                    LINK_EVENTS,
                    false,
                )
                .await?;
            Ok((last, batch))
        });
        let (last, batch) = read.await?;
        if batch.events.is_empty() {
            return Ok(None);
        }
        let number = last.as_ref().map_or(1, |link| link.number + 1);
        let before = last.as_ref().map(|link| link.hash.as_slice());
        let digests = batch
            .events
            .iter()
            .map(|event| canonical(event).map(|row| sha256(&row)));
        Ok(Some(link::Model {
            number,
            since: last.as_ref().map(|link| link.until.clone()),
            until: batch.next.to_string(),
            events: count(&batch.events),
            hash: hash(before, number, digests)?,
            at: self.clock().now().trunc_subsecs(6),
        }))
    }

    /// Adds a link; false when another process added one of that number first.
    async fn add_link(&self, next: link::Model) -> Result<bool> {
        let ctx = Ctx::system(self.clock().clone());
        self.write(&ctx, |tx| {
            let next = next.clone();
            async move {
                tx.lock("audit_chain").await?;
                let last = last_link(&tx).await?.map_or(0, |link| link.number);
                if last + 1 != next.number {
                    return Ok(false);
                }
                tx.insert_as_system::<link::Entity>(next).await.map(|()| true)
            }
        })
        .await
    }
}

async fn not_linked(tx: &Tx, most: u32) -> Result<u64> {
    let log = tx.shared().log.get().copied().ok_or_else(not_migrated)?;
    let since = match last_link(tx).await? {
        Some(link) => Cursor::from_str(&link.until)?,
        None => Cursor {
            log: log.id,
            position: Position::default(),
        },
    };
    Ok(waiting(tx, &since, &EventFilter::default(), most).await?.0)
}

async fn last_link(tx: &Tx) -> Result<Option<link::Model>> {
    let query = tx.find_as_system::<link::Entity>()?;
    query.order_by_desc(link::Column::Number).limit(1).row(tx).await
}

pub(crate) async fn links(tx: &Tx, after: i64, limit: u64) -> Result<Vec<link::Model>> {
    let query = tx
        .find_as_system::<link::Entity>()?
        .filter(link::Column::Number.gt(after))
        .order_by_asc(link::Column::Number)
        .limit(limit);
    query.rows(tx).await
}

/// The events that the log has where the link covers some. One more than there should be shows a row that was added.
pub(crate) async fn whole_link(tx: &Tx, link: &link::Model) -> Result<Vec<Event>> {
    let since = link.since.as_deref().map(Cursor::from_str).transpose()?;
    let until = Cursor::from_str(&link.until)?;
    let most = u32::try_from(link.events)
        .unwrap_or(LINK_EVENTS)
        .saturating_add(1);
    let batch = tx
        .events(since.as_ref(), &EventFilter::default(), most, false)
        .await?;
    let mut all = batch.events;
    all.retain(|event| event.cursor.position <= until.position);
    Ok(all)
}

fn shown(link: &link::Model) -> Link {
    Link {
        number: link.number,
        events: link.events,
        hash: link.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        at: link.at,
    }
}

fn count(events: &[Event]) -> i64 {
    i64::try_from(events.len()).unwrap_or(i64::MAX)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn hash(
    before: Option<&[u8]>,
    number: i64,
    digests: impl Iterator<Item = Result<Vec<u8>>>,
) -> Result<Vec<u8>> {
    let mut context = Context::new(&SHA256);
    context.update(before.unwrap_or(BEGINNING));
    context.update(&number.to_be_bytes());
    for digest in digests {
        context.update(&digest?);
    }
    Ok(context.finish().as_ref().to_vec())
}
