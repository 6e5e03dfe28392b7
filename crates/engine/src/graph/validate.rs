//! Everything that can be wrong with a file that could be read, and the compiled graph if nothing is.

mod cycles;
mod references;
mod shape;

use super::config::{self, KindSchemas};
use super::kinds::{KindCatalog, KindInfo, NodeClass, PortSpec};
use super::limits;
use super::model::{
    CompiledGraph, Edge, GraphFile, KindRef, Node, NodeFile, OnError, Parts, RetryFile, RetryPolicy,
};
use super::parse::{Problems, below, echo, is_identifier, suggestion};
use super::{MAX_EDGES, PORT_ERROR, PORT_OUT};
use crate::expr::Template;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Ids that would read like the roots of expressions.
const RESERVED: [&str; 3] = ["input", "nodes", "run"];

/// A node on the way to being compiled. Where something is wrong with it, the checks that would only repeat that are left
/// out.
struct Draft {
    id: String,
    /// Its JSON pointer.
    at: String,
    file: NodeFile,
    with: Value,
    /// None if there is no such kind; the problem has been told.
    kind: Option<KindInfo>,
    /// None if they are not known, for the kind or the configuration is wrong.
    ports: Option<Vec<String>>,
    /// Whether an entry of `after` names nothing, so that its predecessors are not all known.
    is_loose: bool,
}

impl Draft {
    fn is_trigger(&self) -> bool {
        self.kind
            .as_ref()
            .is_some_and(|kind| kind.class == NodeClass::Trigger)
    }
}

/// Checks a file that could be read. None if there is any problem.
pub(super) fn check(
    mut file: GraphFile,
    catalog: &dyn KindCatalog,
    problems: &mut Problems,
) -> Option<CompiledGraph> {
    let retry = file.retry.unwrap_or_default().over(&RetryPolicy::default());
    let limits = limits::compile(file.limits.take(), problems);
    let input_check = file
        .input
        .as_ref()
        .and_then(|schema| config::input_check(schema, "/input", problems));
    let mut drafts = drafts(std::mem::take(&mut file.nodes), catalog, problems);
    let edges = edges(&mut drafts, problems)?;
    let loops = cycles::find(&drafts, &edges, problems);
    let order = shape::check(&drafts, &edges, &loops, problems);
    references::check(&drafts, &edges, problems);
    if !problems.is_empty() {
        return None;
    }
    let mut nodes = Vec::with_capacity(drafts.len());
    for draft in drafts {
        nodes.push(node(draft, &retry, problems)?);
    }
    Some(CompiledGraph::assemble(Parts {
        file,
        retry,
        limits,
        input_check,
        nodes,
        edges,
        order,
        loops,
    }))
}

fn node(draft: Draft, retry: &RetryPolicy, problems: &mut Problems) -> Option<Node> {
    let Draft {
        id,
        at,
        file,
        with,
        kind,
        ports,
        ..
    } = draft;
    let kind = kind?;
    let mut usual = with.clone();
    let each = kind
        .per_item
        .and_then(|member| Some((member, usual.as_object_mut()?.remove(member)?)));
    let usual = template(&usual, &format!("{at}/with"), problems)?;
    let per_item = match each {
        Some((member, value)) => Some((
            member,
            template(&value, &format!("{at}/with/{member}"), problems)?,
        )),
        None => None,
    };
    Some(Node {
        id,
        kind: KindRef {
            name: kind.name,
            version: kind.version,
        },
        class: kind.class,
        with,
        join: file.join,
        retry: file.retry.map(|own: RetryFile| own.over(retry)),
        timeout_s: file.timeout,
        on_error: file.on_error,
        unknown_outcome: file.unknown_outcome,
        ports: ports?,
        template: usual,
        per_item,
    })
}

/// Compiles what stands at `at`.
fn template(value: &Value, at: &str, problems: &mut Problems) -> Option<Template> {
    match Template::compile(value) {
        Ok(template) => Some(template),
        Err(errors) => {
            for error in errors {
                problems.add(
                    format!("{at}{}", error.pointer),
                    "expression",
                    error.error.to_string(),
                );
            }
            None
        }
    }
}

