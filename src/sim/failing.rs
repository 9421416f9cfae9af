//! How a server answers while something is wrong with it.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::endpoint::Endpoint;
use super::errors::ApiError;
use super::faults::Kind;

/// How much longer a request takes while a server is slow.
const SLOWER: Duration = Duration::from_secs(5);
/// What a server serves whose model was mistaken.
const OTHER_MODEL: &str = "somebody/another-model";

/// Reads a request to its end and leaves it at that, for ever.
pub(super) async fn never_answer(request: Request) -> Response {
    // Who breaks off while it is read is not answered either.
    let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    std::future::pending().await
}

/// What a fault answers instead; none where nothing goes wrong with this request.
pub(super) async fn failure(endpoint: &Endpoint, path: &str) -> Option<Response> {
    if endpoint.suffers(Kind::Slow) {
        tokio::time::sleep(SLOWER).await;
    }
    if !path.starts_with("/v1") {
        return None;
    }
    let plain = |status: StatusCode| Some((status, "simulated fault").into_response());
    // The engine hangs, and not the server before it.
    if endpoint.suffers(Kind::Hang) && path.ends_with("completions") {
        std::future::pending::<()>().await;
    }
    if endpoint.suffers(Kind::Error) {
        return plain(StatusCode::INTERNAL_SERVER_ERROR);
    }
    if endpoint.suffers(Kind::Busy) {
        return plain(StatusCode::TOO_MANY_REQUESTS);
    }
    if endpoint.suffers(Kind::Reset) {
        let torn = futures_util::stream::iter([
            Ok(r#"{"id": "#),
            Err(std::io::Error::other("the connection breaks")),
        ]);
        return Some(Body::from_stream(torn).into_response());
    }
    if !endpoint.suffers(Kind::WrongModel) {
        return None;
    }
    if path == "/v1/models" {
        let other = json!({"object": "list", "data": [{"id": OTHER_MODEL, "object": "model"}]});
        return Some(Json(other).into_response());
    }
    let asked = endpoint.config.served.first().map_or("", String::as_str);
    let served = [OTHER_MODEL.to_owned()];
    let error = ApiError::no_such_model(endpoint.config.release, asked, &served);
    Some(endpoint.refuse(&error))
}
