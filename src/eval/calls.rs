//! The calls that a result reports.

use super::fields;
use super::raw_calls::{RawCall, RawCalls};
use crate::base::Place;

/// One call of a client to a server, as its result reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The model or service that was asked.
    pub model: String,
    /// The replica, as `host:port`, where the result names it.
    pub endpoint: Option<String>,
    /// How long it took in milliseconds, where the result says it.
    pub ms: Option<f64>,
    /// It brought an error.
    pub failed: bool,
}

/// The calls of one result; none where it reports none, or cannot be read.
///
/// Two layouts are known: `calls: [{model, endpoint, ms, error}]` of the quickstart's client, and
/// `all_tool_responses: {turn_N_response: [{tool, model, _expert_ms, …}]}` of ToolOrchestra's,
/// which names no endpoint and leaves the orchestrator's calls out.
pub fn calls_of(text: &str) -> Vec<Call> {
    let Ok((_, found)) = fields::read_and_take::<RawCalls>(text, |_| false) else {
        return Vec::new();
    };
    let listed = found.listed.into_iter().filter_map(listed_call);
    listed
        .chain(found.responses.iter().flat_map(response_calls))
        .collect()
}

fn listed_call(call: RawCall) -> Option<Call> {
    Some(Call {
        model: call.model?,
        endpoint: call.endpoint.as_deref().and_then(Place::named),
        ms: call.ms.call_time(),
        failed: call.error,
    })
}

fn response_calls(response: &RawCall) -> Vec<Call> {
    let Some(model) = &response.model else {
        return Vec::new();
    };
    // By who was asked; without a name it is the response's model.
    let times = [
        (response.query_llm, None),
        (response.expert, None),
        (response.llm, None),
        (response.retrieval, Some("retrieval")),
        (response.judge, Some("judge")),
    ];
    let call = |model: &str, ms| Call {
        model: model.to_owned(),
        endpoint: None,
        ms,
        failed: false,
    };
    let timed = times.iter().filter_map(|(time, who)| {
        let ms = time.call_time()?;
        Some(call(who.unwrap_or(model), Some(ms)))
    });
    let mut calls: Vec<Call> = timed.collect();
    if !calls.iter().any(|call| call.model == *model) {
        calls.push(call(model, None));
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_read() {
        let quickstart = r#"{"id": "a", "calls": [
            {"model": "M", "tool": "search", "endpoint": "127.0.0.1:1", "ms": 12.5},
            {"model": "M", "tool": "search", "endpoint": "127.0.0.1:2", "ms": 3, "error": "refused"},
            {"tool": "no model"}, 7]}"#;
        let seen = calls_of(quickstart);
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].ms, seen[0].failed), (Some(12.5), false));
        assert_eq!(
            (seen[1].endpoint.as_deref(), seen[1].failed),
            (Some("127.0.0.1:2"), true)
        );

        let toolorchestra = r#"{"all_tool_responses": {
            "turn_1_response": [{"tool": "search", "model": "G", "_query_llm_ms": 10, "_retrieval_ms": 5}],
            "turn_2_response": [{"tool": "answer", "model": "Q"}]}}"#;
        let seen: Vec<(String, Option<f64>)> = calls_of(toolorchestra)
            .into_iter()
            .map(|call| (call.model, call.ms))
            .collect();
        let expected = [("G", Some(10.0)), ("retrieval", Some(5.0)), ("Q", None)];
        assert_eq!(seen, expected.map(|(model, ms)| (model.to_owned(), ms)));
        assert_eq!(calls_of("{"), []);
    }
}
