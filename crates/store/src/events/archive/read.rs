//! Reading the archive: as a part of the log for who asks for old events, and for the chain.

use super::super::cursor::{Cursor, Position};
use super::super::entity::archive;
use super::super::read::{Event, EventBatch, EventFilter, wants};
use super::write::SPAN_LINKS;
use super::{Line, end, event, first_of, last_of};
use crate::scoped::Scoped;
use crate::store::Store;
use crate::tx::Tx;
use aws_lc_rs::digest::{SHA256, digest};
use flate2::read::GzDecoder;
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use std::io::Read;
use synapscale_core::{Ctx, Error, Result, TenantId};

/// Objects that one call reads.
const OBJECTS: u64 = 4;
/// Largest object, in bytes before compression; one is written when it is a good deal smaller.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// `(epoch, xid, seq)` of an object's first or last event against a place.
fn beyond(columns: [archive::Column; 3], place: Position, after: bool) -> SimpleExpr {
    let [epoch, xid, seq] = columns.map(|column| Expr::col((archive::Entity, column)));
    let (e, x, s) = (Expr::val(place.epoch), Expr::val(place.xid), Expr::val(place.seq));
    let tuple = Expr::tuple([epoch, xid, seq]);
    let place = Expr::tuple([e, x, s]);
    match after {
        true => tuple.gt(place),
        false => tuple.lt(place),
    }
}

fn lines(row: &archive::Model, content: &[u8]) -> Result<Vec<(Position, Line)>> {
    let unreadable = |why: &str| Error::internal(format!("archive {} {why}", row.id));
    if digest(&SHA256, content).as_ref() != row.sha256 {
        return Err(unreadable("is not what was written").with_code("archive_changed"));
    }
    let mut plain = Vec::new();
    GzDecoder::new(content)
        .take(MAX_BYTES)
        .read_to_end(&mut plain)
        .map_err(|error| unreadable(&error.to_string()))?;
    plain
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let line: Line = serde_json::from_slice(line).map_err(|error| unreadable(&error.to_string()))?;
            let [epoch, xid, seq] = line.place;
            Ok((Position { epoch, xid, seq }, line))
        })
        .collect()
}

async fn object(tx: &Tx, row: &archive::Model) -> Result<Vec<(Position, Line)>> {
    lines(row, &tx.get_blob(row.blob_id).await?)
}

impl Tx {
    /// As [`Tx::events`], and what left the log is read from the archive: for a workspace's own look at its past. `more` in
    /// the answer says that there is more although less than `limit` was found: a call reads a few objects only.
    ///
    /// # Errors
    /// As [`Tx::events`]; `archive_changed` for an object that is not as it was written.
    pub async fn events_and_archived(
        &self,
        from: Option<&Cursor>,
        filter: &EventFilter,
        limit: u32,
        newest_first: bool,
    ) -> Result<EventBatch> {
        match newest_first {
            true => self.back(from, filter, limit).await,
            false => self.forth(from, filter, limit).await,
        }
    }

    async fn forth(&self, from: Option<&Cursor>, filter: &EventFilter, limit: u32) -> Result<EventBatch> {
        let log = self
            .shared()
            .log
            .get()
            .copied()
            .ok_or_else(super::super::not_migrated)?;
        let start = from.map_or_else(Position::default, |cursor| cursor.position);
        let Some(end) = end(self).await?.filter(|end| *end > start) else {
            return self.events(from, filter, limit, false).await;
        };
        let (mut reached, mut found) = (start, Vec::new());
        let rows = self.objects_after(start).await?;
        for row in &rows {
            for (place, line) in object(self, row).await? {
                if place <= start || found.len() >= limit as usize {
                    continue;
                }
                self.take_line(&line, place, filter, &mut found)?;
                reached = place;
            }
            if found.len() >= limit as usize {
                break;
            }
        }
        let cursor = |position| Cursor {
            log: log.id,
            position,
        };
        if found.len() < limit as usize && reached >= end {
            let left = limit - u32::try_from(found.len()).unwrap_or(limit);
            let rest = self.events(Some(&cursor(end)), filter, left, false).await?;
            found.extend(rest.events);
            return Ok(EventBatch {
                next: rest.next,
                events: found,
                more: rest.more,
            });
        }
        Ok(EventBatch {
            next: cursor(reached),
            events: found,
            more: true,
        })
    }

