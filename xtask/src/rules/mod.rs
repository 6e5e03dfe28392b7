//! The house rules, each a small function from the repository to the places that break it.

mod docs;
mod files;
mod hosts;
mod layers;
mod sql;

use crate::tidy::{Repo, Violation};

pub type Rule = fn(&Repo) -> Vec<Violation>;

/// Every rule with the name that its reports carry.
pub const ALL: &[(&str, Rule)] = &[
    ("first-line", files::first_line),
    ("file-length", files::length),
    ("layers", layers::layers),
    ("no-features", layers::no_features),
    ("raw-sql", sql::raw_sql),
    ("registry-host", hosts::registry_host),
    ("map-length", docs::map_length),
    ("adr-index", docs::adr_index),
];
