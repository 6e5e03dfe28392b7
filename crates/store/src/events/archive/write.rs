//! Writing the archive, and taking away from the log what stands in it.

use super::super::chain::{links, whole_link};
use super::super::cursor::{Cursor, Position};
use super::super::entity::{archive, link, log};
use super::super::read::{Event, nth_until};
use super::{EventsArchived, Line, canonical, log_row};
use crate::dialect::events as sql;
use crate::errors::IntoCore;
use crate::scoped::Scoped;
use crate::store::Store;
use crate::tx::Tx;
use aws_lc_rs::digest::{SHA256, digest};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::BoxFuture;
use metrics::counter;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Write;
use std::str::FromStr;
use std::time::{Duration, Instant};
use synapscale_core::{Ctx, Error, NewEvent, Result, TenantId, new_id};
use uuid::Uuid;

/// Most links of one span.
pub(super) const SPAN_LINKS: u64 = 20;
/// A span ends with the link that brings it above this size, in bytes before compression.
const SPAN_BYTES: usize = 32 * 1024 * 1024;
/// An object is written when it has this size, in bytes before compression.
const OBJECT_BYTES: usize = 8 * 1024 * 1024;
/// Rows that one transaction takes away from the log.
const SLICE: u64 = 500;
/// Pause after each, so that others' writes come in between.
const PAUSE: Duration = Duration::from_millis(5);
const MEDIA_TYPE: &str = "application/gzip";
const NOUN: &str = "log";

/// What a turn came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// Spans that were archived.
    pub spans: u64,
    /// Their events.
    pub events: u64,
    /// Events that left the log, those of an earlier turn among them.
    pub removed: u64,
    /// Whether the time was over before all was done.
    pub more: bool,
}

/// Events of one workspace on their way into an object.
#[derive(Default)]
struct Object {
    lines: Vec<u8>,
    /// The first event's and the last one's.
    ends: Option<(Event, Event)>,
    events: i64,
}

/// A span under way.
struct Writing {
    id: Uuid,
    link_from: i64,
    objects: BTreeMap<TenantId, Object>,
    bytes: usize,
    events: i64,
    written: u64,
}

impl Store {
    /// Archives events that are older than `keep`, by whole links of the chain, and takes them away from the log; begins
    /// nothing new once `within` is over. What a consumer group that is not abandoned has not settled stays. `progress` hears
    /// after each span. It may be ended at any point, and goes on from there when called again.
    ///
    /// # Errors
    /// When the database fails; what was done until then stays.
    pub async fn archive_events(
        &self,
        keep: Duration,
        within: Duration,
        progress: impl Fn(Archived) -> BoxFuture<'static, ()> + Send + Sync,
    ) -> Result<Archived> {
        let until = Instant::now() + within;
        let mut done = Archived::default();
        self.drop_unsealed().await?;
        loop {
            done.more = !self.remove_archived(until, &mut done.removed).await?;
            if done.more {
                return Ok(done);
            }
            let span = self.old_links(keep).await?;
            let Some(first) = span.first() else {
                return Ok(done);
            };
            if Instant::now() > until {
                done.more = true;
                return Ok(done);
            }
            tracing::debug!(link = first.number, "archiving events");
            done.events += self.archive_span(&span).await?;
            done.spans += 1;
            progress(done).await;
        }
    }

    /// Objects of a span that was never sealed are of no use.
    async fn drop_unsealed(&self) -> Result<()> {
        let ctx = Ctx::system(self.clock().clone());
        let rows = self.read(&ctx, |tx| async move {
            let query = tx.find_as_system::<archive::Entity>()?;
            query
                .filter(archive::Column::Unsealed.is_not_null())
                .limit(10_000)
                .rows(&tx)
                .await
        });
        for row in rows.await? {
            let own = ctx.system_in(TenantId(row.tenant_id));
            let (id, blob) = (row.id, row.blob_id);
            self.write(&own, |tx| async move {
                let gone = tx
                    .delete::<archive::Entity>()
                    .filter(archive::Column::Id.eq(id))
                    .filter(archive::Column::Unsealed.is_not_null());
                match tx.run_delete(gone).await? {
                    0 => Ok(()),
                    _ => tx.delete_blobs(&[blob]).await,
                }
            })
            .await?;
        }
        Ok(())
    }

