//! Imports go down only; domains never import one another; nothing is optional by feature.

use crate::tidy::{File, Repo, Violation};

const PREFIX: &str = "synapscale-";

/// From the bottom up. A crate may use those of the rows below its own; one of the same row is a neighbour, which
/// it may not.
const LAYERS: &[&[&str]] = &[
    &["core"],
    &["store"],
    &["ops"],
    &["engine", "llm"],
    &["api"],
    DOMAINS,
    &["server", "lake"],
];

const DOMAINS: &[&str] = &[
    "identity", "work", "flows", "agents", "memory", "focus", "bots", "connect", "notify", "insight",
    "market", "files", "mcp",
];

/// Stands beside the layers: every crate's tests may use it, and it may use what lies below the domains.
const TESTKIT: &str = "testkit";

pub fn layers(repo: &Repo) -> Vec<Violation> {
    crate_manifests(repo).flat_map(check_manifest).collect()
}

pub fn no_features(repo: &Repo) -> Vec<Violation> {
    let manifests = repo
        .files
        .iter()
        .filter(|file| file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml"));
    manifests
        .flat_map(|file| {
            sections(&file.text)
                .filter(|line| line.section == "features" && line.text.starts_with('['))
                .map(|line| {
                    let message = "no cargo features: one build, one behaviour; make it a setting or a crate";
                    Violation::new(file, line.number, message)
                })
        })
        .collect()
}

fn crate_manifests(repo: &Repo) -> impl Iterator<Item = &File> {
    repo.files.iter().filter(|file| {
        let parts: Vec<_> = file.path.split('/').collect();
        matches!(parts[..], ["crates", _, "Cargo.toml"])
    })
}

fn check_manifest(file: &File) -> Vec<Violation> {
    let package = sections(&file.text)
        .filter(|line| line.section == "package")
        .find_map(|line| Some((line.number, string_value(line.text, "name")?)));
    let Some((name_line, package)) = package else {
        return vec![Violation::new(file, 1, "no `name = \"…\"` in [package]")];
    };
    let own = package.strip_prefix(PREFIX).unwrap_or(package);
    if own != TESTKIT && rank(own).is_none() {
        let message = format!("the crate `{package}` has no layer: give it one in xtask/src/rules/layers.rs");
        return vec![Violation::new(file, name_line, message)];
    }
    dependencies(&file.text)
        .filter_map(|used| {
            let message = refuse(own, &used)?;
            Some(Violation::new(file, used.line, message))
        })
        .collect()
}

fn rank(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// Why the crate `own` may not use this one; `None` when it may.
fn refuse(own: &str, used: &Used) -> Option<String> {
    let name = used.name;
    if name == TESTKIT {
        let message = "`testkit` belongs in [dev-dependencies]: no product code may need it";
        return (!used.for_tests).then(|| message.to_owned());
    }
    let Some(theirs) = rank(name) else {
        return Some(format!(
            "`{name}` has no layer: give it one in xtask/src/rules/layers.rs"
        ));
    };
    let domains = rank(DOMAINS[0]);
    if own == TESTKIT {
        return (Some(theirs) >= domains)
            .then(|| format!("testkit may use only what lies below the domains, and `{name}` does not"));
    }
    let mine = rank(own)?;
    if theirs < mine {
        None
    } else if DOMAINS.contains(&own) && DOMAINS.contains(&name) {
        Some(format!(
            "a domain never imports another: `{own}` calls `{name}` by operation name or follows its events"
        ))
    } else if theirs == mine {
        Some(format!(
            "`{own}` and `{name}` are neighbours: declare a trait below both"
        ))
    } else {
        Some(format!(
            "`{own}` lies below `{name}`: declare a trait here, and let the module above register it"
        ))
    }
}

/// One of our crates that a manifest names.
struct Used<'a> {
    /// Without the prefix.
    name: &'a str,
    line: usize,
    for_tests: bool,
}

fn dependencies(text: &str) -> impl Iterator<Item = Used<'_>> {
    sections(text).filter_map(|line| {
        let section = line.section;
        // `[target.'cfg(unix)'.dependencies]` counts like `[dependencies]`.
        let (kind, table_of) = match section.rsplit_once("dependencies.") {
            Some((before, krate)) => (before, Some(krate)),
            None => (section.strip_suffix("dependencies")?, None),
        };
        if !["", "dev-", "build-"]
            .iter()
            .any(|known| kind == *known || kind.ends_with(&format!(".{known}")))
        {
            return None;
        }
        let for_tests = kind.ends_with("dev-");
        let named = match table_of {
            // `[dependencies.synapscale-core]`, or an alias whose table says `package = …`
            Some(krate) if line.text.starts_with('[') => krate,
            Some(_) => string_value(line.text, "package")?,
            // `synapscale-core.workspace = true`, or `alias = { package = "synapscale-core" }`
            None if line.text.starts_with('[') => return None,
            None => inline_package(line.text).unwrap_or_else(|| key(line.text)),
        };
        let name = named.trim_matches(['"', '\'']).strip_prefix(PREFIX)?;
        Some(Used {
            name,
            line: line.number,
            for_tests,
        })
    })
}

/// The first part of a line's key.
fn key(line: &str) -> &str {
    line.split(['=', '.', ' ', '\t']).next().unwrap_or_default()
}

