//! Each Rust file says what it is for in its first line, and no source file is too long to read.

use crate::tidy::{Repo, Violation};

const MAX_LINES: usize = 600;

pub fn first_line(repo: &Repo) -> Vec<Violation> {
    repo.files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .filter(|file| file.path.starts_with("crates/") || file.path.starts_with("xtask/"))
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| {
            Violation::new(
                file,
                1,
                "the first line is a `//!` that says what this file is for",
            )
        })
        .collect()
}

pub fn length(repo: &Repo) -> Vec<Violation> {
    repo.files
        .iter()
        .filter(|file| {
            [".rs", ".ts", ".tsx", ".sh"]
                .iter()
                .any(|ending| file.path.ends_with(ending))
        })
        .filter_map(|file| {
            let lines = file.text.lines().count();
            (lines > MAX_LINES).then(|| {
                let message =
                    format!("{lines} lines, {MAX_LINES} at most: split it by what its parts are for");
                Violation::new(file, MAX_LINES + 1, message)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_file_without_a_purpose_is_found() {
        let repo = Repo::of(&[
            ("crates/core/src/good.rs", "//! Ids.\n"),
            ("crates/core/src/bad.rs", "use std::fmt;\n//! Too late.\n"),
            ("crates/core/src/empty.rs", ""),
            ("examples/other.rs", "fn main() {}\n"),
            ("xtask/src/bad.rs", "/// An item's comment is not the file's.\n"),
        ]);
        let paths: Vec<_> = first_line(&repo).into_iter().map(|v| v.path).collect();
        assert_eq!(
            paths,
            [
                "crates/core/src/bad.rs",
                "crates/core/src/empty.rs",
                "xtask/src/bad.rs"
            ]
        );
    }

    #[test]
    fn the_601st_line_is_one_too_many() {
        let fits = "x\n".repeat(MAX_LINES);
        let long = "x\n".repeat(MAX_LINES + 1);
        let repo = Repo::of(&[
            ("crates/core/src/fits.rs", &fits),
            ("crates/core/src/long.rs", &long),
            ("scripts/long.sh", &long),
            ("web/src/long.tsx", &long),
            ("docs/long.md", &long),
        ]);
        let found = length(&repo);
        let paths: Vec<_> = found.iter().map(|v| v.path.as_str()).collect();
        assert_eq!(
            paths,
            ["crates/core/src/long.rs", "scripts/long.sh", "web/src/long.tsx"]
        );
        assert_eq!(found[0].line, 601);
    }
}
