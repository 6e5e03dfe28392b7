//! Projects and tasks through the gate, on both databases.

mod comments;
mod filters;
mod home;
mod imports;
mod links;
mod recurrence;
mod search;
mod time;
mod trash;
