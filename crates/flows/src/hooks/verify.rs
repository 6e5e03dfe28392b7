//! Who sent a webhook delivery: the signature schemes of GitHub, GitLab and Standard Webhooks as pure
//! functions.
//!
//! Nothing here reads a clock, a table or a socket: the caller brings headers, the raw body bytes (as
//! received, before any parsing; the caller caps their length) and the time, and keeps
//! [`Verified::dedupe_keys`]. Comparisons run in constant time through aws-lc-rs.
//!
//! # What each scheme proves, and what it cannot
//!
//! - [`Scheme::Github`]: HMAC-SHA256 of the body alone (`X-Hub-Signature-256: sha256=<hex>`). There is no
//!   timestamp, and neither `X-GitHub-Delivery` nor `X-GitHub-Event` is signed: whoever captured one delivery
//!   can send it again later, under a new GUID or another event name. Hence a second key over the body's
//!   digest, kept for [`BODY_WINDOW`]; an older capture is not recognised any more. The GUID stays the same
//!   when GitHub redelivers, and is shared by every hook that one event reaches, so keys are kept per hook. A
//!   workflow should judge the event by the body's shape.
//! - [`Scheme::Gitlab`] with a secret token (`X-Gitlab-Token`): the sender knew the token, which travels in
//!   clear inside TLS. It says nothing about the body, and a replay whose id was changed cannot be told from
//!   a new delivery. `Idempotency-Key` (GitLab 17.4) is the id that retries share; `X-Gitlab-Webhook-UUID`,
//!   drawn anew for each attempt, stands in on older servers and catches exact copies only.
//!   `X-Gitlab-Event-UUID` is no id of a delivery: hooks set off by one request, and hooks set off by those,
//!   share it.
//! - [`Scheme::Gitlab`] with a signing token (a secret that begins with `whsec_`; GitLab's newest versions):
//!   Standard Webhooks headers, and all that is said there. `X-Gitlab-Event` remains unsigned. While a token
//!   and a signing token are both given (rotation from one to the other), the token alone still opens.
//! - [`Scheme::StandardWebhooks`]: id, time and body are signed (`webhook-id`, `webhook-timestamp`,
//!   `webhook-signature`). A capture opens for [`TOLERANCE`] at most, and there the signed id gives it away.
//!   A retry keeps the id and takes a fresh timestamp, and senders retry for days: keep the id as long as
//!   that, not only for the tolerance. Asymmetric signatures (`v1a`) are skipped.
//! - [`Scheme::None`]: nothing. Whoever has the URL may send, so the URL's token is the whole secret.
//!   `Idempotency-Key` is taken as the id when the sender gives one.
//!
//! Sources: GitHub “Validating webhook deliveries” and “Best practices for using webhooks”; GitLab
//! `app/services/web_hook_service.rb`, “Webhooks”, and merge request 230944 (signing token); the Standard
//! Webhooks specification, section “Signature scheme”.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, hmac};
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How far a signed timestamp may lie before or after now. The reference libraries of Standard Webhooks use
/// the same.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// For how long a `…:body:…` key recognises a replay; ids are worth keeping longer.
pub const BODY_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest id of a delivery, in bytes; a dedupe key stays below 256.
pub const MAX_ID: usize = 200;

/// The longest name of an event, in bytes.
const MAX_EVENT: usize = 100;
/// The longest secret token in a header, in bytes.
const MAX_TOKEN: usize = 1_024;
/// The longest signature header, in bytes: some forty signatures of Standard Webhooks.
const MAX_SIGNATURE: usize = 2_048;
/// The longest timestamp, in digits.
const MAX_TIMESTAMP: usize = 12;
/// The least key of Standard Webhooks, in bytes (specification: 192 bits).
const MIN_KEY: usize = 24;
/// What a serialised key of Standard Webhooks begins with.
const SECRET_PREFIX: &[u8] = b"whsec_";
const SHA256_LEN: usize = 32;

