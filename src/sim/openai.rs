//! The JSON bodies of the OpenAI-compatible API, in vLLM's fields by release. Pure.

use serde_json::{Map, Value, json};

use super::chat::Completion;
use super::config::{MEASURED, SimConfig};
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

/// The fields that carry reasoning: `reasoning_content` before 0.11.2, then `reasoning`, until 0.15 with a copy under the
/// old name.
fn reasoning_fields(release: Release) -> &'static [&'static str] {
    if release < Release::new(0, 11, 2) {
        &["reasoning_content"]
    } else if release < Release::new(0, 16, 0) {
        &["reasoning", "reasoning_content"]
    } else {
        &["reasoning"]
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
    })
}

/// The usage of an answer that is not streamed.
fn whole_usage(release: Release, completion: &Completion) -> Value {
    let mut usage = usage(completion);
    usage["prompt_tokens_details"] = Value::Null;
    if release >= MEASURED {
        usage["completion_tokens_details"] = Value::Null;
    }
    usage
}

/// What tells one build and configuration of a server from another; null before 0.32.
fn fingerprint(server: &SimConfig) -> Value {
    if server.release < MEASURED {
        return Value::Null;
    }
    let digest = crate::base::sha256(server.model.as_bytes());
    json!(format!("vllm-{}-{}", server.release, &digest[..8]))
}

