//! A fake of vLLM, as much of it as the clients need.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

/// A vLLM that calls each tool once, in order, then answers 42; or that answers `status` only.
pub(super) struct Fake {
    pub(super) port: u16,
    requests: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

impl Fake {
    pub(super) fn new() -> Self {
        Self::answering(StatusCode::OK)
    }

    pub(super) fn answering(status: StatusCode) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let answer = move |body: String| async move {
            count.fetch_add(1, Ordering::SeqCst);
            if status == StatusCode::OK {
                completion(&body)
            } else {
                (status, "planted").into_response()
            }
        };
        let app = axum::Router::new().route("/v1/chat/completions", axum::routing::post(answer));
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            port,
            requests,
            _runtime: runtime,
        }
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// What the fake says to one request, streamed where that was asked for.
fn completion(body: &str) -> Response {
    let request: Value = serde_json::from_str(body).unwrap();
    let messages = request["messages"].as_array().unwrap();
    let round = messages
        .iter()
        .filter(|message| message["role"] == "assistant")
        .count();
    let message = match request["tools"].get(round) {
        Some(tool) => tool_call(&tool["function"]),
        None if body.contains("Reference: ") => {
            json!({"role": "assistant", "content": "<correct>False</correct>"})
        }
        None => json!({"role": "assistant", "content": "It is \\boxed{42}."}),
    };
    if request["stream"] != true {
        return axum::Json(json!({"choices": [{"index": 0, "message": message}]})).into_response();
    }
    let event = json!({"choices": [{"index": 0, "delta": message}]});
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        format!("data: {event}\n\ndata: [DONE]\n\n"),
    )
        .into_response()
}

fn tool_call(tool: &Value) -> Value {
    let arguments: BTreeMap<_, _> = tool["parameters"]["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(|key| (key, "a text"))
        .collect();
    let function = json!({"name": tool["name"], "arguments": json!(arguments).to_string()});
    json!({"role": "assistant", "content": null,
           "tool_calls": [{"index": 0, "id": "call-0", "type": "function", "function": function}]})
}
