//! Figures of the pools, for `/metrics`.

use crate::turnstile::Turnstile;
use metrics::gauge;
use sqlx::postgres::PgPool;
use std::time::Duration;

/// How often they are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Tells how many connections there are and how many of them are lent, and how many callers wait, until the pool is closed.
pub(crate) async fn figures(pool: PgPool, control: PgPool, turnstile: Turnstile) {
    while !pool.is_closed() {
        for (name, pool) in [("calls", &pool), ("system", &control)] {
            let open = f64::from(pool.size());
            #[allow(clippy::cast_precision_loss, reason = "a few connections")]
            let idle = pool.num_idle() as f64;
            gauge!("synapscale_database_connections", "pool" => name).set(open);
            gauge!("synapscale_database_connections_lent", "pool" => name).set((open - idle).max(0.0));
        }
        #[allow(clippy::cast_precision_loss, reason = "counted up to 16,384")]
        gauge!("synapscale_database_calls_waiting").set(turnstile.waiting() as f64);
        tokio::time::sleep(EVERY).await;
    }
}
