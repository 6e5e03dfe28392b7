//! The map stays one page, and every decision is listed where one looks for it.

use crate::tidy::{Repo, Violation};

const MAP: &str = "docs/ARCHITECTURE.md";
const MAP_MAX_LINES: usize = 150;

const ADR_FOLDER: &str = "docs/adr/";
const ADR_INDEX: &str = "docs/adr/README.md";

pub fn map_length(repo: &Repo) -> Vec<Violation> {
    let Some(file) = repo.get(MAP) else {
        return Vec::new();
    };
    let lines = file.text.lines().count();
    if lines <= MAP_MAX_LINES {
        return Vec::new();
    }
    let message =
        format!("{lines} lines, {MAP_MAX_LINES} at most: a map that is read beats one that is complete");
    vec![Violation::new(file, MAP_MAX_LINES + 1, message)]
}

pub fn adr_index(repo: &Repo) -> Vec<Violation> {
    let Some(index) = repo.get(ADR_INDEX) else {
        return Vec::new();
    };
    repo.files
        .iter()
        .filter(|file| {
            let name = file.path.strip_prefix(ADR_FOLDER).unwrap_or_default();
            is_decision(name) && !index.text.contains(name)
        })
        .map(|file| Violation::new(file, 1, format!("this decision is not listed in {ADR_INDEX}")))
        .collect()
}

/// `NNNN-title.md`
fn is_decision(name: &str) -> bool {
    let Some((number, title)) = name.split_once('-') else {
        return false;
    };
    number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()) && title.ends_with(".md")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_of_151_lines_is_found() {
        let fits = "x\n".repeat(MAP_MAX_LINES);
        let long = "x\n".repeat(MAP_MAX_LINES + 1);
        assert!(map_length(&Repo::of(&[])).is_empty());
        assert!(map_length(&Repo::of(&[(MAP, &fits)])).is_empty());
        assert_eq!(map_length(&Repo::of(&[(MAP, &long)]))[0].line, 151);
    }

    #[test]
    fn an_unlisted_decision_is_found_when_there_is_an_index() {
        let decisions = [
            ("docs/adr/0001-one.md", "# One\n"),
            ("docs/adr/0002-two.md", "# Two\n"),
        ];
        assert!(adr_index(&Repo::of(&decisions)).is_empty());
        let index = (ADR_INDEX, "- [One](0001-one.md)\n");
        let repo = Repo::of(&[decisions[0], decisions[1], ("docs/adr/template.md", ""), index]);
        let paths: Vec<_> = adr_index(&repo).into_iter().map(|v| v.path).collect();
        assert_eq!(paths, ["docs/adr/0002-two.md"]);
    }
}
