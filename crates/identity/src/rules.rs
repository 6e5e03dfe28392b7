//! What people's fields may hold.

use serde_json::Value;
use synapscale_core::{Change, Changes, Error, Result, diff};
use synapscale_ops::Patch;

/// A JSON object as an input has it.
pub type Object = std::collections::BTreeMap<String, Value>;

/// Most bytes of one JSON field, written out.
const MAX_OBJECT_BYTES: usize = 16 * 1024;
const MAX_EMAIL: usize = 254;
const MAX_LOCAL_PART: usize = 64;

/// The address in the form in which it is stored: trimmed and in lower case.
///
/// # Errors
/// `email` for what cannot be an address. Only ASCII, so that lower case means the same to both databases.
pub fn email(text: &str, pointer: &str) -> Result<String> {
    let address = text.trim().to_ascii_lowercase();
    let bad = || Error::invalid(pointer, "email", "This is not an e-mail address.");
    let (local, domain) = address.rsplit_once('@').ok_or_else(bad)?;
    let plain = |b: u8| b.is_ascii_graphic() && !b"()<>[]\\,;:\"@".contains(&b);
    let local_ok = (1..=MAX_LOCAL_PART).contains(&local.len()) && local.bytes().all(plain);
    let label_ok = |label: &str| {
        let ends = label.starts_with('-') || label.ends_with('-');
        !label.is_empty()
            && label.len() <= 63
            && !ends
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let domain_ok = domain.split('.').all(label_ok);
    match address.len() <= MAX_EMAIL && local_ok && domain_ok {
        true => Ok(address),
        false => Err(bad()),
    }
}

/// A name without blanks around it, of 1 to `most` characters and no control characters.
///
/// # Errors
/// `length` or `characters`.
pub fn name(text: &str, most: usize, pointer: &str) -> Result<String> {
    let text = text.trim();
    if !(1..=most).contains(&text.chars().count()) {
        let message = format!("Give 1 to {most} characters.");
        return Err(Error::invalid(pointer, "length", message));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(
            pointer,
            "characters",
            "Control characters are not allowed.",
        ));
    }
    Ok(text.to_owned())
}

/// A time zone: `UTC` or an IANA name such as `Europe/Berlin`. The form is checked, not the list of zones, which changes
/// with every release of the database.
///
/// # Errors
/// `timezone`.
pub fn timezone(text: &str) -> Result<String> {
    let part_ok = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    let parts: Vec<&str> = text.split('/').collect();
    let known = (2..=3).contains(&parts.len()) && parts.iter().all(|part| part_ok(part));
    match text == "UTC" || (text.len() <= 64 && known) {
        true => Ok(text.to_owned()),
        false => Err(Error::invalid(
            "/timezone",
            "timezone",
            "Give `UTC` or an IANA name such as `Europe/Berlin`.",
        )),
    }
}

/// A language tag such as `en` or `pt-BR`.
///
/// # Errors
/// `language`.
pub fn language(text: &str) -> Result<String> {
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let first_ok = (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_lowercase());
    let rest_ok =
        parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    match text.len() <= 35 && first_ok && rest_ok {
        true => Ok(text.to_owned()),
        false => Err(Error::invalid(
            "/language",
            "language",
            "Give a language tag such as `en` or `pt-BR`.",
        )),
    }
}

/// The address of a picture. Only http and https: a page shows it as it stands.
///
/// # Errors
/// `url`.
pub fn picture_url(text: &str) -> Result<String> {
    let web = text.starts_with("https://") || text.starts_with("http://");
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"\"<>\\`".contains(&b));
    match web && plain && text.len() <= 2048 {
        true => Ok(text.to_owned()),
        false => Err(Error::invalid(
            "/avatar_url",
            "url",
            "Give an http or https address of at most 2048 characters.",
        )),
    }
}

/// Puts a patched JSON object into its column, as a whole.
///
/// # Errors
/// `required` for null, `too_large` above 16 KiB.
pub fn put_object(patch: &Patch<Object>, into: &mut Value, pointer: &str) -> Result<()> {
    let Some(object) = required(patch, pointer)? else {
        return Ok(());
    };
    let value = serde_json::to_value(object).map_err(Error::internal)?;
    if value.to_string().len() > MAX_OBJECT_BYTES {
        return Err(Error::too_large(pointer.trim_start_matches('/'), "16 KiB"));
    }
    *into = value;
    Ok(())
}

