//! One result as a report needs it: what became of the question, and its calls as numbers.

use serde::{Deserialize, Serialize};

use super::fields::Fields;
use super::lenient::Number;
use super::raw_calls::RawCalls;
use super::results::{Parsed, TOOL_CALLS, parse_and_take};
use super::timed::{Names, TimedCall, timed};
use crate::base::{Timestamp, float};

/// What one result says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// What it turned out to be.
    pub parsed: Parsed,
    /// It has a key that results have; a whole one without any is some other file.
    pub is_result: bool,
    /// How often the orchestrator was asked, as far as the result tells.
    pub rounds: Option<f64>,
    /// Its calls; none if it is torn, for nobody knows how many there were.
    pub calls: Vec<TimedCall>,
}

/// One result, and when it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// The id that its file is named after, or that its line has.
    pub id: String,
    /// When its file was last written; none for a line.
    pub at: Option<Timestamp>,
    /// What it says.
    pub answer: Answer,
}

/// Keys by which a result is known where nobody says what a complete one has.
const KEYS: [&str; 5] = [
    "correct",
    "status",
    "calls",
    "all_tool_calls",
    "all_tool_responses",
];

impl Answer {
    /// One that cannot be used, and why.
    pub fn torn(why: String) -> Self {
        Self {
            parsed: Parsed::Torn(why),
            is_result: true,
            rounds: None,
            calls: Vec::new(),
        }
    }

    /// Reads the text of one result; `valid` are the keys that a complete one has.
    pub fn read(text: &[u8], valid: &[String], names: &mut Names) -> Self {
        match parse_and_take::<RawCalls>(text, valid) {
            Err(why) => Self::torn(why),
            Ok((whole, found, raw)) => Self {
                parsed: Parsed::Whole(whole),
                is_result: found.keys.iter().any(|key| KEYS.contains(&key.as_str())),
                rounds: rounds(&found, raw.rounds),
                calls: timed(&raw.listed, &raw.responses, names),
            },
        }
    }
}