/// Checks each node by itself.
fn drafts(
    nodes: BTreeMap<String, NodeFile>,
    catalog: &dyn KindCatalog,
    problems: &mut Problems,
) -> Vec<Draft> {
    let mut schemas = KindSchemas::default();
    let names = catalog.names();
    let mut drafts = Vec::with_capacity(nodes.len());
    for (id, mut file) in nodes {
        let at = below("/nodes", &id);
        check_id(&id, &at, problems);
        let kind = kind(&file.kind, &at, catalog, &names, problems);
        let with = Value::Object(std::mem::take(&mut file.with));
        let ports = kind.as_ref().and_then(|kind| {
            let is_sound = schemas.check(kind, &with, &format!("{at}/with"), problems);
            for fault in kind
                .check
                .filter(|_| is_sound)
                .map(|check| check(&with))
                .unwrap_or_default()
            {
                problems.add(format!("{at}/with{}", fault.pointer), fault.code, fault.message);
            }
            ports(kind, &with, is_sound, &file, &at, problems)
        });
        drafts.push(Draft {
            id,
            at,
            file,
            with,
            kind,
            ports,
            is_loose: false,
        });
    }
    drafts
}

fn check_id(id: &str, at: &str, problems: &mut Problems) {
    if RESERVED.contains(&id) {
        problems.add(
            at,
            "reserved_id",
            format!("`{id}` has a meaning of its own in expressions; choose another id."),
        );
    } else if !is_identifier(id) {
        let message = format!(
            "`{}` cannot be an id: it has to start with a lower-case letter, with lower-case letters, digits and `_` \
             after it, 48 characters in all.",
            echo(id)
        );
        problems.add(at, "bad_id", message);
    }
}

fn kind(
    written: &str,
    at: &str,
    catalog: &dyn KindCatalog,
    names: &[String],
    problems: &mut Problems,
) -> Option<KindInfo> {
    if written.is_empty() {
        return None; // told while reading
    }
    let at = below(at, "kind");
    let (name, version) = match written.split_once('@') {
        None => (written, None),
        Some((name, version)) => match version.parse::<u32>() {
            Ok(version) => (name, Some(version)),
            Err(_) => {
                let message = format!("`{}` is no kind: write `name` or `name@1`.", echo(written));
                problems.add(at, "bad_kind", message);
                return None;
            }
        },
    };
    let found = catalog.kind(name, version);
    if found.is_none() {
        match catalog.kind(name, None) {
            Some(latest) => {
                let message = format!(
                    "There is no `{}`; the latest is `{name}@{}`.",
                    echo(written),
                    latest.version
                );
                problems.add(at, "unknown_kind_version", message);
            }
            None => {
                let hint = suggestion(name, names.iter().map(String::as_str));
                problems.add(
                    at,
                    "unknown_kind",
                    format!("There is no node kind `{}`.{hint}", echo(name)),
                );
            }
        }
    }
    found
}

/// The ports of a node, as far as they can be known.
fn ports(
    kind: &KindInfo,
    with: &Value,
    is_sound: bool,
    file: &NodeFile,
    at: &str,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let mut ports = match &kind.ports {
        PortSpec::Fixed(ports) => ports.clone(),
        PortSpec::FromConfig(read) if is_sound => named_ports(read(with), at, problems)?,
        PortSpec::FromConfig(_) => return None,
    };
    if file.on_error == OnError::Continue && !ports.iter().any(|port| port == PORT_OUT) {
        let message = format!(
            "`continue` goes on at the port `out`, which `{}` does not have.",
            kind.name
        );
        problems.add(below(at, "on_error"), "no_out_port", message);
    }
    if file.on_error == OnError::Branch {
        ports.push(PORT_ERROR.to_owned());
    }
    Some(ports)
}