    /// The links to be archived next.
    async fn old_links(&self, keep: Duration) -> Result<Vec<link::Model>> {
        let ctx = Ctx::system(self.clock().clone());
        let groups = self.oldest_group().await?;
        let keep = chrono::Duration::from_std(keep).unwrap_or(chrono::Duration::MAX);
        let Some(before) = self.clock().now().checked_sub_signed(keep) else {
            return Ok(Vec::new());
        };
        let read = self.read(&ctx, |tx| async move {
            let floor = log_row(&tx).await?.floor_link;
            links(&tx, floor, SPAN_LINKS).await
        });
        let mut old = Vec::new();
        for link in read.await? {
            let until = Cursor::from_str(&link.until)?;
            let settled = groups.is_none_or(|group| group.position >= until.position);
            // A link is made after all of its events.
            if link.at >= before || !settled {
                break;
            }
            old.push(link);
        }
        Ok(old)
    }

    async fn archive_span(&self, span: &[link::Model]) -> Result<u64> {
        let ctx = Ctx::system(self.clock().clone());
        let mut writing = Writing {
            id: new_id(),
            link_from: span.first().map_or(0, |link| link.number),
            objects: BTreeMap::new(),
            bytes: 0,
            events: 0,
            written: 0,
        };
        let mut last = None;
        for link in span {
            let found = self.read(&ctx, |tx| {
                let link = link.clone();
                async move { whole_link(&tx, &link).await }
            });
            let events = found.await?;
            if i64::try_from(events.len()).unwrap_or(i64::MAX) != link.events {
                // Archived, what was taken away would be forgotten.
                let words = format!(
                    "link {} of the audit trail is not whole: see `audit verify`",
                    link.number
                );
                return Err(Error::conflict("chain_broken", words));
            }
            for event in events {
                self.take(&mut writing, event, link.number).await?;
            }
            last = Some(link);
            if writing.bytes > SPAN_BYTES {
                break;
            }
        }
        let Some(last) = last else { return Ok(0) };
        for (tenant, object) in std::mem::take(&mut writing.objects) {
            self.put(&mut writing, tenant, object, last.number).await?;
        }
        self.seal(&writing, last).await?;
        counter!("synapscale_events_archived_total").increment(writing.events.unsigned_abs());
        Ok(writing.events.unsigned_abs())
    }

    async fn take(&self, writing: &mut Writing, event: Event, link: i64) -> Result<()> {
        let row = String::from_utf8(canonical(&event)?).map_err(Error::internal)?;
        let Position { epoch, xid, seq } = event.cursor.position;
        let line = Line {
            place: [epoch, xid, seq],
            row: RawValue::from_string(row).map_err(Error::internal)?,
        };
        let tenant = event.tenant;
        let object = writing.objects.entry(tenant).or_default();
        let before = object.lines.len();
        serde_json::to_writer(&mut object.lines, &line).map_err(Error::internal)?;
        object.lines.push(b'\n');
        object.events += 1;
        object.ends = Some(match object.ends.take() {
            None => (event.clone(), event),
            Some((first, _)) => (first, event),
        });
        writing.bytes += object.lines.len() - before;
        writing.events += 1;
        if object.lines.len() >= OBJECT_BYTES
            && let Some(full) = writing.objects.remove(&tenant)
        {
            self.put(writing, tenant, full, link).await?;
        }
        Ok(())
    }

