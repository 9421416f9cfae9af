//! Calls as numbers: what was asked, how long it took, or why that is not known.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lenient::Number;
use super::raw_calls::RawCall;
use crate::base::bounds::is_call_time;
use crate::base::{Place, Timestamp};

/// Names of tools, models and replicas, each kept once.
#[derive(Debug, Default)]
pub struct Names(HashSet<Arc<str>>);

impl Names {
    /// The one of this text.
    pub fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let name: Arc<str> = text.into();
        self.0.insert(Arc::clone(&name));
        name
    }
}

/// Why a call has no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lack {
    /// A field that it needs is not there.
    Missing,
    /// A field that it needs is zero: what it tells of did not happen.
    Zero,
    /// A field is no length of time.
    Odd,
    /// It was begun, and nothing more is told of it.
    Unanswered,
}

/// How long a call took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallTime {
    /// So long.
    Known {
        /// From the question to the end of all that it took.
        whole: f64,
        /// Of it the model's part.
        model: f64,
    },
    /// Nobody knows.
    Unknown(Lack),
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimedCall {
    /// The tool, or what else the client calls it; none in logs, which name none.
    #[serde(serialize_with = "text", deserialize_with = "name")]
    pub tool: Option<Arc<str>>,
    /// The model or service that was asked.
    #[serde(serialize_with = "text", deserialize_with = "name")]
    pub model: Option<Arc<str>>,
    /// The replica, as `host:port`.
    #[serde(serialize_with = "text", deserialize_with = "name")]
    pub endpoint: Option<Arc<str>>,
    /// How long.
    pub time: CallTime,
    /// It brought an error.
    pub failed: bool,
    /// Something of it was tried more than once; none where nobody knows.
    pub retried: Option<bool>,
    /// When it ended, or when the result that tells of it was written.
    pub at: Option<Timestamp>,
}

#[expect(clippy::ref_option, reason = "serde hands over the field")]
fn text<S: Serializer>(name: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    name.as_deref().serialize(serializer)
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<str>>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.map(Arc::from))
}

/// The tool under which the quickstart's client lists the calls of its orchestrator.
pub const ORCHESTRATOR: &str = "orchestrator";

/// A number of a field that must be there.
fn needed(field: Number) -> Result<f64, Lack> {
    match field {
        Number::Absent => Err(Lack::Missing),
        Number::Is(0.0) => Err(Lack::Zero),
        Number::Is(ms) if is_call_time(ms) => Ok(ms),
        Number::Is(_) | Number::Odd => Err(Lack::Odd),
    }
}

/// A number of a field that may be absent: nothing of the kind happened.
fn added(field: Number) -> Result<f64, Lack> {
    match field {
        Number::Absent => Ok(0.0),
        Number::Is(ms) if is_call_time(ms) => Ok(ms),
        Number::Is(_) | Number::Odd => Err(Lack::Odd),
    }
}

/// As the log's script (`analyze_tool_latency.py`) counts: a search needs both of its parts, the others their model's alone, for an
/// answer that is literally right needs no judge.
fn parts(call: &RawCall) -> Result<(f64, f64), Lack> {
    match call.tool.as_deref() {
        Some("search") => {
            // What is absent tells more than what is zero.
            let both = (needed(call.query_llm), needed(call.retrieval));
            match both {
                (Ok(model), Ok(rest)) => Ok((model, rest)),
                (Err(Lack::Missing), _) | (_, Err(Lack::Missing)) => Err(Lack::Missing),
                (Err(lack), _) | (_, Err(lack)) => Err(lack),
            }
        }
        Some("answer") => Ok((needed(call.expert)?, added(call.judge)?)),
        Some("enhance_reasoning") => Ok((needed(call.llm)?, added(call.exec)?)),
        _ => Err(Lack::Missing),
    }
}

/// The calls of a result, in its order.
pub(super) fn timed(
    listed: &[RawCall],
    responses: &[RawCall],
    names: &mut Names,
) -> Vec<TimedCall> {
    let mut calls = Vec::with_capacity(listed.len() + responses.len());
    let mut before: Option<&RawCall> = None;
    for call in listed {
        // Attempts stand in a row: what follows a failed one of its kind is the next attempt.
        let again = before.is_some_and(|last| {
            last.error && (&last.tool, &last.model) == (&call.tool, &call.model)
        });
        before = Some(call);
        let time = match needed(call.ms) {
            Ok(ms) => CallTime::Known {
                whole: ms,
                model: ms,
            },
            Err(lack) => CallTime::Unknown(lack),
        };
        calls.push(named(call, names, time, (call.error, Some(again))));
    }
    for call in responses {
        let time = match parts(call) {
            Ok((model, rest)) => CallTime::Known {
                whole: model + rest,
                model,
            },
            Err(lack) => CallTime::Unknown(lack),
        };
        let retried = call.retries.rounds().map(|retries| retries > 0.0);
        calls.push(named(call, names, time, (call.tool_error, retried)));
    }
    calls
}

fn named(
    call: &RawCall,
    names: &mut Names,
    time: CallTime,
    (failed, retried): (bool, Option<bool>),
) -> TimedCall {
    let endpoint = call.endpoint.as_deref().and_then(Place::named);
    let mut keep = |text: &Option<String>| text.as_deref().map(|text| names.keep(text));
    TimedCall {
        tool: keep(&call.tool),
        model: keep(&call.model),
        endpoint: endpoint.map(|place| names.keep(&place)),
        time,
        failed,
        retried,
        at: None,
    }
}
