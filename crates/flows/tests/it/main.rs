//! Workflows as this domain and the engine run them, on both databases.

mod cycles;
mod faults;
mod foreach;
mod limits;
mod nested;
mod rig;
mod runs;
mod triggers;
