//! The tables at the end of a run: what came out, who was asked, how long it took.

use std::fmt::Write as _;

use super::tables::Distribution;
use super::{CallStats, statistics};
use crate::base::{EvalName, clean, float};
use crate::eval::{Call, Progress};
use crate::facts::Degraded;

/// What came out of one evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Which.
    pub eval: EvalName,
    /// Its results.
    pub progress: Progress,
    /// Results in error that were asked again in this run.
    pub asked_again: usize,
    /// Results in error that the next `up` asks again by itself.
    pub due: usize,
    /// What the client's logs tell of answers that are worse than they look.
    pub degraded: Degraded,
    /// The calls that its results report.
    pub calls: Vec<Call>,
    /// How many of them are of results that were there before this run.
    pub earlier_calls: usize,
}

/// The tables for people; the same results always give the same text.
pub fn summary_text(summaries: &[Summary]) -> String {
    let mut rows = vec![
        [
            "evaluation",
            "total",
            "done",
            "correct of answered",
            "errors",
            "missing",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.extend(summaries.iter().map(result_row));
    let mut text = table(&rows, 1);
    let lacking: String = summaries.iter().flat_map(lacking).collect();
    if !lacking.is_empty() {
        let _ = write!(text, "\n{lacking}");
    }
    text.extend(summaries.iter().filter_map(asked_again));
    text.extend(summaries.iter().filter_map(degraded));
    for summary in summaries.iter().filter(|summary| !summary.calls.is_empty()) {
        // Writing to a string cannot fail.
        let earlier = match summary.earlier_calls {
            0 => String::new(),
            count => format!(", {count} of them in results that were there before this run"),
        };
        let _ = writeln!(text, "\ncalls of `{}`{earlier}", summary.eval);
        text.push_str(&table(&call_rows(&summary.calls), 2));
    }
    text
}

fn result_row(summary: &Summary) -> Vec<String> {
    let progress = &summary.progress;
    let answered = progress.done.len() - progress.errors.len();
    let correct = match progress.correct {
        None => "-".to_owned(),
        Some(correct) => format!("{correct}{}", share(correct, answered)),
    };
    let errors = match progress
        .errors
        .iter()
        .filter(|error| error.is_infra())
        .count()
    {
        0 => progress.errors.len().to_string(),
        infra => format!("{} ({infra} by servers)", progress.errors.len()),
    };
    vec![
        summary.eval.to_string(),
        progress.total.to_string(),
        progress.done.len().to_string(),
        correct,
        errors,
        progress.to_come().to_string(),
    ]
}

/// The ids that are not done right, on a line for each kind: torn, missing, in error.
fn lacking(summary: &Summary) -> Vec<String> {
    let Progress {
        torn,
        missing,
        errors,
        ..
    } = &summary.progress;
    let is_torn = |id: &String| torn.iter().any(|(other, _)| other == id);
    let torn = torn
        .iter()
        .map(|(id, why)| format!("{} ({})", clean(id), clean(why)));
    let missing = missing.iter().filter(|id| !is_torn(id)).map(|id| clean(id));
    let errors = errors.iter().map(|error| clean(&error.id));
    let kinds: [(&str, Vec<String>); 3] = [
        ("torn", torn.collect()),
        ("missing", missing.collect()),
        ("in error", errors.collect()),
    ];
    let kinds = kinds.into_iter().filter(|(_, ids)| !ids.is_empty());
    kinds
        .map(|(kind, ids)| format!("{kind} of `{}`: {}\n", summary.eval, some_of(&ids)))
        .collect()
}

/// What makes answers worse than their number looks.
fn degraded(summary: &Summary) -> Option<String> {
    let Progress {
        invalid_calls,
        toolless,
        null_contents,
        ..
    } = summary.progress;
    let degraded = &summary.degraded;
    let counts = [
        (degraded.retrieval_failed, "searches without results"),
        (invalid_calls as u64, "invalid tool calls"),
        (toolless as u64, "questions without any tool call"),
        (null_contents as u64, "answers without text"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let mut said: Vec<String> = counts
        .map(|(count, what)| format!("{what} {count}"))
        .collect();
    let elsewhere = degraded.elsewhere.iter();
    said.extend(elsewhere.map(|(name, count)| format!("calls to {} {count}", clean(name))));
    (!said.is_empty()).then(|| format!("in answers of `{}`: {}\n", summary.eval, said.join(", ")))
}

/// What came of the errors that were asked again, and of those that were not.
fn asked_again(summary: &Summary) -> Option<String> {
    let (asked, left) = (summary.asked_again, summary.progress.errors.len());
    let eval = &summary.eval;
    let again = match asked {
        0 => String::new(),
        asked => format!("asked again of `{eval}`: {asked} in error, "),
    };
    let stay = "remove their files to ask again, or say `retry_errors: all`";
    match (asked, left, left.saturating_sub(summary.due)) {
        (0, 0, _) => None,
        (_, 0, _) => Some(format!("{again}none is left\n")),
        (0, _, 0) => Some(format!(
            "errors of `{eval}`: the next `toolorch up` asks them again\n"
        )),
        (0, all, staying) if staying < all => Some(format!(
            "errors of `{eval}`: the next `toolorch up` asks {} again, {staying} stay: {stay}\n",
            summary.due
        )),
        (0, ..) => Some(format!("errors of `{eval}` stay: {stay}\n")),
        (_, left, _) => Some(format!("{again}{left} left\n")),
    }
}

/// The first few, and how many more there are.
fn some_of(ids: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = ids[..ids.len().min(SHOWN)].join(", ");
    match ids.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The share of those answered: results in error are no wrong answers.
fn share(part: usize, whole: usize) -> String {
    if whole == 0 {
        return String::new();
    }
    let percent = 100.0 * float(part) / float(whole);
    format!(" ({percent:.1} %)")
}

fn call_rows(calls: &[Call]) -> Vec<Vec<String>> {
    let header = [
        "model", "replica", "calls", "failed", "mean", "P50", "P90", "P99",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for ((model, endpoint), stats) in &statistics(calls) {
        let (model, endpoint) = match endpoint.as_str() {
            "" => (model.as_str(), "all"),
            endpoint => ("", endpoint),
        };
        let mut row = vec![clean(model), clean(endpoint)];
        row.extend(stats_cells(stats));
        rows.push(row);
    }
    rows
}

fn stats_cells(stats: &CallStats) -> [String; 6] {
    let time = |pick: fn(&Distribution) -> f64| match stats.seconds.as_ref().map(pick) {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", 1000.0 * seconds),
        Some(seconds) => format!("{seconds:.2} s"),
    };
    [
        stats.calls.to_string(),
        stats.failed.to_string(),
        time(|seconds| seconds.mean),
        time(|seconds| seconds.p50),
        time(|seconds| seconds.p90),
        time(|seconds| seconds.p99),
    ]
}

/// Aligns columns: the first `left` to the left, the others to the right.
pub(super) fn table(rows: &[Vec<String>], left: usize) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    rows.iter().fold(String::new(), |mut text, row| {
        let cells: Vec<String> = (row.iter().zip(&widths).enumerate())
            .map(|(column, (cell, &width))| {
                if column < left {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{Expected, Listing, parse_result};
    use crate::spec::model::Finished;

    fn call(model: &str, port: u16, ms: f64) -> Call {
        Call {
            model: model.to_owned(),
            endpoint: Some(format!("127.0.0.1:{port}")),
            ms: Some(ms),
            failed: ms > 1500.0,
        }
    }

    #[test]
    fn what_becomes_of_errors_is_said_as_it_is() {
        let said = |asked_again, errors, due| {
            let error = |id: usize| crate::eval::ResultError {
                id: id.to_string(),
                error_type: None,
                cause: crate::eval::Cause::Other,
            };
            let summary = Summary {
                eval: EvalName::new("hle"),
                progress: Progress {
                    errors: (0..errors).map(error).collect(),
                    ..Progress::default()
                },
                asked_again,
                due,
                degraded: Degraded::default(),
                calls: Vec::new(),
                earlier_calls: 0,
            };
            super::asked_again(&summary).unwrap_or_default()
        };
        let all = [
            said(0, 0, 0),
            said(0, 3, 0),
            said(0, 3, 3),
            said(0, 3, 1),
            said(4, 0, 0),
            said(4, 3, 3),
        ];
        insta::assert_snapshot!(all.concat(), @r"
        errors of `hle` stay: remove their files to ask again, or say `retry_errors: all`
        errors of `hle`: the next `toolorch up` asks them again
        errors of `hle`: the next `toolorch up` asks 1 again, 2 stay: remove their files to ask again, or say `retry_errors: all`
        asked again of `hle`: 4 in error, none is left
        asked again of `hle`: 4 in error, 3 left
        ");
    }

    #[test]
    fn the_tables_read_well() {
        let texts = [
            ("a", r#"{"status": "done", "correct": true}"#),
            (
                "b",
                r#"{"status": "done", "correct": false, "all_tool_calls": ["342 invalid tool calls []"]}"#,
            ),
            ("c", r#"{"status": "error", "error_type": "ReadTimeout"}"#),
        ];
        let results = texts.map(|(id, text)| (id.to_owned(), parse_result(text.as_bytes(), &[])));
        let listing = Listing {
            results: results.into(),
            ..Listing::default()
        };
        let ids = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let progress = Progress::count(&Expected::new(ids, Finished::Ids), &listing);
        let mut untimed = call("judge", 1, 1.0);
        (untimed.ms, untimed.endpoint) = (None, None);
        let summaries = [
            Summary {
                eval: EvalName::new("hle"),
                progress,
                due: 1,
                asked_again: 2,
                degraded: Degraded {
                    retrieval_failed: 3,
                    elsewhere: [("Nebius".to_owned(), 2)].into(),
                },
                calls: vec![
                    call("Qwen/Qwen3-32B-FP8", 1820, 250.0),
                    call("Qwen/Qwen3-32B-FP8", 1821, 1250.0),
                    call("Qwen/Qwen3-32B-FP8", 1821, 2250.0),
                    untimed,
                ],
                earlier_calls: 3,
            },
            Summary {
                eval: EvalName::new("frames"),
                progress: Progress {
                    total: 824,
                    ..Progress::default()
                },
                due: 0,
                asked_again: 0,
                degraded: Degraded::default(),
                calls: Vec::new(),
                earlier_calls: 0,
            },
        ];
        insta::assert_snapshot!(summary_text(&summaries), @r"
        evaluation  total  done  correct of answered            errors  missing
        hle             4     3           1 (50.0 %)  1 (1 by servers)        1
        frames        824     0                    -                 0      824

        missing of `hle`: d
        in error of `hle`: c
        asked again of `hle`: 2 in error, 1 left
        in answers of `hle`: searches without results 3, invalid tool calls 1, questions without any tool call 1, calls to Nebius 2

        calls of `hle`, 3 of them in results that were there before this run
        model               replica         calls  failed    mean     P50     P90     P99
        Qwen/Qwen3-32B-FP8  all                 3       1  1.25 s  1.25 s  2.05 s  2.23 s
                            127.0.0.1:1820      1       0  250 ms  250 ms  250 ms  250 ms
                            127.0.0.1:1821      2       1  1.75 s  1.75 s  2.15 s  2.24 s
        judge               all                 1       0       -       -       -       -
        ");
    }
}
