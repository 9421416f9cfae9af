//! The calls that a result reports, and how long they took.

use std::collections::BTreeMap;

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

/// Calls to one model, or to one replica of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CallStats {
    /// How many.
    pub calls: usize,
    /// Of these, failed.
    pub failed: usize,
    /// Of these, with a time; the times below are of those.
    pub timed: usize,
    /// The mean in milliseconds.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// Nine of ten were faster.
    pub p90: f64,
    /// All but one in a hundred were faster.
    pub p99: f64,
}

impl CallStats {
    fn of(calls: &[&Call]) -> Self {
        let mut times: Vec<f64> = calls.iter().filter_map(|call| call.ms).collect();
        times.sort_unstable_by(f64::total_cmp);
        let quantile = |q| quantile(&times, q).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "fewer calls than 2^52")]
        let mean = times.iter().sum::<f64>() / times.len().max(1) as f64;
        Self {
            calls: calls.len(),
            failed: calls.iter().filter(|call| call.failed).count(),
            timed: times.len(),
            mean,
            p50: quantile(0.50),
            p90: quantile(0.90),
            p99: quantile(0.99),
        }
    }
}

/// Statistics by model and, within it, by replica; the empty endpoint stands for all of them.
pub fn statistics(calls: &[Call]) -> BTreeMap<(String, String), CallStats> {
    let mut groups: BTreeMap<(String, String), Vec<&Call>> = BTreeMap::new();
    for call in calls {
        let mut add = |endpoint: &str| {
            let key = (call.model.clone(), endpoint.to_owned());
            groups.entry(key).or_default().push(call);
        };
        add("");
        if let Some(endpoint) = &call.endpoint {
            add(endpoint);
        }
    }
    groups
        .into_iter()
        .map(|(key, calls)| (key, CallStats::of(&calls)))
        .collect()
}

/// The `q`-quantile of sorted values with numpy's linear interpolation; none of nothing.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index below the number of values, which is far below 2^52"
)]
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = q.clamp(0.0, 1.0) * last as f64;
    let below = (rank.floor() as usize).min(last);
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (rank - below as f64))
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

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([1, 2, 4, 8], [0, .5, .9, .99, 1])
        let values = [1.0, 2.0, 4.0, 8.0];
        let seen = [0.0, 0.5, 0.9, 0.99, 1.0].map(|q| quantile(&values, q).unwrap());
        for (seen, expected) in seen.iter().zip([1.0, 3.0, 6.8, 7.88, 8.0]) {
            assert!((seen - expected).abs() < 1e-9, "{seen} {expected}");
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
    }
}
