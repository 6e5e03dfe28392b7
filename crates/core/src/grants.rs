//! Permissions as patterns. A caller may do what *every* one of its permission sets allows: role, key scopes and the
//! person acted for narrow one another and never widen.

use std::fmt;
use std::sync::Arc;

/// Longest accepted pattern, in bytes.
const MAX_PATTERN: usize = 64;

/// One set of `area:verb` patterns, `*` standing for a whole part. Allows what any of its patterns matches.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PermissionSet(Arc<[Pattern]>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pattern {
    area: Part,
    verb: Part,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Any,
    Word(Box<str>),
}

/// A pattern that is not of the form `area:verb`, `area:*`, `*:verb` or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError(pub String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a permission: write area:verb, area:*, *:verb or *",
            self.0
        )
    }
}

impl std::error::Error for PatternError {}

impl Part {
    fn parse(text: &str) -> Option<Part> {
        let word = !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        match text {
            "*" => Some(Part::Any),
            _ if word => Some(Part::Word(text.into())),
            _ => None,
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Part::Any => true,
            Part::Word(word) => &**word == text,
        }
    }
}

impl PermissionSet {
    /// Parses patterns such as `tasks:write`, `tasks:*`, `*:read` or `*`.
    ///
    /// # Errors
    /// Names the first pattern that is none.
    pub fn parse<S: AsRef<str>>(patterns: &[S]) -> Result<Self, PatternError> {
        patterns
            .iter()
            .map(|pattern| {
                let text = pattern.as_ref();
                let short: String = text.chars().take(MAX_PATTERN).collect();
                if text.len() > MAX_PATTERN {
                    return Err(PatternError(short));
                }
                let (area, verb) = text.split_once(':').unwrap_or((text, "*"));
                match (Part::parse(area), Part::parse(verb)) {
                    (Some(area @ Part::Any), Some(verb)) => Ok(Pattern { area, verb }),
                    (Some(area), Some(verb)) if text.contains(':') => Ok(Pattern { area, verb }),
                    _ => Err(PatternError(short)),
                }
            })
            .collect::<Result<Vec<_>, _>>()
            .map(|patterns| Self(patterns.into()))
    }

    /// The set that allows everything.
    pub fn all() -> Self {
        Self(
            [Pattern {
                area: Part::Any,
                verb: Part::Any,
            }]
            .into(),
        )
    }

    /// The set that allows nothing.
    pub fn none() -> Self {
        Self([].into())
    }

    /// Whether one of the patterns matches `permission` (`area:verb`).
    pub fn allows(&self, permission: &str) -> bool {
        let (area, verb) = permission.split_once(':').unwrap_or((permission, ""));
        self.0
            .iter()
            .any(|p| p.area.matches(area) && p.verb.matches(verb))
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|p| {
                let part = |p: &Part| match p {
                    Part::Any => "*".to_owned(),
                    Part::Word(word) => word.to_string(),
                };
                format!("{}:{}", part(&p.area), part(&p.verb))
            }))
            .finish()
    }
}

/// What a caller may do: the intersection of its permission sets. No set at all allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Arc<[PermissionSet]>);

impl Grants {
    /// Grants of a single set.
    pub fn of(set: PermissionSet) -> Self {
        Self([set].into())
    }

    /// Nothing is allowed.
    pub fn none() -> Self {
        Self::default()
    }

    /// These grants, narrowed by one more set.
    pub fn and(&self, set: PermissionSet) -> Self {
        if self.0.is_empty() {
            return Self::none();
        }
        Self(self.0.iter().cloned().chain([set]).collect())
    }

    /// The intersection of both.
    pub fn intersect(&self, other: &Grants) -> Self {
        if self.0.is_empty() || other.0.is_empty() {
            return Self::none();
        }
        Self(self.0.iter().chain(other.0.iter()).cloned().collect())
    }

    /// Whether every set allows `permission`.
    pub fn allows(&self, permission: &str) -> bool {
        !self.0.is_empty() && self.0.iter().all(|set| set.allows(permission))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(patterns: &[&str]) -> PermissionSet {
        PermissionSet::parse(patterns).expect("patterns")
    }

    #[test]
    fn patterns_match_by_part() {
        assert!(set(&["tasks:*"]).allows("tasks:write"));
        assert!(set(&["*:read"]).allows("projects:read"));
        assert!(!set(&["*:read"]).allows("projects:write"));
        assert!(set(&["*"]).allows("members:manage"));
        assert!(!set(&["task:*"]).allows("tasks:read"));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "tasks",
            "tasks:",
            ":read",
            "ta sks:read",
            "tasks:read:x",
            "t**:read",
        ] {
            assert!(PermissionSet::parse(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn sets_narrow_and_never_widen() {
        let role = Grants::of(set(&["tasks:*", "projects:read"]));
        let keyed = role.and(set(&["*:read"]));
        assert!(keyed.allows("tasks:read"));
        assert!(!keyed.allows("tasks:write"));
        assert!(!Grants::none().and(PermissionSet::all()).allows("tasks:read"));
        assert!(!role.intersect(&Grants::none()).allows("tasks:read"));
    }
}