/// ToolOrchestra's clients leave an entry for each round in which the orchestrator answered.
fn rounds(found: &Fields, said: Number) -> Option<f64> {
    let listed = found.values.get(TOOL_CALLS).and_then(|all| all.as_array());
    said.rounds().or_else(|| listed.map(|all| float(all.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{CallTime, Lack};

    fn said(text: &str) -> Vec<String> {
        let answer = Answer::read(text.as_bytes(), &[], &mut Names::default());
        let line = |call: TimedCall| {
            let name = |name: Option<std::sync::Arc<str>>| name.unwrap_or_else(|| "-".into());
            let time = match call.time {
                CallTime::Known { whole, model } => format!("{whole} {model}"),
                CallTime::Unknown(lack) => format!("{lack:?}"),
            };
            let (tool, model) = (name(call.tool), name(call.model));
            format!("{tool} {model} {time} {} {:?}", call.failed, call.retried)
        };
        answer.calls.into_iter().map(line).collect()
    }

    #[test]
    fn each_tool_has_its_parts_and_what_is_not_known_says_why() {
        let text = r#"{"status": "done", "all_tool_calls": [[], [], []], "all_tool_responses": {
            "turn_0_response": [
                {"tool": "search", "model": "G", "_query_llm_ms": 1500, "_retrieval_ms": 250.5, "_retrieval_retries": 0},
                {"tool": "search", "model": "G", "_query_llm_ms": 1500, "_retrieval_ms": 0.0, "_retrieval_retries": 2},
                {"tool": "search", "model": "G", "_query_llm_ms": 0, "context_str": {"deep": [1, {"_retrieval_ms": 3}]}},
                {"tool": "search", "model": "G", "_query_llm_ms": "late", "_retrieval_ms": 7},
                "no object"],
            "turn_1_response": [
                {"tool": "answer", "model": "Q", "_expert_ms": 3000},
                {"tool": "answer", "model": "Q", "_expert_ms": 3000, "_judge_ms": 1000, "tool_error": "late"},
                {"tool": "answer", "model": "Q", "_judge_ms": 1000, "tool_error": null},
                {"tool": "answer", "model": "Q", "_expert_ms": NaN},
                {"tool": "answer", "model": "Q", "_expert_ms": -1}],
            "turn_2_response": [
                {"tool": "enhance_reasoning", "model": "C", "_llm_ms": 9000, "_exec_ms": 60000},
                {"tool": "enhance_reasoning", "model": ["?"], "_llm_ms": 9000, "_llm_ms": 8000},
                {"tool": "unheard_of", "_llm_ms": 9000}, {}],
            "turn_3_response": 7}}"#;
        insta::assert_snapshot!(said(text).join("\n"), @r"
        search G 1750.5 1500 false Some(false)
        search G Zero false Some(true)
        search G Missing false None
        search G Odd false None
        answer Q 3000 3000 false None
        answer Q 4000 3000 true None
        answer Q Missing false None
        answer Q Missing false None
        answer Q Odd false None
        enhance_reasoning C 69000 9000 false None
        enhance_reasoning - 8000 8000 false None
        unheard_of - Missing false None
        - - Missing false None
        ");
    }

    #[test]
    fn listed_attempts_that_follow_a_failed_one_of_their_kind_are_retries() {
        let text = r#"{"rounds": 2, "calls": [
            {"tool": "orchestrator", "model": "O", "endpoint": "h:1", "ms": 5, "error": "refused"},
            {"tool": "orchestrator", "model": "O", "endpoint": "h:2", "ms": 6},
            {"tool": "search", "model": "retrieval", "endpoint": "h:3", "ms": 0},
            {"tool": "search", "model": "retrieval"}]}"#;
        insta::assert_snapshot!(said(text).join("\n"), @r"
        orchestrator O 5 5 true Some(false)
        orchestrator O 6 6 false Some(true)
        search retrieval Zero false Some(false)
        search retrieval Missing false Some(false)
        ");
    }

    #[test]
    fn what_lies_out_of_all_range_is_odd() {
        let text = r#"{"rounds": 1e300, "calls": [
            {"tool": "q", "model": "m", "endpoint": "http://user:pa55w0rd@h:1/v1?key=sk-secret", "ms": 1e308},
            {"tool": "q", "model": "m", "endpoint": "?key=sk-secret", "ms": 2592000000}],
            "all_tool_responses": {"turn_0_response": [
                {"tool": "search", "model": "m", "_query_llm_ms": 1e308, "_retrieval_ms": 1},
                {"tool": "search", "model": "m", "_query_llm_ms": 1, "_retrieval_ms": 1, "_retrieval_retries": -1},
                {"tool": "answer", "model": "m", "_expert_ms": 1, "_judge_ms": 2592000001}]}}"#;
        insta::assert_snapshot!(said(text).join("\n"), @r"
        q m Odd false Some(false)
        q m 2592000000 2592000000 false Some(false)
        search m Odd false None
        search m 2 1 false None
        answer m Odd false None
        ");
        let read = |text: &str| Answer::read(text.as_bytes(), &[], &mut Names::default());
        let places = read(text).calls.into_iter().map(|call| call.endpoint);
        let places: Vec<_> = places.flatten().collect();
        assert_eq!(places, ["h:1".into()]);
        for rounds in ["1e300", "-3", "0.5", "18446744073709551615"] {
            let text = format!(r#"{{"rounds": {rounds}, "all_tool_calls": [[], []]}}"#);
            assert_eq!(read(&text).rounds, Some(2.0), "{rounds}");
        }
    }

    #[test]
    fn other_files_are_no_results_and_rounds_are_told_in_two_ways() {
        let read = |text: &str| Answer::read(text.as_bytes(), &[], &mut Names::default());
        assert!(!read(r#"{"ip_addr": "h", "port": 1}"#).is_result);
        assert_eq!(read(r#"{"correct": true, "rounds": 4}"#).rounds, Some(4.0));
        assert_eq!(read(r#"{"all_tool_calls": [[], ""]}"#).rounds, Some(2.0));
        assert_eq!(read(r#"{"all_tool_calls": 7}"#).rounds, None);
        let torn = read(r#"{"correct": tr"#);
        assert!(matches!(torn.parsed, Parsed::Torn(_)) && torn.is_result);
        assert_eq!(torn.calls, []);
        let lack = CallTime::Unknown(Lack::Missing);
        assert_eq!(read(r#"{"calls": [{}]}"#).calls[0].time, lack);
    }
}
