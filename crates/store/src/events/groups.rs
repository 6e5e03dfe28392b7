//! Where consumer groups stand: a durable cursor under a lease, on the database's clock.

use super::cursor::Cursor;
use super::entity::{dead_letter, group, groups, mark};
use super::read::{self, EventFilter};
use crate::scoped::Scoped;
use crate::store::Store;
use crate::tx::Tx;
use chrono::{DateTime, Duration, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder};
use std::str::FromStr;
use synapscale_core::{Ctx, Error, Result};
use uuid::Uuid;

/// Marks that one statement deletes.
const MARKS: usize = 500;

/// How long a consumer holds its group without a sign of life.
pub(crate) const LEASE: Duration = Duration::seconds(30);
/// A group that no process has held for this long is abandoned: nothing waits for it any more, neither the archive nor Redis.
pub const ABANDONED: Duration = Duration::days(7);
/// Waiting events are counted up to this number.
pub const MAX_WAITING: u32 = 10_000;

/// A group that this process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Everything up to here is settled.
    pub cursor: Cursor,
    /// Raised by each new holder; every write of a holder is guarded by it.
    pub lease_epoch: i64,
}

/// Where a group stands, as one workspace sees it; as an elevated context sees it, over all of them.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    /// The group's name.
    pub name: String,
    /// Everything up to here is settled.
    pub cursor: String,
    /// Whether somebody holds the group at present.
    pub held: bool,
    /// Events that wait for it, counted up to [`MAX_WAITING`].
    pub waiting: u64,
    /// When the oldest of them happened.
    pub oldest_waiting: Option<DateTime<Utc>>,
    /// Events that it gave up.
    pub dead_letters: u64,
    /// When a process held it last, within the half of a minute.
    pub seen_at: Option<DateTime<Utc>>,
    /// Whether that is so long ago that nothing waits for it any more.
    pub abandoned: bool,
}

impl Store {
    /// Takes or renews the group's lease for `owner`. None while somebody else holds it.
    pub(crate) async fn claim_group(&self, name: &'static str, owner: Uuid) -> Result<Option<Held>> {
        let head = self.event_start()?;
        let ctx = Ctx::system(self.clock().clone());
        // Most looks find the lease young: they need no write.
        let young = self.read(&ctx, |tx| async move { still_held(&tx, name, owner).await });
        if let Some(held) = young.await? {
            return Ok(Some(held));
        }
        self.write(&ctx, |tx| async move { claim(&tx, name, owner, head).await })
            .await
    }

    fn event_start(&self) -> Result<Cursor> {
        Ok(Cursor {
            log: super::identity(self)?.id,
            position: Default::default(),
        })
    }

    /// Gives the lease up, so that another process need not wait until it runs out.
    pub(crate) async fn release_group(&self, name: &'static str, owner: Uuid) -> Result<()> {
        let ctx = Ctx::system(self.clock().clone());
        self.write(&ctx, |tx| async move {
            let now = tx.now().await?;
            let update = tx
                .update_as_system::<group::Entity>()?
                .col_expr(group::Column::LeaseUntil, Expr::val(None::<DateTime<Utc>>))
                .col_expr(group::Column::SeenAt, Expr::val(now))
                .filter(group::Column::Name.eq(name))
                .filter(group::Column::Owner.eq(owner));
            tx.run_update(update).await.map(drop)
        })
        .await
    }

    /// Everything up to `cursor` is settled, `settled` among it.
    pub(crate) async fn advance(
        &self,
        name: &'static str,
        cursor: Cursor,
        lease_epoch: i64,
        settled: &[Uuid],
    ) -> Result<()> {
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
            // What was handled is behind the cursor now, which keeps it from coming again. Failures still count, and so do
            // marks that an earlier holder left ahead of the cursor.
            for some in settled.chunks(MARKS) {
                let marks = tx
                    .delete_as_system::<mark::Entity>()?
                    .filter(mark::Column::Consumer.eq(name))
                    .filter(mark::Column::EventId.is_in(some.iter().copied()))
                    .filter(mark::Column::Attempts.eq(0));
                tx.run_delete(marks).await?;
            }
            Ok(())
        })
        .await
    }

    /// Where the oldest group stands that is not abandoned: what lies before it nobody waits for. None without any.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn oldest_group(&self) -> Result<Option<Cursor>> {
        let ctx = Ctx::system(self.clock().clone());
        let read = self.read(&ctx, |tx| async move {
            Ok((tx.now().await?, groups().rows(&tx).await?))
        });
        let (now, rows) = read.await?;
        let mut oldest: Option<Cursor> = None;
        for row in rows.iter().filter(|row| !abandoned(row, now)) {
            let cursor = Cursor::from_str(&row.cursor)?;
            if oldest.is_none_or(|known| cursor.position < known.position) {
                oldest = Some(cursor);
            }
        }
        Ok(oldest)
    }
}

/// A group, and whether anybody works for it.
#[derive(Clone, Debug)]
pub struct GroupPlace {
    /// The group's name.
    pub name: String,
    /// Whether no process has held it for [`ABANDONED`].
    pub abandoned: bool,
}