/// The ports that a configuration names, each once.
fn named_ports(named: Vec<String>, at: &str, problems: &mut Problems) -> Option<Vec<String>> {
    let mut ports: Vec<String> = Vec::with_capacity(named.len());
    for port in named {
        let fault = if port == PORT_ERROR {
            "is the port of failures"
        } else if !is_identifier(&port) {
            "has to be a plain name of lower-case letters, digits and `_`, and no expression"
        } else {
            if !ports.contains(&port) {
                ports.push(port);
            }
            continue;
        };
        problems.add(
            below(at, "with"),
            "bad_port",
            format!("The port `{}` {fault}.", echo(&port)),
        );
        return None;
    }
    Some(ports)
}

/// The edges that `after` names; none if there are too many. An edge from an unknown port is kept, so that the checks of
/// the graph's shape see it.
fn edges(drafts: &mut [Draft], problems: &mut Problems) -> Option<Vec<Edge>> {
    let by_id: HashMap<String, usize> = drafts
        .iter()
        .enumerate()
        .map(|(index, draft)| (draft.id.clone(), index))
        .collect();
    let mut edges = Vec::new();
    let mut known = HashSet::new();
    for to in 0..drafts.len() {
        let draft = &drafts[to];
        let at = below(&draft.at, "after");
        if draft.is_trigger() && !draft.file.after.is_empty() {
            problems.add(
                at,
                "trigger_after",
                "A trigger starts the run and comes after nothing.",
            );
            continue;
        }
        let mut is_loose = false;
        for (place, entry) in draft.file.after.entries() {
            match edge(drafts, &by_id, to, entry, &format!("{at}{place}"), problems) {
                Found::Edge(edge) if known.insert(edge.clone()) => edges.push(edge),
                Found::Edge(_) => {
                    let message = format!("`{}` is in this list already.", echo(entry));
                    problems.add(format!("{at}{place}"), "duplicate_edge", message);
                }
                Found::Nothing => is_loose = true,
            }
            if edges.len() > MAX_EDGES {
                problems.add(
                    "/nodes",
                    "too_many_edges",
                    format!("A graph has at most {MAX_EDGES} edges."),
                );
                return None;
            }
        }
        drafts[to].is_loose = is_loose;
    }
    Some(edges)
}

enum Found {
    Edge(Edge),
    /// The entry names no node that can be meant; told.
    Nothing,
}

fn edge(
    drafts: &[Draft],
    by_id: &HashMap<String, usize>,
    to: usize,
    entry: &str,
    at: &str,
    problems: &mut Problems,
) -> Found {
    if entry.is_empty() {
        return Found::Nothing; // told while reading
    }
    let (id, port) = entry.split_once('.').unwrap_or((entry, PORT_OUT));
    let Some(from) = by_id.get(id).copied() else {
        let hint = suggestion(id, drafts.iter().map(|draft| draft.id.as_str()));
        problems.add(
            at,
            "unknown_node",
            format!("There is no node `{}`.{hint}", echo(id)),
        );
        return Found::Nothing;
    };
    if from == to {
        problems.add(at, "self_edge", format!("`{id}` cannot come after itself."));
        return Found::Nothing;
    }
    let ports = drafts[from].ports.as_deref();
    if let Some(ports) = ports.filter(|ports| !ports.iter().any(|known| known == port)) {
        problems.add(at, "unknown_port", unknown_port(id, port, ports));
    }
    Found::Edge(Edge {
        from,
        port: port.to_owned(),
        to,
    })
}

fn unknown_port(id: &str, port: &str, ports: &[String]) -> String {
    let port = echo(port);
    if port == PORT_ERROR {
        return format!("`{id}` has the port `error` only with `on_error: branch`.");
    }
    if ports.is_empty() {
        return format!("Nothing comes after `{id}`: its kind ends the run.");
    }
    let list: Vec<String> = ports
        .iter()
        .take(20)
        .map(|known| format!("`{id}.{known}`"))
        .collect();
    format!("`{id}` has no port `{port}`. It has: {}.", list.join(", "))
}
