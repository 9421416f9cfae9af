//! The JSON bodies of the OpenAI-compatible API, in vLLM's fields by release. Pure.

use serde_json::{Map, Value, json};

use super::chat::Completion;
use super::config::SimConfig;
use super::tokens;
use crate::knowledge::release::Release;

/// What marks one answer: its id and its second of creation (Unix time).
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    /// The id without its prefix, 32 hexadecimal digits.
    pub(super) id: String,
    /// Unix time in seconds.
    pub(super) created: i64,
}

/// The field that carries reasoning: `reasoning_content` before 0.11.2, then `reasoning`.
fn reasoning_field(release: Release) -> &'static str {
    if release < Release::new(0, 11, 2) {
        "reasoning_content"
    } else {
        "reasoning"
    }
}

fn usage(completion: &Completion) -> Value {
    let Completion {
        tokens_in,
        tokens_out,
        ..
    } = completion;
    json!({
        "prompt_tokens": tokens_in,
        "total_tokens": tokens_in + tokens_out,
        "completion_tokens": tokens_out,
        "prompt_tokens_details": null,
    })
}

/// `GET /v1/models`.
pub(super) fn models(server: &SimConfig, stamp: &Stamp) -> Value {
    let data: Vec<Value> = server
        .served
        .iter()
        .map(|id| {
            let permission = json!({
                "id": format!("modelperm-{}", stamp.id), "object": "model_permission", "created": stamp.created,
                "allow_create_engine": false, "allow_sampling": true, "allow_logprobs": true,
                "allow_search_indices": false, "allow_view": true, "allow_fine_tuning": false, "organization": "*",
                "group": null, "is_blocking": false,
            });
            json!({
                "id": id, "object": "model", "created": stamp.created, "owned_by": "vllm", "root": server.model,
                "parent": null, "max_model_len": server.max_model_len, "permission": [permission],
            })
        })
        .collect();
    json!({"object": "list", "data": data})
}

/// The answer to a chat request that is not streamed.
pub(super) fn chat(
    server: &SimConfig,
    model: &str,
    stamp: &Stamp,
    completion: &Completion,
) -> Value {
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    message.insert("content".to_owned(), json!(completion.content));
    for key in ["refusal", "annotations", "audio", "function_call"] {
        message.insert(key.to_owned(), Value::Null);
    }
    let calls: Vec<Value> = completion
        .call
        .iter()
        .map(|call| tool_call(stamp, &call.name, &call.arguments.to_string()))
        .collect();
    // 0.32 leaves the list out where it is empty.
    if !calls.is_empty() || server.release < Release::new(0, 32, 0) {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    message.insert(
        reasoning_field(server.release).to_owned(),
        json!(completion.reasoning),
    );
    json!({
        "id": format!("chatcmpl-{}", stamp.id), "object": "chat.completion", "created": stamp.created, "model": model,
        "choices": [{
            "index": 0, "message": message, "logprobs": null, "finish_reason": completion.finish, "stop_reason": null,
            "token_ids": null,
        }],
        "service_tier": null, "system_fingerprint": null, "usage": usage(completion), "prompt_logprobs": null,
        "prompt_token_ids": null, "kv_transfer_params": null,
    })
}

fn tool_call(stamp: &Stamp, name: &str, arguments: &str) -> Value {
    json!({
        "id": format!("chatcmpl-tool-{}", stamp.id), "type": "function",
        "function": {"name": name, "arguments": arguments},
    })
}

/// The answer to a text-completion request that is not streamed.
pub(super) fn text(model: &str, stamp: &Stamp, completion: &Completion) -> Value {
    json!({
        "id": format!("cmpl-{}", stamp.id), "object": "text_completion", "created": stamp.created, "model": model,
        "choices": [{
            "index": 0, "text": completion.content.as_deref().unwrap_or_default(), "logprobs": null,
            "finish_reason": completion.finish, "stop_reason": null, "prompt_logprobs": null,
        }],
        "usage": usage(completion), "kv_transfer_params": null,
    })
}

/// What a stream consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
}

/// The server-sent events of a streamed answer: one per token, then the finish, the usage where asked, and `[DONE]`.
pub(super) fn events(
    server: &SimConfig,
    shape: Shape,
    model: &str,
    stamp: &Stamp,
    completion: &Completion,
    include_usage: bool,
) -> Vec<String> {
    let (prefix, object) = match shape {
        Shape::Chat => ("chatcmpl", "chat.completion.chunk"),
        Shape::Text => ("cmpl", "text_completion"),
    };
    let frame = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": format!("{prefix}-{}", stamp.id), "object": object, "created": stamp.created, "model": model,
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let choice = |delta: Value, finish: Option<&str>| match shape {
        Shape::Chat => {
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish, "token_ids": null}])
        }
        Shape::Text => {
            json!([{"index": 0, "text": delta, "logprobs": null, "finish_reason": finish, "stop_reason": null}])
        }
    };
    let mut out = Vec::new();
    if shape == Shape::Chat {
        out.push(frame(
            choice(json!({"role": "assistant", "content": ""}), None),
            None,
        ));
        for piece in completion
            .reasoning
            .iter()
            .flat_map(|text| tokens::pieces(text))
        {
            out.push(frame(
                choice(json!({reasoning_field(server.release): piece}), None),
                None,
            ));
        }
    }
    for piece in completion
        .content
        .iter()
        .flat_map(|text| tokens::pieces(text))
    {
        let delta = if shape == Shape::Chat {
            json!({"content": piece})
        } else {
            json!(piece)
        };
        out.push(frame(choice(delta, None), None));
    }
    if let Some(call) = &completion.call {
        let mut first = tool_call(stamp, &call.name, "");
        first["index"] = json!(0);
        out.push(frame(choice(json!({"tool_calls": [first]}), None), None));
        for piece in tokens::pieces(&call.arguments.to_string()) {
            let delta = json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]});
            out.push(frame(choice(delta, None), None));
        }
    }
    let last = if shape == Shape::Chat {
        json!({"content": ""})
    } else {
        json!("")
    };
    out.push(frame(choice(last, Some(completion.finish)), None));
    if include_usage {
        out.push(frame(json!([]), Some(usage(completion))));
    }
    out.push("data: [DONE]\n\n".to_owned());
    out
}
