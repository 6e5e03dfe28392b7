//! What opens a hook: the token in its URL and the secret behind its signatures. Both are made here from the machine's
//! randomness, kept sealed, and found again by the token's digest alone.

use super::verify::Scheme;
use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use synapscale_core::{Error, Result, TenantId};
use synapscale_store::{Sealed, SecretBox};
use zeroize::Zeroizing;

/// Randomness in a token and in a secret, in bytes.
const RANDOM_BYTES: usize = 32;
/// Characters of a token: its bytes in base64 without padding.
const TOKEN_CHARS: usize = 43;
/// What a ciphertext was sealed for; one cannot stand in for the other.
const TOKEN_PURPOSE: &str = "hook-token";
const SECRET_PURPOSE: &str = "hook-secret";

/// The SHA-256 of a token: what the database and the cache know it by.
pub(crate) type TokenHash = [u8; 32];

fn random() -> Result<Zeroizing<[u8; RANDOM_BYTES]>> {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    rand::fill(bytes.as_mut_slice()).map_err(|_| Error::internal("the machine has no randomness"))?;
    Ok(bytes)
}

/// A new token for a hook's URL.
pub(crate) fn new_token() -> Result<Zeroizing<String>> {
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(random()?.as_slice())))
}

/// A new secret in the form that the provider takes; none for a scheme that proves nothing.
pub(crate) fn new_secret(scheme: Scheme) -> Result<Option<Zeroizing<String>>> {
    let bytes = random()?;
    Ok(match scheme {
        Scheme::None => None,
        Scheme::StandardWebhooks => Some(Zeroizing::new(format!(
            "whsec_{}",
            STANDARD.encode(bytes.as_slice())
        ))),
        Scheme::Github | Scheme::Gitlab => Some(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))),
    })
}

/// Whether `text` can be a token at all; what cannot costs no digest and no look-up.
pub(crate) fn is_token(text: &str) -> bool {
    text.len() == TOKEN_CHARS
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The digest of a token.
pub(crate) fn hash(token: &str) -> TokenHash {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    out
}

/// The path below the server's address that deliveries are sent to.
pub(crate) fn url_path(token: &str) -> String {
    format!("/hooks/{token}")
}

pub(crate) fn seal_token(secrets: &SecretBox, tenant: TenantId, token: &str) -> Result<String> {
    Ok(secrets.seal(tenant, TOKEN_PURPOSE, token.as_bytes())?.0)
}

pub(crate) fn open_token(secrets: &SecretBox, tenant: TenantId, sealed: &str) -> Result<Zeroizing<String>> {
    let bytes = secrets.open(tenant, TOKEN_PURPOSE, &Sealed(sealed.to_owned()))?;
    let token = std::str::from_utf8(&bytes).map_err(Error::internal)?;
    Ok(Zeroizing::new(token.to_owned()))
}

pub(crate) fn seal_secret(secrets: &SecretBox, tenant: TenantId, secret: &str) -> Result<String> {
    Ok(secrets.seal(tenant, SECRET_PURPOSE, secret.as_bytes())?.0)
}

pub(crate) fn open_secret(secrets: &SecretBox, tenant: TenantId, sealed: &str) -> Result<Zeroizing<Vec<u8>>> {
    Ok(secrets.open(tenant, SECRET_PURPOSE, &Sealed(sealed.to_owned()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (one, two) = (new_token().expect("token"), new_token().expect("token"));
        assert!(is_token(&one) && is_token(&two));
        assert_ne!(*one, *two);
        assert_ne!(hash(&one), hash(&two));
        for bad in ["", "short", &"a".repeat(44), &format!("{}/", "a".repeat(42))] {
            assert!(!is_token(bad), "{bad}");
        }
    }

    #[test]
    fn secrets_have_their_providers_form() {
        assert!(new_secret(Scheme::None).expect("none").is_none());
        let standard = new_secret(Scheme::StandardWebhooks)
            .expect("secret")
            .expect("some");
        assert!(standard.starts_with("whsec_"));
        assert!(
            new_secret(Scheme::Github)
                .expect("secret")
                .is_some_and(|s| s.len() == TOKEN_CHARS)
        );
    }
}
