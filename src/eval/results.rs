//! From the texts of result files to progress: what is done, in error, torn, missing, foreign.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::{Fields, Take};
use super::ids::id_of;
use super::{Cause, Expected, fields};
use crate::knowledge::adapters::{INVALID_CALL, NO_TOOL_CALL, NULL_CONTENT};
use crate::spec::model::Finished;

/// What one result's text turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parsed {
    /// A complete result.
    Whole(Whole),
    /// Not a complete result, for this reason; a client that skips by file name would skip it.
    Torn(String),
}

/// What a complete result says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Whole {
    /// Whether the answer is right, where the result says so.
    pub correct: Option<bool>,
    /// It says `status: error`.
    pub failed: bool,
    /// With `failed`: its `error_type`.
    pub error_type: Option<String>,
    /// With `failed`: who is to blame.
    pub cause: Option<Cause>,
    /// Tool calls that could not be used, where it tells of them.
    pub invalid_calls: usize,
    /// In no round was a tool called, where it tells of that.
    pub toolless: bool,
}

/// Reads the text of one result; `valid` are the keys that a complete one has.
pub fn parse_result(text: &[u8], valid: &[String]) -> Parsed {
    match parse_and_take::<()>(text, valid) {
        Ok((whole, ..)) => Parsed::Whole(whole),
        Err(why) => Parsed::Torn(why),
    }
}

/// The same, with the keys that were read and what `T` took beside them; or why it is torn.
pub(super) fn parse_and_take<T: Take>(
    text: &[u8],
    valid: &[String],
) -> Result<(Whole, Fields, T), String> {
    if text.trim_ascii().is_empty() {
        return Err("it is empty".to_owned());
    }
    let text = std::str::from_utf8(text).map_err(|error| format!("not UTF-8: {error}"))?;
    let wanted = |key: &str| {
        matches!(
            key,
            "correct" | "status" | "error" | "error_type" | TOOL_CALLS
        )
    };
    let (found, taken) = fields::read_and_take(text, wanted)?;
    match valid.iter().find(|key| !found.keys.contains(key)) {
        Some(key) => Err(format!("it has no `{key}`")),
        None => Ok((Whole::of(&found), found, taken)),
    }
}

/// Reads one line of a results file: the id it is for, if it has one, and what it is.
pub fn parse_result_line(
    line: &[u8],
    id_fields: &[String],
    valid: &[String],
) -> (Option<String>, Parsed) {
    let wanted = |key: &str| id_fields.iter().any(|field| field == key);
    let id = std::str::from_utf8(line)
        .ok()
        .and_then(|text| fields::read(text.trim(), wanted).ok())
        .and_then(|found| id_of(&found.values, id_fields));
    let parsed = match parse_result(line, valid) {
        Parsed::Whole(_) if id.is_none() => Parsed::Torn("it has no id".to_owned()),
        parsed => parsed,
    };
    (id, parsed)
}

impl Whole {
    fn of(found: &Fields) -> Self {
        let text = |key| found.values.get(key).and_then(Value::as_str);
        let failed = text("status") == Some("error");
        let notes = notes(found.values.get(TOOL_CALLS));
        let is_invalid = |note: &&str| note.contains(INVALID_CALL);
        Self {
            correct: found.values.get("correct").and_then(Value::as_bool),
            failed,
            error_type: text("error_type").filter(|_| failed).map(str::to_owned),
            cause: failed.then(|| Cause::of(text("error_type"), text("error"))),
            invalid_calls: notes.iter().copied().filter(is_invalid).count(),
            toolless: !notes.is_empty() && notes.iter().all(|note| note.starts_with(NO_TOOL_CALL)),
        }
    }

    /// An answer without text is what failed.
    fn is_null(&self) -> bool {
        self.failed && self.error_type.as_deref() == Some(NULL_CONTENT)
    }
}

/// The key under which ToolOrchestra's results tell of their rounds.
pub(super) const TOOL_CALLS: &str = "all_tool_calls";

/// For each round the note on why it brought no call; empty for one that did.
fn notes(rounds: Option<&Value>) -> Vec<&str> {
    let rounds = rounds.and_then(Value::as_array).into_iter().flatten();
    rounds
        .map(|round| match round {
            Value::Array(notes) => notes.first().and_then(Value::as_str),
            note => note.as_str(),
        })
        .map(Option::unwrap_or_default)
        .collect()
}

/// The file name of a result, with the id in it: `{id}.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    before: String,
    after: String,
}

impl Pattern {
    /// Reads a pattern; none if it has no `{id}`, or has a `/`.
    pub fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.split_once("{id}")?;
        (!text.contains('/')).then(|| Self {
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    /// The id whose result has this file name.
    pub fn id<'a>(&self, file: &'a str) -> Option<&'a str> {
        let id = file
            .strip_prefix(self.before.as_str())?
            .strip_suffix(self.after.as_str())?;
        (!id.is_empty()).then_some(id)
    }

