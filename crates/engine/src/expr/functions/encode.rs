//! Encodings and digests of text.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::{Args, Builtin, Eval, Result, Val, text_value};

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new(
        [
            "base64_encode",
            "base64_encode(text)",
            "The text's UTF-8 bytes in standard base64 with padding.",
        ],
        [r#"base64_encode("grün")"#, r#""Z3LDvG4=""#],
        (1, 1),
        base64_encode,
    ),
    Builtin::new(
        [
            "base64_decode",
            "base64_decode(text)",
            "The text whose UTF-8 bytes are encoded in standard base64, with or without padding.",
        ],
        [r#"base64_decode("Z3LDvG4=")"#, r#""grün""#],
        (1, 1),
        base64_decode,
    ),
    Builtin::new(
        [
            "sha256",
            "sha256(text)",
            "The SHA-256 digest of the text's UTF-8 bytes, as 64 hexadecimal digits.",
        ],
        [
            r#"sha256("")"#,
            r#""e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855""#,
        ],
        (1, 1),
        sha256,
    ),
    Builtin::new(
        [
            "url_encode",
            "url_encode(text)",
            "The text with every byte but A-Z a-z 0-9 - . _ ~ as %XX (RFC 3986).",
        ],
        [r#"url_encode("a b&ü")"#, r#""a%20b%26%C3%BC""#],
        (1, 1),
        url_encode,
    ),
];

fn base64_encode<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let text = args.str(eval, 0)?;
    eval.scratch((text.len() / 3 + 1).saturating_mul(4))?;
    text_value(STANDARD.encode(text))
}

fn base64_decode<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let text = args.str(eval, 0)?;
    eval.scratch(text.len())?;
    let bytes = match STANDARD_NO_PAD.decode(text.trim_end_matches('=')) {
        Ok(bytes) => bytes,
        Err(error) => return Err(args.bad(eval, format!("not base64: {error}"))),
    };
    match String::from_utf8(bytes) {
        Ok(text) => text_value(text),
        Err(_) => Err(args.bad(eval, "the decoded bytes are not UTF-8 text")),
    }
}

fn sha256<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let text = args.str(eval, 0)?;
    eval.reading(text.len())?;
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut out = String::new();
    for byte in digest.as_ref() {
        push_hex(&mut out, *byte, b"0123456789abcdef");
    }
    text_value(out)
}

fn push_hex(out: &mut String, byte: u8, digits: &[u8; 16]) {
    for nibble in [byte >> 4, byte & 0xF] {
        out.push(char::from(
            digits.get(usize::from(nibble)).copied().unwrap_or(b'0'),
        ));
    }
}

fn url_encode<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let text = args.str(eval, 0)?;
    eval.scratch(text.len().saturating_mul(3))?;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            push_hex(&mut out, byte, b"0123456789ABCDEF");
        }
    }
    text_value(out)
}