const GITHUB_SIGNATURE: &str = "x-hub-signature-256";
const GITHUB_DELIVERY: &str = "x-github-delivery";
const GITHUB_EVENT: &str = "x-github-event";
const GITLAB_TOKEN: &str = "x-gitlab-token";
const GITLAB_EVENT: &str = "x-gitlab-event";
const GITLAB_ATTEMPT: &str = "x-gitlab-webhook-uuid";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const WEBHOOK_ID: &str = "webhook-id";
const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// Keys come with or without padding.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How deliveries to a hook prove where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// GitHub: an HMAC of the body in `X-Hub-Signature-256`.
    Github,
    /// GitLab: the secret in `X-Gitlab-Token`, or, for a secret that begins with `whsec_`, a signature.
    Gitlab,
    /// Standard Webhooks: an HMAC over id, time and body; the secret is `whsec_<base64>`.
    StandardWebhooks,
    /// Nothing but the unguessable token in the URL.
    None,
}

impl Scheme {
    /// The name on the wire and in dedupe keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Github => "github",
            Scheme::Gitlab => "gitlab",
            Scheme::StandardWebhooks => "standard_webhooks",
            Scheme::None => "none",
        }
    }
}

/// One delivery as it came in. Without `Debug`: its headers carry secrets.
pub struct Delivery<'a> {
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The raw body, exactly as received.
    pub body: &'a [u8],
    /// The time of receipt.
    pub now: DateTime<Utc>,
}

/// What is known of a delivery that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The provider's id of the delivery, the same when it retries. Signed by Standard Webhooks only.
    pub delivery_id: Option<String>,
    /// The event's name as the provider's header gives it, such as `issues` or `Issue Hook`. Never signed.
    pub event: Option<String>,
    /// SHA-256 of the body.
    pub body_digest: [u8; 32],
    /// Keys by which a repetition is recognised, unique within one hook only: `<scheme>:id:<id>`, and for
    /// GitHub `github:body:<sha256 hex>` too. A delivery of which *any* key is known repeats an earlier one;
    /// a repetition must not store its other keys.
    pub dedupe_keys: Vec<String>,
}

