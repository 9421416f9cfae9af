//! What a real vLLM 0.32.0 answered, against what the simulator of that release answers to the same requests.
//!
//! `tests/real` makes the recordings. Texts that depend on the model's weights and counts that depend on its tokenizer
//! are compared by their kind, everything else by its value.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod failures;
mod metrics;
mod start_up;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Map, Value};

use crate::sim::Server;

/// Keys whose values come from the weights, the tokenizer or chance.
const VOLATILE: [&str; 16] = [
    "id",
    "created",
    "content",
    "text",
    "reasoning",
    "arguments",
    "prompt_tokens",
    "total_tokens",
    "completion_tokens",
    "system_fingerprint",
    "tokens",
    "count",
    "prompt",
    "token_strs",
    "logprobs",
    "root",
];

/// Places where the weights, the tokenizer or chance decide, not the server.
const OF_THE_MODEL: [(&str, &str); 5] = [
    // The simulator's answers are longer or shorter than those of the tiny model.
    ("model-missing", "body.choices[0].finish_reason"),
    (
        "prompt-and-answer-too-long",
        "body.choices[0].finish_reason",
    ),
    // Whether a model calls a tool that does not fit is its own affair.
    ("tools-auto-no-call", "body.choices[0]"),
    // Log probabilities are the weights' own, and the simulator's tokens stand for no words.
    ("chat-logprobs", "body.choices[0].logprobs"),
    ("detokenize", ""),
];

/// Prompts whose length in tokens matters are sent as often: the simulator counts other tokens.
const REPEATED: [(&str, usize); 1] = [("prompt-too-long", 4)];

/// A file or folder of the recordings.
fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/recordings/vllm-0.32.0")
        .join(name)
}

/// A folder with a model such as the tiny one.
fn model_folder() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let config = r#"{"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 4096}"#;
    fs::write(place.path().join("config.json"), config).unwrap();
    place
}

/// A body as it was recorded: JSON, a text, or the data lines of a stream.
fn body_of(text: &str, stream: bool) -> Value {
    if stream {
        let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
        return lines.map(parsed).collect();
    }
    parsed(text)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// A value with what is volatile replaced by its kind.
fn masked(key: &str, value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        _ if VOLATILE.contains(&key) => Value::String(format!("<{}>", kind(value))),
        Value::Object(map) => map
            .iter()
            .map(|(k, v)| (k.clone(), masked(k, v)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(list) => list.iter().map(|item| masked("", item)).collect(),
        other => other.clone(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// A stream as it is compared: how many tokens share a chunk is chance, so each kind of chunk counts once.
fn folded(body: &Value) -> Value {
    let Some(chunks) = body.as_array() else {
        return masked("", body);
    };
    let mut kinds: Vec<Value> = Vec::new();
    for chunk in chunks.iter().map(|chunk| masked("", chunk)) {
        if !kinds.contains(&chunk) {
            kinds.push(chunk);
        }
    }
    kinds.into()
}

/// Every place where two values differ.
fn differences(at: &str, real: &Value, ours: &Value, found: &mut Vec<String>) {
    match (real, ours) {
        (Value::Object(real), Value::Object(ours)) => {
            let keys: BTreeSet<&String> = real.keys().chain(ours.keys()).collect();
            for key in keys {
                let here = format!("{at}.{key}");
                match (real.get(key), ours.get(key)) {
                    (Some(real), Some(ours)) => differences(&here, real, ours, found),
                    (Some(real), None) => {
                        found.push(format!("{here}: the simulator lacks it, vLLM has {real}"));
                    }
                    (_, ours) => found.push(format!(
                        "{here}: only the simulator has it: {}",
                        ours.unwrap()
                    )),
                }
            }
        }
        (Value::Array(real), Value::Array(ours)) if real.len() == ours.len() => {
            for (place, (real, ours)) in real.iter().zip(ours).enumerate() {
                differences(&format!("{at}[{place}]"), real, ours, found);
            }
        }
        (real, ours) if real != ours => {
            found.push(format!("{at}: vLLM {real}, the simulator {ours}"));
        }
        _ => {}
    }
}

fn compare(name: &str, server: &Server, recording: &Value, found: &mut Vec<String>) {
    let request = &recording["request"];
    let real = &recording["response"];
    let method = Method::from_bytes(request["method"].as_str().unwrap().as_bytes()).unwrap();
    let mut body = request["body"].clone();
    if let Some((_, times)) = REPEATED.iter().find(|(repeated, _)| *repeated == name) {
        let content = &mut body["messages"][0]["content"];
        *content = content.as_str().unwrap().repeat(*times).into();
    }
    let body = match &body {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        json => Some(json.to_string()),
    };
    let (status, text) = server.send(method, request["path"].as_str().unwrap(), body);
    let mut here = Vec::new();
    if real["status"] != status {
        here.push(format!(
            "status: vLLM {}, the simulator {status}",
            real["status"]
        ));
    }
    let stream = real["headers"]["content-type"]
        .as_str()
        .is_some_and(|kind| kind.starts_with("text/event-stream"));
    let ours = body_of(&text, stream);
    differences("body", &folded(&real["body"]), &folded(&ours), &mut here);
    here.retain(|what| {
        let of_the_model = |(of, place): &(&str, &str)| *of == name && what.starts_with(place);
        !OF_THE_MODEL.iter().any(of_the_model)
    });
    found.extend(here.into_iter().map(|what| format!("{name}: {what}")));
}

#[test]
fn the_simulator_answers_as_the_real_server_did() {
    let place = model_folder();
    let model = [
        place.path().to_str().unwrap(),
        "--served-model-name",
        "tiny",
        "--max-model-len",
        "4096",
    ];
    let flags = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"];
    let with = Server::start(&[&model[..], &flags].concat(), "0.32.0");
    let without = Server::start(&model, "0.32.0");
    let mut names: Vec<String> = fs::read_dir(recorded("http"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 40, "recordings are missing: {names:?}");
    let mut found = Vec::new();
    for name in &names {
        let name = name.trim_end_matches(".json");
        let text = fs::read_to_string(recorded(&format!("http/{name}.json"))).unwrap();
        let server = if name.starts_with("no-flags-") {
            &without
        } else {
            &with
        };
        compare(
            name,
            server,
            &serde_json::from_str(&text).unwrap(),
            &mut found,
        );
    }
    assert!(
        found.is_empty(),
        "{} differences:\n{}",
        found.len(),
        found.join("\n")
    );
}