/// The value of `package = "…"` in an inline table.
fn inline_package(line: &str) -> Option<&str> {
    let (_, inside) = line.split_once('{')?;
    inside
        .split([',', '{', '}'])
        .find_map(|part| string_value(part.trim(), "package"))
}

/// `name = "value"` gives `value`.
fn string_value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let value = line
        .strip_prefix(name)?
        .trim_start()
        .strip_prefix('=')?
        .trim_start();
    value.strip_prefix('"')?.split('"').next()
}

/// A line of a manifest with the table that it stands in; a header stands in its own table.
struct Line<'a> {
    number: usize,
    section: &'a str,
    text: &'a str,
}

fn sections(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut section = "";
    text.lines().enumerate().filter_map(move |(index, line)| {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        if let Some(header) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            section = header.0.trim_start_matches('[').trim();
        }
        Some(Line {
            number: index + 1,
            section,
            text,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"synapscale-{name}\"\n\n{rest}\n")
    }

    /// The messages about one crate's manifest.
    fn found(name: &str, rest: &str) -> Vec<String> {
        let path = format!("crates/{name}/Cargo.toml");
        layers(&Repo::of(&[(&path, &manifest(name, rest))]))
            .into_iter()
            .map(|v| v.message)
            .collect()
    }

    #[test]
    fn downward_imports_pass() {
        for (name, rest) in [
            (
                "store",
                "[dependencies]\nsynapscale-core.workspace = true\nserde = \"1\"",
            ),
            ("engine", "[dependencies]\nsynapscale-ops = { workspace = true }"),
            (
                "flows",
                "[dependencies]\nsynapscale-engine.workspace = true\nsynapscale-api.workspace = true",
            ),
            (
                "server",
                "[dependencies]\nsynapscale-work.workspace = true\n[dev-dependencies]\nsynapscale-testkit.workspace = true",
            ),
            (
                "core",
                "[dependencies]\n# synapscale-server = \"1\"\n[dev-dependencies]\nsynapscale-testkit.workspace = true",
            ),
            ("testkit", "[dependencies]\nsynapscale-api.workspace = true"),
        ] {
            assert_eq!(found(name, rest), [""; 0], "{name}");
        }
    }

    #[test]
    fn upward_sideways_and_unknown_imports_are_found() {
        for (name, rest, expected) in [
            (
                "store",
                "[dependencies]\nsynapscale-ops.workspace = true",
                "`store` lies below `ops`",
            ),
            (
                "engine",
                "[dependencies]\nsynapscale-llm.workspace = true",
                "neighbours",
            ),
            (
                "work",
                "[dependencies]\nsynapscale-identity.workspace = true",
                "a domain never imports another",
            ),
            (
                "work",
                "[dev-dependencies]\nsynapscale-flows.workspace = true",
                "a domain never imports another",
            ),
            (
                "work",
                "[build-dependencies]\nsynapscale-server.workspace = true",
                "`work` lies below `server`",
            ),
            (
                "work",
                "[dependencies]\nsynapscale-work.workspace = true",
                "a domain never imports another",
            ),
            (
                "api",
                "[dependencies]\nsynapscale-testkit.workspace = true",
                "[dev-dependencies]",
            ),
            (
                "testkit",
                "[dependencies]\nsynapscale-work.workspace = true",
                "below the domains",
            ),
            (
                "server",
                "[dependencies]\nsynapscale-nova.workspace = true",
                "`nova` has no layer",
            ),
            ("nova", "[dependencies]", "`synapscale-nova` has no layer"),
        ] {
            let messages = found(name, rest);
            assert!(
                messages.len() == 1 && messages[0].contains(expected),
                "{name} {rest}: {messages:?}"
            );
        }
    }

    #[test]
    fn every_way_to_write_a_dependency_is_read() {
        for rest in [
            "[dependencies]\n\"synapscale-ops\" = { path = \"../ops\" }",
            "[dependencies]\nops = { path = \"../ops\", package = \"synapscale-ops\" }",
            "[dependencies.synapscale-ops]\nworkspace = true",
            "[dependencies.ops]\npath = \"../ops\"\npackage = \"synapscale-ops\"",
            "[target.'cfg(unix)'.dependencies]\nsynapscale-ops.workspace = true",
            "[target.'cfg(unix)'.dependencies.synapscale-ops]\nworkspace = true",
        ] {
            assert_eq!(found("store", rest).len(), 1, "{rest}");
        }
    }

    #[test]
    fn a_report_names_the_line() {
        let text = manifest(
            "core",
            "[dependencies]\nserde = \"1\"\nsynapscale-ops.workspace = true",
        );
        let found = layers(&Repo::of(&[("crates/core/Cargo.toml", &text)]));
        assert_eq!(
            (found[0].path.as_str(), found[0].line),
            ("crates/core/Cargo.toml", 6)
        );
    }

    #[test]
    fn a_features_table_is_found() {
        let text = manifest(
            "core",
            "[dependencies]\nserde = { version = \"1\", features = [\"rc\"] }\n\n[features]\na = []",
        );
        let repo = Repo::of(&[("Cargo.toml", "[workspace]\n"), ("crates/core/Cargo.toml", &text)]);
        let found = no_features(&repo);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].path.as_str(), found[0].line),
            ("crates/core/Cargo.toml", 7)
        );
    }
}
