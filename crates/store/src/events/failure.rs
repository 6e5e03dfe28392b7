//! What dead letters say of a failure: its code and its words, without whatever looks like a secret. What lies underneath
//! stands in the server's log alone: a driver's or a peer's own words may quote a password.

use synapscale_core::Error;

/// Longest text that is kept, in characters.
const MAX_CHARS: usize = 500;
/// What stands in a secret's place.
const HIDDEN: &str = "[hidden]";
/// Opaque words from this length on are taken for secrets, in bytes.
const OPAQUE: usize = 20;
/// Length of a UUID in its hyphenated form, which is no secret.
const UUID: usize = 36;
/// What is said after such a word, or assigned to it, is hidden.
const TELLING: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "authorization",
    "cookie",
];
/// Words after which a credential follows.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// A failure in words for people who mend it: `code: message`.
pub(crate) fn told(error: &Error) -> String {
    let text = format!("{}: {}", error.code(), error.message());
    // Bounded before it is looked through, and again since what hides is longer than what it hides now and then.
    let text: String = text.chars().take(2 * MAX_CHARS).collect();
    redacted(&text).chars().take(MAX_CHARS).collect()
}

fn redacted(text: &str) -> String {
    let (mut words, mut hide_next) = (Vec::new(), false);
    for word in text.split(' ') {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if hide_next && !bare.is_empty() {
            hide_next = SCHEMES.contains(&bare.as_str());
            words.push(if hide_next {
                word.to_owned()
            } else {
                HIDDEN.to_owned()
            });
            continue;
        }
        hide_next = SCHEMES.contains(&bare.as_str()) || (telling(&bare) && word.ends_with([':', '=']));
        words.push(one(word));
    }
    words.join(" ")
}

fn telling(name: &str) -> bool {
    TELLING.iter().any(|word| name.contains(word))
}

fn one(word: &str) -> String {
    if let Some((before, after)) = word.split_once("://") {
        let after = match after.rsplit_once('@') {
            Some((_, host)) => format!("{HIDDEN}@{host}"),
            None => after.to_owned(),
        };
        let (address, query) = after
            .split_once('?')
            .map_or((after.as_str(), ""), |(a, _)| (a, "?[hidden]"));
        return format!("{before}://{address}{query}");
    }
    if let Some((name, value)) = word.split_once(['=', ':'])
        && !value.is_empty()
        && telling(&name.to_lowercase())
    {
        return format!("{name}={HIDDEN}");
    }
    match opaque(word.trim_matches(|c: char| !c.is_ascii_alphanumeric())) {
        true => HIDDEN.to_owned(),
        false => word.to_owned(),
    }
}

/// Whether it may be a key or a token: long, of one piece, letters and digits mixed.
fn opaque(word: &str) -> bool {
    let uuid = word.len() == UUID && word.bytes().filter(|byte| *byte == b'-').count() == 4;
    let plain = word
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_+/=.~".contains(&byte));
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    !uuid && plain && word.len() >= OPAQUE && digits >= 3 && letters >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_hidden_and_the_rest_is_readable() {
        let error = |text: &str| told(&Error::conflict("poison", text).with_source("password=deep"));
        assert_eq!(error("it never works"), "poison: it never works");
        for (text, told) in [
            (
                "postgres://me:s3cret@db/x is away",
                "poison: postgres://[hidden]@db/x is away",
            ),
            (
                "GET https://x.example/a?key=1 failed",
                "poison: GET https://x.example/a?[hidden] failed",
            ),
            (
                "sent Authorization: Bearer abc to it",
                "poison: sent Authorization: Bearer [hidden] to it",
            ),
            (
                "password=hunter2, said they",
                "poison: password=[hidden] said they",
            ),
            (
                "the secret: hunter2 was wrong",
                "poison: the secret: [hidden] was wrong",
            ),
            (
                "key sk-live-4f8a91c0d2e7b6a5 refused",
                "poison: key [hidden] refused",
            ),
            (
                "task 0192f0c1-7a3b-7cde-8f00-1234567890ab is gone",
                "poison: task 0192f0c1-7a3b-7cde-8f00-1234567890ab is gone",
            ),
            ("the token is stale", "poison: the token is stale"),
        ] {
            assert_eq!(error(text), told, "{text}");
        }
        assert_eq!(told(&Error::internal("password=deep")).find("deep"), None);
        assert_eq!(error(&"word ".repeat(1000)).chars().count(), MAX_CHARS);
    }
}
