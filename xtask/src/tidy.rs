//! Reads the files that git knows or would add, and holds every rule against them.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::rules;

/// A text file of the repository.
pub struct File {
    /// Relative to the repository's root, with `/`.
    pub path: String,
    pub text: String,
}

/// All text files, ordered by path.
pub struct Repo {
    pub files: Vec<File>,
}

impl Repo {
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A repository of planted files.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        Repo {
            files: files.iter().map(file).collect(),
        }
    }
}

/// One place that breaks a rule.
#[derive(Debug)]
pub struct Violation {
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and what to do instead.
    pub message: String,
}

impl Violation {
    pub fn new(file: &File, line: usize, message: impl Into<String>) -> Self {
        Violation {
            path: file.path.clone(),
            line,
            message: message.into(),
        }
    }
}

/// Exit code 0 when every rule holds, 1 when one is broken, 2 when the files cannot be read.
pub fn run() -> ExitCode {
    let repo = match load() {
        Ok(repo) => repo,
        Err(message) => {
            eprintln!("tidy: {message}");
            return ExitCode::from(2);
        }
    };
    let found = check(&repo);
    for (rule, violation) in &found {
        println!(
            "{}:{}: {} [{rule}]",
            violation.path, violation.line, violation.message
        );
    }
    if found.is_empty() {
        println!(
            "tidy: {} files keep all {} rules",
            repo.files.len(),
            rules::ALL.len()
        );
        ExitCode::SUCCESS
    } else {
        println!(
            "tidy: {} places break a rule (the rules: xtask/src/rules)",
            found.len()
        );
        ExitCode::FAILURE
    }
}

/// Every violation with its rule's name, ordered by place.
fn check(repo: &Repo) -> Vec<(&'static str, Violation)> {
    let mut found: Vec<_> = rules::ALL
        .iter()
        .flat_map(|(name, rule)| rule(repo).into_iter().map(move |v| (*name, v)))
        .collect();
    // Stable: at one place, the rules keep their order.
    found.sort_by(|(_, a), (_, b)| (&a.path, a.line).cmp(&(&b.path, b.line)));
    found
}

fn load() -> Result<Repo, String> {
    let root = git(Path::new("."), &["rev-parse", "--show-toplevel"])?;
    let root = PathBuf::from(root.trim_end());
    let listing = git(
        &root,
        &["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    )?;
    let mut paths: Vec<&str> = listing.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        let full = root.join(path);
        // Gone from the work tree but not yet from the index, or a link: nothing of ours to read.
        if !full.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            continue;
        }
        let bytes = std::fs::read(&full).map_err(|error| format!("cannot read {path}: {error}"))?;
        // Images and the like are not text.
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(Repo { files })
}

fn git(directory: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git")
        .current_dir(directory)
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot run git: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "git {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    String::from_utf8(output.stdout).map_err(|_| "a file name is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_ordered_by_place_and_name_their_rule() {
        let repo = Repo::of(&[
            ("crates/work/src/lib.rs", "fn f() { q(\"DELETE FROM tasks\") }\n"),
            ("crates/core/src/lib.rs", "fn f() {}\n"),
        ]);
        let found: Vec<_> = check(&repo)
            .into_iter()
            .map(|(rule, v)| (v.path, v.line, rule))
            .collect();
        assert_eq!(
            found,
            [
                ("crates/core/src/lib.rs".to_owned(), 1, "first-line"),
                ("crates/work/src/lib.rs".to_owned(), 1, "first-line"),
                ("crates/work/src/lib.rs".to_owned(), 1, "raw-sql"),
            ]
        );
    }

    #[test]
    fn this_repository_can_be_read() {
        let repo = load().expect("git lists the files");
        assert!(repo.files.iter().any(|file| file.path.ends_with("tidy.rs")));
    }
}
