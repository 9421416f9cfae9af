//! A client's own log of its calls: one JSON object a line for each attempt, as `TOOL_ORCH_LLM_LOG_PATH` asks for.

use serde_json::Value;

use super::calls::Call;
use super::fields;
use crate::base::Place;

/// The call of one line; none where it tells of none.
///
/// `model`, `base_url`, `error` and `duration` (or `duration_s`) are read. A line with an `event` counts where that is
/// `response` or `error`: clients that log the start of a call too would count twice.
pub fn logged_call(line: &str) -> Option<Call> {
    const WANTED: [&str; 6] = [
        "model",
        "base_url",
        "error",
        "event",
        "duration",
        "duration_s",
    ];
    let found = fields::read(line, |key| WANTED.contains(&key)).ok()?;
    let text = |key: &str| found.values.get(key).and_then(Value::as_str);
    if text("event").is_some_and(|event| !matches!(event, "response" | "error")) {
        return None;
    }
    let seconds = ["duration_s", "duration"]
        .iter()
        .find_map(|key| found.values.get(*key)?.as_f64());
    Some(Call {
        model: text("model")?.to_owned(),
        endpoint: text("base_url")
            .and_then(Place::of_url)
            .map(|place| place.to_string()),
        ms: seconds.map(|seconds| seconds * 1000.0),
        failed: found
            .values
            .get("error")
            .is_some_and(|error| !error.is_null()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_known_clients_are_read() {
        let lines = [
            r#"{"event": "response", "duration_s": 1.5, "req_id": "u", "backend": "vLLM", "model": "M", "base_url": "http://10.0.0.7:1800/v1", "attempt": 1}"#,
            r#"{"event": "error", "duration_s": 0.5, "error": "APITimeoutError: late", "model": "M", "base_url": "http://10.0.0.7:1800/v1", "attempt": 2}"#,
            r#"{"time": 1.0, "model": "gpt-5", "base_url": "https://api.openai.com/v1", "attempt": 1, "error": null, "duration": 2}"#,
            r#"{"event": "request", "model": "M", "base_url": "http://10.0.0.7:1800/v1"}"#,
            r#"{"model": "M", "base_url": "htt"#,
            "",
        ];
        let read: Vec<String> = lines
            .iter()
            .filter_map(|line| logged_call(line))
            .map(|call| {
                let place = call.endpoint.unwrap_or_default();
                format!("{} {place} {:?} {}", call.model, call.ms, call.failed)
            })
            .collect();
        assert_eq!(
            read,
            [
                "M 10.0.0.7:1800 Some(1500.0) false",
                "M 10.0.0.7:1800 Some(500.0) true",
                "gpt-5 api.openai.com:443 Some(2000.0) false",
            ]
        );
    }
}
