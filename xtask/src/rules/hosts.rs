//! No file names a package registry's host: which one is used is the machine's own setting.

use crate::tidy::{Repo, Violation};

/// Written in two parts, so that this file keeps the rule.
const HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("deb.debian", ".org"),
    concat!("security.debian", ".org"),
    concat!("archive.ubuntu", ".com"),
];

/// Cargo itself writes the registry's name there. npm can leave it out: `omit-lockfile-registry-resolved=true`.
const WRITTEN_BY_CARGO: &str = "Cargo.lock";

pub fn registry_host(repo: &Repo) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in repo
        .files
        .iter()
        .filter(|file| file.path.rsplit('/').next() != Some(WRITTEN_BY_CARGO))
    {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(host) = HOSTS.iter().find(|host| line.contains(**host)) {
                let message =
                    format!("names the registry host {host}: name the package, not where it comes from");
                found.push(Violation::new(file, index + 1, message));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_host_is_found_in_any_file_but_the_lock() {
        let lock = format!("source = \"registry+https://{}-index\"\n", HOSTS[0]);
        let notes = format!("one\nsee https://{}/crates/serde\n", HOSTS[0]);
        let npm = format!("\"resolved\": \"https://registry.{}/react\"\n", HOSTS[3]);
        let repo = Repo::of(&[
            ("Cargo.lock", &lock),
            ("docs/notes.md", &notes),
            ("docs/fine.md", "see docs.rs\n"),
            ("web/package-lock.json", &npm),
        ]);
        let places: Vec<_> = registry_host(&repo)
            .into_iter()
            .map(|v| (v.path, v.line))
            .collect();
        assert_eq!(
            places,
            [
                ("docs/notes.md".to_owned(), 2),
                ("web/package-lock.json".to_owned(), 1)
            ]
        );
    }
}
