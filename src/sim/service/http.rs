//! The HTTP face of a stand-in: what each path is for, how long it takes, and its answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::super::openai::Stamp;
use super::books::Books;
use super::pace::Pace;
use super::request::{Asked, Complaint, Form};
use super::{pages, reply, vectors};

/// What a request may bring: long prompts and pictures, and no more.
const LARGEST_BODY: usize = 64 << 20;
/// Queries of one search.
const MOST_QUERIES: usize = 256;
/// What a search finds where it does not say how much.
const TOPK: u64 = 3;
/// The parts in which a stream arrives.
const PARTS: usize = 4;

/// A stand-in at run time.
#[derive(Debug)]
pub(super) struct StandIn {
    /// What it stands for.
    pub(super) name: String,
    /// The models that it lists.
    pub(super) models: Vec<String>,
    /// How long its answers take.
    pub(super) pace: Pace,
    /// Tokens of a document.
    pub(super) tokens: usize,
    /// What it was asked.
    pub(super) books: Books,
    /// Answers that took time, which look at nothing but this number.
    pub(super) answers: AtomicU64,
    /// Unix time of its start in seconds.
    pub(super) created: i64,
}

/// The stand-in's only handler: any path is answered.
pub(super) fn router(stand_in: Arc<StandIn>) -> Router {
    Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(stand_in)
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Books,
    Models,
    OpenApi,
    Status,
    Search,
    Text(Form),
    Embeddings,
    Nothing,
}

fn route(method: &Method, path: &str) -> Route {
    let path = path.trim_end_matches('/');
    if method == Method::GET || method == Method::HEAD {
        return match path {
            "/sim/books" => Route::Books,
            "/openapi.json" => Route::OpenApi,
            _ if path.ends_with("/models") => Route::Models,
            _ => Route::Status,
        };
    }
    if method != Method::POST {
        return Route::Nothing;
    }
    // By their ends: clients are given base URLs with `/v1`, with a deployment, or bare.
    let ends = [
        ("/retrieve", Route::Search),
        ("/search", Route::Search),
        ("/chat/completions", Route::Text(Form::Chat)),
        ("/completions", Route::Text(Form::Text)),
        ("/responses", Route::Text(Form::Responses)),
        ("/embeddings", Route::Embeddings),
    ];
    let found = ends.iter().find(|(end, _)| path.ends_with(end));
    found.map_or(Route::Nothing, |(_, route)| *route)
}

