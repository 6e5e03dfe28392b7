//! Trimming: entries that every group has settled leave the stream. A group that nobody reads any more would keep all that
//! come after for ever; it is taken away after a while, and told of in the figures until then.

use super::streams::{Streams, entry_id, position};
use crate::events::Position;
use metrics::{counter, gauge};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use synapscale_core::{Error, Result};

/// One group, as `XINFO GROUPS` tells of it.
type Told = HashMap<String, ::redis::Value>;

/// What `XPENDING` sums up: how many, the first, the last, by whom.
type Pending = (u64, Option<String>, ::redis::Value, ::redis::Value);

/// Trims a stream and remembers which groups stand still.
pub(super) struct Trimmer {
    /// What each group that is behind waits for, and since when.
    behind: HashMap<String, (Position, Instant)>,
    patience: Duration,
}

impl Trimmer {
    pub fn new(patience: Duration) -> Self {
        Trimmer {
            behind: HashMap::new(),
            patience,
        }
    }

    /// Takes away what every group of the stream has settled. The last entry, at `end`, always stays: it says where the
    /// stream ends.
    pub async fn trim(&mut self, streams: &Streams, end: Position) -> Result<()> {
        let mut info = ::redis::cmd("XINFO");
        info.arg("GROUPS").arg(&streams.events);
        let groups: Vec<Told> = match streams.redis.ask(&info).await {
            Ok(groups) => groups,
            // There is no stream any more; the next append finds out.
            Err(error) if error.code() == "redis_refused" => return Ok(()),
            Err(error) => return Err(error),
        };
        let (mut oldest, mut seen) = (end, Vec::with_capacity(groups.len()));
        for group in groups {
            let name = text(&group, "name")?;
            let held = held(streams, &group, &name).await?;
            if self.stands_still(&name, held, end) {
                self.destroy(streams, &name).await?;
                continue;
            }
            oldest = oldest.min(held);
            seen.push(name);
        }
        self.behind.retain(|name, _| seen.contains(name));
        let mut command = ::redis::cmd("XTRIM");
        command.arg(&streams.events).arg("MINID").arg(entry_id(oldest)?);
        let gone: u64 = streams.redis.ask(&command).await?;
        counter!("synapscale_events_trimmed_total").increment(gone);
        Ok(())
    }

    /// Whether the group has waited for the same entry for too long.
    fn stands_still(&mut self, name: &str, held: Position, end: Position) -> bool {
        let still = gauge!("synapscale_redis_group_still_seconds", "group" => name.to_owned());
        if held >= end {
            self.behind.remove(name);
            still.set(0.0);
            return false;
        }
        let since = match self.behind.get(name) {
            Some((place, since)) if *place == held => *since,
            _ => Instant::now(),
        };
        self.behind.insert(name.to_owned(), (held, since));
        still.set(since.elapsed().as_secs_f64());
        since.elapsed() > self.patience
    }

    async fn destroy(&mut self, streams: &Streams, name: &str) -> Result<()> {
        tracing::warn!(
            group = name,
            "nobody reads this group of the stream in Redis; it is taken away"
        );
        let mut command = ::redis::cmd("XGROUP");
        command.arg("DESTROY").arg(&streams.events).arg(name);
        streams.redis.ask::<i64>(&command).await?;
        counter!("synapscale_redis_groups_taken_away_total").increment(1);
        self.behind.remove(name);
        Ok(())
    }
}

/// The oldest entry that the group holds: the first that is pending, else the last that it was given.
async fn held(streams: &Streams, group: &Told, name: &str) -> Result<Position> {
    let mut command = ::redis::cmd("XPENDING");
    command.arg(&streams.events).arg(name);
    let pending: Pending = streams.redis.ask(&command).await?;
    match pending.1 {
        Some(first) => position(&first),
        None => position(&text(group, "last-delivered-id")?),
    }
}

fn text(group: &Told, field: &str) -> Result<String> {
    let value = group.get(field).cloned().unwrap_or(::redis::Value::Nil);
    ::redis::from_redis_value(value).map_err(Error::internal)
}
