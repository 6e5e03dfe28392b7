//! Looking the chain over, a bounded part at a time; archived events are read from the archive.

use super::super::archive::{Span, canonical, log_row};
use super::super::entity::link;
use super::{Cursor, Link, NOT_LINKED, Position, count, hash, links, sha256, shown, whole_link};
use crate::store::Store;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::time::{Duration, Instant};
use synapscale_core::{Ctx, Result};

/// Links that are read at once.
const PAGE: u64 = 20;
/// Most faults that are told one by one.
const MOST_FAULTS: usize = 20;
/// How long one part of a whole look takes.
const PART: Duration = Duration::from_secs(5);

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

/// What came of looking the chain over, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Links that were looked at.
    pub links: i64,
    /// Events that they cover and that are there.
    pub events: i64,
    /// Links among them whose events were read from the archive.
    pub archived: i64,
    /// Events that came after the last link and are not covered yet, counted up to 100,000.
    pub not_linked: i64,
    /// Links that are not as they were made; the first twenty.
    pub faults: Vec<Fault>,
    /// The last link that was looked at. Keep its number and hash outside of this database.
    pub head: Option<Link>,
}

impl Verdict {
    /// Whether nothing was changed afterwards, as far as the chain itself tells.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }

    /// Adds what a later part came to.
    pub fn add(&mut self, later: Verdict) {
        self.links += later.links;
        self.events += later.events;
        self.archived += later.archived;
        self.not_linked += later.not_linked;
        self.faults.extend(later.faults);
        self.faults.truncate(MOST_FAULTS);
        self.head = later.head.or(self.head.take());
    }
}

/// A part of the chain that was looked over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChainPage {
    /// What came of this part.
    pub verdict: Verdict,
    /// The link behind which the next part begins; none when this was the last.
    pub next: Option<i64>,
    /// The last link's number at present.
    pub of: i64,
}

impl Store {
    /// Looks the whole chain over, as the system.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn verify_chain(&self) -> Result<Verdict> {
        let (mut verdict, mut after) = (Verdict::default(), 0);
        loop {
            let page = self.verify_chain_after(after, PART).await?;
            verdict.add(page.verdict);
            match page.next {
                Some(next) => after = next,
                None => return Ok(verdict),
            }
        }
    }

    /// Looks the links behind number `after` over, for about `within` and at least some: what is not reached then is the
    /// next call's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn verify_chain_after(&self, after: i64, within: Duration) -> Result<ChainPage> {
        let (began, ctx) = (Instant::now(), Ctx::system(self.clock().clone()));
        let mut look = Look {
            store: self,
            span: None,
            verdict: Verdict::default(),
        };
        let mut reached = after;
        loop {
            let read = self.read(&ctx, |tx| async move {
                let before = match reached {
                    ..=0 => None,
                    number => links(&tx, number - 1, 1).await?.pop(),
                };
                let floor = log_row(&tx).await?.floor_link;
                Ok((before, floor, links(&tx, reached, PAGE).await?))
            });
            let (before, floor, page) = read.await?;
            let mut before = before.filter(|link| link.number == reached).map(|link| link.hash);
            let full = page.len() >= PAGE as usize;
            for link in page {
                look.link(&link, reached + 1, before.as_deref(), floor).await?;
                reached = link.number;
                before = Some(link.hash);
            }
            if !full {
                let behind = self.chain_behind(NOT_LINKED).await?;
                look.verdict.not_linked = i64::try_from(behind).unwrap_or(i64::MAX);
                return Ok(ChainPage {
                    verdict: look.verdict,
                    next: None,
                    of: reached,
                });
            }
            if began.elapsed() > within {
                let last = self.read(&ctx, |tx| async move { super::last_link(&tx).await });
                let of = last.await?.map_or(reached, |link| link.number);
                return Ok(ChainPage {
                    verdict: look.verdict,
                    next: Some(reached),
                    of,
                });
            }
        }
    }
}

/// A look under way.
struct Look<'a> {
    store: &'a Store,
    /// The span of the archive that was read last.
    span: Option<Span>,
    verdict: Verdict,
}

impl Look<'_> {
    async fn link(
        &mut self,
        link: &link::Model,
        expected: i64,
        before: Option<&[u8]>,
        floor: i64,
    ) -> Result<()> {
        let what = match link.number == expected {
            true => self.what_is_wrong(link, before, floor).await?,
            false => Some(format!("link {expected} is missing before it")),
        };
        if let Some(what) = what.filter(|_| self.verdict.faults.len() < MOST_FAULTS) {
            self.verdict.faults.push(Fault {
                number: link.number,
                made_at: link.at,
                what,
            });
        }
        self.verdict.links += 1;
        self.verdict.head = Some(shown(link));
        Ok(())
    }

    /// What is wrong with a link, if something is.
    async fn what_is_wrong(
        &mut self,
        link: &link::Model,
        before: Option<&[u8]>,
        floor: i64,
    ) -> Result<Option<String>> {
        if link.number > floor {
            let (there, found) = self.in_log(link, before).await?;
            if there == link.events && found == link.hash {
                self.verdict.events += there;
                return Ok(None);
            }
            let ctx = Ctx::system(self.store.clock().clone());
            let now = self
                .store
                .read(&ctx, |tx| async move { Ok(log_row(&tx).await?.floor_link) });
            // Unless it was archived a moment ago.
            if link.number > now.await? {
                self.verdict.events += there;
                return Ok(Some(fault(link, there)));
            }
        }
        self.verdict.archived += 1;
        match self.in_archive(link, before).await {
            Ok((there, found)) => {
                self.verdict.events += there;
                let well = there == link.events && found == link.hash;
                Ok((!well).then(|| fault(link, there)))
            }
            Err(error) if error.is_transient() => Err(error),
            Err(error) => Ok(Some(format!("its archive cannot be read ({})", error.code()))),
        }
    }

    async fn in_log(&self, link: &link::Model, before: Option<&[u8]>) -> Result<(i64, Vec<u8>)> {
        let ctx = Ctx::system(self.store.clock().clone());
        let read = self.store.read(&ctx, |tx| {
            let link = link.clone();
            async move { whole_link(&tx, &link).await }
        });
        let events = read.await?;
        let digests = events
            .iter()
            .map(|event| canonical(event).map(|row| sha256(&row)));
        Ok((count(&events), hash(before, link.number, digests)?))
    }

    async fn in_archive(&mut self, link: &link::Model, before: Option<&[u8]>) -> Result<(i64, Vec<u8>)> {
        let since = match &link.since {
            Some(since) => Cursor::from_str(since)?.position,
            None => Position::default(),
        };
        let until = Cursor::from_str(&link.until)?.position;
        if !self.span.as_ref().is_some_and(|span| span.covers(until)) {
            self.span = None;
            self.span = Some(Span::of_link(self.store, link.number).await?);
        }
        let rows = self.span.iter().flat_map(|span| span.between(since, until));
        let digests: Vec<Vec<u8>> = rows.map(sha256).collect();
        let there = i64::try_from(digests.len()).unwrap_or(i64::MAX);
        Ok((there, hash(before, link.number, digests.into_iter().map(Ok))?))
    }
}

fn fault(link: &link::Model, there: i64) -> String {
    match there == link.events {
        true => "an event, or the link itself, was changed".to_owned(),
        false => format!("it covered {} events, {there} are there", link.events),
    }
}
