//! The calls that a result reports.

use serde_json::{Map, Value};

use super::fields;

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
    let wanted = |key: &str| matches!(key, "calls" | "all_tool_responses");
    let Ok(found) = fields::read(text, wanted) else {
        return Vec::new();
    };
    let listed = found.values.get("calls").and_then(Value::as_array);
    let turns = found
        .values
        .get("all_tool_responses")
        .and_then(Value::as_object);
    let listed = objects(listed.into_iter().flatten()).filter_map(listed_call);
    let turns = turns.into_iter().flat_map(Map::values);
    let responses = objects(turns.filter_map(Value::as_array).flatten());
    listed.chain(responses.flat_map(response_calls)).collect()
}

fn objects<'a>(
    values: impl Iterator<Item = &'a Value>,
) -> impl Iterator<Item = &'a Map<String, Value>> {
    values.filter_map(Value::as_object)
}

fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn listed_call(call: &Map<String, Value>) -> Option<Call> {
    Some(Call {
        model: text(call, "model")?,
        endpoint: text(call, "endpoint"),
        ms: call.get("ms").and_then(Value::as_f64),
        failed: call.get("error").is_some_and(|error| !error.is_null()),
    })
}

/// Times of a ToolOrchestra response, by who was asked; without a name it is the response's model.
const TIMES: [(&str, Option<&str>); 5] = [
    ("_query_llm_ms", None),
    ("_expert_ms", None),
    ("_llm_ms", None),
    ("_retrieval_ms", Some("retrieval")),
    ("_judge_ms", Some("judge")),
];

fn response_calls(response: &Map<String, Value>) -> Vec<Call> {
    let Some(model) = text(response, "model") else {
        return Vec::new();
    };
    let call = |model: &str, ms| Call {
        model: model.to_owned(),
        endpoint: None,
        ms,
        failed: false,
    };
    let timed = TIMES.iter().filter_map(|(key, who)| {
        let ms = response.get(*key)?.as_f64()?;
        Some(call(who.unwrap_or(&model), Some(ms)))
    });
    let mut calls: Vec<Call> = timed.collect();
    if !calls.iter().any(|call| call.model == model) {
        calls.push(call(&model, None));
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