/// Why a delivery was refused. The words hold no secret, no signature and nothing of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header that the scheme needs is absent.
    #[error("the header {0} is missing")]
    MissingHeader(&'static str),
    /// A header came more than once; which one was meant is anybody's guess.
    #[error("the header {0} was sent more than once")]
    DuplicateHeader(&'static str),
    /// A header is over its limit.
    #[error("the header {0} is too long")]
    HeaderTooLong(&'static str),
    /// A header is not of its documented form, or holds more than visible ASCII.
    #[error("the header {0} is malformed")]
    Malformed(&'static str),
    /// No secret of the hook fits.
    #[error("the signature or token does not match")]
    BadSignature,
    /// Well signed, yet too long ago or too far ahead; often a wrong clock.
    #[error("signed {age_seconds} s before now, the tolerance is {tolerance_seconds} s either way")]
    Expired {
        /// Seconds from the signed time to now; negative when the signed time lies ahead.
        age_seconds: i64,
        /// [`TOLERANCE`] in seconds.
        tolerance_seconds: u64,
    },
    /// The hook has no secret that the scheme can use: none, an empty one, or no `whsec_<base64>` of 24 bytes
    /// or more.
    #[error("the hook has no usable secret for its scheme")]
    NoUsableSecret,
}

impl VerifyError {
    /// The stable code of the fault.
    pub fn code(&self) -> &'static str {
        match self {
            VerifyError::MissingHeader(_) => "webhook_header_missing",
            VerifyError::DuplicateHeader(_) => "webhook_header_duplicate",
            VerifyError::HeaderTooLong(_) => "webhook_header_too_long",
            VerifyError::Malformed(_) => "webhook_header_malformed",
            VerifyError::BadSignature => "webhook_signature_invalid",
            VerifyError::Expired { .. } => "webhook_delivery_expired",
            VerifyError::NoUsableSecret => "webhook_secret_unusable",
        }
    }
}

/// Checks a delivery against the hook's secrets, the current one and, while it rotates, the previous one.
///
/// Secrets are the bytes that the user entered at the provider; `whsec_…` stays in its serialised form.
///
/// # Errors
///
/// Any [`VerifyError`]. [`VerifyError::Expired`] is told only for a delivery whose signature fits.
pub fn verify(scheme: Scheme, secrets: &[&[u8]], d: &Delivery<'_>) -> Result<Verified, VerifyError> {
    let (delivery_id, event) = match scheme {
        Scheme::Github => {
            github(secrets, d)?;
            (
                id_header(d.headers, GITHUB_DELIVERY)?,
                event_header(d.headers, GITHUB_EVENT)?,
            )
        }
        Scheme::Gitlab => (gitlab(secrets, d)?, event_header(d.headers, GITLAB_EVENT)?),
        Scheme::StandardWebhooks => (Some(standard(secrets, d)?), None),
        Scheme::None => (id_header(d.headers, IDEMPOTENCY_KEY)?, None),
    };
    let body_digest = sha256(d.body);
    let mut dedupe_keys = Vec::with_capacity(2);
    if let Some(id) = &delivery_id {
        dedupe_keys.push(format!("{}:id:{id}", scheme.as_str()));
    }
    if scheme == Scheme::Github {
        dedupe_keys.push(format!("{}:body:{}", scheme.as_str(), to_hex(&body_digest)));
    }
    Ok(Verified {
        delivery_id,
        event,
        body_digest,
        dedupe_keys,
    })
}

/// The headers that a provider of `scheme` would send; for tests, the CLI's demo and examples. The event's
/// header and the content type are the caller's to add.
///
/// # Errors
///
/// [`VerifyError::NoUsableSecret`] for a secret that [`verify`] would not use either,
/// [`VerifyError::Malformed`] or [`VerifyError::HeaderTooLong`] for an id or a token that no header can
/// carry.
pub fn sign(
    scheme: Scheme,
    secret: &[u8],
    id: &str,
    timestamp: DateTime<Utc>,
    body: &[u8],
) -> Result<HeaderMap, VerifyError> {
    let mut headers = HeaderMap::new();
    match scheme {
        Scheme::Github => {
            if secret.is_empty() {
                return Err(VerifyError::NoUsableSecret);
            }
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body);
            put(&mut headers, GITHUB_DELIVERY, checked_id(id, GITHUB_DELIVERY)?)?;
            put(
                &mut headers,
                GITHUB_SIGNATURE,
                &format!("sha256={}", to_hex(tag.as_ref())),
            )?;
        }
        Scheme::Gitlab => {
            put(&mut headers, IDEMPOTENCY_KEY, checked_id(id, IDEMPOTENCY_KEY)?)?;
            if secret.starts_with(SECRET_PREFIX) {
                put_standard(&mut headers, secret, id, timestamp, body)?;
            } else if secret.is_empty() {
                return Err(VerifyError::NoUsableSecret);
            } else {
                let token = std::str::from_utf8(secret).map_err(|_| VerifyError::Malformed(GITLAB_TOKEN))?;
                put(
                    &mut headers,
                    GITLAB_TOKEN,
                    checked(token, GITLAB_TOKEN, MAX_TOKEN)?,
                )?;
            }
        }
        Scheme::StandardWebhooks => put_standard(&mut headers, secret, id, timestamp, body)?,
        Scheme::None => put(&mut headers, IDEMPOTENCY_KEY, checked_id(id, IDEMPOTENCY_KEY)?)?,
    }
    Ok(headers)
}

/// GitHub's HMAC of the body. Its hex is lower case, and only that spelling is taken.
fn github(secrets: &[&[u8]], d: &Delivery<'_>) -> Result<(), VerifyError> {
    let malformed = VerifyError::Malformed(GITHUB_SIGNATURE);
    let header = required(d.headers, GITHUB_SIGNATURE, MAX_SIGNATURE)?;
    let tag = header
        .strip_prefix("sha256=")
        .and_then(from_lower_hex)
        .ok_or(malformed)?;
    any_fits(secrets.iter().filter(|secret| !secret.is_empty()), |secret| {
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), d.body, &tag).is_ok()
    })
}

