//! A chain of hashes over the log, so that a row that is changed, added or taken away afterwards shows. A link covers the
//! events that came since the link before it: `SHA-256(the hash before, its number, the digest of each event)`. Links are
//! made by a job of the product, each over at most [`LINK_EVENTS`] events.
//!
//! Whoever may write to the database may also write the chain anew from some place on. That shows to whoever kept a link's
//! number and hash elsewhere: see [`Verdict::holds`].

use super::entity::link;
use super::read::{MAX_BATCH, waiting};
use super::{Cursor, Event, EventFilter, Position, not_migrated};
use crate::scoped::Scoped;
use crate::store::Store;
use crate::tx::Tx;
use aws_lc_rs::digest::{Context, SHA256};
use chrono::{DateTime, SubsecRound, Utc};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use synapscale_core::{Ctx, Error, Result};

/// Most events of one link.
pub const LINK_EVENTS: u32 = MAX_BATCH;
/// Most links that one call adds: it is one transaction.
const MOST_LINKS: usize = 20;
/// Links that are read at once.
const PAGE: u64 = 200;
/// How far events that are not linked yet are counted.
const NOT_LINKED: u32 = 1_000_000;
/// Most faults that are told one by one.
const MOST_FAULTS: usize = 20;
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

/// A link that is not as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The link's number.
    pub number: i64,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// What is wrong, in words.
    pub what: String,
}

/// What came of looking the whole chain over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Links that were looked at.
    pub links: i64,
    /// Events that they cover and that are there.
    pub events: i64,
    /// Links at the beginning whose events were archived, so that only their own hashes are there.
    pub archived: i64,
    /// Events that came after the last link and are not covered yet.
    pub not_linked: i64,
    /// Links that are not as they were made; the first twenty.
    pub faults: Vec<Fault>,
    /// The last link. Keep its number and hash outside of this database.
    pub head: Option<Link>,
}

impl Verdict {
    /// Whether nothing was changed afterwards, as far as the chain itself tells.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }
}

impl Store {
    /// Looks the whole chain over, as the system.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn verify_chain(&self) -> Result<Verdict> {
        let ctx = Ctx::system(self.clock().clone());
        let (mut verdict, mut after) = (Verdict::default(), None);
        loop {
            let page = self.read(&ctx, |tx| {
                let mut verdict = verdict.clone();
                async move {
                    let last = tx.verify_links(after, &mut verdict).await?;
                    Ok((verdict, last))
                }
            });
            let (looked, last) = page.await?;
            verdict = looked;
            if last.is_none() {
                return Ok(verdict);
            }
            after = last;
        }
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
}

