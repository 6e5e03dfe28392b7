//! The tool loop as a fold: what an agent does next follows from what its turns and calls came to. Nothing here reads the
//! clock, the database or a model; the engine carries out what is wanted, journals it, and asks again.
//!
//! Children: `open`; then for each turn `t1` (the model), `t1.c0`, `t1.c1`, … (its tool calls, side by side), each behind
//! `t1.c0.ask` where a person is asked first; at last `close`.

use super::prompt;
use super::shape::{Ask, Close, Open, Opened, Outcome, Plan, PlannedCall, Tally, Turn};
use crate::stow;
use crate::view::{CallStatus, Part as Shown, ReplyError, ReplyStop, StopReason};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use synapscale_core::{Actor, ActorKind, Error, Result};
use synapscale_engine::graph::{RetryPolicy, UnknownOutcome};
use synapscale_engine::{Act, Child, ChildAsk, ChildCall, Outcome as Became, Unfolding, Wish};
use synapscale_llm::model::{Message, Part, Role, ToolResult};
use synapscale_llm::service::ChatMessage;
use uuid::Uuid;

/// The same call of the same tool is carried out so often; then the model is told.
const SAME_CALLS: u32 = 3;
/// And after so many it is stopped: it goes round in circles.
const LOOPED_CALLS: u32 = 6;
/// Seconds that one turn of a model may take, failover and all.
const TURN_SECONDS: u64 = 900;
/// Seconds that one call of a tool may take.
const TOOL_SECONDS: u64 = 300;
/// Hours in which a person may decide on a call.
const ASK_HOURS: i64 = 7 * 24;

/// What the step was asked to do.
pub(crate) struct Task {
    pub open: Open,
    /// The message to work on; none in a conversation, which has its own.
    pub message: Option<Message>,
    /// Whether being stopped by a limit is an outcome, and not a failure of the step.
    pub may_stop: bool,
}

/// What has been said and used when the fold comes to its end.
struct Said {
    tally: Tally,
    /// The messages of this reply, for the turns to come.
    messages: Vec<Message>,
    /// The same for people.
    parts: Vec<Shown>,
}

/// How a call of a tool stands.
enum Standing {
    /// Over: what the model is told, and what people see.
    Over {
        message: Message,
        part: Shown,
        failed: bool,
    },
    /// To be begun, or under way.
    Wanted(Box<Child>),
}

/// What comes next.
///
/// # Errors
/// Why the step has failed.
pub(crate) fn next(step: &Unfolding<'_>, task: &Task) -> Result<Wish> {
    let Some(opened) = step.children.get("open") else {
        return Ok(wanted(vec![call("open", "agents.open", &task.open, None)?]));
    };
    let opened: Opened = read(opened.result.clone()?.as_ref())?;
    let began = step.began.unwrap_or(step.now);
    let mut talk = vec![prompt::system(&opened, began, &prompt::mark(step.run_id))];
    talk.extend(opened.history.iter().map(|message| message.0.clone()));
    talk.extend(task.message.clone());
    let mut said = Said {
        tally: Tally::default(),
        messages: Vec::new(),
        parts: Vec::new(),
    };
    // In order: of two calls that go round in circles every look names the same.
    let mut seen = BTreeMap::new();
    loop {
        let name = format!("t{}", said.tally.turns + 1);
        let Some(became) = step.children.get(&name) else {
            if let Some(stop) = exceeded(&opened, &said.tally) {
                return end(step, task, &opened, said, Ended::Stopped(stop));
            }
            return Ok(wanted(vec![turn(&name, &opened, talk, &said.messages)?]));
        };
        let turn: Turn = match &became.result {
            Ok(turn) => read(turn)?,
            Err(error) => return end(step, task, &opened, said, Ended::Failed(error.clone())),
        };
        said.tally.add(&turn);
        said.parts.extend(parts_of(&turn.message.0));
        said.messages.push(turn.message.0.clone());
        if turn.calls.is_empty() {
            let answer = Ended::Completed {
                text: turn.message.0.text(),
                answer: turn.answer,
            };
            return end(step, task, &opened, said, answer);
        }
        let standings = standings(step, &opened, &name, &turn.calls, &mut seen)?;
        let open: Vec<Child> = standings
            .iter()
            .filter_map(|standing| match standing {
                Standing::Wanted(child) => Some((**child).clone()),
                Standing::Over { .. } => None,
            })
            .take(opened.spec.limits.parallel_tool_calls as usize)
            .collect();
        if !open.is_empty() {
            return Ok(Wish::Children(open));
        }
        for standing in standings {
            let Standing::Over {
                message,
                part,
                failed,
            } = standing
            else {
                continue;
            };
            said.tally.tool_calls += 1;
            said.tally.tool_errors += u64::from(failed);
            said.messages.push(message);
            said.parts.push(part);
        }
        if let Some((call, times)) = seen.iter().find(|(_, times)| **times >= LOOPED_CALLS) {
            let detail = format!("It called {} with the same arguments {times} times.", call.0);
            let stop = stop(StopReason::Loop, detail);
            return end(step, task, &opened, said, Ended::Stopped(stop));
        }
    }
}

