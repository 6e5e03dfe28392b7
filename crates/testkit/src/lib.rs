//! What the tests share: both databases, the check of every statement's tenant, stand-in servers.

pub mod collector;
mod database;
mod guard;
pub mod policies;
pub mod providers;
mod proxy;
mod receiver;

pub use collector::Collector;
pub use database::{TestDb, redis_url};
pub use guard::TenantGuard;
pub use proxy::Proxy;
pub use receiver::{Received, Receiver};

/// Writes a test once and runs it on SQLite and on PostgreSQL.
///
/// ```ignore
/// db_test! { async fn keeps_rows(db: TestDb) { … } }
/// ```
#[macro_export]
macro_rules! db_test {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident: TestDb) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$meta])*
            async fn body($db: &$crate::TestDb) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let db = $crate::TestDb::sqlite();
                body(&db).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let db = $crate::TestDb::postgres().await;
                body(&db).await;
                db.discard().await;
            }
        }
    )*};
}