async fn answer(
    State(stand_in): State<Arc<StandIn>>,
    method: Method,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let route = route(&method, uri.path());
    if route != Route::Books {
        stand_in.books.request(method.as_str(), uri.path());
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    // Probes are no work: they are answered at once, and leave the cold start to those who ask for something.
    match route {
        Route::Books => Json(stand_in.books.show(&stand_in.name)).into_response(),
        Route::Models => Json(models(&stand_in)).into_response(),
        Route::OpenApi => Json(openapi(&stand_in.name)).into_response(),
        Route::Status => Json(json!({"status": "ok", "stand_in": "toolorch"})).into_response(),
        Route::Search => search(&stand_in, &body).await,
        Route::Text(form) => text(&stand_in, form, &body).await,
        Route::Embeddings => embeddings(&stand_in, &body).await,
        Route::Nothing => {
            stand_in.take_time().await;
            Json(json!({})).into_response()
        }
    }
}

impl StandIn {
    /// The next answer's number, and how long it takes.
    fn next(&self) -> (u64, Duration) {
        let number = self.answers.fetch_add(1, Ordering::Relaxed);
        (number, self.pace.wait(number))
    }

    async fn take_time(&self) {
        pause(self.next().1).await;
    }

    /// The model of a request that names none.
    fn model(&self) -> &str {
        self.models.first().unwrap_or(&self.name)
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn models(stand_in: &StandIn) -> Value {
    let data: Vec<Value> = stand_in
        .models
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": stand_in.created, "owned_by": "toolorch"}))
        .collect();
    json!({"object": "list", "data": data})
}

fn openapi(name: &str) -> Value {
    json!({
        "openapi": "3.1.0", "info": {"title": format!("{name}, a stand-in of toolorch"), "version": "1"}, "paths": {},
    })
}

async fn search(stand_in: &StandIn, body: &[u8]) -> Response {
    stand_in.take_time().await;
    let refuse = |why: &str| {
        let detail = json!({"detail": why});
        (StatusCode::UNPROCESSABLE_ENTITY, Json(detail)).into_response()
    };
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return refuse("the body is not JSON");
    };
    let queries: Option<Vec<&str>> = match (&body["queries"], &body["query"]) {
        (Value::Array(queries), _) => queries.iter().map(Value::as_str).collect(),
        (Value::String(query), _) | (Value::Null, Value::String(query)) => Some(vec![query]),
        _ => None,
    };
    let Some(queries) = queries else {
        return refuse("`queries` must be a list of strings");
    };
    if queries.len() > MOST_QUERIES {
        return refuse(&format!("more than {MOST_QUERIES} queries"));
    }
    let topk = body["topk"].as_u64().unwrap_or(TOPK);
    let topk = usize::try_from(topk).unwrap_or(usize::MAX);
    let found: Vec<Vec<Value>> = queries
        .iter()
        .map(|query| pages::documents(query, topk, stand_in.tokens))
        .collect();
    Json(found).into_response()
}

fn parsed(body: &[u8]) -> Result<Value, Complaint> {
    serde_json::from_slice(body).map_err(|_| {
        Complaint::new(
            "We could not parse the JSON body of your request.".to_owned(),
            None,
        )
    })
}

fn complain(complaint: &Complaint) -> Response {
    (StatusCode::BAD_REQUEST, Json(complaint.body())).into_response()
}

async fn embeddings(stand_in: &StandIn, body: &[u8]) -> Response {
    stand_in.take_time().await;
    match parsed(body).and_then(|body| vectors::embeddings(&body, stand_in.model())) {
        Ok((answer, read)) => {
            stand_in.books.tokens(read, 0);
            Json(answer).into_response()
        }
        Err(complaint) => complain(&complaint),
    }
}

async fn text(stand_in: &StandIn, form: Form, body: &[u8]) -> Response {
    let asked = match parsed(body).and_then(|body| Asked::read(form, &body, stand_in.model())) {
        Ok(asked) => asked,
        Err(complaint) => return complain(&complaint),
    };
    let (number, wait) = stand_in.next();
    let said = asked.answer();
    stand_in.books.tokens(said.tokens_in, said.tokens_out);
    let stamp = Stamp {
        id: format!("{number:032x}"),
        created: jiff::Timestamp::now().as_second(),
    };
    if !asked.stream {
        pause(wait).await;
        return Json(reply::whole(&asked, &said, &stamp)).into_response();
    }
    let events = reply::events(&asked, &said, &stamp);
    let size = events.len().div_ceil(PARTS).max(1);
    let parts: Vec<String> = events.chunks(size).map(<[String]>::concat).collect();
    let each = wait / u32::try_from(parts.len().max(1)).unwrap_or(1);
    let body = futures_util::stream::unfold(parts.into_iter(), move |mut parts| async move {
        let part = parts.next()?;
        pause(each).await;
        Some((Ok::<_, Infallible>(part), parts))
    });
    (
        [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")],
        Body::from_stream(body),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_known_by_their_ends() {
        let get = |path| route(&Method::GET, path);
        let post = |path| route(&Method::POST, path);
        assert_eq!(get("/v1/models/"), Route::Models);
        assert_eq!(get("/health"), Route::Status);
        assert_eq!(get("/v1/chat/completions"), Route::Status);
        assert_eq!(get("/sim/books"), Route::Books);
        assert_eq!(post("/retrieve"), Route::Search);
        assert_eq!(post("/api/v2/search/"), Route::Search);
        assert_eq!(
            post("/openai/deployments/x/chat/completions"),
            Route::Text(Form::Chat)
        );
        assert_eq!(post("/completions"), Route::Text(Form::Text));
        assert_eq!(post("/research"), Route::Nothing);
        assert_eq!(route(&Method::DELETE, "/v1/models"), Route::Nothing);
    }
}
