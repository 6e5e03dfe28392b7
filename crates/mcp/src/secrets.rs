//! Credentials of a server: headers, or variables of its process. Sealed as one document, opened only to connect, and taken
//! out of whatever the server says.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use synapscale_core::{Error, Result, TenantId};
use synapscale_store::{Sealed, SecretBox};
use zeroize::{Zeroize, Zeroizing};

/// What the ciphertext was sealed for.
const PURPOSE: &str = "mcp-server";
/// Most headers, and most variables.
pub(crate) const MOST: usize = 50;
/// Longest value, in bytes.
const MAX_VALUE: usize = 16 * 1024;
/// Shorter values are not looked for in texts: they stand there by chance.
const LEAST_SCRUBBED: usize = 6;
/// What stands where a credential was.
const SCRUBBED: &str = "[secret]";

/// Headers that belong to the protocol or to the connection.
const OWN_HEADERS: &[&str] = &[
    "accept",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Variables that make an allowed command run something else, and those that are set here.
const OWN_VARIABLES: &[&str] = &[
    "BASH_ENV",
    "ENV",
    "HOME",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "NODE_OPTIONS",
    "PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
    "SHELL",
    "TMPDIR",
    "_JAVA_OPTIONS",
];
/// Beginnings of such variables.
const OWN_BEGINNINGS: &[&str] = &[
    "LD_",
    "DYLD_",
    "GIT_",
    "npm_config_",
    "NPM_CONFIG_",
    "UV_",
    "PIP_",
];

/// A credential on its way in: wiped after use, shown nowhere.
#[derive(Clone)]
pub(crate) struct NewSecret(Zeroizing<String>);

impl fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCRUBBED)
    }
}

impl<'de> Deserialize<'de> for NewSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| NewSecret(Zeroizing::new(text)))
    }
}

impl JsonSchema for NewSecret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NewSecret".into()
    }

    // No length here: a validator's message may quote the value that it refuses.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "password",
            "writeOnly": true,
            "description": "Sealed at once and never shown again."
        })
    }
}

/// Credentials by name, as they come in.
pub(crate) type NewSecrets = BTreeMap<String, NewSecret>;

/// All credentials of one server, opened. Wiped when dropped.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub headers: BTreeMap<String, String>,
    pub env: BTreeMap<String, String>,
}

impl Drop for Credentials {
    fn drop(&mut self) {
        let all = self.headers.values_mut().chain(self.env.values_mut());
        all.for_each(Zeroize::zeroize);
    }
}

impl Credentials {
    /// # Errors
    /// `secret_unreadable` when the master key is another.
    pub fn open(secrets: &SecretBox, tenant: TenantId, sealed: Option<&str>) -> Result<Self> {
        let Some(sealed) = sealed else {
            return Ok(Credentials::default());
        };
        let bytes = secrets.open(tenant, PURPOSE, &Sealed(sealed.to_owned()))?;
        serde_json::from_slice(&bytes).map_err(|_| Error::internal("sealed credentials that are no document"))
    }

    /// The document sealed; none when there is nothing in it.
    pub fn seal(&self, secrets: &SecretBox, tenant: TenantId) -> Result<Option<String>> {
        if self.headers.is_empty() && self.env.is_empty() {
            return Ok(None);
        }
        let bytes = Zeroizing::new(serde_json::to_vec(self).map_err(Error::internal)?);
        Ok(Some(secrets.seal(tenant, PURPOSE, &bytes)?.0))
    }

    /// What takes these credentials out of texts.
    pub fn scrubber(&self) -> Scrubber {
        let all = self.headers.values().chain(self.env.values());
        let mut words: Vec<Zeroizing<String>> = Vec::new();
        for value in all {
            // A server that repeats the token leaves `Bearer` out.
            let bare = value.split_once(' ').map_or("", |(_, rest)| rest.trim());
            for word in [value.as_str(), bare] {
                if word.len() >= LEAST_SCRUBBED {
                    words.push(Zeroizing::new(word.to_owned()));
                }
            }
        }
        // The longest first, so that no part of it is left over.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        Scrubber(words)
    }
}

/// Takes credentials out of what a server says.
#[derive(Default)]
pub(crate) struct Scrubber(Vec<Zeroizing<String>>);

impl Scrubber {
    pub fn text(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for word in &self.0 {
            if out.contains(word.as_str()) {
                out = out.replace(word.as_str(), SCRUBBED);
            }
        }
        out
    }

