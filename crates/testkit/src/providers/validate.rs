//! What the vendors refuse: wrong keys and requests of a wrong form.

use super::fault::VendorError;
use super::request::{Api, ReceivedRequest, Vendor};
use super::server::Options;
use serde_json::Value;
use std::collections::HashSet;

/// The reason to refuse a request, if there is one.
pub(crate) fn refusal(request: &ReceivedRequest, options: &Options) -> Option<VendorError> {
    // Ollama's own endpoints know no keys.
    if matches!(request.api, Api::OllamaTags | Api::OllamaVersion) {
        return None;
    }
    if let Some(error) = wrong_key(request, options) {
        return Some(error);
    }
    if request.api == Api::Unknown {
        let message = format!("Invalid URL ({} {})", request.method, request.path);
        let (kind, message) = match request.vendor {
            Vendor::OpenAi => ("invalid_request_error", message.as_str()),
            Vendor::Anthropic => ("not_found_error", "Not Found"),
        };
        return Some(VendorError::new(404, kind, None, message));
    }
    if request.vendor == Vendor::Anthropic && request.header("anthropic-version").is_none() {
        return Some(VendorError::invalid("anthropic-version: header is required"));
    }
    if request.method == "GET" {
        return None;
    }
    if !request.body.is_object() {
        return Some(VendorError::invalid(
            "We could not parse the JSON body of your request.",
        ));
    }
    wrong_form(request, options)
}

fn wrong_key(request: &ReceivedRequest, options: &Options) -> Option<VendorError> {
    if options.keys.is_empty() {
        return None;
    }
    let known = |key: &str| options.keys.iter().any(|k| k == key);
    let bearer = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "));
    let refuse = |kind: &str, code, message: &str| Some(VendorError::new(401, kind, code, message));
    match request.vendor {
        Vendor::Anthropic => match (request.header("x-api-key"), bearer) {
            (Some(key), _) if known(key) => None,
            (None, Some(token)) if options.anthropic_bearer && known(token) => None,
            (Some(_), _) => refuse("authentication_error", None, "invalid x-api-key"),
            (None, Some(_)) => refuse("authentication_error", None, "Invalid bearer token"),
            (None, None) => refuse("authentication_error", None, "x-api-key header is required"),
        },
        Vendor::OpenAi => match bearer {
            Some(key) if known(key) => None,
            Some(_) => refuse(
                "invalid_request_error",
                Some("invalid_api_key"),
                "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
            ),
            None => refuse(
                "invalid_request_error",
                None,
                "You didn't provide an API key. You need to provide your API key in an Authorization header using \
                 Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            ),
        },
    }
}

fn wrong_form(request: &ReceivedRequest, options: &Options) -> Option<VendorError> {
    let required: &[&str] = match request.api {
        Api::OpenAiChat | Api::AnthropicCountTokens => &["model", "messages"],
        Api::OpenAiEmbeddings => &["model", "input"],
        Api::AnthropicMessages => &["model", "max_tokens", "messages"],
        _ => &[],
    };
    if let Some(missing) = required.iter().find(|name| request.body[**name].is_null()) {
        return Some(VendorError::invalid(&match request.vendor {
            Vendor::OpenAi => format!("Missing required parameter: '{missing}'."),
            Vendor::Anthropic => format!("{missing}: Field required"),
        }));
    }
    if let Some(models) = &options.models
        && request.api.is_model_call()
        && !models.iter().any(|model| model == request.model())
    {
        let name = request.model();
        return Some(match request.vendor {
            Vendor::OpenAi => VendorError::new(
                404,
                "invalid_request_error",
                Some("model_not_found"),
                &format!("The model `{name}` does not exist or you do not have access to it."),
            ),
            Vendor::Anthropic => VendorError::new(404, "not_found_error", None, &format!("model: {name}")),
        });
    }
    let message = match request.api {
        Api::OpenAiChat => openai_messages(request),
        Api::AnthropicMessages => anthropic_messages(request),
        _ => None,
    };
    message.map(|message| VendorError::invalid(&message))
}

/// Each call is answered right after it, and each answer has its call.
fn openai_messages(request: &ReceivedRequest) -> Option<String> {
    let format = &request.body["response_format"];
    if format["type"] == "json_schema" && !format["json_schema"]["name"].is_string() {
        return Some("Missing required parameter: 'response_format.json_schema.name'.".to_owned());
    }
    let mut open: HashSet<&str> = HashSet::new();
    for (index, message) in request.messages().iter().enumerate() {
        if message["role"] == "tool" {
            if !open.remove(message["tool_call_id"].as_str().unwrap_or_default()) {
                return Some(format!(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with \
                     'tool_calls'. (messages.[{index}].role)"
                ));
            }
            continue;
        }
        if !open.is_empty() {
            break;
        }
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        open.extend(calls.filter_map(|call| call["id"].as_str()));
    }
    (!open.is_empty()).then(|| {
        let mut ids: Vec<&str> = open.into_iter().collect();
        ids.sort_unstable();
        format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
             'tool_call_id'. The following tool_call_ids did not have response messages: {}",
            ids.join(", ")
        )
    })
}

fn ids<'a>(message: &'a Value, kind: &str, field: &str) -> HashSet<&'a str> {
    let blocks = message["content"].as_array().into_iter().flatten();
    let of_kind = blocks.filter(|block| block["type"] == kind);
    of_kind.filter_map(|block| block[field].as_str()).collect()
}

fn anthropic_messages(request: &ReceivedRequest) -> Option<String> {
    let messages = request.messages();
    if messages.is_empty() {
        return Some("messages: at least one message is required".to_owned());
    }
    for (index, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if role != "user" && role != "assistant" {
            return Some(format!(
                "messages.{index}.role: Input should be 'user' or 'assistant'"
            ));
        }
        if index == 0 && role != "user" {
            return Some("messages: first message must use the \"user\" role".to_owned());
        }
        let blocks = message["content"].as_array().into_iter().flatten();
        if blocks
            .clone()
            .any(|block| block["type"] == "text" && block["text"] == "")
        {
            return Some("messages: text content blocks must be non-empty".to_owned());
        }
        let calls = ids(message, "tool_use", "id");
        let answered = messages
            .get(index + 1)
            .map_or_else(HashSet::new, |next| ids(next, "tool_result", "tool_use_id"));
        if let Some(id) = calls.difference(&answered).min() {
            return Some(format!(
                "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}. \
                 Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            ));
        }
        if let Some(id) = answered.difference(&calls).min() {
            return Some(format!(
                "messages.{}.content: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each \
                 `tool_result` block must have a corresponding `tool_use` block in the previous message.",
                index + 1
            ));
        }
    }
    // Results in the first message have no call before them at all.
    let orphan = ids(&messages[0], "tool_result", "tool_use_id").into_iter().next();
    orphan.map(|id| {
        format!("messages.0.content: unexpected `tool_use_id` found in `tool_result` blocks: {id}.")
    })
}
