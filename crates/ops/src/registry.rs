//! All operations of the product, checked once at start: what is wrong with one is found before anybody calls it.

use crate::module::Module;
use crate::operation::Operation;
use crate::sources::{MAX_WIRE_NAME, Source};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use synapscale_core::{Effect, EventKind};

/// Longest unknown name that is compared with known ones, in bytes.
const MAX_GUESS: usize = 64;

/// Longest name of a consumer group, in bytes: what its column takes.
const MAX_GROUP_NAME: usize = 100;

/// What makes a set of modules unusable. These are mistakes in code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// A module twice.
    #[error("the module `{0}` is listed twice")]
    Module(&'static str),
    /// A name that is not `noun.verb`, or too long on the wire.
    #[error("`{0}` is no name for an operation: write noun.verb in lower case, at most 48 characters")]
    Name(&'static str),
    /// A name twice, or two that are the same on the wire.
    #[error("the operation `{0}` is there twice, or is on the wire")]
    Duplicate(&'static str),
    /// Neither public nor with a permission of the form `area:verb`.
    #[error("the operation `{0}` has no permission of the form area:verb and is not public")]
    Permission(&'static str),
    /// A path that another operation has, or that is no path.
    #[error("the operation `{operation}` cannot be served at `{route}`: {why}")]
    Route {
        /// The operation.
        operation: &'static str,
        /// Its method and path.
        route: String,
        /// What is wrong.
        why: String,
    },
    /// Types that cannot be an operation's.
    #[error("the operation `{operation}` has unusable types: {why}")]
    Schema {
        /// The operation.
        operation: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A preview that is not there, changes something, or takes another input.
    #[error("the operation `{0}` is previewed by `{1}`, which is no read operation of the same input")]
    Preview(&'static str, &'static str),
    /// A kind of event twice.
    #[error("the event kind `{0}` is declared twice")]
    Event(&'static str),
    /// A consumer group twice, or with a name that is too long.
    #[error("the consumer group `{0}` is there twice, or its name is longer than 100 characters")]
    Consumer(&'static str),
    /// A source of tools whose family is no word, or another's.
    #[error("`{0}` cannot be the family of a source of tools, or is another's already")]
    Family(&'static str),
}

/// The operations by name, in the order in which the modules give them.
#[derive(Debug, Default)]
pub struct Registry {
    operations: Vec<Operation>,
    by_name: HashMap<&'static str, usize>,
    by_wire: HashMap<String, usize>,
    events: Vec<EventKind>,
    sources: Vec<Source>,
}

impl Registry {
    /// The registry of `modules`.
    ///
    /// # Errors
    /// For the first thing that does not fit.
    pub fn new(modules: &[Module]) -> Result<Self, RegistryError> {
        let mut registry = Registry::default();
        let mut names = HashSet::new();
        let mut groups = HashSet::new();
        let mut routes = Routes::default();
        for module in modules {
            if !names.insert(module.name) {
                return Err(RegistryError::Module(module.name));
            }
            for operation in &module.operations {
                routes.add(operation)?;
                registry.add(operation)?;
            }
            for event in &module.events {
                if registry
                    .events
                    .iter()
                    .any(|e| e.name == event.name && e.version == event.version)
                {
                    return Err(RegistryError::Event(event.name));
                }
                registry.events.push(event.clone());
            }
            for name in module.consumers.iter().map(|consumer| consumer.0.name()) {
                if !groups.insert(name) || name.len() > MAX_GROUP_NAME {
                    return Err(RegistryError::Consumer(name));
                }
            }
            for source in &module.sources {
                let family = source.0.family();
                let taken = registry.sources.iter().any(|other| other.0.family() == family);
                if taken || !is_word(family) {
                    return Err(RegistryError::Family(family));
                }
                registry.sources.push(source.clone());
            }
        }
        registry.check_previews()?;
        Ok(registry)
    }

    /// A preview is a read of the same input.
    fn check_previews(&self) -> Result<(), RegistryError> {
        for operation in &self.operations {
            let Some(name) = operation.preview() else { continue };
            let fits = self.get(name).is_some_and(|preview| {
                preview.effect() == Effect::Read && preview.input_schema() == operation.input_schema()
            });
            if !fits {
                return Err(RegistryError::Preview(operation.name(), name));
            }
        }
        Ok(())
    }

    fn add(&mut self, operation: &Operation) -> Result<(), RegistryError> {
        let name = operation.name();
        if !is_name(name) || operation.wire_name().len() > MAX_WIRE_NAME {
            return Err(RegistryError::Name(name));
        }
        if !operation.is_public() && !operation.permission().is_some_and(is_permission) {
            return Err(RegistryError::Permission(name));
        }
        if let Some(why) = &operation.0.problem {
            return Err(RegistryError::Schema {
                operation: name,
                why: why.clone(),
            });
        }
        let index = self.operations.len();
        let twice = self.by_name.insert(name, index).is_some()
            || self
                .by_wire
                .insert(operation.wire_name().to_owned(), index)
                .is_some();
        if twice {
            return Err(RegistryError::Duplicate(name));
        }
        self.operations.push(operation.clone());
        Ok(())
    }

    /// The operation named `tasks.list`.
    pub fn get(&self, name: &str) -> Option<&Operation> {
        self.by_name
            .get(name)
            .and_then(|index| self.operations.get(*index))
    }

    /// The operation named `tasks_list` on the wire.
    pub fn wire(&self, name: &str) -> Option<&Operation> {
        self.by_wire
            .get(name)
            .and_then(|index| self.operations.get(*index))
    }

    /// All operations, internal ones too.
    pub fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter()
    }

    /// The operations that faces show and serve.
    pub fn listed(&self) -> impl Iterator<Item = &Operation> {
        self.operations
            .iter()
            .filter(|operation| !operation.is_internal())
    }

    /// All declared kinds of events.
    pub fn events(&self) -> &[EventKind] {
        &self.events
    }

    /// The families of the tools that come and go at run time, such as `mcp`.
    pub fn families(&self) -> Vec<&'static str> {
        self.sources.iter().map(|source| source.0.family()).collect()
    }

    /// Where further tools come from at run time.
    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The listed name that is most like `name`, if one is like it at all.
    pub(crate) fn nearest(&self, name: &str) -> Option<&'static str> {
        if name.len() > MAX_GUESS {
            return None;
        }
        // A name as on the wire is the dotted one in other clothes.
        let guess = name.replace('_', ".");
        self.listed()
            .map(|operation| {
                (
                    distance(&guess, &operation.name().replace('_', ".")),
                    operation.name(),
                )
            })
            .filter(|(steps, known)| *steps <= known.len() / 3)
            .min()
            .map(|(_, known)| known)
    }
}

/// `tasks.list` as `tasks_list`.
pub(crate) fn wire_name(name: &str) -> String {
    name.replace('.', "_")
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_name(name: &str) -> bool {
    name.contains('.') && name.split('.').all(is_word)
}

fn is_permission(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(area, verb)| is_word(area) && is_word(verb))
}

/// Least number of letters to add, drop or change (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right = right.as_bytes();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (b, cell) in right.iter().zip(row.iter_mut().skip(1)) {
            let changed = diagonal + usize::from(a != *b);
            diagonal = *cell;
            before = changed.min(before + 1).min(*cell + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// The paths taken so far, by shape: `/tasks/{id}` and `/tasks/{task_id}` are one place for a router.
#[derive(Default)]
struct Routes {
    taken: HashMap<(String, String), &'static str>,
    fields: HashMap<String, Vec<String>>,
}

impl Routes {
    fn add(&mut self, operation: &Operation) -> Result<(), RegistryError> {
        let Some((method, path)) = operation.rest() else {
            return Ok(());
        };
        let refuse = |why: String| RegistryError::Route {
            operation: operation.name(),
            route: format!("{method} {path}"),
            why,
        };
        let (shape, fields) = shape(path).ok_or_else(|| refuse("this is no path".to_owned()))?;
        let known = operation.input_schema().get("properties");
        if let Some(field) = fields
            .iter()
            .find(|field| known.and_then(|k| k.get(field.as_str())).is_none())
        {
            return Err(refuse(format!("`{field}` is no field of the input")));
        }
        let names = self.fields.entry(shape.clone()).or_insert_with(|| fields.clone());
        if *names != fields {
            return Err(refuse(
                "another operation names the path's fields otherwise".to_owned(),
            ));
        }
        match self.taken.insert((method.to_string(), shape), operation.name()) {
            Some(other) => Err(refuse(format!("`{other}` is served there"))),
            None => Ok(()),
        }
    }
}

/// A path with its fields' names taken out, and the names.
fn shape(path: &str) -> Option<(String, Vec<String>)> {
    let mut shape = String::new();
    let mut fields = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        let field = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        match field {
            Some(field) if is_word(field) && !fields.iter().any(|known| known == field) => {
                fields.push(field.to_owned());
                shape.push_str("/{}");
            }
            None if !part.is_empty() && part.bytes().all(plain) => {
                write!(shape, "/{part}").ok()?;
            }
            _ => return None,
        }
    }
    Some((shape, fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{NoInput, NoOutput};
    use http::Method;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use std::sync::Arc;
    use synapscale_store::Tx;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct ById {
        id: i64,
        #[serde(default)]
        other: i64,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Open {}

    async fn nothing(_tx: Tx, _input: Arc<NoInput>) -> synapscale_core::Result<NoOutput> {
        Ok(NoOutput {})
    }

    fn plain(name: &'static str) -> Operation {
        Operation::read(name, "Plain")
            .permission("things:read")
            .handle(nothing)
    }

    fn at(name: &'static str, method: Method, path: &'static str) -> Operation {
        Operation::read(name, "Served")
            .permission("things:read")
            .rest(method, path)
            .handle(|_tx: Tx, _input: Arc<ById>| async { Ok(NoOutput {}) })
    }

    fn registry(operations: Vec<Operation>) -> Result<Registry, RegistryError> {
        Registry::new(&[Module::new("things").operations(operations)])
    }

    #[test]
    fn finds_by_both_names_in_order() {
        let registry = registry(vec![plain("things.list"), plain("things.sub.get_all")]).expect("registry");
        assert_eq!(registry.get("things.list").expect("name").name(), "things.list");
        assert_eq!(
            registry.wire("things_sub_get_all").expect("wire").name(),
            "things.sub.get_all"
        );
        assert!(registry.get("things_list").is_none());
        let names: Vec<_> = registry.iter().map(Operation::name).collect();
        assert_eq!(names, ["things.list", "things.sub.get_all"]);
    }

    #[test]
    fn names_are_of_one_grammar() {
        for name in [
            "things",
            "Things.list",
            "things.",
            ".list",
            "things..list",
            "things.1st",
            "things-x.list",
        ] {
            assert_eq!(registry(vec![plain(name)]).err(), Some(RegistryError::Name(name)));
        }
        let long = "things.a_verb_that_is_far_too_long_for_any_provider";
        assert_eq!(registry(vec![plain(long)]).err(), Some(RegistryError::Name(long)));
    }

    #[test]
    fn nothing_is_there_twice() {
        let twice = registry(vec![plain("things.list"), plain("things.list")]);
        assert_eq!(twice.err(), Some(RegistryError::Duplicate("things.list")));
        let on_the_wire = registry(vec![plain("a.b_c"), plain("a_b.c")]);
        assert_eq!(on_the_wire.err(), Some(RegistryError::Duplicate("a_b.c")));
        let modules = [Module::new("things"), Module::new("things")];
        assert_eq!(
            Registry::new(&modules).err(),
            Some(RegistryError::Module("things"))
        );
    }

    #[test]
    fn routes_do_not_conflict() {
        let fine = [
            at("things.get", Method::GET, "/things/{id}"),
            at("things.put", Method::PUT, "/things/{id}"),
            at("things.other", Method::GET, "/things/{id}/others/{other}"),
        ];
        assert!(registry(fine.to_vec()).is_ok());
        for second in [
            at("things.b", Method::GET, "/things/{id}"),
            at("things.b", Method::GET, "/things/{other}"),
            at("things.b", Method::PUT, "/things/{other}"),
            at("things.b", Method::GET, "/things/{no_field}/x"),
            at("things.b", Method::GET, "things"),
            at("things.b", Method::GET, "/things/"),
            at("things.b", Method::GET, "/things/{id}/{id}"),
            at("things.b", Method::GET, "/things/{id"),
        ] {
            let refused = registry(vec![at("things.a", Method::GET, "/things/{id}"), second]);
            assert!(
                matches!(
                    refused,
                    Err(RegistryError::Route {
                        operation: "things.b",
                        ..
                    })
                ),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn permissions_and_types_are_checked() {
        let none = Operation::read("things.a", "A").handle(nothing);
        assert_eq!(
            registry(vec![none]).err(),
            Some(RegistryError::Permission("things.a"))
        );
        let odd = Operation::read("things.a", "A")
            .permission("things")
            .handle(nothing);
        assert_eq!(
            registry(vec![odd]).err(),
            Some(RegistryError::Permission("things.a"))
        );
        let public = Operation::read("things.a", "A").public().handle(nothing);
        assert!(registry(vec![public]).is_ok());
        let open = Operation::read("things.a", "A")
            .public()
            .handle(|_tx: Tx, _input: Arc<Open>| async { Ok(NoOutput {}) });
        assert!(matches!(registry(vec![open]), Err(RegistryError::Schema { .. })));
    }

    #[test]
    fn the_modules_own_operation_fits() {
        let registry = Registry::new(&[crate::module()]).expect("registry");
        assert!(registry.get("ops.list").is_some());
        assert!(registry.events().iter().any(|kind| kind.name == "access.denied"));
    }

    #[test]
    fn a_near_name_is_found() {
        let registry = registry(vec![plain("things.list"), plain("things.create")]).expect("registry");
        assert_eq!(registry.nearest("thing.list"), Some("things.list"));
        assert_eq!(registry.nearest("things_create"), Some("things.create"));
        assert_eq!(registry.nearest("weather"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
