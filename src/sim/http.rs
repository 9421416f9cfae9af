//! The HTTP face of a simulated server: routes, admission, streaming.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::chat::{self, ChatRequest, Completion};
use super::config::{MEASURED, SimConfig};
use super::endpoint::{Endpoint, Peer, Running};
use super::errors::ApiError;
use super::failing::{failure, never_answer};
use super::faults::Kind;
use super::log::Writer;
use super::openai::{self, Shape};
use super::{control, scheduler, tokens};

pub(super) type From = ConnectInfo<Peer>;

/// The routes, the same for every server: which one is meant comes with the connection.
pub(super) fn router() -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ping", get(|| async {}).post(|| async {}))
        .route("/load", get(|| async { Json(json!({"server_load": 0})) }))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/completions", post(completions))
        .route("/tokenize", post(tokenize))
        .route(control::PATH, post(control::begin).delete(control::end))
        .fallback(|| async { (StatusCode::NOT_FOUND, Json(json!({"detail": "Not Found"}))) })
        .method_not_allowed_fallback(|| async {
            (
                StatusCode::METHOD_NOT_ALLOWED,
                Json(json!({"detail": "Method Not Allowed"})),
            )
        })
        .layer(middleware::from_fn(watch))
        .layer(DefaultBodyLimit::disable())
}

/// Keys, access log and HTTP counters.
async fn watch(ConnectInfo(peer): From, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    // Not a route of vLLM: it is neither logged nor counted, and no fault keeps it from being heard.
    if path == control::PATH {
        return next.run(request).await;
    }
    if peer.endpoint.suffers(Kind::HalfOpen) {
        return never_answer(request).await;
    }
    let method = request.method().clone();
    let keys = &peer.endpoint.config.api_keys;
    let response =
        if path.starts_with("/v1") && !keys.is_empty() && !has_key(request.headers(), keys) {
            (
                StatusCode::UNAUTHORIZED,
                Json(json!({"error": "Unauthorized"})),
            )
                .into_response()
        } else if let Some(response) = failure(&peer.endpoint, &path).await {
            response
        } else {
            next.run(request).await
        };
    let status = response.status();
    let remote = peer
        .remote
        .map_or_else(|| "-".to_owned(), |remote| remote.to_string());
    let reason = status.canonical_reason().unwrap_or_default();
    peer.endpoint
        .log
        .access(&remote, method.as_str(), &path, status.as_u16(), reason);
    // vLLM's instrumentator leaves the probes out.
    if !["/health", "/ping", "/load", "/version", "/metrics"].contains(&path.as_str()) {
        peer.endpoint.metrics.http(&path, status.as_u16());
    }
    response
}

fn has_key(headers: &HeaderMap, keys: &[String]) -> bool {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    shown
        .and_then(|text| text.strip_prefix("Bearer "))
        .is_some_and(|key| keys.iter().any(|have| have == key))
}

async fn version(ConnectInfo(peer): From) -> Json<Value> {
    Json(json!({"version": peer.endpoint.config.release.to_string()}))
}

async fn metrics(ConnectInfo(peer): From) -> Response {
    let text = peer.endpoint.page();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

async fn models(ConnectInfo(peer): From) -> Json<Value> {
    Json(openai::models(
        &peer.endpoint.config,
        &peer.endpoint.stamp(),
    ))
}

async fn tokenize(ConnectInfo(peer): From, body: Bytes) -> Response {
    let body = match parsed(&peer.endpoint.config, &body) {
        Ok(body) => body,
        Err(error) => return peer.endpoint.refuse(&error),
    };
    let text = body["prompt"]
        .as_str()
        .map_or_else(|| body["messages"].to_string(), str::to_owned);
    let count = tokens::count(&text);
    let ids: Vec<usize> = (0..count).collect();
    let SimConfig {
        max_model_len,
        release,
        ..
    } = &peer.endpoint.config;
    let mut answer = json!({"count": count, "max_model_len": max_model_len, "tokens": ids});
    if *release >= MEASURED {
        answer["token_strs"] = Value::Null;
    }
    Json(answer).into_response()
}

/// A body as JSON, or vLLM's refusal of it.
fn parsed(server: &SimConfig, body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let lines = body.split_inclusive(|byte| *byte == b'\n');
        let above: usize = lines
            .take(error.line().saturating_sub(1))
            .map(<[u8]>::len)
            .sum();
        let at = if error.is_eof() {
            body.len()
        } else {
            above + error.column().saturating_sub(1)
        };
        ApiError::bad_json(server.release, at)
    })
}

async fn chat_completions(ConnectInfo(peer): From, body: Bytes) -> Response {
    answered(peer, &body, chat_completion).await
}

async fn completions(ConnectInfo(peer): From, body: Bytes) -> Response {
    answered(peer, &body, text_completion).await
}