/// The value of a patch whose field cannot be null.
///
/// # Errors
/// `required` for null.
pub fn required<'a, T>(patch: &'a Patch<T>, pointer: &str) -> Result<Option<&'a T>> {
    match patch {
        Patch::Absent => Ok(None),
        Patch::Value(value) => Ok(Some(value)),
        Patch::Null => Err(Error::invalid(pointer, "required", "This field cannot be null.")),
    }
}

/// Refuses a change to what has moved on since it was read.
///
/// # Errors
/// `stale_revision`.
pub fn expect_revision(what: &str, expected: Option<i64>, found: i64) -> Result<()> {
    match expected {
        Some(expected) if expected != found => Err(Error::stale(what, expected, found)),
        _ => Ok(()),
    }
}

/// The fields in which two views differ, without the bookkeeping that every change touches.
///
/// # Errors
/// Never for plain structs.
pub fn changes<T: serde::Serialize>(before: &T, after: &T) -> Result<Changes> {
    let before = serde_json::to_value(before).map_err(Error::internal)?;
    let after = serde_json::to_value(after).map_err(Error::internal)?;
    let mut changes = diff(&before, &after);
    changes.retain(|field, _: &mut Change| !matches!(field.as_str(), "updated_at" | "revision"));
    Ok(changes)
}

/// A slug of a name: lower-case letters and digits joined by hyphens, at most 60 characters, never empty.
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        if slug.len() >= 60 {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "workspace".to_owned()
    } else {
        slug.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_lowered_and_checked() {
        assert_eq!(
            email(" Ada@Example.COM ", "/email").expect("ok"),
            "ada@example.com"
        );
        assert!(email("root@localhost", "/email").is_ok());
        assert!(email("a.b+c@x-y.example", "/email").is_ok());
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}.com", vec!["b".repeat(60); 5].join("."));
        for bad in [
            "", "a", "@", "a@", "@b", "a b@c.de", "a@b..c", "a@-b.c", "a@b@c", "é@b.de", "a@b\n", &long,
            &longer,
        ] {
            let refused = email(bad, "/email");
            let trimmed = bad == "a@b\n";
            assert_eq!(refused.is_ok(), trimmed, "{bad:?}");
        }
    }

    #[test]
    fn zones_and_languages_have_a_form() {
        for good in [
            "UTC",
            "Europe/Berlin",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+5",
            "America/Port-au-Prince",
        ] {
            assert!(timezone(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "utc",
            "Berlin",
            "europe/berlin",
            "A/B/C/D",
            "Europe/",
            "../etc",
            "Europe/Ber lin",
        ] {
            assert!(timezone(bad).is_err(), "{bad}");
        }
        for good in ["en", "pt-BR", "zh-Hant-TW"] {
            assert!(language(good).is_ok(), "{good}");
        }
        for bad in ["", "e", "EN", "en-", "en_US", "english"] {
            assert!(language(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pictures_come_from_the_web() {
        assert!(picture_url("https://example.com/a.png").is_ok());
        for bad in [
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            "https://a b",
            "https://a\"onerror=",
            "",
        ] {
            assert!(picture_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn slugs_are_never_empty() {
        assert_eq!(slug("  Acme & Söhne GmbH "), "acme-s-hne-gmbh");
        assert_eq!(slug("日本"), "workspace");
        assert!(slug(&"x".repeat(500)).len() <= 60);
    }

    #[test]
    fn objects_are_bounded() {
        let mut column = serde_json::json!({});
        let small = Object::from([("a".to_owned(), serde_json::json!(1))]);
        put_object(&Patch::Value(small), &mut column, "/metadata").expect("kept");
        assert_eq!(column, serde_json::json!({"a": 1}));
        let big = Object::from([("a".to_owned(), serde_json::json!("x".repeat(MAX_OBJECT_BYTES)))]);
        assert!(put_object(&Patch::Value(big), &mut column, "/metadata").is_err());
        assert!(put_object(&Patch::Null, &mut column, "/metadata").is_err());
        assert_eq!(column, serde_json::json!({"a": 1}));
    }
}
