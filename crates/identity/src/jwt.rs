//! Access tokens: signed claims that are good for fifteen minutes. The signature alone opens nothing: the family that a
//! token belongs to must stand, and the person must be a member at present.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use synapscale_core::{Error, Result};
use synapscale_store::SecretBox;
use uuid::Uuid;

/// How long an access token is good for.
pub const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);
/// What the signing key is derived for.
const PURPOSE: &str = "access tokens, HS256";
const ISSUER: &str = "synapscale";
const AUDIENCE: &str = "synapscale/api";

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: Uuid,
    /// The workspace.
    pub tid: Uuid,
    /// The family of refresh tokens.
    pub sid: Uuid,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// From when on it is refused.
    pub exp: i64,
    /// For whom.
    pub aud: String,
    /// By whom.
    pub iss: String,
}

impl Claims {
    /// The claims of a token made `now`.
    pub fn new(user: Uuid, workspace: Uuid, family: Uuid, now: DateTime<Utc>) -> Self {
        Claims {
            sub: user,
            tid: workspace,
            sid: family,
            iat: now.timestamp(),
            exp: (now + ACCESS_TOKEN_LIFE).timestamp(),
            aud: AUDIENCE.to_owned(),
            iss: ISSUER.to_owned(),
        }
    }
}

/// Signs claims.
///
/// # Errors
/// When no key can be derived.
pub fn sign(secrets: &SecretBox, claims: &Claims) -> Result<String> {
    let key = EncodingKey::from_secret(secrets.derive(PURPOSE)?.as_slice());
    encode(&Header::new(Algorithm::HS256), claims, &key)
        .map_err(|_| Error::internal("an access token could not be signed"))
}

/// Whether a bearer token has the form of an access token; API keys and session tokens have no dots.
pub fn looks_like_one(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// The claims of a token that is ours and not over at `now`.
///
/// # Errors
/// `unauthenticated`, whatever is wrong with it.
pub fn verify(secrets: &SecretBox, token: &str, now: DateTime<Utc>) -> Result<Claims> {
    let key = DecodingKey::from_secret(secrets.derive(PURPOSE)?.as_slice());
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_audience(&[AUDIENCE]);
    rules.set_issuer(&[ISSUER]);
    rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    // The library asks the machine for the time; ours comes from the clock.
    rules.validate_exp = false;
    let claims = decode::<Claims>(token, &key, &rules)
        .map_err(|_| Error::unauthenticated())?
        .claims;
    match claims.exp > now.timestamp() {
        true => Ok(claims),
        false => Err(Error::unauthenticated()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synapscale_core::new_id;
    use synapscale_store::MasterKey;

    fn secrets() -> SecretBox {
        SecretBox::new(&MasterKey::random().expect("key")).expect("box")
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time")
    }

    #[test]
    fn a_token_is_good_for_its_time_and_its_server() {
        let ours = secrets();
        let claims = Claims::new(new_id(), new_id(), new_id(), at(0));
        let token = sign(&ours, &claims).expect("signed");
        assert!(looks_like_one(&token));
        assert_eq!(verify(&ours, &token, at(899)).expect("good"), claims);
        assert!(verify(&ours, &token, at(900)).is_err());
        assert!(verify(&secrets(), &token, at(0)).is_err());
        assert!(verify(&ours, &token[..token.len() - 2], at(0)).is_err());
    }

    #[test]
    fn other_claims_and_algorithms_are_refused() {
        let ours = secrets();
        let claims = Claims::new(new_id(), new_id(), new_id(), at(0));
        let elsewhere = Claims {
            aud: "elsewhere".to_owned(),
            ..claims.clone()
        };
        let foreign = Claims {
            iss: "elsewhere".to_owned(),
            ..claims.clone()
        };
        for bad in [elsewhere, foreign] {
            let token = sign(&ours, &bad).expect("signed");
            assert!(verify(&ours, &token, at(0)).is_err());
        }
        // {"alg":"none"} and no signature.
        let token = sign(&ours, &claims).expect("signed");
        let body = token.split('.').nth(1).expect("a body");
        assert!(verify(&ours, &format!("eyJhbGciOiJub25lIn0.{body}."), at(0)).is_err());
    }
}
