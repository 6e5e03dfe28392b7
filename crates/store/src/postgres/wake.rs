//! Waking other processes: one NOTIFY for many commits, sent after them, and a listener that wakes this process.
//! Only a hint; whoever waits also polls.

use crate::store::Wakes;
use sqlx::postgres::{PgListener, PgPool};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const CHANNEL: &str = "synapscale_wake";
/// Commits within this time share one NOTIFY.
const COALESCE: Duration = Duration::from_millis(5);
/// Pause before listening again after the connection was lost.
const RECONNECT: Duration = Duration::from_secs(1);

/// Sends a NOTIFY whenever `dirty` was signalled, at most one for each [`COALESCE`].
pub(crate) async fn notify_loop(pool: PgPool, dirty: Arc<Notify>) {
    loop {
        dirty.notified().await;
        tokio::time::sleep(COALESCE).await;
        // A lost hint costs one poll interval, nothing else.
        let sent = sqlx::query("NOTIFY synapscale_wake").execute(&pool).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "wake-up not sent");
        }
    }
}

/// Wakes this process for every NOTIFY of any process.
pub(crate) async fn listen(pool: PgPool, wakes: Wakes) {
    loop {
        let heard: Result<(), sqlx::Error> = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            loop {
                listener.recv().await?;
                wakes.wake_local();
            }
        }
        .await;
        if let Err(error) = heard {
            tracing::debug!(%error, "listening again");
        }
        tokio::time::sleep(RECONNECT).await;
    }
}
