//! The text form of an API key: `syn_` and 256 random bits. Such a secret cannot be guessed, so one round of SHA-256
//! keeps it; a slow hash would only make every request slow. Comparing is a look-up of the hash in an index, whose timing
//! tells nothing of the secret.

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use synapscale_core::{Error, Result};
use zeroize::Zeroizing;

/// How every key begins, so that people and secret scanners know one.
const BEGINNING: &str = "syn_";
const SECRET_BYTES: usize = 32;
/// Characters of 32 bytes in base64url without padding.
const SECRET_CHARS: usize = 43;
/// Characters after the beginning that are kept in clear, to tell keys apart.
const SHOWN_CHARS: usize = 8;

/// SHA-256 of a key's secret.
pub type KeyHash = [u8; 32];

/// A key just made.
pub struct FreshKey {
    /// The whole key, shown once.
    pub text: Zeroizing<String>,
    /// Its first characters, shown always.
    pub prefix: String,
    /// What is stored.
    pub hash: KeyHash,
}

impl FreshKey {
    /// Makes a key.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn new() -> Result<Self> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        rand::fill(secret.as_mut_slice()).map_err(|_| Error::internal("no randomness for a key"))?;
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(secret.as_slice()));
        let shown: String = encoded.chars().take(SHOWN_CHARS).collect();
        Ok(FreshKey {
            text: Zeroizing::new(format!("{BEGINNING}{}", encoded.as_str())),
            prefix: format!("{BEGINNING}{shown}"),
            hash: hash(secret.as_slice())?,
        })
    }
}

/// The hash under which a presented key would be stored; none when it cannot be one of ours.
pub fn hash_of(presented: &str) -> Option<KeyHash> {
    let encoded = presented.strip_prefix(BEGINNING)?;
    if encoded.len() != SECRET_CHARS {
        return None;
    }
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
    hash(secret.as_slice()).ok()
}

/// SHA-256 of a secret.
///
/// # Errors
/// Never: the length is fixed.
pub fn hash(secret: &[u8]) -> Result<KeyHash> {
    let found = digest::digest(&digest::SHA256, secret);
    found
        .as_ref()
        .try_into()
        .map_err(|_| Error::internal("SHA-256 gave another length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_key_is_known_again() {
        let key = FreshKey::new().expect("a key");
        assert_eq!(key.text.len(), BEGINNING.len() + SECRET_CHARS);
        assert!(key.text.starts_with(&key.prefix));
        assert_eq!(hash_of(&key.text), Some(key.hash));
        assert_ne!(FreshKey::new().expect("a key").hash, key.hash);
    }

    #[test]
    fn what_is_no_key_needs_no_look_up() {
        let key = FreshKey::new().expect("a key");
        let long = "A".repeat(100_000);
        for text in [
            "",
            "syn_",
            "syn_short",
            &key.text[..key.text.len() - 1],
            &key.text[1..],
            &format!("{}A", key.text.as_str()),
            &format!(" {}", key.text.as_str()),
            &key.text.replace("syn_", "sk__"),
            &format!("syn_{}", "é".repeat(21) + "A"),
            &format!("syn_{}", "=".repeat(SECRET_CHARS)),
            // Bits beyond the 256 are set: a second spelling of one secret.
            &format!("syn_{}B", "A".repeat(SECRET_CHARS - 1)),
            &long,
        ] {
            assert_eq!(hash_of(text), None, "{text:.60}");
        }
    }
}