async fn answered(
    peer: Peer,
    body: &[u8],
    prepare: fn(&SimConfig, &Value) -> Result<Prepared, ApiError>,
) -> Response {
    let arrived = Instant::now();
    let endpoint = peer.endpoint;
    let body = match parsed(&endpoint.config, body) {
        Ok(body) => body,
        Err(error) => return endpoint.refuse(&error),
    };
    endpoint.read_dataset().await;
    match prepare(&endpoint.config, &body) {
        Ok(prepared) => respond(endpoint, prepared, arrived).await,
        Err(error) => endpoint.refuse(&error),
    }
}

fn chat_completion(server: &SimConfig, body: &Value) -> Result<Prepared, ApiError> {
    let request = ChatRequest::read(server.release, body)?;
    let model = known_model(server, request.model.as_deref())?;
    let completion = chat::complete(server, &request)?;
    Ok(Prepared {
        shape: Shape::Chat,
        model,
        stream: request.stream,
        include_usage: request.include_usage,
        completion,
    })
}

fn text_completion(server: &SimConfig, body: &Value) -> Result<Prepared, ApiError> {
    let prompt = match &body["prompt"] {
        Value::Null => {
            let keys = body.as_object().map_or(0, serde_json::Map::len);
            return Err(ApiError::missing_field(server.release, "prompt", keys));
        }
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .first()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        other => other.to_string(),
    };
    let model = known_model(server, body["model"].as_str())?;
    let wanted = body["max_tokens"]
        .as_u64()
        .and_then(|wanted| usize::try_from(wanted).ok());
    let completion = chat::go_on(server, prompt, wanted)?;
    let stream = body["stream"].as_bool().unwrap_or(false);
    let include_usage = body["stream_options"]["include_usage"]
        .as_bool()
        .unwrap_or(false);
    Ok(Prepared {
        shape: Shape::Text,
        model,
        stream,
        include_usage,
        completion,
    })
}

/// The id to answer with: what the client sent, or the first one.
fn known_model(server: &SimConfig, asked: Option<&str>) -> Result<String, ApiError> {
    match asked.filter(|asked| !asked.is_empty()) {
        None => Ok(server.served.first().cloned().unwrap_or_default()),
        Some(asked) if server.served.iter().any(|id| id == asked) => Ok(asked.to_owned()),
        Some(asked) => Err(ApiError::no_such_model(
            server.release,
            asked,
            &server.served,
        )),
    }
}

/// An answer that only has to be timed and sent.
struct Prepared {
    shape: Shape,
    model: String,
    stream: bool,
    include_usage: bool,
    completion: Completion,
}

async fn health(ConnectInfo(peer): From) -> StatusCode {
    if peer.endpoint.is_dead() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    }
}

/// The answer, or what is said where the engine dies meanwhile.
async fn respond(endpoint: Arc<Endpoint>, prepared: Prepared, arrived: Instant) -> Response {
    let dead = Arc::clone(&endpoint);
    tokio::select! {
        response = answer(endpoint, prepared, arrived) => response,
        () = dead.death() => dead.refuse(&ApiError::engine_dead()),
    }
}

async fn answer(endpoint: Arc<Endpoint>, prepared: Prepared, arrived: Instant) -> Response {
    endpoint.thawed().await;
    let mut running = Running::admit(Arc::clone(&endpoint), &prepared.completion, arrived).await;
    running.streamed(prepared.stream);
    let Prepared {
        shape,
        model,
        stream,
        include_usage,
        completion,
    } = prepared;
    let stamp = endpoint.stamp();
    if completion.parsed == Some(chat::Parsed::NoToolCall)
        && completion
            .content
            .as_deref()
            .is_some_and(|text| text.contains("<tool_call>"))
    {
        endpoint.log.line(
            Writer::Api,
            "ERROR",
            "hermes_tool_parser.py:165",
            "Error in extracting tool call from response.",
        );
    }
    if !stream {
        running.first_token().await;
        running.piece(2).await;
        running.finish(&completion).await;
        let body = match shape {
            Shape::Chat => openai::chat(&endpoint.config, &model, &stamp, &completion),
            Shape::Text => openai::text(&endpoint.config, &model, &stamp, &completion),
        };
        return Json(body).into_response();
    }
    let events = openai::events(
        &endpoint.config,
        shape,
        &model,
        &stamp,
        &completion,
        include_usage,
    );
    let size = scheduler::piece(events.len());
    let chunks: Vec<String> = events.chunks(size).map(<[String]>::concat).collect();
    let pieces = chunks.len();
    let state = (chunks.into_iter(), running, completion, true);
    let body = futures_util::stream::unfold(
        state,
        move |(mut chunks, mut running, completion, first)| async move {
            let chunk = chunks.next()?;
            if first {
                running.first_token().await;
            } else {
                running.piece(pieces).await;
            }
            if chunks.len() == 0 {
                running.finish(&completion).await;
            }
            Some((
                Ok::<_, Infallible>(chunk),
                (chunks, running, completion, false),
            ))
        },
    );
    (
        [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")],
        Body::from_stream(body),
    )
        .into_response()
}
