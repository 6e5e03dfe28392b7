//! A place to watch every statement that is sent; the tests parse them there.

use synapscale_core::Ctx;

/// Sees each statement before it is sent, with the context that it is sent for.
pub trait StatementObserver: Send + Sync {
    /// Called with the SQL text. An `Err` refuses the statement with that reason.
    fn observe(&self, ctx: &Ctx, sql: &str) -> Result<(), String>;
}