/// GitLab's signature by the signing tokens among the secrets, or the secret token by the others; gives the
/// id.
fn gitlab(secrets: &[&[u8]], d: &Delivery<'_>) -> Result<Option<String>, VerifyError> {
    let (signing, tokens): (Vec<&[u8]>, Vec<&[u8]>) = secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .partition(|secret| secret.starts_with(SECRET_PREFIX));
    if !signing.is_empty() {
        match standard(&signing, d) {
            Ok(id) => return Ok(Some(id)),
            Err(error) if tokens.is_empty() => return Err(error),
            Err(_) => {}
        }
    }
    // Digests are compared, so that not even the token's length shows in the time taken.
    let sent = sha256(required(d.headers, GITLAB_TOKEN, MAX_TOKEN)?.as_bytes());
    any_fits(tokens.iter(), |token| {
        verify_slices_are_equal(&sha256(token), &sent).is_ok()
    })?;
    match id_header(d.headers, IDEMPOTENCY_KEY)? {
        Some(id) => Ok(Some(id)),
        None => id_header(d.headers, GITLAB_ATTEMPT),
    }
}

/// The signature over id, time and body, then the time; gives the id.
fn standard(secrets: &[&[u8]], d: &Delivery<'_>) -> Result<String, VerifyError> {
    let id = signed_id(required(d.headers, WEBHOOK_ID, MAX_ID)?)?;
    let timestamp = required(d.headers, WEBHOOK_TIMESTAMP, MAX_TIMESTAMP)?;
    if !timestamp.bytes().all(|b| b.is_ascii_digit()) {
        return Err(VerifyError::Malformed(WEBHOOK_TIMESTAMP));
    }
    let signed_at: i64 = timestamp
        .parse()
        .map_err(|_| VerifyError::Malformed(WEBHOOK_TIMESTAMP))?;
    let sent: Vec<[u8; SHA256_LEN]> = required(d.headers, WEBHOOK_SIGNATURE, MAX_SIGNATURE)?
        .split(' ')
        .filter_map(|entry| STANDARD.decode(entry.strip_prefix("v1,")?).ok()?.try_into().ok())
        .collect();
    if sent.is_empty() {
        return Err(VerifyError::Malformed(WEBHOOK_SIGNATURE));
    }
    let keys: Vec<Vec<u8>> = secrets.iter().filter_map(|secret| standard_key(secret)).collect();
    any_fits(keys.iter(), |key| {
        let tag = standard_tag(key, id, timestamp, d.body);
        sent.iter().fold(false, |fits, one| {
            verify_slices_are_equal(tag.as_ref(), one).is_ok() | fits
        })
    })?;
    let age_seconds = d.now.timestamp().saturating_sub(signed_at);
    if age_seconds.unsigned_abs() > TOLERANCE.as_secs() {
        return Err(VerifyError::Expired {
            age_seconds,
            tolerance_seconds: TOLERANCE.as_secs(),
        });
    }
    Ok(id.to_owned())
}

/// Tries every secret, whichever fits, so that the time taken does not tell which one it was.
fn any_fits<T>(secrets: impl Iterator<Item = T>, fits: impl Fn(T) -> bool) -> Result<(), VerifyError> {
    let (mut tried, mut fitted) = (false, false);
    for secret in secrets {
        tried = true;
        fitted |= fits(secret);
    }
    match (tried, fitted) {
        (false, _) => Err(VerifyError::NoUsableSecret),
        (true, false) => Err(VerifyError::BadSignature),
        (true, true) => Ok(()),
    }
}

/// The key in `whsec_<base64>`; the prefix may be absent, as in the reference libraries.
fn standard_key(secret: &[u8]) -> Option<Vec<u8>> {
    let encoded = secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret);
    KEY_BASE64.decode(encoded).ok().filter(|key| key.len() >= MIN_KEY)
}

