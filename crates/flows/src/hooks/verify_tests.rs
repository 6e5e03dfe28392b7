//! Published vectors, and deliveries that must be refused.

use super::*;
use chrono::TimeZone;

const GITHUB_SECRET: &[u8] = b"It's a Secret to Everybody";
const GITHUB_BODY: &[u8] = b"Hello, World!";
const GITHUB_VECTOR: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

// The vector of the Standard Webhooks reference libraries.
const KEY: &[u8] = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_KEY: &[u8] = b"whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQQ==";
const MSG_ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const MSG_TIME: i64 = 1_614_265_330;
const MSG_BODY: &[u8] = br#"{"test": 2432232314}"#;
const MSG_VECTOR: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(seconds, 0).unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn check(
    scheme: Scheme,
    secrets: &[&[u8]],
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Verified, VerifyError> {
    verify(
        scheme,
        secrets,
        &Delivery {
            headers,
            body,
            now: at(MSG_TIME),
        },
    )
}

fn github_with(signature: &str) -> Result<Verified, VerifyError> {
    check(
        Scheme::Github,
        &[GITHUB_SECRET],
        &headers(&[(GITHUB_SIGNATURE, signature)]),
        GITHUB_BODY,
    )
}

fn standard_headers(signature: &str) -> HeaderMap {
    let time = MSG_TIME.to_string();
    headers(&[
        (WEBHOOK_ID, MSG_ID),
        (WEBHOOK_TIMESTAMP, &time),
        (WEBHOOK_SIGNATURE, signature),
    ])
}

fn standard_with(signature: &str) -> Result<Verified, VerifyError> {
    check(
        Scheme::StandardWebhooks,
        &[KEY],
        &standard_headers(signature),
        MSG_BODY,
    )
}

#[test]
fn githubs_documented_vector_passes() {
    let sent = headers(&[
        (GITHUB_SIGNATURE, GITHUB_VECTOR),
        (GITHUB_DELIVERY, "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        (GITHUB_EVENT, "issues"),
    ]);
    let passed = check(Scheme::Github, &[GITHUB_SECRET], &sent, GITHUB_BODY).unwrap();
    assert_eq!(
        passed.delivery_id.as_deref(),
        Some("72d3162e-cc78-11e3-81ab-4c9367dc0958")
    );
    assert_eq!(passed.event.as_deref(), Some("issues"));
    // SHA-256 of "Hello, World!".
    let digest = "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f";
    assert_eq!(to_hex(&passed.body_digest), digest);
    let keys = [
        "github:id:72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned(),
        format!("github:body:{digest}"),
    ];
    assert_eq!(passed.dedupe_keys, keys);
}

#[test]
fn a_github_replay_under_a_new_guid_shares_the_body_key() {
    let first = headers(&[(GITHUB_SIGNATURE, GITHUB_VECTOR), (GITHUB_DELIVERY, "a")]);
    let second = headers(&[
        (GITHUB_SIGNATURE, GITHUB_VECTOR),
        (GITHUB_DELIVERY, "b"),
        (GITHUB_EVENT, "push"),
    ]);
    let first = check(Scheme::Github, &[GITHUB_SECRET], &first, GITHUB_BODY).unwrap();
    let second = check(Scheme::Github, &[GITHUB_SECRET], &second, GITHUB_BODY).unwrap();
    assert!(
        first
            .dedupe_keys
            .iter()
            .any(|key| second.dedupe_keys.contains(key))
    );
}

#[test]
fn github_refuses_what_is_forged() {
    let forged = format!("sha256={}", "0".repeat(64));
    assert_eq!(github_with(&forged), Err(VerifyError::BadSignature));
    let sent = headers(&[(GITHUB_SIGNATURE, GITHUB_VECTOR)]);
    assert_eq!(
        check(Scheme::Github, &[GITHUB_SECRET], &sent, b"Hello, World?"),
        Err(VerifyError::BadSignature)
    );
    assert_eq!(
        check(Scheme::Github, &[b"another"], &sent, GITHUB_BODY),
        Err(VerifyError::BadSignature)
    );
}

#[test]
fn github_refuses_every_other_spelling() {
    let hex = GITHUB_VECTOR.strip_prefix("sha256=").unwrap();
    let spellings = [
        GITHUB_VECTOR[..GITHUB_VECTOR.len() - 2].to_owned(),
        "sha256=".to_owned(),
        hex.to_owned(),
        format!("sha256={}", hex.to_uppercase()),
        format!("SHA256={hex}"),
        format!("sha1={hex}"),
        "sha1=d0d1d2d3d4d5d6d7d8d9dadbdcdddedfd0d1d2d3".to_owned(),
        format!("sha256={hex}00"),
        format!("sha256={hex}, sha256={hex}"),
        format!("sha256= {hex}"),
        format!("sha256={}zz", &hex[2..]),
    ];
    for spelling in spellings {
        assert_eq!(
            github_with(&spelling),
            Err(VerifyError::Malformed(GITHUB_SIGNATURE)),
            "{spelling}"
        );
    }
}

#[test]
fn github_needs_the_sha256_header() {
    let sent = headers(&[("x-hub-signature", "sha1=d0d1d2d3d4d5d6d7d8d9dadbdcdddedfd0d1d2d3")]);
    let refused = check(Scheme::Github, &[GITHUB_SECRET], &sent, GITHUB_BODY);
    assert_eq!(refused, Err(VerifyError::MissingHeader(GITHUB_SIGNATURE)));
}

#[test]
fn the_previous_secret_opens_while_it_is_given() {
    let sent = headers(&[(GITHUB_SIGNATURE, GITHUB_VECTOR)]);
    assert!(check(Scheme::Github, &[b"new", GITHUB_SECRET], &sent, GITHUB_BODY).is_ok());
    let sent = standard_headers(MSG_VECTOR);
    assert!(check(Scheme::StandardWebhooks, &[OTHER_KEY, KEY], &sent, MSG_BODY).is_ok());
    let sent = headers(&[(GITLAB_TOKEN, "old")]);
    assert!(check(Scheme::Gitlab, &[b"new", b"old"], &sent, b"{}").is_ok());
}

#[test]
fn an_empty_or_absent_secret_opens_nothing() {
    let none: [&[&[u8]]; 2] = [&[], &[b""]];
    for secrets in none {
        for scheme in [Scheme::Github, Scheme::Gitlab, Scheme::StandardWebhooks] {
            let mut sent = standard_headers(MSG_VECTOR);
            sent.insert(GITHUB_SIGNATURE, HeaderValue::from_static(GITHUB_VECTOR));
            sent.insert(GITLAB_TOKEN, HeaderValue::from_static("x"));
            assert_eq!(
                check(scheme, secrets, &sent, MSG_BODY),
                Err(VerifyError::NoUsableSecret)
            );
        }
    }
    assert_eq!(
        sign(Scheme::Github, b"", "id", at(0), b""),
        Err(VerifyError::NoUsableSecret)
    );
    assert_eq!(
        sign(Scheme::Gitlab, b"", "id", at(0), b""),
        Err(VerifyError::NoUsableSecret)
    );
}

#[test]
fn duplicate_headers_are_refused() {
    let cases = [
        (Scheme::Github, GITHUB_SIGNATURE, GITHUB_VECTOR),
        (Scheme::Github, GITHUB_DELIVERY, "a"),
        (Scheme::Github, GITHUB_EVENT, "issues"),
        (Scheme::Gitlab, GITLAB_TOKEN, "token"),
        (Scheme::Gitlab, IDEMPOTENCY_KEY, "a"),
        (Scheme::Gitlab, GITLAB_EVENT, "Issue Hook"),
        (Scheme::None, IDEMPOTENCY_KEY, "a"),
    ];
    for (scheme, name, value) in cases {
        let mut sent = headers(&[(GITHUB_SIGNATURE, GITHUB_VECTOR), (GITLAB_TOKEN, "token")]);
        sent.insert(name, HeaderValue::from_static(value));
        sent.append(name, HeaderValue::from_static(value));
        let secrets: &[&[u8]] = if scheme == Scheme::Github {
            &[GITHUB_SECRET]
        } else {
            &[b"token"]
        };
        assert_eq!(
            check(scheme, secrets, &sent, GITHUB_BODY),
            Err(VerifyError::DuplicateHeader(name))
        );
    }
    for name in [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE] {
        let mut sent = standard_headers(MSG_VECTOR);
        let again = sent[name].clone();
        sent.append(name, again);
        let refused = check(Scheme::StandardWebhooks, &[KEY], &sent, MSG_BODY);
        assert_eq!(refused, Err(VerifyError::DuplicateHeader(name)));
    }
}

#[test]
fn huge_headers_are_refused() {
    let huge = "a".repeat(64 * 1024);
    assert_eq!(
        github_with(&huge),
        Err(VerifyError::HeaderTooLong(GITHUB_SIGNATURE))
    );
    assert_eq!(
        standard_with(&huge),
        Err(VerifyError::HeaderTooLong(WEBHOOK_SIGNATURE))
    );
    for (name, limit) in [(GITHUB_DELIVERY, MAX_ID), (GITHUB_EVENT, MAX_EVENT)] {
        for (len, fits) in [(limit, true), (limit + 1, false)] {
            let sent = headers(&[(GITHUB_SIGNATURE, GITHUB_VECTOR), (name, &huge[..len])]);
            assert_eq!(
                check(Scheme::Github, &[GITHUB_SECRET], &sent, GITHUB_BODY).is_ok(),
                fits,
                "{name} {len}"
            );
        }
    }
    let sent = headers(&[(GITLAB_TOKEN, &huge)]);
    assert_eq!(
        check(Scheme::Gitlab, &[b"t"], &sent, b""),
        Err(VerifyError::HeaderTooLong(GITLAB_TOKEN))
    );
    let longest = "i".repeat(MAX_ID);
    let sent = sign(Scheme::StandardWebhooks, KEY, &longest, at(MSG_TIME), b"").unwrap();
    let passed = check(Scheme::StandardWebhooks, &[KEY], &sent, b"").unwrap();
    assert!(passed.dedupe_keys.iter().all(|key| key.len() < 256));
}

#[test]
fn only_visible_ascii_is_taken() {
    for bytes in [&b"caf\xc3\xa9"[..], b"\xff", b"a\tb", b"a b", b""] {
        let mut sent = headers(&[(GITHUB_SIGNATURE, GITHUB_VECTOR)]);
        sent.insert(GITHUB_DELIVERY, HeaderValue::from_bytes(bytes).unwrap());
        let refused = check(Scheme::Github, &[GITHUB_SECRET], &sent, GITHUB_BODY);
        assert_eq!(refused, Err(VerifyError::Malformed(GITHUB_DELIVERY)), "{bytes:?}");
    }
}

#[test]
fn gitlabs_token_is_compared_whole() {
    let sent = headers(&[
        (GITLAB_TOKEN, "s3cret"),
        (GITLAB_EVENT, "Issue Hook"),
        (IDEMPOTENCY_KEY, "f5e5f430"),
    ]);
    let passed = check(Scheme::Gitlab, &[b"s3cret"], &sent, b"{}").unwrap();
    assert_eq!(passed.event.as_deref(), Some("Issue Hook"));
    assert_eq!(passed.dedupe_keys, ["gitlab:id:f5e5f430"]);
    for wrong in ["s3cre", "s3cret!", "S3CRET", "x"] {
        let sent = headers(&[(GITLAB_TOKEN, wrong)]);
        assert_eq!(
            check(Scheme::Gitlab, &[b"s3cret"], &sent, b"{}"),
            Err(VerifyError::BadSignature)
        );
    }
    let refused = check(Scheme::Gitlab, &[b"s3cret"], &HeaderMap::new(), b"{}");
    assert_eq!(refused, Err(VerifyError::MissingHeader(GITLAB_TOKEN)));
}

#[test]
fn gitlabs_id_is_the_one_that_retries_share() {
    let all = [
        (GITLAB_TOKEN, "t"),
        ("x-gitlab-event-uuid", "event"),
        (GITLAB_ATTEMPT, "attempt"),
        (IDEMPOTENCY_KEY, "id"),
    ];
    for (count, expected) in [(4, Some("id")), (3, Some("attempt")), (2, None), (1, None)] {
        let passed = check(Scheme::Gitlab, &[b"t"], &headers(&all[..count]), b"{}").unwrap();
        assert_eq!(passed.delivery_id.as_deref(), expected);
        assert_eq!(passed.dedupe_keys.len(), usize::from(expected.is_some()));
    }
}

#[test]
fn gitlabs_signing_token_asks_for_a_signature() {
    let mut sent = sign(Scheme::Gitlab, KEY, MSG_ID, at(MSG_TIME), MSG_BODY).unwrap();
    assert_eq!(sent[WEBHOOK_SIGNATURE], MSG_VECTOR);
    sent.insert(GITLAB_EVENT, HeaderValue::from_static("Issue Hook"));
    let passed = check(Scheme::Gitlab, &[KEY], &sent, MSG_BODY).unwrap();
    assert_eq!(passed.dedupe_keys, [format!("gitlab:id:{MSG_ID}")]);
    assert_eq!(
        check(Scheme::Gitlab, &[KEY], &sent, b"{}"),
        Err(VerifyError::BadSignature)
    );
    // The signing token is never accepted as a plain one.
    let plain = headers(&[(GITLAB_TOKEN, std::str::from_utf8(KEY).unwrap())]);
    assert_eq!(
        check(Scheme::Gitlab, &[KEY], &plain, MSG_BODY),
        Err(VerifyError::MissingHeader(WEBHOOK_ID))
    );
    // From a token to a signing token: both open, and nothing else does.
    let token = headers(&[(GITLAB_TOKEN, "old")]);
    assert!(check(Scheme::Gitlab, &[KEY, b"old"], &token, MSG_BODY).is_ok());
    assert!(check(Scheme::Gitlab, &[KEY, b"old"], &sent, MSG_BODY).is_ok());
    assert_eq!(
        check(Scheme::Gitlab, &[KEY, b"older"], &token, MSG_BODY),
        Err(VerifyError::BadSignature)
    );
}

#[test]
fn the_vector_of_standard_webhooks_passes() {
    let passed = standard_with(MSG_VECTOR).unwrap();
    assert_eq!(passed.delivery_id.as_deref(), Some(MSG_ID));
    assert_eq!(passed.dedupe_keys, [format!("standard_webhooks:id:{MSG_ID}")]);
    let bare = KEY.strip_prefix(SECRET_PREFIX).unwrap();
    assert!(
        check(
            Scheme::StandardWebhooks,
            &[bare],
            &standard_headers(MSG_VECTOR),
            MSG_BODY
        )
        .is_ok()
    );
    let signed = sign(Scheme::StandardWebhooks, KEY, MSG_ID, at(MSG_TIME), MSG_BODY).unwrap();
    assert_eq!(signed, standard_headers(MSG_VECTOR));
}

#[test]
fn one_fitting_signature_of_the_list_is_enough() {
    let forged = format!("v1,{}", STANDARD.encode([7; 32]));
    assert!(standard_with(&format!("v1a,aGVsbG8= {forged} {MSG_VECTOR} v2,x")).is_ok());
    assert_eq!(standard_with(&forged), Err(VerifyError::BadSignature));
    for malformed in [
        "v1a,aGVsbG8=",
        "v1,",
        "v1,bm9wZQ==",
        "v1",
        &MSG_VECTOR[3..],
        &MSG_VECTOR[..44],
    ] {
        assert_eq!(
            standard_with(malformed),
            Err(VerifyError::Malformed(WEBHOOK_SIGNATURE)),
            "{malformed}"
        );
    }
}

#[test]
fn id_time_and_body_are_all_signed() {
    for (name, value) in [(WEBHOOK_ID, "msg_other"), (WEBHOOK_TIMESTAMP, "1614265331")] {
        let mut sent = standard_headers(MSG_VECTOR);
        sent.insert(name, HeaderValue::from_static(value));
        let refused = check(Scheme::StandardWebhooks, &[KEY], &sent, MSG_BODY);
        assert_eq!(refused, Err(VerifyError::BadSignature), "{name}");
        sent.remove(name);
        let refused = check(Scheme::StandardWebhooks, &[KEY], &sent, MSG_BODY);
        assert_eq!(refused, Err(VerifyError::MissingHeader(name)));
    }
    let sent = standard_headers(MSG_VECTOR);
    assert_eq!(
        check(Scheme::StandardWebhooks, &[KEY], &sent, b"{}"),
        Err(VerifyError::BadSignature)
    );
}

#[test]
fn the_tolerance_is_five_minutes_both_ways() {
    let sent = standard_headers(MSG_VECTOR);
    for (offset, passes) in [
        (0, true),
        (300, true),
        (-300, true),
        (301, false),
        (-301, false),
        (86_400, false),
    ] {
        let delivery = Delivery {
            headers: &sent,
            body: MSG_BODY,
            now: at(MSG_TIME + offset),
        };
        let result = verify(Scheme::StandardWebhooks, &[KEY], &delivery);
        let expired = VerifyError::Expired {
            age_seconds: offset,
            tolerance_seconds: 300,
        };
        assert_eq!(result.err(), (!passes).then_some(expired));
    }
    // A forged delivery is not told about its time.
    let delivery = Delivery {
        headers: &sent,
        body: b"{}",
        now: at(MSG_TIME + 9_999),
    };
    assert_eq!(
        verify(Scheme::StandardWebhooks, &[KEY], &delivery),
        Err(VerifyError::BadSignature)
    );
}

#[test]
fn timestamps_are_plain_digits() {
    for text in [
        "-1614265330",
        "+1614265330",
        "1614265330.0",
        "1614265330 ",
        "0x5",
        "now",
        "161426533000000",
    ] {
        let mut sent = standard_headers(MSG_VECTOR);
        sent.insert(WEBHOOK_TIMESTAMP, HeaderValue::from_str(text).unwrap());
        let refused = check(Scheme::StandardWebhooks, &[KEY], &sent, MSG_BODY).unwrap_err();
        let expected = [
            VerifyError::Malformed(WEBHOOK_TIMESTAMP),
            VerifyError::HeaderTooLong(WEBHOOK_TIMESTAMP),
        ];
        assert!(expected.contains(&refused), "{text}: {refused:?}");
    }
}

#[test]
fn the_signed_text_cannot_be_cut_elsewhere() {
    // "msg.1614265330" + "." + … would be the same bytes as an id "msg" with a body that begins by a time.
    let body = format!("{MSG_TIME}.{{}}");
    let sent = sign(
        Scheme::StandardWebhooks,
        KEY,
        "msg",
        at(MSG_TIME),
        body.as_bytes(),
    )
    .unwrap();
    let mut recut = sent.clone();
    recut.insert(
        WEBHOOK_ID,
        HeaderValue::from_str(&format!("msg.{MSG_TIME}")).unwrap(),
    );
    assert_eq!(
        check(Scheme::StandardWebhooks, &[KEY], &recut, b"{}"),
        Err(VerifyError::Malformed(WEBHOOK_ID))
    );
    assert!(check(Scheme::StandardWebhooks, &[KEY], &sent, body.as_bytes()).is_ok());
}

#[test]
fn unusable_keys_are_said_to_be_unusable() {
    let sent = standard_headers(MSG_VECTOR);
    for secret in [
        &b"whsec_"[..],
        b"whsec_!!!",
        b"whsec_c2hvcnQ=",
        b"whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ] {
        let refused = check(Scheme::StandardWebhooks, &[secret], &sent, MSG_BODY);
        assert_eq!(refused, Err(VerifyError::NoUsableSecret));
        // A broken previous secret does not stop the current one.
        assert!(check(Scheme::StandardWebhooks, &[KEY, secret], &sent, MSG_BODY).is_ok());
    }
}

#[test]
fn the_plain_scheme_takes_all_and_knows_an_idempotency_key() {
    let passed = check(Scheme::None, &[], &HeaderMap::new(), b"x").unwrap();
    assert_eq!(
        (passed.delivery_id, passed.event, passed.dedupe_keys),
        (None, None, vec![])
    );
    let sent = sign(Scheme::None, b"", "form-1", at(0), b"x").unwrap();
    assert_eq!(
        check(Scheme::None, &[], &sent, b"x").unwrap().dedupe_keys,
        ["none:id:form-1"]
    );
}

#[test]
fn what_is_signed_verifies() {
    let secrets: [(Scheme, &[u8]); 5] = [
        (Scheme::Github, GITHUB_SECRET),
        (Scheme::Gitlab, b"token with spaces"),
        (Scheme::Gitlab, OTHER_KEY),
        (Scheme::StandardWebhooks, OTHER_KEY),
        (Scheme::None, b""),
    ];
    for (scheme, secret) in secrets {
        for body in [&b""[..], b"{}", &[0xff; 100_000]] {
            let sent = sign(scheme, secret, "id-1", at(MSG_TIME), body).unwrap();
            assert_eq!(
                check(scheme, &[secret], &sent, body)
                    .unwrap()
                    .delivery_id
                    .as_deref(),
                Some("id-1")
            );
        }
    }
    let sent = sign(Scheme::Github, GITHUB_SECRET, "id-1", at(0), GITHUB_BODY).unwrap();
    assert_eq!(sent[GITHUB_SIGNATURE], GITHUB_VECTOR);
    assert!(!format!("{:?}", sign(Scheme::Gitlab, b"s3cret", "id", at(0), b"").unwrap()).contains("s3cret"));
    for id in ["", "a b", "é", "a\nb"] {
        assert!(
            sign(Scheme::Github, GITHUB_SECRET, id, at(0), b"").is_err(),
            "{id:?}"
        );
    }
}

#[test]
fn names_codes_and_words_are_stable() {
    for scheme in [
        Scheme::Github,
        Scheme::Gitlab,
        Scheme::StandardWebhooks,
        Scheme::None,
    ] {
        assert_eq!(serde_json::to_value(scheme).unwrap(), scheme.as_str());
    }
    let errors = [
        (VerifyError::MissingHeader(WEBHOOK_ID), "webhook_header_missing"),
        (
            VerifyError::DuplicateHeader(WEBHOOK_ID),
            "webhook_header_duplicate",
        ),
        (VerifyError::HeaderTooLong(WEBHOOK_ID), "webhook_header_too_long"),
        (VerifyError::Malformed(WEBHOOK_ID), "webhook_header_malformed"),
        (VerifyError::BadSignature, "webhook_signature_invalid"),
        (
            VerifyError::Expired {
                age_seconds: 301,
                tolerance_seconds: 300,
            },
            "webhook_delivery_expired",
        ),
        (VerifyError::NoUsableSecret, "webhook_secret_unusable"),
    ];
    for (error, code) in errors {
        assert_eq!(error.code(), code);
        assert!(!error.to_string().is_empty());
    }
}