    /// Writes one object; compressing is done before the transaction.
    async fn put(
        &self,
        writing: &mut Writing,
        tenant: TenantId,
        object: Object,
        link_until: i64,
    ) -> Result<()> {
        let Some((first, last)) = object.ends else {
            return Ok(());
        };
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&object.lines).map_err(Error::internal)?;
        let content = gzip.finish().map_err(Error::internal)?;
        let (from, until) = (first.cursor.position, last.cursor.position);
        let row = archive::Model {
            tenant_id: tenant.0,
            id: new_id(),
            unsealed: Some(writing.id),
            link_from: writing.link_from,
            link_until,
            first_epoch: from.epoch,
            first_xid: from.xid,
            first_seq: from.seq,
            last_epoch: until.epoch,
            last_xid: until.xid,
            last_seq: until.seq,
            events: object.events,
            first_at: first.at,
            last_at: last.at,
            blob_id: Uuid::nil(),
            size_bytes: i64::try_from(content.len()).unwrap_or(i64::MAX),
            sha256: digest(&SHA256, &content).as_ref().to_vec(),
            created_at: self.clock().now(),
        };
        let own = Ctx::system(self.clock().clone()).system_in(tenant);
        self.write(&own, |tx| {
            let (row, content) = (row.clone(), content.clone());
            async move {
                let blob = tx.put_blob(MEDIA_TYPE, &content).await?;
                tx.insert::<archive::Entity>(archive::Model {
                    blob_id: blob.id,
                    ..row
                })
                .await
            }
        })
        .await?;
        writing.written += 1;
        Ok(())
    }

    /// From here on the span counts, and the log begins behind it.
    async fn seal(&self, writing: &Writing, last: &link::Model) -> Result<()> {
        let ctx = Ctx::system(self.clock().clone());
        let (span, written, link_from) = (writing.id, writing.written, writing.link_from);
        let told = EventsArchived {
            link_from,
            link_until: last.number,
            events: writing.events,
            objects: i64::try_from(written).unwrap_or(i64::MAX),
        };
        let (number, until) = (last.number, last.until.as_str());
        let sealed = self.write(&ctx, |tx| {
            let event = NewEvent::new(NOUN, span, &told);
            async move {
                let objects = tx
                    .update_as_system::<archive::Entity>()?
                    .col_expr(archive::Column::Unsealed, Expr::val(None::<Uuid>))
                    .col_expr(archive::Column::LinkUntil, Expr::val(number))
                    .filter(archive::Column::Unsealed.eq(span));
                let floor = tx
                    .update_as_system::<log::Entity>()?
                    .col_expr(log::Column::Floor, Expr::val(until))
                    .col_expr(log::Column::FloorLink, Expr::val(number))
                    .filter(log::Column::FloorLink.eq(link_from - 1));
                // Another process that did the same was faster, or took these objects for a dead one's.
                if tx.run_update(objects).await? != written || tx.run_update(floor).await? != 1 {
                    return Err(Error::conflict(
                        "archived_elsewhere",
                        "Another process archives these events.",
                    ));
                }
                tx.emit(event);
                Ok(())
            }
        });
        sealed.await
    }

    /// Takes archived events away from the log; false when the time was over before all were gone.
    async fn remove_archived(&self, until: Instant, removed: &mut u64) -> Result<bool> {
        let ctx = Ctx::system(self.clock().clone());
        loop {
            let slice = self.write(&ctx, |tx| async move { remove_slice(&tx).await });
            let gone = slice.await?;
            *removed += gone;
            if gone < SLICE {
                return Ok(true);
            }
            if Instant::now() > until {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn remove_slice(tx: &Tx) -> Result<u64> {
    let Some(floor) = log_row(tx).await?.floor else {
        return Ok(0);
    };
    let floor = Cursor::from_str(&floor)?.position;
    let until = nth_until(tx, floor, SLICE).await?.unwrap_or(floor);
    let done = tx.execute_raw(sql::remove_until(tx, until)).await;
    done.map(|done| done.rows_affected()).map_err(IntoCore::into_core)
}