fn standard_tag(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    context.sign()
}

fn put_standard(
    headers: &mut HeaderMap,
    secret: &[u8],
    id: &str,
    timestamp: DateTime<Utc>,
    body: &[u8],
) -> Result<(), VerifyError> {
    let key = standard_key(secret).ok_or(VerifyError::NoUsableSecret)?;
    let id = signed_id(checked(id, WEBHOOK_ID, MAX_ID)?)?;
    let seconds =
        u64::try_from(timestamp.timestamp()).map_err(|_| VerifyError::Malformed(WEBHOOK_TIMESTAMP))?;
    let seconds = seconds.to_string();
    let tag = standard_tag(&key, id, &seconds, body);
    put(headers, WEBHOOK_ID, id)?;
    put(
        headers,
        WEBHOOK_TIMESTAMP,
        checked(&seconds, WEBHOOK_TIMESTAMP, MAX_TIMESTAMP)?,
    )?;
    put(
        headers,
        WEBHOOK_SIGNATURE,
        &format!("v1,{}", STANDARD.encode(tag.as_ref())),
    )
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), VerifyError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| VerifyError::Malformed(name))?;
    value.set_sensitive(name == GITLAB_TOKEN);
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

/// A header's only value: within its limit, and visible ASCII with single words' spaces at most.
fn optional<'h>(
    headers: &'h HeaderMap,
    name: &'static str,
    limit: usize,
) -> Result<Option<&'h str>, VerifyError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(VerifyError::DuplicateHeader(name));
    }
    if value.len() > limit {
        return Err(VerifyError::HeaderTooLong(name));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| VerifyError::Malformed(name))?;
    checked(text, name, limit).map(Some)
}

fn required<'h>(headers: &'h HeaderMap, name: &'static str, limit: usize) -> Result<&'h str, VerifyError> {
    optional(headers, name, limit)?.ok_or(VerifyError::MissingHeader(name))
}

fn event_header(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, VerifyError> {
    Ok(optional(headers, name, MAX_EVENT)?.map(str::to_owned))
}

fn id_header(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, VerifyError> {
    optional(headers, name, MAX_ID)?
        .map(|id| checked_id(id, name).map(str::to_owned))
        .transpose()
}

fn checked<'t>(text: &'t str, name: &'static str, limit: usize) -> Result<&'t str, VerifyError> {
    if text.len() > limit {
        return Err(VerifyError::HeaderTooLong(name));
    }
    let visible = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    if text.is_empty() || !visible || text != text.trim() {
        return Err(VerifyError::Malformed(name));
    }
    Ok(text)
}

/// An id is one word.
fn checked_id<'t>(id: &'t str, name: &'static str) -> Result<&'t str, VerifyError> {
    let id = checked(id, name, MAX_ID)?;
    if id.contains(' ') {
        Err(VerifyError::Malformed(name))
    } else {
        Ok(id)
    }
}

/// A signed id has no full stop: `id.timestamp.body` could be cut elsewhere, into another id and body with
/// the same signature.
fn signed_id(id: &str) -> Result<&str, VerifyError> {
    let id = checked_id(id, WEBHOOK_ID)?;
    if id.contains('.') {
        Err(VerifyError::Malformed(WEBHOOK_ID))
    } else {
        Ok(id)
    }
}

fn sha256(bytes: &[u8]) -> [u8; SHA256_LEN] {
    let mut out = [0; SHA256_LEN];
    for (to, from) in out
        .iter_mut()
        .zip(digest::digest(&digest::SHA256, bytes).as_ref())
    {
        *to = *from;
    }
    out
}

fn to_hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

fn from_lower_hex(text: &str) -> Option<[u8; SHA256_LEN]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * SHA256_LEN {
        return None;
    }
    let mut out = [0; SHA256_LEN];
    for (to, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *to = digit(high)? << 4 | digit(low)?;
    }
    Some(out)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