impl Tx {
    /// All consumer groups by name, without counting what waits for them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn consumer_places(&self) -> Result<Vec<GroupPlace>> {
        let now = self.now().await?;
        let rows = groups().order_by_asc(group::Column::Name).rows(self).await?;
        let place = |row: group::Model| GroupPlace {
            abandoned: abandoned(&row, now),
            name: row.name,
        };
        Ok(rows.into_iter().map(place).collect())
    }

    /// All consumer groups by name, with what waits for them and what they gave up: of this workspace, or of all of them
    /// under an elevated context.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn consumer_groups(&self) -> Result<Vec<GroupStatus>> {
        let now = self.now().await?;
        let rows = groups().order_by_asc(group::Column::Name).rows(self).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let cursor = Cursor::from_str(&row.cursor)?;
            let (waiting, oldest_waiting) =
                read::waiting(self, &cursor, &EventFilter::default(), MAX_WAITING).await?;
            all.push(GroupStatus {
                dead_letters: self.dead_letters_of(&row.name).await?,
                held: row.lease_until.is_some_and(|until| until > now),
                abandoned: abandoned(&row, now),
                seen_at: row.seen_at,
                name: row.name,
                cursor: row.cursor,
                waiting,
                oldest_waiting,
            });
        }
        Ok(all)
    }

    async fn dead_letters_of(&self, group: &str) -> Result<u64> {
        use crate::errors::IntoCore;
        use synapscale_core::Privilege;
        let query = match self.ctx().privilege() {
            Privilege::Tenant => self.find::<dead_letter::Entity>(),
            Privilege::System => self.find_as_system::<dead_letter::Entity>()?,
        };
        query
            .filter(dead_letter::Column::Consumer.eq(group))
            .count(self)
            .await
            .map_err(IntoCore::into_core)
    }
}

/// The group, if its lease is `owner`'s and far from its end.
async fn still_held(tx: &Tx, name: &str, owner: Uuid) -> Result<Option<Held>> {
    let Some(row) = group_row(tx, name).await? else {
        return Ok(None);
    };
    let young = tx.now().await? + LEASE / 2;
    match row.owner == Some(owner) && row.lease_until.is_some_and(|until| until > young) {
        true => held(&row).map(Some),
        false => Ok(None),
    }
}

async fn claim(tx: &Tx, name: &str, owner: Uuid, start: Cursor) -> Result<Option<Held>> {
    tx.lock_globally(&lock_key(name)).await?;
    let now = tx.now().await?;
    let Some(mut row) = group_row(tx, name).await? else {
        let row = group::Model {
            name: name.to_owned(),
            cursor: start.to_string(),
            owner: Some(owner),
            lease_epoch: 1,
            lease_until: Some(now + LEASE),
            seen_at: Some(now),
        };
        tx.insert_as_system::<group::Entity>(row.clone()).await?;
        return held(&row).map(Some);
    };
    let mine = row.owner == Some(owner);
    if !mine && row.lease_until.is_some_and(|until| until > now) {
        return Ok(None);
    }
    row.lease_epoch += i64::from(!mine);
    let update = tx
        .update_as_system::<group::Entity>()?
        .col_expr(group::Column::Owner, Expr::val(owner))
        .col_expr(group::Column::LeaseEpoch, Expr::val(row.lease_epoch))
        .col_expr(group::Column::LeaseUntil, Expr::val(now + LEASE))
        .col_expr(group::Column::SeenAt, Expr::val(now))
        .filter(group::Column::Name.eq(name));
    tx.run_update(update).await?;
    held(&row).map(Some)
}

fn held(row: &group::Model) -> Result<Held> {
    Ok(Held {
        cursor: Cursor::from_str(&row.cursor)?,
        lease_epoch: row.lease_epoch,
    })
}

async fn group_row(tx: &Tx, name: &str) -> Result<Option<group::Model>> {
    groups().filter(group::Column::Name.eq(name)).row(tx).await
}

fn abandoned(row: &group::Model, now: DateTime<Utc>) -> bool {
    row.seen_at.is_some_and(|at| now - at > ABANDONED) && row.lease_until.is_none_or(|until| until < now)
}

/// Whether nothing works for the group any more.
pub(crate) async fn is_abandoned(tx: &Tx, name: &str, now: DateTime<Utc>) -> Result<bool> {
    Ok(group_row(tx, name).await?.is_none_or(|row| abandoned(&row, now)))
}

/// Groups of before it was noted when one was seen: their time begins now.
pub(crate) async fn begin_counting(tx: &Tx) -> Result<()> {
    let now = tx.now().await?;
    let unseen = tx
        .update_as_system::<group::Entity>()?
        .col_expr(group::Column::SeenAt, Expr::val(now))
        .filter(group::Column::SeenAt.is_null());
    tx.run_update(unseen).await.map(drop)
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

/// Refuses a consumer whose lease was taken over in the meantime; until the transaction ends nobody takes it.
pub(crate) async fn guard(tx: &Tx, name: &str, lease_epoch: i64) -> Result<()> {
    tx.lock_globally(&lock_key(name)).await?;
    match group_row(tx, name).await? {
        Some(row) if row.lease_epoch == lease_epoch => Ok(()),
        _ => Err(lease_lost(name)),
    }
}
