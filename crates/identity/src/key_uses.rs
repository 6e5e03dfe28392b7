//! When keys and sessions were last used: gathered in bounded memory, written once a minute at most, so that a request costs no commit.

use crate::entity::{api_key, session};
use chrono::{DateTime, DurationRound, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, QueryFilter};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use synapscale_core::{Ctx, Result};
use synapscale_store::{Store, Tx};
use uuid::Uuid;

/// Most keys whose use waits to be written; uses of further keys are not recorded until then.
const WAITING: usize = 10_000;
/// The shortest time between two writes for one key.
const PAUSE: Duration = Duration::from_secs(60);
/// Keys per statement.
const BATCH: usize = 500;

/// Uses by minute.
type Due = BTreeMap<DateTime<Utc>, Vec<Uuid>>;

/// Whose uses they are.
#[derive(Clone, Copy, Debug)]
pub enum Used {
    /// API keys.
    Keys,
    /// Sessions.
    Sessions,
}

/// Uses that wait to be written.
pub struct KeyUses {
    of: Used,
    waiting: Mutex<HashMap<Uuid, DateTime<Utc>>>,
    written: moka::sync::Cache<Uuid, ()>,
}

impl KeyUses {
    /// None yet.
    pub fn new(of: Used) -> Self {
        let written = moka::sync::Cache::builder()
            .max_capacity(WAITING as u64)
            .time_to_live(PAUSE)
            .build();
        KeyUses {
            of,
            waiting: Mutex::new(HashMap::new()),
            written,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, DateTime<Utc>>> {
        self.waiting.lock().unwrap_or_else(|p| p.into_inner())
    }

    /// Remembers that the key was used.
    pub fn note(&self, key_id: Uuid, at: DateTime<Utc>) {
        // To the minute: then one statement serves all keys of a minute.
        let at = at.duration_trunc(chrono::Duration::minutes(1)).unwrap_or(at);
        let mut waiting = self.lock();
        if waiting.len() < WAITING || waiting.contains_key(&key_id) {
            waiting.insert(key_id, at);
        }
    }

    fn take_due(&self) -> Due {
        let mut due = Due::new();
        self.lock().retain(|id, at| {
            let wait = self.written.contains_key(id);
            if !wait {
                due.entry(*at).or_default().push(*id);
            }
            wait
        });
        due
    }

    /// Writes what is due; answers how many keys.
    ///
    /// # Errors
    /// When the database fails; the uses wait for the next time.
    pub async fn flush(&self, store: &Store, ctx: &Ctx) -> Result<usize> {
        let due = Arc::new(self.take_due());
        if due.is_empty() {
            return Ok(0);
        }
        let (of, to_write) = (self.of, due.clone());
        let written = store
            .write(ctx, move |tx| {
                let due = to_write.clone();
                async move {
                    match of {
                        Used::Keys => write(&tx, &due).await,
                        Used::Sessions => write_sessions(&tx, &due).await,
                    }
                }
            })
            .await;
        if written.is_err() {
            let mut waiting = self.lock();
            for (at, ids) in due.iter() {
                for id in ids {
                    waiting.entry(*id).or_insert(*at);
                }
            }
        }
        written?;
        let mut count = 0;
        for id in due.values().flatten() {
            self.written.insert(*id, ());
            count += 1;
        }
        Ok(count)
    }
}

async fn write(tx: &Tx, due: &Due) -> Result<()> {
    for (at, ids) in due {
        for batch in ids.chunks(BATCH) {
            let older = Condition::any()
                .add(api_key::Column::LastUsedAt.is_null())
                .add(api_key::Column::LastUsedAt.lt(*at));
            let update = tx
                .update_as_system::<api_key::Entity>()?
                .col_expr(api_key::Column::LastUsedAt, Expr::val(*at))
                .filter(api_key::Column::Id.is_in(batch.iter().copied()))
                .filter(older);
            tx.run_update(update).await?;
        }
    }
    Ok(())
}

async fn write_sessions(tx: &Tx, due: &Due) -> Result<()> {
    for (at, ids) in due {
        for batch in ids.chunks(BATCH) {
            let update = tx
                .update_as_system::<session::Entity>()?
                .col_expr(session::Column::LastSeenAt, Expr::val(*at))
                .filter(session::Column::Id.is_in(batch.iter().copied()))
                .filter(session::Column::LastSeenAt.lt(*at));
            tx.run_update(update).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use synapscale_core::{Clock, new_id};

    #[test]
    fn uses_are_gathered_to_the_minute_and_bounded() {
        let uses = KeyUses::new(Used::Keys);
        let now = Clock::system().now();
        let key = new_id();
        for _ in 0..1000 {
            uses.note(key, now);
        }
        let due = uses.take_due();
        assert_eq!(due.values().flatten().collect::<Vec<_>>(), [&key]);
        assert!(due.keys().all(|at| at.timestamp() % 60 == 0));
        assert!(uses.take_due().is_empty());
        for _ in 0..WAITING + 10 {
            uses.note(new_id(), now);
        }
        assert_eq!(uses.lock().len(), WAITING);
    }

    #[test]
    fn a_key_just_written_waits() {
        let uses = KeyUses::new(Used::Keys);
        let key = new_id();
        uses.written.insert(key, ());
        uses.note(key, Clock::system().now());
        assert!(uses.take_due().is_empty());
        assert_eq!(uses.lock().len(), 1);
    }
}
