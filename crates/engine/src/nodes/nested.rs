//! `workflow@1`, which runs another workflow and waits for its end, and `foreach@1`, which does something for each item of
//! a list. Both unfold: a run or a call is a child of the step.

use crate::graph::{Fault, KindInfo, NodeClass, PortSpec};
use crate::nodes::MOST_MERGED;
use crate::run::state::error_value;
use crate::unfold::{Act, Child, ChildCall, ChildRun, Children, Outcome, Unfold, Unfolding, Wish};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use synapscale_core::{Error, Result};

/// Most items of a list that is worked through.
pub(crate) const MAX_ITEMS: usize = 1_000;
/// Most items under way at once.
const MAX_CONCURRENCY: usize = 50;
/// Items under way at once unless the node says otherwise.
const CONCURRENCY: usize = 10;
/// Hours that a step waits for a run unless the node says otherwise.
const HOURS: i64 = 7 * 24;
/// Seconds that a call may take unless the node says otherwise.
const CALL_SECONDS: u64 = 300;
/// The member of `with` that is evaluated for each item.
const PER_ITEM: &str = "input";

/// The engine's own kinds that unfold.
pub(crate) fn composites() -> Vec<Arc<dyn Unfold>> {
    vec![Arc::new(WorkflowNode), Arc::new(ForEachNode)]
}

fn kind(name: &str, schema: &Value, per_item: Option<&'static str>) -> KindInfo {
    KindInfo {
        name: name.to_owned(),
        version: 1,
        class: NodeClass::Composite,
        config_schema: Arc::new(schema.clone()),
        ports: PortSpec::default(),
        per_item,
        check: None,
    }
}

/// Reads a node's `with`, whose expressions may have come to anything.
fn read<'a, T: Deserialize<'a>>(value: &'a Value) -> Result<T> {
    T::deserialize(value).map_err(|error| Error::invalid("/with", "type", error.to_string()))
}

/// A workflow that is run as a child. An input that is nothing is an empty object, as for a run that is started by hand.
fn run(
    workflow: String,
    version: Option<i64>,
    trigger: Option<String>,
    input: Value,
    hours: Option<i64>,
) -> Act {
    Act::Run(ChildRun {
        workflow,
        version,
        trigger,
        input: match input {
            Value::Null => json!({}),
            input => input,
        },
        hours: hours.unwrap_or(HOURS),
    })
}

struct WorkflowNode;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkflowConfig {
    workflow: String,
    version: Option<i64>,
    trigger: Option<String>,
    #[serde(default)]
    input: Value,
    deadline_hours: Option<i64>,
}

static WORKFLOW: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "type": "object",
        "properties": {
            "workflow": {
                "description": "The workflow to run, by name. It runs as its own publisher, with no more than whoever this run runs for may do.",
                "type": "string", "minLength": 1, "maxLength": 64,
            },
            "version": {
                "description": "Its version; the one that is current when the step begins unless given.",
                "type": "integer", "minimum": 1,
            },
            "trigger": {
                "description": "The trigger node to begin with; the only manual one unless given.",
                "type": "string", "minLength": 1, "maxLength": 64,
            },
            "input": { "description": "What the run is given; an empty object unless given. 1 MiB at most." },
            "deadline_hours": {
                "description": "How long the step waits for the run's end, in hours; then the run is cancelled and the step fails with `child_timeout`. 168 unless given.",
                "type": "integer", "minimum": 1, "maximum": 8784,
            },
        },
        "required": ["workflow"],
        "additionalProperties": false,
    })
});

impl Unfold for WorkflowNode {
    fn kind(&self) -> KindInfo {
        kind("workflow", &WORKFLOW, None)
    }

    fn next(&self, step: &Unfolding<'_>) -> Result<Wish> {
        let config: WorkflowConfig = read(step.config)?;
        match step.children.get("run") {
            Some(Outcome { result, .. }) => Ok(Wish::Done((*result.clone()?).clone())),
            None => Ok(Wish::Children(vec![Child {
                name: "run".to_owned(),
                act: run(
                    config.workflow,
                    config.version,
                    config.trigger,
                    config.input,
                    config.deadline_hours,
                ),
            }])),
        }
    }
}

struct ForEachNode;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForEachConfig {
    items: Vec<Value>,
    workflow: Option<String>,
    version: Option<i64>,
    trigger: Option<String>,
    operation: Option<String>,
    concurrency: Option<usize>,
    #[serde(default)]
    on_item_error: OnItemError,
    deadline_hours: Option<i64>,
}

/// What the failure of one item is.
#[derive(Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnItemError {
    /// A failure of the step, at once.
    #[default]
    Fail,
    /// An entry of the output.
    Collect,
}

