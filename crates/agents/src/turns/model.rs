//! One turn of the model: the request is made from the conversation and the agent's tools, and what the model asks for is
//! looked up, so that the journal says exactly what will be called.

use super::shape::{Ask, Plan, PlannedCall, Turn};
use crate::spec::AgentSpec;
use crate::tools::{Granted, Toolbox, toolbox};
use serde_json::Value;
use std::time::Instant;
use synapscale_core::{Effect, Error, Result};
use synapscale_llm::model::{
    ChatRequest, JsonSchemaFormat, Message, ResponseFormat, Tool as ModelTool, ToolCall,
};
use synapscale_llm::service::{ChatAnswer, ChatMessage, Models, OpSink};
use synapscale_ops::{ExternalCx, Tools};
use tokio_util::sync::CancellationToken;

/// Most calls that one turn may ask for; those beyond are told so.
const MAX_CALLS: usize = 64;

/// Asks the model.
///
/// # Errors
/// What the model service failed with.
pub(crate) async fn turn(models: &Models, tools: &Tools, cx: ExternalCx, ask: &Ask) -> Result<Turn> {
    let began = Instant::now();
    let toolbox = toolbox(tools, &cx.ctx, &ask.spec.tools).await;
    let request = request(&ask.spec, &ask.messages, &toolbox);
    // Whoever cancels the run drops this future, and the connection to the provider with it.
    let nobody = CancellationToken::new();
    let mut sink = OpSink(cx.sink.clone());
    let answer = models
        .chat(&cx.ctx, &ask.spec.model, &request, &nobody, &mut sink)
        .await?;
    let mut calls = Vec::new();
    for (index, call) in answer.message.0.tool_calls().enumerate() {
        calls.push(plan(tools, &cx, &toolbox, call, index).await?);
    }
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(told(answer, calls, ms))
}

fn told(answer: ChatAnswer, calls: Vec<PlannedCall>, ms: u64) -> Turn {
    let tokens = |count: Option<u64>| count.unwrap_or_default();
    Turn {
        input_tokens: tokens(answer.usage.input),
        output_tokens: tokens(answer.usage.output),
        cost_nano_usd: answer.cost_nano_usd,
        answer: answer.json.filter(|_| calls.is_empty()),
        model: answer.model,
        provider: answer.provider,
        attempts: answer.attempts.len() as u64,
        message: answer.message,
        calls,
        ms,
    }
}

fn request(spec: &AgentSpec, messages: &[ChatMessage], toolbox: &Toolbox) -> ChatRequest {
    let tools = toolbox.tools.iter().map(|granted| ModelTool {
        name: granted.tool.wire_name().to_owned(),
        description: Some(granted.tool.description().to_owned()),
        parameters: granted.tool.input_schema().clone(),
        strict: None,
        extra: Default::default(),
    });
    let format = spec.answer_schema.clone().map(|schema| {
        ResponseFormat::JsonSchema(JsonSchemaFormat {
            name: "answer".to_owned(),
            schema: Value::Object(schema),
            strict: None,
        })
    });
    ChatRequest {
        messages: messages
            .iter()
            .map(|message| message.0.clone())
            .collect::<Vec<Message>>(),
        tools: tools.collect(),
        response_format: format.unwrap_or_default(),
        temperature: spec.temperature,
        max_tokens: spec.max_output_tokens,
        reasoning_effort: spec.reasoning_effort.map(Into::into),
        ..ChatRequest::default()
    }
}

/// What is to be done for a call that the model asks for. Only the agent's own tools are ever called: everything else is a
/// problem that the model is told of.
async fn plan(
    tools: &Tools,
    cx: &ExternalCx,
    toolbox: &Toolbox,
    call: &ToolCall,
    index: usize,
) -> Result<PlannedCall> {
    let planned = |name: &str, plan, problem| PlannedCall {
        id: call.id.clone(),
        name: name.to_owned(),
        arguments: call.parsed.clone().unwrap_or(Value::Null),
        plan,
        problem,
    };
    let wanted =
        |granted: &&Granted| granted.tool.wire_name() == call.name || granted.tool.name() == call.name;
    let Some(granted) = toolbox.tools.iter().find(wanted) else {
        let exists = tools.find(&cx.ctx, &call.name).await?.is_some();
        let problem = match exists {
            true => format!("`{}` is not one of your tools.", call.name),
            false => format!("There is no tool `{}`.", call.name),
        };
        return Ok(planned(&call.name, None, Some(problem)));
    };
    let tool = &granted.tool;
    let name = tool.name().to_owned();
    if index >= MAX_CALLS {
        let problem = format!("At most {MAX_CALLS} calls at once; this one was not made.");
        return Ok(planned(&name, None, Some(problem)));
    }
    let Some(arguments) = call.parsed.as_ref().filter(|arguments| arguments.is_object()) else {
        let problem = "The arguments are not a JSON object.".to_owned();
        return Ok(planned(&name, None, Some(problem)));
    };
    let input = tool.bind(arguments.clone());
    // A person is not asked about what would be refused anyway.
    if let Err(error) = tool.operation().validate(&input) {
        return Ok(planned(&name, None, Some(faults(&tool.unbind(error)))));
    }
    let plan = Plan {
        operation: tool.operation().name().to_owned(),
        input: (input != *arguments).then_some(input),
        title: tool.title().to_owned(),
        asks: granted.asks,
        preview: tool.operation().preview().map(str::to_owned),
        // What changes the database does so once; what reaches out may have done so.
        repeatable: tool.effect() != Effect::External,
    };
    Ok(planned(&name, Some(plan), None))
}

/// What is wrong with a call's arguments, in words for the model.
fn faults(error: &Error) -> String {
    match error.fields() {
        [] => error.message().to_owned(),
        fields => {
            let lines = fields
                .iter()
                .map(|field| format!("{}: {}", field.pointer, field.message));
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}
