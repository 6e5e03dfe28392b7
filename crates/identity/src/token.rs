//! Tokens of sessions, refreshing and owner links: 256 random bits, of which only the SHA-256 is stored. Like an API key,
//! such a secret cannot be guessed, so one round of a fast hash keeps it.

use crate::key;
use aws_lc_rs::{constant_time, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use synapscale_core::{Error, Result};
use synapscale_store::SecretBox;
use zeroize::Zeroizing;

const SECRET_BYTES: usize = 32;
/// Characters of 32 bytes in base64url without padding.
const SECRET_CHARS: usize = 43;
/// What the key of CSRF tokens is derived for.
const CSRF: &str = "csrf tokens of sessions";

/// SHA-256 of a token.
pub type TokenHash = key::KeyHash;

/// A token just made. No `Debug`: it is a secret.
pub struct FreshToken {
    /// The token, given out once.
    pub text: Zeroizing<String>,
    /// What is stored.
    pub hash: TokenHash,
}

impl FreshToken {
    /// Makes a token.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn new() -> Result<Self> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        rand::fill(secret.as_mut_slice()).map_err(|_| Error::internal("no randomness for a token"))?;
        Ok(FreshToken {
            text: Zeroizing::new(URL_SAFE_NO_PAD.encode(secret.as_slice())),
            hash: key::hash(secret.as_slice())?,
        })
    }
}

/// The hash under which a presented token would be stored; none when it cannot be one of ours.
pub fn hash_of(presented: &str) -> Option<TokenHash> {
    if presented.len() != SECRET_CHARS {
        return None;
    }
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(presented).ok()?);
    key::hash(secret.as_slice()).ok()
}

/// The CSRF token of the session with this hash. It is derived, so that every server knows it without a look-up, and a
/// reader of the database, who lacks the master key, does not.
///
/// # Errors
/// When no key can be derived.
pub fn csrf_of(secrets: &SecretBox, session: &[u8]) -> Result<String> {
    let derived = secrets.derive(CSRF)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, derived.as_slice());
    Ok(URL_SAFE_NO_PAD.encode(hmac::sign(&key, session)))
}

/// Whether two secrets are one, in a time that does not tell where they part.
pub fn same(left: &str, right: &str) -> bool {
    constant_time::verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use synapscale_store::MasterKey;

    #[test]
    fn a_fresh_token_is_known_again() {
        let token = FreshToken::new().expect("a token");
        assert_eq!(token.text.len(), SECRET_CHARS);
        assert_eq!(hash_of(&token.text), Some(token.hash));
        assert_ne!(FreshToken::new().expect("a token").hash, token.hash);
        for bad in ["", "short", &token.text[1..], &"=".repeat(SECRET_CHARS)] {
            assert_eq!(hash_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn csrf_tokens_belong_to_one_session() {
        let secrets = SecretBox::new(&MasterKey::random().expect("key")).expect("box");
        let csrf = csrf_of(&secrets, &[1; 32]).expect("a token");
        assert!(same(&csrf, &csrf_of(&secrets, &[1; 32]).expect("a token")));
        assert!(!same(&csrf, &csrf_of(&secrets, &[2; 32]).expect("a token")));
        assert!(!same(&csrf, &csrf[1..]));
        assert!(!same(&csrf, ""));
    }
}