/// What people see of a reply that is broken off: its finished turns, and those of their calls that are over.
///
/// # Errors
/// When the journal keeps something else.
pub(crate) fn so_far(step: &Unfolding<'_>) -> Result<Vec<Shown>> {
    let finished = |name: &str| {
        step.children
            .get(name)
            .and_then(|became| became.result.as_ref().ok())
    };
    let Some(opened) = finished("open") else {
        return Ok(Vec::new());
    };
    let opened: Opened = read(opened)?;
    let (mut parts, mut seen) = (Vec::new(), BTreeMap::new());
    for number in 1..=opened.spec.limits.turns {
        let name = format!("t{number}");
        let Some(turn) = finished(&name) else { break };
        let turn: Turn = read(turn)?;
        parts.extend(parts_of(&turn.message.0));
        for standing in standings(step, &opened, &name, &turn.calls, &mut seen)? {
            if let Standing::Over { part, .. } = standing {
                parts.push(part);
            }
        }
    }
    Ok(parts)
}

/// How it ended.
enum Ended {
    Completed { text: String, answer: Option<Value> },
    Stopped(ReplyStop),
    Failed(Error),
}

fn stop(reason: StopReason, detail: impl Into<String>) -> ReplyStop {
    ReplyStop {
        reason,
        detail: detail.into(),
    }
}

/// The limit that has been reached, looked at before each turn.
fn exceeded(opened: &Opened, tally: &Tally) -> Option<ReplyStop> {
    let limits = &opened.spec.limits;
    if tally.turns >= u64::from(limits.turns) {
        return Some(stop(
            StopReason::Turns,
            format!("It used its {} turns.", limits.turns),
        ));
    }
    let tokens = tally.input_tokens.saturating_add(tally.output_tokens);
    if tokens >= limits.tokens {
        let detail = format!("It used {tokens} tokens; {} are allowed.", limits.tokens);
        return Some(stop(StopReason::Tokens, detail));
    }
    if tally.ms >= u64::from(limits.seconds).saturating_mul(1000) {
        let detail = format!(
            "The model worked for {} s; {} are allowed.",
            tally.ms / 1000,
            limits.seconds
        );
        return Some(stop(StopReason::Seconds, detail));
    }
    let most = u64::try_from(limits.cost_nano_usd?).unwrap_or_default();
    (tally.cost_nano_usd >= most).then(|| {
        let usd = |nano: u64| nano as f64 / 1e9;
        let detail = format!(
            "It cost ${:.4}; ${:.4} are allowed.",
            usd(tally.cost_nano_usd),
            usd(most)
        );
        stop(StopReason::Cost, detail)
    })
}

/// Keeps what came of it, then says so.
fn end(step: &Unfolding<'_>, task: &Task, opened: &Opened, said: Said, ended: Ended) -> Result<Wish> {
    let Some(closed) = step.children.get("close") else {
        let close = close(task, opened, said, &ended);
        return Ok(wanted(vec![call("close", "agents.close", &close, None)?]));
    };
    closed.result.clone()?;
    let (text, answer, stopped) = match ended {
        Ended::Failed(error) => return Err(error),
        Ended::Stopped(stop) if !task.may_stop => {
            let words = format!("The agent was stopped by a limit. {}", stop.detail);
            return Err(Error::conflict(
                format!("agent_stopped_{}", stop.reason.as_str()),
                words,
            ));
        }
        Ended::Stopped(stop) => (last_text(&said.messages), None, Some(stop)),
        Ended::Completed { text, answer } => (text, answer, None),
    };
    let outcome = match stopped {
        Some(_) => Outcome::Stopped,
        None => Outcome::Completed,
    };
    let tally = said.tally;
    Ok(Wish::Done(json!({
        "text": text,
        "answer": answer,
        "outcome": outcome,
        "stop": stopped,
        "turns": tally.turns,
        "tool_calls": tally.tool_calls,
        "usage": { "input": tally.input_tokens, "output": tally.output_tokens },
        "cost_nano_usd": tally.cost(),
        "model": tally.model,
        "agent": { "id": opened.agent_id, "name": opened.name, "version": opened.version },
        "ms": tally.ms,
    })))
}

