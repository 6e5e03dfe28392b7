//! A run from its acceptance to its end.

pub(crate) mod burst;
pub(crate) mod claim;
pub(crate) mod direct;
pub(crate) mod drive;
pub(crate) mod entity;
pub(crate) mod events;
pub(crate) mod external;
pub(crate) mod job;
pub(crate) mod journal;
pub(crate) mod live;
pub(crate) mod load;
pub(crate) mod model;
pub(crate) mod nested;
pub(crate) mod persist;
pub(crate) mod privacy;
pub(crate) mod purge;
pub(crate) mod rerun;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod signal;
pub(crate) mod spans;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod step;
pub(crate) mod unfold;
pub(crate) mod views;