    /// The file name of this id's result.
    pub fn file(&self, id: &str) -> String {
        format!("{}{id}{}", self.before, self.after)
    }
}

/// All results that are there, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// What each is.
    pub results: BTreeMap<String, Parsed>,
    /// With `finished: {file: F}`: F exists and is not empty.
    pub finished_file: bool,
    /// Torn results that were set aside so far.
    pub set_aside: usize,
    /// Results in error that were set aside and wait for a newer one.
    pub waiting: usize,
}

/// A complete result in error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultError {
    /// The question.
    pub id: String,
    /// The exception's name, where the result says it.
    pub error_type: Option<String>,
    /// Who is to blame.
    pub cause: Cause,
}

impl ResultError {
    /// Servers or the network are to blame, not the answer.
    pub fn is_infra(&self) -> bool {
        self.cause == Cause::Infra
    }
}

/// How far an evaluation is, by its results alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Ids with a complete result, those in error among them.
    pub done: Vec<String>,
    /// Of these, those in error.
    pub errors: Vec<ResultError>,
    /// Of these, answers without text.
    pub null_contents: usize,
    /// Complete results of questions in which no tool was ever called.
    pub toolless: usize,
    /// Tool calls that could not be used, in all results.
    pub invalid_calls: usize,
    /// Of those done, how many are right; none if no result says so.
    pub correct: Option<usize>,
    /// Ids whose result is torn, and why it is taken for that.
    pub torn: Vec<(String, String)>,
    /// Ids without a complete result, torn ones among them: what is still to run.
    pub missing: Vec<String>,
    /// Results of ids that nobody asked for.
    pub strangers: Vec<String>,
    /// Torn results that were set aside so far.
    pub set_aside: usize,
    /// Results in error that were set aside and wait for a newer one.
    pub waiting: usize,
    /// How many results are waited for; what is there, where only a file tells the end.
    pub total: usize,
    /// The evaluation's own rule says that it is over; results in error do not change that.
    pub finished: bool,
}

impl Progress {
    /// Counts what is there against what is expected.
    pub fn count(expected: &Expected, listing: &Listing) -> Self {
        let mut progress = Self {
            set_aside: listing.set_aside,
            waiting: listing.waiting,
            ..Self::default()
        };
        for (id, parsed) in &listing.results {
            match parsed {
                _ if !expected.wants(id) => progress.strangers.push(id.clone()),
                Parsed::Torn(why) => progress.torn.push((id.clone(), why.clone())),
                Parsed::Whole(whole) => progress.add(id, whole),
            }
        }
        let is_done =
            |id: &&String| matches!(listing.results.get(id.as_str()), Some(Parsed::Whole(_)));
        match expected.rule() {
            Finished::Ids => {
                progress.total = expected.ids().len();
                progress.missing = not(expected.ids(), is_done);
                progress.finished = progress.missing.is_empty() && progress.total > 0;
            }
            Finished::Count(count) => {
                progress.total = usize::try_from(*count).unwrap_or(usize::MAX);
                progress.finished = progress.done.len() >= progress.total;
                if !progress.finished {
                    progress.missing = not(expected.ids(), is_done);
                }
            }
            Finished::File(_) => {
                progress.total = expected.ids().len().max(progress.done.len());
                progress.missing = not(expected.ids(), is_done);
                progress.finished = listing.finished_file;
            }
        }
        progress
    }

    fn add(&mut self, id: &str, whole: &Whole) {
        self.done.push(id.to_owned());
        self.toolless += usize::from(whole.toolless && !whole.failed);
        self.null_contents += usize::from(whole.is_null());
        self.invalid_calls += whole.invalid_calls;
        if let Some(correct) = whole.correct {
            *self.correct.get_or_insert(0) += usize::from(correct && !whole.failed);
        }
        if whole.failed {
            self.errors.push(ResultError {
                id: id.to_owned(),
                error_type: whole.error_type.clone(),
                cause: whole.cause.unwrap_or(Cause::Other),
            });
        }
    }

    /// Results still waited for.
    pub fn to_come(&self) -> usize {
        self.total.saturating_sub(self.done.len())
    }
}

