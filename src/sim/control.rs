//! Faults by hand: `POST /sim/fault {"kind": "hang", "for_ms": 30000}` begins one, `DELETE /sim/fault` ends all.
//!
//! Whoever reaches a simulated server may do this; it is no server that anything depends on.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::endpoint::Home;
use super::faults::{Fault, Kind};
use super::http::From;
use super::next_start;
use super::timed::{self, Happens as _, Length};

/// Where it is listened to.
pub(super) const PATH: &str = "/sim/fault";
/// How much later what ends a server begins, so that its answer still arrives.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// The kind's name.
    pub(super) kind: String,
    /// How long it shall last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) for_ms: Option<u64>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reply {
    /// What was done.
    Done(String),
    /// Why nothing was.
    Refused(String),
}

/// Lets something go wrong from now on.
pub(super) async fn begin(ConnectInfo(peer): From, body: Bytes) -> Response {
    let endpoint = &peer.endpoint;
    let read = serde_json::from_slice::<Wish>(&body).map_err(|error| error.to_string());
    let fault = read.and_then(|wish| {
        let kind = timed::kind::<Kind>(&wish.kind)?;
        Fault::new(endpoint.age(), kind, wish.for_ms.map(Duration::from_millis))
    });
    let mut fault = match fault {
        Ok(fault) => fault,
        Err(why) => return (StatusCode::BAD_REQUEST, Json(Reply::Refused(why))).into_response(),
    };
    let of_a_process = [Kind::Escapes, Kind::Flood, Kind::Oom, Kind::PortTaken];
    if endpoint.home == Home::Shared && of_a_process.contains(&fault.kind) {
        let why = format!(
            "`{}` needs a process, and this server shares its own with others",
            fault.kind.name()
        );
        return (StatusCode::CONFLICT, Json(Reply::Refused(why))).into_response();
    }
    if fault.kind == Kind::Oom {
        return match next_start::note() {
            Ok(()) => done("oom at its next start".to_owned()),
            Err(why) => (StatusCode::CONFLICT, Json(Reply::Refused(why))).into_response(),
        };
    }
    if fault.kind.length() == Length::Moment || fault.kind == Kind::PortTaken {
        fault.after += LAST_WORDS;
    }
    endpoint.strike(fault);
    done(said(&fault))
}

/// Ends all that goes wrong.
pub(super) async fn end(ConnectInfo(peer): From) -> Response {
    peer.endpoint.heal();
    next_start::take();
    done("nothing goes wrong any more".to_owned())
}

fn done(text: String) -> Response {
    Json(Reply::Done(text)).into_response()
}

fn said(fault: &Fault) -> String {
    let name = fault.kind.name();
    match (fault.kind.length(), fault.lasts) {
        (_, Some(lasts)) => format!("{name} for {}", timed::written(lasts)),
        (Length::Moment, None) => name.to_owned(),
        (_, None) => format!("{name} until it is ended"),
    }
}