    async fn back(&self, from: Option<&Cursor>, filter: &EventFilter, limit: u32) -> Result<EventBatch> {
        let mut batch = self.events(from, filter, limit, true).await?;
        if batch.events.len() >= limit as usize {
            return Ok(batch);
        }
        let start = match (batch.events.last(), from) {
            (Some(last), _) => Some(last.cursor.position),
            (None, from) => from.map(|cursor| cursor.position),
        };
        let rows = self.objects_before(start).await?;
        let all = rows.len() < OBJECTS as usize;
        for row in &rows {
            let mut lines = object(self, row).await?;
            lines.reverse();
            for (place, line) in lines {
                if start.is_some_and(|start| place >= start) || batch.events.len() >= limit as usize {
                    continue;
                }
                self.take_line(&line, place, filter, &mut batch.events)?;
                batch.next.position = place;
            }
            if batch.events.len() >= limit as usize {
                batch.more = true;
                return Ok(batch);
            }
        }
        batch.more = !all;
        Ok(batch)
    }

    fn take_line(
        &self,
        line: &Line,
        place: Position,
        filter: &EventFilter,
        to: &mut Vec<Event>,
    ) -> Result<()> {
        let log = self
            .shared()
            .log
            .get()
            .copied()
            .ok_or_else(super::super::not_migrated)?;
        let cursor = Cursor {
            log: log.id,
            position: place,
        };
        let event = event(&line.row, cursor)?;
        if event.tenant == self.ctx().tenant() && wants(filter, &event) {
            to.push(event);
        }
        Ok(())
    }

    async fn objects_after(&self, place: Position) -> Result<Vec<archive::Model>> {
        use archive::Column::{LastEpoch, LastSeq, LastXid, Unsealed};
        let query = self
            .find::<archive::Entity>()
            .filter(Unsealed.is_null())
            .filter(beyond([LastEpoch, LastXid, LastSeq], place, true));
        let query = query
            .order_by_asc(LastEpoch)
            .order_by_asc(LastXid)
            .order_by_asc(LastSeq);
        query.limit(OBJECTS).rows(self).await
    }

    async fn objects_before(&self, place: Option<Position>) -> Result<Vec<archive::Model>> {
        use archive::Column::{FirstEpoch, FirstSeq, FirstXid, LastEpoch, LastSeq, LastXid, Unsealed};
        let mut query = self.find::<archive::Entity>().filter(Unsealed.is_null());
        if let Some(place) = place {
            query = query.filter(beyond([FirstEpoch, FirstXid, FirstSeq], place, false));
        }
        let query = query
            .order_by_desc(LastEpoch)
            .order_by_desc(LastXid)
            .order_by_desc(LastSeq);
        query.limit(OBJECTS).rows(self).await
    }
}

/// All workspaces' archived events of one span, for the chain.
pub(crate) struct Span {
    from: Position,
    until: Position,
    rows: Vec<(Position, String)>,
}

impl Span {
    /// The span that holds the events of link `number`.
    ///
    /// # Errors
    /// When the database fails, or an object cannot be read.
    pub async fn of_link(store: &Store, number: i64) -> Result<Self> {
        let ctx = Ctx::system(store.clock().clone());
        let read = store.read(&ctx, |tx| async move {
            let query = tx
                .find_as_system::<archive::Entity>()?
                .filter(archive::Column::Unsealed.is_null())
                .filter(archive::Column::LinkUntil.gte(number))
                .filter(archive::Column::LinkUntil.lt(number.saturating_add_unsigned(SPAN_LINKS)))
                .filter(archive::Column::LinkFrom.lte(number));
            query.rows(&tx).await
        });
        let mut span = Span {
            from: Position::default(),
            until: Position::default(),
            rows: Vec::new(),
        };
        for row in read.await? {
            let own = ctx.system_in(TenantId(row.tenant_id));
            let content = store.read(&own, |tx| {
                let blob = row.blob_id;
                async move { tx.get_blob(blob).await }
            });
            let found = lines(&row, &content.await?)?;
            let (first, last) = (first_of(&row), last_of(&row));
            span.from = if span.rows.is_empty() {
                first
            } else {
                span.from.min(first)
            };
            span.until = span.until.max(last);
            span.rows.extend(
                found
                    .into_iter()
                    .map(|(place, line)| (place, line.row.get().to_owned())),
            );
        }
        span.rows.sort_unstable_by_key(|(place, _)| *place);
        Ok(span)
    }

    /// Whether the events between these places stand in it.
    pub fn covers(&self, until: Position) -> bool {
        self.from <= until && until <= self.until
    }

    /// What the chain's digests are taken over, of the events between two places.
    pub fn between(&self, since: Position, until: Position) -> impl Iterator<Item = &[u8]> {
        self.rows
            .iter()
            .filter(move |(place, _)| *place > since && *place <= until)
            .map(|(_, row)| row.as_bytes())
    }
}
