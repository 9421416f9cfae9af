//! A client's own log of its calls: one JSON object a line for each attempt, as `TOOL_ORCH_LLM_LOG_PATH` asks for.

use serde_json::Value;

use super::calls::Call;
use super::fields;
use super::timed::{CallTime, Lack, Names, TimedCall};
use crate::base::bounds::{LAST_MOMENT, is_call_time};
use crate::base::floor;
use crate::base::{Place, Timestamp};

/// The call of one line; none where it tells of none.
///
/// `model`, `base_url`, `error` and `duration` (or `duration_s`) are read. A line with an `event` counts where that is
/// `response` or `error`: clients that log the start of a call too would count twice.
pub fn logged_call(line: &str) -> Option<Call> {
    let call = read(line)?.call;
    Some(Call {
        ms: call.ms.filter(|ms| is_call_time(*ms)),
        ..call
    })
}

/// The same as numbers, with `attempt` and the line's time. Of a clock without a zone (`ts`) only differences mean anything.
pub fn logged_time(line: &str, names: &mut Names) -> Option<TimedCall> {
    let Line { call, attempt, at } = read(line)?;
    let time = match call.ms {
        None => CallTime::Unknown(Lack::Missing),
        Some(0.0) => CallTime::Unknown(Lack::Zero),
        Some(ms) if is_call_time(ms) => CallTime::Known {
            whole: ms,
            model: ms,
        },
        Some(_) => CallTime::Unknown(Lack::Odd),
    };
    Some(TimedCall {
        tool: None,
        model: Some(names.keep(&call.model)),
        endpoint: call.endpoint.as_deref().map(|place| names.keep(place)),
        time,
        failed: call.failed,
        retried: attempt.map(|attempt| attempt > 1),
        at,
    })
}

struct Line {
    call: Call,
    attempt: Option<u64>,
    at: Option<Timestamp>,
}

fn read(line: &str) -> Option<Line> {
    const WANTED: [&str; 9] = [
        "model",
        "base_url",
        "error",
        "event",
        "duration",
        "duration_s",
        "attempt",
        "time",
        "ts",
    ];
    let found = fields::read(line, |key| WANTED.contains(&key)).ok()?;
    let text = |key: &str| found.values.get(key).and_then(Value::as_str);
    if text("event").is_some_and(|event| !matches!(event, "response" | "error")) {
        return None;
    }
    let number = |key: &str| found.values.get(key)?.as_f64();
    let seconds = number("duration_s").or_else(|| number("duration"));
    let call = Call {
        model: text("model")?.to_owned(),
        endpoint: text("base_url").and_then(Place::named),
        ms: seconds.map(|seconds| seconds * 1000.0),
        failed: found
            .values
            .get("error")
            .is_some_and(|error| !error.is_null()),
    };
    Some(Line {
        call,
        attempt: found.values.get("attempt").and_then(Value::as_u64),
        at: number("time")
            .and_then(of_epoch)
            .or_else(|| text("ts").and_then(of_clock)),
    })
}

fn of_epoch(seconds: f64) -> Option<Timestamp> {
    let millis = floor(seconds * 1000.0);
    (0.0..LAST_MOMENT)
        .contains(&seconds)
        .then_some(Timestamp(millis))
}

/// `2025-12-31 23:59:59`, of whatever zone.
fn of_clock(text: &str) -> Option<Timestamp> {
    let clock = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    let at = clock.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    let millis = u64::try_from(at.timestamp().as_millisecond()).ok()?;
    Some(Timestamp(millis))
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

    #[test]
    fn lines_tell_when_they_were_written_and_which_attempt_they_are() {
        let said = |line: &str| {
            let call = logged_time(line, &mut Names::default()).unwrap();
            let at = call.at.map(|at| at.to_string());
            format!("{:?} {:?} {at:?}", call.time, call.retried)
        };
        let lines = [
            r#"{"event": "response", "duration_s": 1.5, "model": "M", "attempt": 2, "ts": "2025-12-31 23:59:59"}"#,
            r#"{"model": "M", "attempt": 1, "time": 1.5, "duration": 0.0}"#,
            r#"{"model": "M", "duration": -1, "ts": "yesterday"}"#,
            r#"{"model": "M", "duration": "long"}"#,
            r#"{"model": "M", "duration": 1e300, "time": 1e12}"#,
        ];
        insta::assert_snapshot!(lines.map(said).join("\n"), @r#"
        Known { whole: 1500.0, model: 1500.0 } Some(true) Some("2025-12-31T23:59:59.000Z")
        Unknown(Zero) Some(false) Some("1970-01-01T00:00:01.500Z")
        Unknown(Odd) None None
        Unknown(Missing) None None
        Unknown(Odd) None None
        "#);
        let call = logged_call(lines[4]).unwrap();
        assert_eq!(call.ms, None);
    }
}
