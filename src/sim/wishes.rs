//! What a request may ask of sampling and tools: what vLLM 0.32 refuses, in its words, and where a text stops. Pure.
//!
//! Source: `tests/recordings/vllm-0.32.0`; nothing was recorded of earlier releases, which are let through.

use serde_json::Value;

use super::config::MEASURED;
use super::errors::ApiError;
use crate::knowledge::release::Release;

/// Refuses what 0.32 refuses before it looks at the prompt's length.
pub(super) fn check(release: Release, body: &Value) -> Result<(), ApiError> {
    if release < MEASURED {
        return Ok(());
    }
    let refuse = |param: &str, message: &str| Err(ApiError::bad_parameter(param, message));
    if body["messages"].as_array().is_some_and(Vec::is_empty) {
        let message =
            "Cannot apply chat template to an empty conversation. Provide at least one message.";
        return Err(ApiError::bad_request(message));
    }
    let temperature = body["temperature"].as_f64();
    if let Some(below) = temperature.filter(|value| *value < 0.0) {
        let message = format!(
            "temperature must be non-negative, got {below:?}. (parameter=temperature, value={below:?})"
        );
        return refuse("temperature", &message);
    }
    if body["max_tokens"].as_u64() == Some(0) {
        let message = "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)";
        return refuse("max_tokens", message);
    }
    let copies = body["n"].as_u64().unwrap_or(1);
    if copies > 1 && temperature == Some(0.0) {
        let message = format!("n must be 1 when using greedy sampling, got {copies}.");
        return Err(ApiError::bad_request(&message));
    }
    check_choice(body)
}

fn check_choice(body: &Value) -> Result<(), ApiError> {
    let message = match &body["tool_choice"] {
        Value::String(word) if !["none", "auto", "required"].contains(&word.as_str()) => format!(
            "Invalid value for `tool_choice`: {word}! Only named tools, \"none\", \"auto\" or \"required\" are \
             supported. (parameter=tool_choice)"
        ),
        Value::Object(named) => {
            let wanted = &named["function"]["name"];
            let tools = body["tools"].as_array().into_iter().flatten();
            if tools
                .into_iter()
                .any(|tool| tool["function"]["name"] == *wanted)
            {
                return Ok(());
            }
            "The tool specified in `tool_choice` does not match any of the specified `tools` (parameter=tool_choice)"
                .to_owned()
        }
        _ => return Ok(()),
    };
    Err(ApiError::bad_parameter("tool_choice", &message))
}

/// `stop`: one text or several.
pub(super) fn stops(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// Cuts a text before the first of these; answers which one it was.
pub(super) fn stop_at(text: &mut String, stops: &[String]) -> Option<String> {
    let found = stops.iter().filter(|stop| !stop.is_empty());
    let (place, stop) = found
        .filter_map(|stop| Some((text.find(stop.as_str())?, stop)))
        .min()?;
    text.truncate(place);
    Some(stop.clone())
}
