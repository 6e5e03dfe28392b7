//! Workflows as this domain and the engine run them, on both databases.

mod foreach;
mod nested;
mod rig;