    /// Every text of `value`, keys too, without credentials and without NUL, which no database column of ours keeps.
    pub fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text).replace('\0', "\u{fffd}")),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.value(item)).collect()),
            Value::Object(members) => members
                .into_iter()
                .map(|(name, item)| (self.text(&name).replace('\0', "\u{fffd}"), self.value(item)))
                .collect(),
            other => other,
        }
    }
}

fn take(
    given: &NewSecrets,
    field: &str,
    fits: impl Fn(&str) -> Option<&'static str>,
) -> Result<BTreeMap<String, String>> {
    if given.len() > MOST {
        return Err(Error::invalid(
            format!("/{field}"),
            "count",
            format!("{MOST} at most."),
        ));
    }
    let mut taken = BTreeMap::new();
    for (name, secret) in given {
        let at = format!("/{field}/{}", name.replace('~', "~0").replace('/', "~1"));
        if let Some(why) = fits(name) {
            return Err(Error::invalid(at, "name", why));
        }
        let value = secret.0.trim();
        // What a header can carry is what a variable may hold too; a NUL ends a variable early.
        let readable = value.bytes().all(|b| b >= 0x20 && b != 0x7f);
        if value.is_empty() || value.len() > MAX_VALUE || !readable {
            let words = "A value is one line of text, not empty and 16 KiB at most.";
            return Err(Error::invalid(at, "value", words));
        }
        taken.insert(name.clone(), value.to_owned());
    }
    Ok(taken)
}

/// Headers as they may be sent.
///
/// # Errors
/// 422 at the header.
pub(crate) fn headers(given: &NewSecrets) -> Result<BTreeMap<String, String>> {
    take(given, "headers", |name| {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Some("This is no name of a header.");
        }
        let lower = name.to_ascii_lowercase();
        let own = OWN_HEADERS.contains(&lower.as_str())
            || lower.starts_with("proxy-")
            || lower.starts_with("mcp-param-");
        own.then_some("This header belongs to the protocol or to the connection.")
    })
}

/// Variables as a process may have them.
///
/// # Errors
/// 422 at the variable.
pub(crate) fn variables(given: &NewSecrets) -> Result<BTreeMap<String, String>> {
    take(given, "env", |name| {
        let word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.len() <= 128
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !word {
            return Some("This is no name of a variable.");
        }
        let own = OWN_VARIABLES.contains(&name) || OWN_BEGINNINGS.iter().any(|begin| name.starts_with(begin));
        own.then_some("This variable is not set for a server: it would change which program runs.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn given(pairs: &[(&str, &str)]) -> NewSecrets {
        let new = |value: &str| NewSecret(Zeroizing::new(value.to_owned()));
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), new(value)))
            .collect()
    }

    #[test]
    fn names_that_would_change_more_are_refused() {
        assert!(headers(&given(&[("Authorization", "Bearer x"), ("X-Api-Key", "k")])).is_ok());
        for bad in [
            "Host",
            "mcp-session-id",
            "Proxy-Authorization",
            "a b",
            "",
            "content-LENGTH",
        ] {
            assert!(headers(&given(&[(bad, "x")])).is_err(), "{bad}");
        }
        assert!(variables(&given(&[("GITHUB_TOKEN", "x"), ("_a1", "y")])).is_ok());
        for bad in [
            "PATH",
            "LD_PRELOAD",
            "NODE_OPTIONS",
            "1A",
            "A-B",
            "",
            "npm_config_registry",
        ] {
            assert!(variables(&given(&[(bad, "x")])).is_err(), "{bad}");
        }
        for value in ["", " ", "a\nb", "a\0"] {
            let error = variables(&given(&[("A", value)])).expect_err("a bad value");
            assert_eq!(error.fields()[0].pointer, "/env/A");
        }
    }

    #[test]
    fn credentials_are_taken_out_of_texts() {
        let mut all = Credentials::default();
        all.headers
            .insert("Authorization".to_owned(), "Bearer hunter2-hunter2".to_owned());
        all.env.insert("PIN".to_owned(), "12".to_owned());
        let scrub = all.scrubber();
        assert_eq!(
            scrub.text("no hunter2-hunter2, 12 times"),
            "no [secret], 12 times"
        );
        assert_eq!(
            scrub.value(json!({"a": ["Bearer hunter2-hunter2\u{0}"], "hunter2-hunter2": 1})),
            json!({"a": ["[secret]\u{fffd}"], "[secret]": 1})
        );
    }
}
