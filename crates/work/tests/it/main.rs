//! Projects and tasks through the gate, on both databases.

mod comments;
mod home;
mod links;
mod time;
mod trash;