impl Tx {
    /// Adds links for the events that came since the last one; answers how many events they cover. The context is elevated.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn link_events(&self) -> Result<u64> {
        self.lock("audit_chain").await?;
        let mut covered = 0;
        for _ in 0..MOST_LINKS {
            let last = last_link(self).await?;
            let since = last
                .as_ref()
                .map(|link| Cursor::from_str(&link.until))
                .transpose()?;
            let batch = self
                .events(since.as_ref(), &EventFilter::default(), LINK_EVENTS, false)
                .await?;
            if batch.events.is_empty() {
                break;
            }
            let number = last.as_ref().map_or(1, |link| link.number + 1);
            let before = last.as_ref().map(|link| link.hash.as_slice());
            self.insert_as_system::<link::Entity>(link::Model {
                number,
                since: last.as_ref().map(|link| link.until.clone()),
                until: batch.next.to_string(),
                events: count(&batch.events),
                hash: hash(before, number, &batch.events)?,
                at: self.ctx().clock().now().trunc_subsecs(6),
            })
            .await?;
            covered += batch.events.len() as u64;
            if batch.events.len() < LINK_EVENTS as usize {
                break;
            }
        }
        Ok(covered)
    }

    /// Looks some links over, those behind `after`, and adds what it finds to `verdict`; answers the number of the last one,
    /// none when there was none left.
    async fn verify_links(&self, after: Option<i64>, verdict: &mut Verdict) -> Result<Option<i64>> {
        let mut before = match after {
            None => None,
            Some(number) => links(self, number - 1, 1).await?.pop().map(|link| link.hash),
        };
        let page = links(self, after.unwrap_or(0), PAGE).await?;
        let last = page.last().map(|link| link.number);
        let mut expected = after.unwrap_or(0) + 1;
        for link in page {
            let what = match link.number == expected {
                true => self.verify_link(&link, before.as_deref(), verdict).await?,
                false => Some(format!("link {expected} is missing before it")),
            };
            if let Some(what) = what.filter(|_| verdict.faults.len() < MOST_FAULTS) {
                verdict.faults.push(Fault {
                    number: link.number,
                    made_at: link.at,
                    what,
                });
            }
            verdict.links += 1;
            verdict.head = Some(shown(&link));
            expected = link.number + 1;
            before = Some(link.hash);
        }
        if last.is_none() {
            verdict.not_linked = self.not_linked().await?;
        }
        Ok(last)
    }

    /// What is wrong with a link, if something is.
    async fn verify_link(
        &self,
        link: &link::Model,
        before: Option<&[u8]>,
        verdict: &mut Verdict,
    ) -> Result<Option<String>> {
        let since = link.since.as_deref().map(Cursor::from_str).transpose()?;
        let until = Cursor::from_str(&link.until)?;
        // One more than there should be shows a row that was added.
        let most = u32::try_from(link.events)
            .unwrap_or(LINK_EVENTS)
            .saturating_add(1);
        let batch = self
            .events(since.as_ref(), &EventFilter::default(), most, false)
            .await?;
        let found: Vec<Event> = batch
            .events
            .into_iter()
            .take_while(|event| event.cursor.position <= until.position)
            .collect();
        if found.is_empty() && link.number == verdict.archived + 1 {
            verdict.archived += 1;
            return Ok(None);
        }
        let there = count(&found);
        verdict.events += there;
        Ok(if there != link.events {
            Some(format!("it covered {} events, {there} are there", link.events))
        } else if hash(before, link.number, &found)? != link.hash {
            Some("an event, or the link itself, was changed".to_owned())
        } else {
            None
        })
    }

    async fn not_linked(&self) -> Result<i64> {
        let log = self.shared().log.get().copied().ok_or_else(not_migrated)?;
        let since = match last_link(self).await? {
            Some(link) => Cursor::from_str(&link.until)?,
            None => Cursor {
                log: log.id,
                position: Position::default(),
            },
        };
        let (waiting, _) = waiting(self, &since, &EventFilter::default(), NOT_LINKED).await?;
        Ok(i64::try_from(waiting).unwrap_or(i64::MAX))
    }
}

async fn last_link(tx: &Tx) -> Result<Option<link::Model>> {
    let query = tx.find_as_system::<link::Entity>()?;
    query.order_by_desc(link::Column::Number).limit(1).row(tx).await
}

async fn links(tx: &Tx, after: i64, limit: u64) -> Result<Vec<link::Model>> {
    let query = tx
        .find_as_system::<link::Entity>()?
        .filter(link::Column::Number.gt(after))
        .order_by_asc(link::Column::Number)
        .limit(limit);
    query.rows(tx).await
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

fn hash(before: Option<&[u8]>, number: i64, events: &[Event]) -> Result<Vec<u8>> {
    let mut context = Context::new(&SHA256);
    context.update(before.unwrap_or(BEGINNING));
    context.update(&number.to_be_bytes());
    for event in events {
        context.update(&digest(event)?);
    }
    Ok(context.finish().as_ref().to_vec())
}

/// Everything that a row tells, as JSON: as the database gives it back, which does not change.
fn digest(event: &Event) -> Result<Vec<u8>> {
    let row = (
        (
            event.tenant.0,
            event.id,
            &event.kind,
            event.version,
            &event.subject,
        ),
        (&event.actor, &event.on_behalf_of, &event.channel, &event.ip),
        (&event.changes, &event.data),
        (event.at.timestamp_micros(), event.correlation, event.causation),
    );
    let bytes = serde_json::to_vec(&row).map_err(Error::internal)?;
    let mut context = Context::new(&SHA256);
    context.update(&bytes);
    Ok(context.finish().as_ref().to_vec())
}
