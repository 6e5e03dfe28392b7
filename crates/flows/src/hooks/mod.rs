//! Hooks: the URLs of webhook triggers. Who sent a delivery, whether it came before, and what is answered.

pub(crate) mod answer;
pub(crate) mod body;
pub mod cache;
pub(crate) mod deliver;
pub mod http;
pub(crate) mod manage;
pub(crate) mod secret;
pub mod verify;

use verify::Scheme;

/// The scheme that `word` names. The database holds no other words; should it, nothing opens that hook.
pub(crate) fn scheme_of(word: &str) -> Scheme {
    [Scheme::Github, Scheme::Gitlab, Scheme::None]
        .into_iter()
        .find(|scheme| scheme.as_str() == word)
        .unwrap_or(Scheme::StandardWebhooks)
}