fn not(ids: &[String], is_done: impl Fn(&&String) -> bool) -> Vec<String> {
    ids.iter().filter(|id| !is_done(id)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    fn listing(results: &[(&str, &str)]) -> Listing {
        let valid = texts(&["status"]);
        let parsed = |text: &str| parse_result(text.as_bytes(), &valid);
        Listing {
            results: results
                .iter()
                .map(|(id, text)| ((*id).to_owned(), parsed(text)))
                .collect(),
            ..Listing::default()
        }
    }

    #[test]
    fn a_result_is_whole_or_says_why_not() {
        let valid = texts(&["id", "correct"]);
        let why = |text: &str| match parse_result(text.as_bytes(), &valid) {
            Parsed::Whole(_) => "whole".to_owned(),
            Parsed::Torn(why) => why,
        };
        let seen: Vec<String> = [
            r#"{"id": 1, "correct": null}"#,
            "",
            " \n",
            r#"{"id": 1, "corr"#,
            "[1]",
            r#"{"id": 1}"#,
            r#"{"id": 1, "correct": true}}"#,
        ]
        .map(why)
        .to_vec();
        insta::assert_snapshot!(seen.join("\n"), @r"
        whole
        it is empty
        it is empty
        EOF while parsing a string at line 1 column 15
        not a JSON object
        it has no `correct`
        trailing characters at line 1 column 27
        ");
        assert!(matches!(
            parse_result(b"{\"\xff\": 1}", &[]),
            Parsed::Torn(_)
        ));
    }

    #[test]
    fn only_expected_complete_results_count() {
        let expected = Expected::new(texts(&["a", "b", "c", "d", "e"]), Finished::Ids);
        let progress = Progress::count(
            &expected,
            &listing(&[
                ("a", r#"{"status": "done", "correct": true}"#),
                ("b", r#"{"status": "done", "correct": false}"#),
                (
                    "c",
                    r#"{"status": "error", "error_type": "APITimeoutError", "correct": null}"#,
                ),
                ("d", r#"{"status": "#),
                ("x", r#"{"status": "done", "correct": true}"#),
            ]),
        );
        assert_eq!(progress.done, ["a", "b", "c"]);
        assert_eq!(progress.missing, ["d", "e"]);
        assert_eq!(progress.strangers, ["x"]);
        assert_eq!(progress.correct, Some(1));
        assert_eq!(progress.torn.len(), 1);
        assert_eq!(progress.errors[0].cause, Cause::Infra);
        assert_eq!((progress.total, progress.to_come()), (5, 2));
        assert!(!progress.finished);
    }

    #[test]
    fn results_tell_of_calls_that_were_none() {
        let whole = |calls: &str| {
            let text = format!(r#"{{"status": "done", "all_tool_calls": {calls}}}"#);
            match parse_result(text.as_bytes(), &[]) {
                Parsed::Whole(whole) => (whole.toolless, whole.invalid_calls),
                Parsed::Torn(why) => panic!("{why}"),
            }
        };
        let none = r#"["342 invalid tool calls []", ["342 invalid tool calls []"]]"#;
        assert_eq!(whole(none), (true, 2));
        let some = r#"["342 invalid tool calls []", [[{"name": "search"}]], [{"name": "answer"}]]"#;
        assert_eq!(whole(some), (false, 1));
        assert_eq!(whole(r#"[["360 invalid tool calls [1]"]]"#), (false, 1));
        assert_eq!((whole("[]"), whole("7")), ((false, 0), (false, 0)));
    }

    #[test]
    fn a_count_needs_no_dataset() {
        let results = listing(&[
            ("a", r#"{"status": "done"}"#),
            ("b", r#"{"status": "done"}"#),
        ]);
        let count = |count| {
            let expected = Expected::new(Vec::new(), Finished::Count(count));
            Progress::count(&expected, &results)
        };
        assert!(count(2).finished);
        assert!(!count(3).finished);
        assert_eq!(count(3).to_come(), 1);
        assert_eq!(count(2).correct, None);
    }

    #[test]
    fn a_file_tells_the_end() {
        let expected = Expected::new(Vec::new(), Finished::File("/out/summary".to_owned()));
        let mut results = listing(&[("a", r#"{"status": "done"}"#)]);
        assert!(!Progress::count(&expected, &results).finished);
        results.finished_file = true;
        assert!(Progress::count(&expected, &results).finished);
    }

    #[test]
    fn no_dataset_is_never_a_finished_one() {
        let expected = Expected::new(Vec::new(), Finished::Ids);
        assert!(!Progress::count(&expected, &Listing::default()).finished);
    }

    #[test]
    fn patterns_go_both_ways() {
        let pattern = Pattern::parse("task_{id}.json").unwrap();
        assert_eq!(pattern.file("a.b"), "task_a.b.json");
        assert_eq!(pattern.id("task_a.b.json"), Some("a.b"));
        for other in ["a.json", "task_.json", "task_a.json.part", "x"] {
            assert_eq!(pattern.id(other), None, "{other}");
        }
        assert_eq!(Pattern::parse("all.json"), None);
        assert_eq!(Pattern::parse("{id}/x.json"), None);
    }
}