fn close(task: &Task, opened: &Opened, said: Said, ended: &Ended) -> Close {
    let reply_id = task.open.reply_id;
    let (outcome, stop, error, text) = match ended {
        Ended::Completed { text, .. } => (Outcome::Completed, None, None, text.clone()),
        Ended::Stopped(stop) => (
            Outcome::Stopped,
            Some(stop.clone()),
            None,
            last_text(&said.messages),
        ),
        Ended::Failed(error) => {
            let told = ReplyError {
                code: error.code().to_owned(),
                message: stow::clean_text(error.message().to_owned()),
            };
            (Outcome::Failed, None, Some(told), last_text(&said.messages))
        }
    };
    // Only a conversation is gone on with.
    let (messages, parts) = match reply_id {
        Some(_) => (said.messages, said.parts),
        None => (Vec::new(), Vec::new()),
    };
    Close {
        agent_id: opened.agent_id,
        reply_id,
        tally: said.tally,
        outcome,
        stop,
        error,
        text: stow::clean_text(text),
        messages: messages.into_iter().map(ChatMessage).collect(),
        parts,
    }
}

/// What the model said last.
fn last_text(messages: &[Message]) -> String {
    let said = messages
        .iter()
        .rev()
        .filter(|message| message.role == Role::Assistant);
    said.map(Message::text)
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

fn turn(name: &str, opened: &Opened, mut talk: Vec<Message>, said: &[Message]) -> Result<Child> {
    talk.extend(said.iter().cloned());
    let ask = Ask {
        agent_id: opened.agent_id,
        spec: opened.spec.clone(),
        messages: talk.into_iter().map(ChatMessage).collect(),
    };
    let shown = json!({ "model": opened.spec.model, "messages": ask.messages.len() });
    let retry = RetryPolicy {
        max_attempts: 3,
        initial_delay_ms: 2_000,
        factor: 4.0,
        ..RetryPolicy::default()
    };
    let mut child = call(name, "agents.turn", &ask, Some(agent(opened.agent_id)))?;
    if let Act::Call(call) = &mut child.act {
        call.shown = Some(shown);
        call.retry = retry;
        call.timeout_s = TURN_SECONDS;
    }
    Ok(child)
}

fn standings(
    step: &Unfolding<'_>,
    opened: &Opened,
    turn: &str,
    calls: &[PlannedCall],
    seen: &mut BTreeMap<(String, String), u32>,
) -> Result<Vec<Standing>> {
    let mut standings = Vec::with_capacity(calls.len());
    for (index, call) in calls.iter().enumerate() {
        let name = format!("{turn}.c{index}");
        let times = seen
            .entry((call.name.clone(), call.arguments.to_string()))
            .or_default();
        *times += 1;
        standings.push(standing(step, opened, &name, call, *times));
    }
    Ok(standings)
}

fn standing(
    step: &Unfolding<'_>,
    opened: &Opened,
    name: &str,
    planned: &PlannedCall,
    times: u32,
) -> Standing {
    let Some(plan) = &planned.plan else {
        let problem = planned.problem.as_deref().unwrap_or("It cannot be called.");
        return refused(planned, name, "not_called", problem);
    };
    if times > SAME_CALLS {
        let words = "You have made this very call several times; its answer will be the same. Do something else, or answer with what you have.";
        return refused(planned, name, "repeated_call", words);
    }
    let input = plan.input.as_ref().unwrap_or(&planned.arguments);
    if plan.asks {
        let asked = format!("{name}.ask");
        let Some(decided) = step.children.get(&asked) else {
            return Standing::Wanted(Box::new(question(asked, opened, planned, plan, input)));
        };
        if let Some(refusal) = declined(planned, name, decided) {
            return refusal;
        }
    }
    let Some(became) = step.children.get(name) else {
        return Standing::Wanted(Box::new(tool_call(name, opened, plan, input)));
    };
    match &became.result {
        Ok(output) => over(
            planned,
            name,
            CallStatus::Done,
            output,
            prompt::result(&planned.name, output),
        ),
        Err(error) => {
            let told = prompt::told(error);
            let words = prompt::failure(&planned.name, &told);
            over(planned, name, CallStatus::Failed, &told, words)
        }
    }
}

/// What the model is told when a person, or the preview, said no.
fn declined(planned: &PlannedCall, name: &str, decided: &Became) -> Option<Standing> {
    let output = match &decided.result {
        Ok(output) => output,
        Err(error) => return Some(refused(planned, name, error.code(), error.message())),
    };
    let text = |field: &str| output.get(field).and_then(Value::as_str);
    match decided.port.as_str() {
        "approved" => None,
        "refused" => {
            let error = output.get("error").cloned().unwrap_or_default();
            let words = prompt::failure(&planned.name, &error);
            Some(over(planned, name, CallStatus::Failed, &error, words))
        }
        _ => {
            let why = match (text("comment"), text("status")) {
                (Some(comment), _) if !comment.is_empty() => format!("The person declined: {comment}"),
                (_, Some("expired")) => "Nobody decided in time; it was not done.".to_owned(),
                _ => "The person declined. Do not try it again unless you are asked to.".to_owned(),
            };
            let told = json!({ "code": "declined", "message": why });
            let words = prompt::failure(&planned.name, &told);
            Some(over(planned, name, CallStatus::Rejected, &told, words))
        }
    }
}

fn refused(planned: &PlannedCall, name: &str, code: &str, words: &str) -> Standing {
    let told = json!({ "code": code, "message": words });
    let text = prompt::failure(&planned.name, &told);
    over(planned, name, CallStatus::Failed, &told, text)
}

fn over(planned: &PlannedCall, path: &str, status: CallStatus, result: &Value, words: String) -> Standing {
    let told = ToolResult {
        id: planned.id.clone(),
        content: vec![Part::text(words)],
        is_error: status != CallStatus::Done,
    };
    Standing::Over {
        message: Message::of(Role::Tool, vec![Part::ToolResult(told)]),
        part: Shown::ToolCall {
            id: planned.id.clone(),
            name: planned.name.clone(),
            arguments: planned.arguments.clone(),
            status,
            result: prompt::shown(result),
            path: path.to_owned(),
        },
        failed: status == CallStatus::Failed,
    }
}

fn question(name: String, opened: &Opened, planned: &PlannedCall, plan: &Plan, input: &Value) -> Child {
    let ask = ChildAsk {
        title: format!("{} asks: {}", opened.title, plan.title),
        detail: json!({
            "kind": "tool_call",
            "agent": { "id": opened.agent_id, "name": opened.name },
            "tool": planned.name,
            "title": plan.title,
            "input": planned.arguments,
            "preview": null,
        }),
        preview: plan.preview.clone().map(|operation| (operation, input.clone())),
        actor: Some(agent(opened.agent_id)),
        hours: ASK_HOURS,
    };
    Child {
        name,
        act: Act::Ask(ask),
    }
}

fn tool_call(name: &str, opened: &Opened, plan: &Plan, input: &Value) -> Child {
    let call = ChildCall {
        operation: plan.operation.clone(),
        input: input.clone(),
        shown: None,
        actor: Some(agent(opened.agent_id)),
        retry: RetryPolicy {
            max_attempts: 3,
            initial_delay_ms: 500,
            ..RetryPolicy::default()
        },
        unknown: match plan.repeatable {
            true => UnknownOutcome::Retry,
            // The model is told that nobody knows, and can look.
            false => UnknownOutcome::Fail,
        },
        timeout_s: TOOL_SECONDS,
        is_users: false,
    };
    Child {
        name: name.to_owned(),
        act: Act::Call(call),
    }
}

fn call(name: &str, operation: &str, input: &impl Serialize, actor: Option<Actor>) -> Result<Child> {
    let call = ChildCall {
        operation: operation.to_owned(),
        input: serde_json::to_value(input).map_err(Error::internal)?,
        // What is kept at the end stands in the children already.
        shown: (operation == "agents.close").then(|| json!({})),
        actor,
        retry: RetryPolicy::default(),
        unknown: UnknownOutcome::Retry,
        timeout_s: TOOL_SECONDS,
        is_users: false,
    };
    Ok(Child {
        name: name.to_owned(),
        act: Act::Call(call),
    })
}

fn wanted(children: Vec<Child>) -> Wish {
    Wish::Children(children)
}

fn agent(id: Uuid) -> Actor {
    Actor {
        kind: ActorKind::Agent,
        id,
    }
}

/// Reads what the journal keeps.
fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(value).map_err(Error::internal)
}

/// A model's words and thoughts as people see them.
fn parts_of(message: &Message) -> Vec<Shown> {
    let shown = message.content.iter().filter_map(|part| match part {
        Part::Text(said) if !said.text.is_empty() => Some(Shown::Text {
            text: said.text.clone(),
        }),
        Part::Thinking(thought) if !thought.text.is_empty() => Some(Shown::Thinking {
            text: thought.text.clone(),
        }),
        _ => None,
    });
    shown.collect()
}