static FOREACH: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "type": "object",
        "properties": {
            "items": {
                "description": "The list to work through, 1,000 items at most. What they come to is 8 MiB at most together; else the step fails with `too_large`.",
                "type": "array", "maxItems": MAX_ITEMS,
            },
            "workflow": {
                "description": "What is done for each item: this workflow is run. Either this or `operation`.",
                "type": "string", "minLength": 1, "maxLength": 64,
            },
            "version": {
                "description": "The workflow's version; the one that is current when an item's run begins unless given.",
                "type": "integer", "minimum": 1,
            },
            "trigger": {
                "description": "The workflow's trigger node; the only manual one unless given.",
                "type": "string", "minLength": 1, "maxLength": 64,
            },
            "operation": {
                "description": "What is done for each item: this operation is called. Either this or `workflow`.",
                "type": "string", "minLength": 1, "maxLength": 100,
            },
            "input": {
                "description": "What the run or the operation is given for an item. Its expressions see `item` and `index` (from 0) besides the others. The item itself unless given.",
            },
            "concurrency": {
                "description": "How many items are under way at once; 10 unless given, 1 for one after the other.",
                "type": "integer", "minimum": 1, "maximum": MAX_CONCURRENCY,
            },
            "on_item_error": {
                "description": "`fail` (unless given): the first item that fails ends the step with its error, and runs under way are cancelled. `collect`: all items are worked through, and the output tells which failed.",
                "enum": ["fail", "collect"],
            },
            "deadline_hours": {
                "description": "How long an item's run may take, in hours; 168 unless given.",
                "type": "integer", "minimum": 1, "maximum": 8784,
            },
        },
        "required": ["items"],
        "additionalProperties": false,
    })
});

impl Unfold for ForEachNode {
    fn kind(&self) -> KindInfo {
        KindInfo {
            check: Some(body_faults),
            ..kind("foreach", &FOREACH, Some(PER_ITEM))
        }
    }

    fn next(&self, step: &Unfolding<'_>) -> Result<Wish> {
        let config: ForEachConfig = read(step.config)?;
        if config.items.len() > MAX_ITEMS {
            return Err(Error::too_large("list of items", "1,000 items"));
        }
        if config.on_item_error == OnItemError::Fail
            && let Some((index, error)) = first_failure(&config, step)
        {
            let message = format!("Item {index} failed: {}", error.message());
            return Err(Error::new(error.kind(), error.code().to_owned(), message));
        }
        if step.weight > MOST_MERGED {
            return Err(Error::too_large("list of results", "8 MiB"));
        }
        // Items begin in order, so the first ones without an outcome are those under way and the next to begin.
        let most = config
            .concurrency
            .unwrap_or(CONCURRENCY)
            .clamp(1, MAX_CONCURRENCY);
        let open = (0..config.items.len()).filter(|index| step.children.get(&name(*index)).is_none());
        let wanted: Vec<usize> = open.take(most).collect();
        if wanted.is_empty() {
            return output(&config, step).map(Wish::Done);
        }
        let children = wanted.into_iter().filter_map(|index| {
            let item = config.items.get(index)?;
            Some(child(&config, step, item, index))
        });
        Ok(Wish::Children(children.collect::<Result<_>>()?))
    }

    fn again(&self, children: &Children) -> Vec<String> {
        children.failed().map(|(name, _)| name.to_owned()).collect()
    }
}

/// Either a workflow or an operation is the body.
fn body_faults(with: &Value) -> Vec<Fault> {
    let has = |name: &str| with.get(name).is_some();
    let fault = |pointer: &str, code, message: &str| Fault {
        pointer: pointer.to_owned(),
        code,
        message: message.to_owned(),
    };
    match (has("workflow"), has("operation")) {
        (false, false) => vec![fault(
            "/workflow",
            "required",
            "Say in `workflow` or in `operation` what is done for each item.",
        )],
        (true, true) => vec![fault(
            "/operation",
            "shape",
            "Either a workflow or an operation is done for each item, not both.",
        )],
        _ => Vec::new(),
    }
}

/// The name of an item's child.
fn name(index: usize) -> String {
    format!("i{index}")
}

fn first_failure<'a>(config: &ForEachConfig, step: &Unfolding<'a>) -> Option<(usize, &'a Error)> {
    let children = step.children;
    (0..config.items.len()).find_map(|index| match children.get(&name(index)) {
        Some(Outcome {
            result: Err(error), ..
        }) => Some((index, error)),
        _ => None,
    })
}

fn child(config: &ForEachConfig, step: &Unfolding<'_>, item: &Value, index: usize) -> Result<Child> {
    let input = match step.per_item.eval(item, index)? {
        Some(input) => input,
        None => item.clone(),
    };
    let act = match (&config.workflow, &config.operation) {
        (Some(workflow), None) => {
            let trigger = config.trigger.clone();
            run(
                workflow.clone(),
                config.version,
                trigger,
                input,
                config.deadline_hours,
            )
        }
        (None, Some(operation)) => Act::Call(ChildCall {
            operation: operation.clone(),
            input,
            shown: None,
            actor: None,
            retry: step.retry,
            unknown: step.unknown,
            timeout_s: step.timeout_s.unwrap_or(CALL_SECONDS),
            is_users: true,
        }),
        _ => {
            let words = "Say in `workflow` or in `operation` what is done for each item, not in both.";
            return Err(Error::invalid("/with", "shape", words));
        }
    };
    Ok(Child {
        name: name(index),
        act,
    })
}

/// The outputs in the items' order, null for those that failed, and the failures.
fn output(config: &ForEachConfig, step: &Unfolding<'_>) -> Result<Value> {
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for index in 0..config.items.len() {
        let outcome = step.children.get(&name(index)).map(|outcome| &outcome.result);
        let result = match outcome {
            Some(Ok(output)) => (**output).clone(),
            Some(Err(error)) => {
                errors.push(json!({ "index": index, "error": error_value(error) }));
                Value::Null
            }
            None => return Err(Error::internal("an item has no outcome")),
        };
        results.push(result);
    }
    let (total, failed) = (results.len(), errors.len());
    Ok(json!({ "results": results, "errors": errors, "total": total, "failed": failed }))
}
