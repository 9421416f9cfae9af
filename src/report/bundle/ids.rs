//! Which questions were asked, and how each came out.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::{Timestamp, plain_json};
use crate::eval::{Expected, Parsed, Whole, Written};

/// How a question came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// Its answer is right.
    Right,
    /// Its answer is wrong.
    Wrong,
    /// It has an answer, and nobody says whether that is right.
    Answered,
    /// Its result says that it failed.
    Error,
    /// Its result is there and not complete.
    Torn,
    /// It has no result.
    Missing,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    outcome: Outcome,
    /// The name of its error, or why it is taken for torn.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    /// When its result was last written, where it has a file of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Nobody asked for it: it is not in the dataset.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stranger: bool,
}

/// A JSON object a line for each question: those asked for in their order, then what else is there, by its id.
///
/// The keys are `id`; `outcome`: `right`, `wrong`, `answered` (nobody says whether it is right), `error`, `torn` or `missing`;
/// `why`; `at`, the time at which the result was written, UTC; and `stranger: true` for what is not in the dataset.
pub fn ids_text(expected: Option<&Expected>, written: &[Written]) -> String {
    let results = written.iter().filter(|one| one.answer.is_result);
    let mut found: BTreeMap<&str, &Written> = results.map(|one| (one.id.as_str(), one)).collect();
    let mut out = String::new();
    for id in expected.map_or(&[][..], Expected::ids) {
        push(&mut out, &line(id, found.remove(id.as_str()), false));
    }
    // Where nobody knows which were asked for, none is a stranger.
    let known = expected.filter(|expected| !expected.ids().is_empty());
    for (id, one) in found {
        push(&mut out, &line(id, Some(one), known.is_some()));
    }
    out
}

fn push(out: &mut String, line: &Line<'_>) {
    // Texts always have a JSON form.
    out.push_str(&plain_json(
        &serde_json::to_string(line).unwrap_or_default(),
    ));
    out.push('\n');
}

fn line<'a>(id: &'a str, found: Option<&'a Written>, stranger: bool) -> Line<'a> {
    let (outcome, why) = match found.map(|one| &one.answer.parsed) {
        None => (Outcome::Missing, None),
        Some(Parsed::Torn(why)) => (Outcome::Torn, Some(why.as_str())),
        Some(Parsed::Whole(whole)) => (of(whole), whole.error_type.as_deref()),
    };
    Line {
        id,
        outcome,
        why,
        at: found
            .and_then(|one| one.at)
            .map(|at: Timestamp| at.to_string()),
        stranger,
    }
}

fn of(whole: &Whole) -> Outcome {
    match whole.correct {
        _ if whole.failed => Outcome::Error,
        Some(true) => Outcome::Right,
        Some(false) => Outcome::Wrong,
        None => Outcome::Answered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{Answer, Names};
    use crate::spec::model::Finished;

    fn written(id: &str, text: &str) -> Written {
        Written {
            id: id.to_owned(),
            at: Some(Timestamp(1_767_139_207_000)),
            answer: Answer::read(text.as_bytes(), &[], &mut Names::default()),
        }
    }

    #[test]
    fn each_question_has_a_line_in_the_order_of_the_dataset() {
        let all = [
            written("a", r#"{"status": "done", "correct": true}"#),
            written("b", r#"{"status": "done", "correct": false}"#),
            written(
                "c",
                r#"{"status": "error", "error_type": "APITimeoutError"}"#,
            ),
            written("d", r#"{"stat"#),
            written("z", r#"{"status": "done"}"#),
            written("model_config", r#"{"retrieval": []}"#),
        ];
        let ids = ["e", "d", "c", "b", "a"].map(str::to_owned).to_vec();
        let expected = Expected::new(ids, Finished::Ids);
        insta::assert_snapshot!(ids_text(Some(&expected), &all), @r#"
        {"id":"e","outcome":"missing"}
        {"id":"d","outcome":"torn","why":"EOF while parsing a string at line 1 column 6","at":"2025-12-31T00:00:07.000Z"}
        {"id":"c","outcome":"error","why":"APITimeoutError","at":"2025-12-31T00:00:07.000Z"}
        {"id":"b","outcome":"wrong","at":"2025-12-31T00:00:07.000Z"}
        {"id":"a","outcome":"right","at":"2025-12-31T00:00:07.000Z"}
        {"id":"z","outcome":"answered","at":"2025-12-31T00:00:07.000Z","stranger":true}
        "#);
        insta::assert_snapshot!(ids_text(None, &all[4..5]), @r#"{"id":"z","outcome":"answered","at":"2025-12-31T00:00:07.000Z"}"#);
    }
}
