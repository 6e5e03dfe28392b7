//! What the words of settings stand for.

use super::{LogFormat, Problems, Profile, Roles};

pub(super) fn profile(text: Option<&str>, problems: &mut Problems) -> Profile {
    match text {
        None | Some("dev") => Profile::Dev,
        Some("staging") => Profile::Staging,
        Some("prod") => Profile::Prod,
        Some(other) => {
            problems.add("profile", format!("dev, staging or prod, not `{other}`."));
            Profile::Dev
        }
    }
}

/// The address under which others reach this server, without a slash at its end; empty when none is set.
pub(super) fn public_url(text: Option<&str>, problems: &mut Problems) -> String {
    let text = text.unwrap_or_default().trim().trim_end_matches('/');
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let whole = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['?', '#', '@', ' ']));
    if !text.is_empty() && !whole {
        problems.add("public_url", "An address such as https://synapscale.example.com.");
    }
    text.to_owned()
}

pub(super) fn roles(names: Option<Vec<String>>, problems: &mut Problems) -> Roles {
    let Some(names) = names else {
        return Roles {
            api: true,
            worker: true,
            relay: true,
        };
    };
    let mut roles = Roles {
        api: false,
        worker: false,
        relay: false,
    };
    for name in names {
        match name.trim() {
            "api" => roles.api = true,
            "worker" => roles.worker = true,
            "relay" => roles.relay = true,
            "" => {}
            other => problems.add(
                "roles",
                format!("api, worker and relay are known, `{other}` is not."),
            ),
        }
    }
    if roles.names().is_empty() && problems.0.is_empty() {
        problems.add("roles", "Name at least one of api, worker and relay.");
    }
    roles
}

pub(super) fn log_format(text: Option<&str>, profile: Profile, problems: &mut Problems) -> LogFormat {
    match text {
        None if profile == Profile::Dev => LogFormat::Human,
        None | Some("json") => LogFormat::Json,
        Some("human") => LogFormat::Human,
        Some(other) => {
            problems.add("log/format", format!("human or json, not `{other}`."));
            LogFormat::Human
        }
    }
}
