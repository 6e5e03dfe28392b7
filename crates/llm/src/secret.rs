//! Keys: wiped from memory when dropped, never shown.

use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A key. Cheap to clone; the copies share one memory, wiped with the last.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes the key over.
    pub fn new(key: String) -> Self {
        Secret(Arc::new(Zeroizing::new(key)))
    }

    /// The key itself, for a header and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}