/// Adds keys that hold nothing, as 0.32 does.
fn add_nulls(server: &SimConfig, to: &mut Value, keys: &[&str]) {
    if server.release >= MEASURED {
        for key in keys {
            to[*key] = Value::Null;
        }
    }
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
    if !calls.is_empty() || server.release < MEASURED {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    for field in reasoning_fields(server.release) {
        message.insert((*field).to_owned(), json!(completion.reasoning));
    }
    let mut choice = json!({
        "index": 0, "message": message, "logprobs": null, "finish_reason": completion.finish,
        "stop_reason": completion.stop_reason, "token_ids": null,
    });
    add_nulls(server, &mut choice, &["routed_experts"]);
    let mut answer = json!({
        "id": format!("chatcmpl-{}", stamp.id), "object": "chat.completion", "created": stamp.created, "model": model,
        "choices": [choice], "service_tier": null, "system_fingerprint": fingerprint(server),
        "usage": whole_usage(server.release, completion), "prompt_logprobs": null, "prompt_token_ids": null,
        "kv_transfer_params": null,
    });
    add_nulls(
        server,
        &mut answer,
        &["prompt_text", "ec_transfer_params", "metrics"],
    );
    answer
}

fn tool_call(stamp: &Stamp, name: &str, arguments: &str) -> Value {
    json!({
        "id": format!("chatcmpl-tool-{}", stamp.id), "type": "function",
        "function": {"name": name, "arguments": arguments},
    })
}

/// The answer to a text-completion request that is not streamed.
pub(super) fn text(
    server: &SimConfig,
    model: &str,
    stamp: &Stamp,
    completion: &Completion,
) -> Value {
    let mut choice = json!({
        "index": 0, "text": completion.content.as_deref().unwrap_or_default(), "logprobs": null,
        "finish_reason": completion.finish, "stop_reason": completion.stop_reason, "prompt_logprobs": null,
    });
    add_nulls(
        server,
        &mut choice,
        &["token_ids", "prompt_token_ids", "routed_experts"],
    );
    let mut answer = json!({
        "id": format!("cmpl-{}", stamp.id), "object": "text_completion", "created": stamp.created, "model": model,
        "choices": [choice], "usage": whole_usage(server.release, completion), "kv_transfer_params": null,
    });
    add_nulls(
        server,
        &mut answer,
        &["service_tier", "ec_transfer_params", "metrics"],
    );
    if server.release >= MEASURED {
        answer["system_fingerprint"] = fingerprint(server);
    }
    answer
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
    let recent = server.release >= MEASURED;
    let frame = |choices: Value| {
        json!({
            "id": format!("{prefix}-{}", stamp.id), "object": object, "created": stamp.created, "model": model,
            "choices": choices,
        })
    };
    let choice = |delta: Value| match shape {
        Shape::Chat => {
            let delta = with_copy(server.release, delta);
            json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": null, "token_ids": null})
        }
        Shape::Text => {
            let mut choice = json!({"index": 0, "text": delta, "logprobs": null, "finish_reason": null, "stop_reason": null});
            add_nulls(server, &mut choice, &["prompt_token_ids", "token_ids"]);
            choice
        }
    };
    let mut out = Vec::new();
    if shape == Shape::Chat {
        out.push(first_frame(
            server,
            choice(json!({"role": "assistant", "content": ""})),
            &frame,
        ));
    }
    if let Some(error) = &completion.breaks {
        out.push(error.body(server.release));
        return sent(&out);
    }
    for delta in deltas(server, shape, stamp, completion) {
        out.push(frame(json!([choice(delta)])));
    }
    let nothing = match shape {
        Shape::Chat if recent => json!({}),
        Shape::Chat => json!({"content": ""}),
        Shape::Text => json!(""),
    };
    let mut last = choice(nothing);
    last["finish_reason"] = json!(completion.finish);
    if recent || shape == Shape::Text {
        last["stop_reason"] = json!(completion.stop_reason);
    }
    out.push(frame(json!([last])));
    if include_usage {
        let mut last = frame(json!([]));
        last["usage"] = if recent {
            usage(completion)
        } else {
            whole_usage(server.release, completion)
        };
        out.push(last);
    }
    if let (true, Some(last)) = (recent, out.last_mut()) {
        last["system_fingerprint"] = fingerprint(server);
    }
    sent(&out)
}

fn sent(chunks: &[Value]) -> Vec<String> {
    let events = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
    events.chain(["data: [DONE]\n\n".to_owned()]).collect()
}

/// Where reasoning has two names, each delta has the old one, with or without content.
fn with_copy(release: Release, mut delta: Value) -> Value {
    if let [name, copy] = reasoning_fields(release) {
        delta[*copy] = delta.get(*name).cloned().unwrap_or_default();
    }
    delta
}

/// The frame that only says who speaks.
fn first_frame(server: &SimConfig, mut choice: Value, frame: &impl Fn(Value) -> Value) -> Value {
    if server.release >= MEASURED
        && let Some(choice) = choice.as_object_mut()
    {
        choice.shift_remove("token_ids");
    }
    let mut first = frame(json!([choice]));
    add_nulls(server, &mut first, &["prompt_token_ids", "prompt_text"]);
    first
}

/// What a stream says piece by piece: thoughts, text, call.
fn deltas(server: &SimConfig, shape: Shape, stamp: &Stamp, completion: &Completion) -> Vec<Value> {
    let pieces = |text: &Option<String>| -> Vec<String> {
        let texts = text.iter().flat_map(|text| tokens::pieces(text));
        texts.map(str::to_owned).collect()
    };
    let mut out = Vec::new();
    if shape == Shape::Chat {
        let field = reasoning_fields(server.release)[0];
        out.extend(
            pieces(&completion.reasoning)
                .into_iter()
                .map(|piece| json!({field: piece})),
        );
    }
    out.extend(
        pieces(&completion.content)
            .into_iter()
            .map(|piece| match shape {
                Shape::Chat => json!({"content": piece}),
                Shape::Text => json!(piece),
            }),
    );
    let Some(call) = &completion.call else {
        return out;
    };
    let with_call = |call: Value| {
        let mut delta = json!({});
        add_nulls(server, &mut delta, &["content"]);
        delta["tool_calls"] = json!([call]);
        delta
    };
    let mut first = tool_call(stamp, &call.name, "");
    first["index"] = json!(0);
    if server.release >= MEASURED {
        first["function"] = json!({"name": call.name});
    }
    out.push(with_call(first));
    for piece in tokens::pieces(&call.arguments.to_string()) {
        out.push(with_call(
            json!({"index": 0, "function": {"arguments": piece}}),
        ));
    }
    out
}
