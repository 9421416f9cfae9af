//! What a report says, as titles, lines and tables: what its forms for people have in common.

use super::happened;
use super::judged::judgement;
use super::model::{Report, Subject};
use crate::base::{Millis, clean, cut, nearest};
use crate::report::tables::{
    Accuracy, By, Changed, Cold, Coverage, Damaged, Distribution, Evaluation, Orchestrator, Rounds,
    Row, ServerTimes, Source,
};

/// A piece of a report.
#[derive(Debug)]
pub(in crate::report) enum Block {
    /// Of an evaluation, or of all.
    Title(String),
    /// Of what follows.
    Heading(String),
    /// A sentence each.
    Lines(Vec<String>),
    /// Lines of a file, as they are.
    Code(Vec<String>),
    /// The first row names the columns; the first `left` of them hold words, the others numbers, and the last one words again.
    Table {
        /// How many columns are words.
        left: usize,
        /// All rows, equally long.
        rows: Vec<Vec<String>>,
    },
}

/// So many torn results are named.
const NAMED: usize = 5;

pub(super) fn blocks(report: &Report) -> Vec<Block> {
    let mut all = vec![Block::Title(subject(&report.subject))];
    all.extend(report.happened.iter().flat_map(happened::trouble));
    if report.evaluations.is_empty() {
        all.push(Block::Lines(vec!["it has no evaluation".to_owned()]));
    }
    for evaluation in &report.evaluations {
        let (name, place) = (clean(&evaluation.name), clean(&evaluation.results));
        all.push(Block::Title(match &report.subject {
            Subject::Run { .. } => format!("evaluation `{name}`, results in `{place}`"),
            Subject::Results { .. } => "questions".to_owned(),
        }));
        let judged = (report.judgements.iter()).find(|one| one.evaluation == evaluation.name);
        let mut rest = of_evaluation(evaluation).into_iter();
        all.extend(rest.next());
        all.extend(judged.into_iter().flat_map(judgement));
        all.extend(rest);
    }
    all.extend(report.happened.iter().flat_map(happened::calls));
    all
}

/// How a run stands, by its exit code and by the moment of its last event.
pub(in crate::report) fn state_of_run(ended: Option<u8>, until: Option<&str>) -> String {
    match (ended, until) {
        (Some(0), _) => "ended".to_owned(),
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(_)) => "goes on".to_owned(),
        (None, None) => "its journal cannot be read".to_owned(),
    }
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Results { place } => format!("results in `{}`", clean(place)),
        Subject::Run {
            run,
            cluster,
            ended,
            until,
        } => {
            let state = state_of_run(*ended, until.as_deref());
            let until = until.as_ref().map(|at| format!(", as of {at}"));
            format!(
                "run `{}` of `{}`: {state}{}",
                clean(run),
                clean(cluster),
                until.unwrap_or_default()
            )
        }
    }
}

/// How its questions came out, then its tables.
pub(in crate::report) fn of_evaluation(found: &Evaluation) -> Vec<Block> {
    let mut all = vec![Block::Lines(outcome_lines(found))];
    let mut table = |title: &str, left: usize, rows: Vec<Vec<String>>| {
        if rows.len() > 1 {
            all.push(Block::Heading(title.to_owned()));
            all.push(Block::Table { left, rows });
        }
    };
    table("tools, end to end, in seconds", 1, tools(&found.tools));
    let title = "models of tools, in seconds";
    table(title, 2, experts(&found.experts));
    if let Some(own) = &found.orchestrator {
        let title = format!("orchestrator, in seconds, {}", told(own.source));
        table(&title, 1, orchestrator(own));
    }
    if let Some(source) = found.servers_source {
        let title = format!("calls to servers, in seconds, {}", told(source));
        table(&title, 2, servers(&found.servers));
    }
    let title = "calls to servers, in seconds, by the servers' own counters";
    table(title, 2, server_times(&found.server_times));
    table("the same in parts, in seconds", 3, parts(found));
    let mut lines = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            all.push(Block::Heading(title.to_owned()));
            all.push(Block::Lines(lines));
        }
    };
    let rounds = found.rounds.iter().map(rounds).collect();
    lines("rounds", rounds);
    lines("slow beginnings", beginnings(found));
    lines("torn results", torn(&found.accuracy.torn));
    let mut unsaid: Vec<String> = found.unsaid.iter().map(|line| clean(line)).collect();
    unsaid.extend(shared(&found.server_times));
    lines("what cannot be said", unsaid);
    all
}

fn told(source: Source) -> &'static str {
    match source {
        Source::Results => "by the results",
        Source::CallLog => "by the client's log of its calls",
        Source::ClientLog => "by the client's standard output",
    }
}

/// How the questions came out, in sentences, and whether that is what a run left.
pub(in crate::report) fn outcome_lines(found: &Evaluation) -> Vec<String> {
    let mut lines = accuracy_lines(&found.accuracy);
    lines.extend((found.earlier > 0).then(|| {
        format!(
            "{} of the {} there before this run: tables made of results have their calls as well, the servers' own counters and the books do not",
            found.earlier,
            if found.accuracy.done == 1 { "1 result was".to_owned() } else { format!("{} results were", found.accuracy.done) }
        )
    }));
    lines.extend(found.changed_since.as_ref().map(changed));
    lines
}

fn changed(changed: &Changed) -> String {
    let some = |count: usize, what: &str| {
        let is = if count == 1 { "is" } else { "are" };
        let was = if count == 1 { "was" } else { "were" };
        (count > 0).then(|| format!("{count} {}", what.replace("IS", is).replace("WAS", was)))
    };
    let what = [
        some(changed.later, "WAS written later"),
        some(changed.gone, "IS gone"),
    ];
    let what: Vec<String> = what.into_iter().flatten().collect();
    let what = if what.is_empty() {
        "their file was written again".to_owned()
    } else {
        what.join(", ")
    };
    if changed.kept {
        format!(
            "results changed since this run ended: {what}; this report is of what they were then"
        )
    } else {
        format!(
            "results changed since this run ended, and what they were is not kept: {what}; what was written later is left out as far as that is known"
        )
    }
}

fn accuracy_lines(found: &Accuracy) -> Vec<String> {
    let answered = found.done - found.errors;
    let of_answered = |share: f64| format!("{} of the {answered} answered", percent(share));
    let right = match (found.correct, found.questions) {
        (None, _) => "no result says whether it is right".to_owned(),
        (Some(correct), Some(questions)) => {
            let shares = [
                found
                    .of_all
                    .map(|share| format!("{} of all", percent(share))),
                found.of_answered.map(of_answered),
            ];
            let shares: Vec<String> = shares.into_iter().flatten().collect();
            let colon = if shares.is_empty() { "" } else { ": " };
            let shares = shares.join(", ");
            let questions = counted(questions, "question");
            format!("{correct} of {questions} right{colon}{shares}")
        }
        (Some(correct), None) => {
            let share = found.of_answered.map(of_answered);
            let share = share.map(|share| format!(": {share}")).unwrap_or_default();
            format!("{correct} right{share}")
        }
    };
    let errors = match found.errors_by_servers {
        0 => format!("{} in error", found.errors),
        servers => format!("{} in error ({servers} by servers)", found.errors),
    };
    let missing = found.missing.map(|count| format!("{count} missing"));
    let some = |count: usize, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let other = counted(found.other_files, "other file");
    let counts = [
        Some(counted(found.done, "result")),
        Some(errors),
        missing,
        some(found.torn.len(), "torn"),
        some(found.strangers, "of other questions"),
        (found.other_files > 0).then_some(other),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    vec![right, counts.join(", ")]
}

/// `1 result`, `2 results`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn time(seconds: f64) -> String {
    format!("{seconds:.2}")
}

fn row(cells: impl IntoIterator<Item = String>) -> Vec<String> {
    cells.into_iter().collect()
}

fn head(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

fn name(text: Option<&String>) -> String {
    text.map_or_else(|| "all".to_owned(), |text| clean(text))
}

/// So many columns of a name.
pub(in crate::report) const WIDEST: usize = 80;
/// Columns of names from outside.
const NAMES: [&str; 4] = ["tool", "model", "replica", "of"];

/// A table of which no column of names gets wider than a line: what is longer is cut, and stands whole in the JSON.
pub(super) fn narrow(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let mut rows = rows.to_vec();
    let Some((head, body)) = rows.split_first_mut() else {
        return rows;
    };
    for row in body {
        for (cell, name) in row.iter_mut().zip(head.iter()) {
            if NAMES.contains(&name.as_str()) {
                *cell = cut(cell, WIDEST);
            }
        }
    }
    rows
}

/// A name of a row, or how many names it is of.
fn name_in(found: &Row, text: Option<&String>) -> String {
    match (found.others, text) {
        (Some(count), None) => format!("others ({count})"),
        (_, text) => name(text),
    }
}

/// Numbers of a row, or dashes.
fn numbers<const N: usize>(
    seconds: Option<&Distribution>,
    cells: impl Fn(&Distribution) -> [String; N],
) -> Vec<String> {
    seconds.map_or_else(|| vec!["-".to_owned(); N], |found| cells(found).to_vec())
}

/// `480/512`, and why the rest was left out.
fn coverage(coverage: &Coverage) -> [String; 2] {
    let used = format!("{}/{}", coverage.used, coverage.calls);
    [used, coverage.left_out()]
}

const LOG_COLUMNS: [&str; 11] = [
    "count", "mean", "std", "min", "max", "P50", "P90", "P99", "<5s", "used/all", "left out",
];

fn log_columns(first: &[&str]) -> Vec<String> {
    head(&[first, &LOG_COLUMNS].concat())
}

fn log_cells(found: &Row) -> Vec<String> {
    let cells = numbers(found.seconds.as_ref(), |times| {
        [
            times.count.to_string(),
            time(times.mean),
            time(times.std),
            time(times.min),
            time(times.max),
            time(times.p50),
            time(times.p90),
            time(times.p99),
            percent(times.under_5s),
        ]
    });
    cells.into_iter().chain(coverage(&found.coverage)).collect()
}

fn tools(rows: &[Row]) -> Vec<Vec<String>> {
    let mut all = vec![log_columns(&["tool"])];
    all.extend(rows.iter().map(|found| {
        let first = [name_in(found, found.tool.as_ref())];
        row(first.into_iter().chain(log_cells(found)))
    }));
    all
}

fn experts(rows: &[Row]) -> Vec<Vec<String>> {
    let mut all = vec![log_columns(&["tool", "model"])];
    all.extend(rows.iter().map(|found| {
        let first = match found.others {
            Some(_) => [name_in(found, None), String::new()],
            None => [name(found.tool.as_ref()), name(found.model.as_ref())],
        };
        row(first.into_iter().chain(log_cells(found)))
    }));
    all
}

fn orchestrator(own: &Orchestrator) -> Vec<Vec<String>> {
    let columns = [
        "model", "total", "mean", "max", ">300s", "P50", "P90", "P99", "used/all", "left out",
    ];
    let found = &own.row;
    let cells = numbers(found.seconds.as_ref(), |times| {
        [
            time(times.mean),
            time(times.max),
            times.over_300s.to_string(),
            time(times.p50),
            time(times.p90),
            time(times.p99),
        ]
    });
    let first = [name(found.model.as_ref()), found.coverage.calls.to_string()];
    let cells = first.into_iter().chain(cells);
    vec![head(&columns), row(cells.chain(coverage(&found.coverage)))]
}

fn servers(rows: &[Row]) -> Vec<Vec<String>> {
    let columns = [
        "model", "replica", "count", "mean", "max", "P50", "P90", "P99", "used/all", "left out",
    ];
    let mut all = vec![head(&columns)];
    all.extend(rows.iter().map(|found| {
        let of_model = found.replica.is_some() || found.others.is_some();
        let first = match &found.model {
            // Models without a row of their own.
            None => [name_in(found, None), String::new()],
            Some(_) if of_model => [String::new(), name_in(found, found.replica.as_ref())],
            model => [name(model.as_ref()), name(None)],
        };
        let cells = numbers(found.seconds.as_ref(), |times| {
            [
                times.count.to_string(),
                time(times.mean),
                time(times.max),
                time(times.p50),
                time(times.p90),
                time(times.p99),
            ]
        });
        let cells = first.into_iter().chain(cells);
        row(cells.chain(coverage(&found.coverage)))
    }));
    all
}

fn server_times(rows: &[ServerTimes]) -> Vec<Vec<String>> {
    let columns = [
        "model",
        "replica",
        "count",
        "mean",
        "P50",
        "P90",
        "P99",
        "queue",
        "computed",
        "first token",
        "tokens",
    ];
    let seconds = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), time);
    let whole =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
    let mut all = vec![head(&columns)];
    all.extend(rows.iter().map(|found| {
        let model = match found.replica {
            None => clean(&found.model),
            Some(_) => String::new(),
        };
        row([
            model,
            name(found.replica.as_ref()),
            whole(Some(found.calls)),
            time(found.mean),
            seconds(found.p50),
            seconds(found.p90),
            seconds(found.p99),
            seconds(found.queue),
            seconds(found.service),
            seconds(found.first_token),
            whole(found.answer_tokens),
        ])
    }));
    all
}

/// Whose calls are in the servers' own counters as well.
fn shared(rows: &[ServerTimes]) -> Vec<String> {
    let of_models = rows.iter().filter(|row| row.replica.is_none());
    let shared = of_models.filter(|row| !row.shared_with.is_empty());
    let line = |row: &ServerTimes| {
        let names: Vec<String> = row
            .shared_with
            .iter()
            .map(|name| format!("`{}`", clean(name)))
            .collect();
        format!(
            "which of the calls that servers of {} counted are its own: they worked for {} at the same time, and those are among them",
            clean(&row.model),
            names.join(", ")
        )
    };
    shared.map(line).collect()
}

/// Rows that are looked at in parts: tools, and the orchestrator.
fn looked_at(found: &Evaluation) -> impl Iterator<Item = (String, &Row)> {
    let own = found.orchestrator.as_ref();
    let own = own.map(|own| ("orchestrator".to_owned(), &own.row));
    let tools = found.tools.iter();
    let named = |row| (name_in(row, row.tool.as_ref()), row);
    tools.map(named).chain(own)
}

fn parts(found: &Evaluation) -> Vec<Vec<String>> {
    let columns = ["of", "by", "part", "count", "mean", "P50", "P90", "P99"];
    let mut all = vec![head(&columns)];
    for (who, found) in looked_at(found) {
        all.extend(found.splits.iter().map(|split| {
            let by = match split.by {
                By::Outcome => "outcome",
                By::Retried => "tries",
                By::Window => "window",
            };
            let times = &split.seconds;
            row([
                who.clone(),
                by.to_owned(),
                split.part.clone(),
                split.calls.to_string(),
                time(times.mean),
                time(times.p50),
                time(times.p90),
                time(times.p99),
            ])
        }));
    }
    all
}

fn rounds(found: &Rounds) -> String {
    let Rounds {
        questions,
        mean,
        p50,
        p90,
        p99,
        max,
    } = found;
    format!(
        "by {}: mean {mean:.2}, P50 {p50:.1}, P90 {p90:.1}, P99 {p99:.1}, most {max:.0}",
        counted(*questions, "result")
    )
}

fn beginnings(found: &Evaluation) -> Vec<String> {
    let said = looked_at(found).filter_map(|(who, row)| {
        let who = cut(&who, WIDEST);
        Some(match row.cold.as_ref()? {
            Cold::Not => format!("{who}: none"),
            Cold::Unknown { why } => format!("{who}: cannot be said: {}", clean(why)),
            Cold::Slow {
                lasted,
                calls,
                share,
                median,
                median_at_end,
            } => format!(
                "{who}: {} long, {} ({}): median {median:.2} s, and {median_at_end:.2} s at the end",
                length(*lasted),
                counted(*calls, "call"),
                percent(*share)
            ),
        })
    });
    said.collect()
}

fn length(seconds: f64) -> Millis {
    Millis::from_secs(nearest(seconds))
}

fn torn(found: &[Damaged]) -> Vec<String> {
    let named = found.iter().take(NAMED);
    let mut lines: Vec<String> = named
        .map(|one| format!("`{}`: {}", clean(&one.id), clean(&one.why)))
        .collect();
    if found.len() > NAMED {
        lines.push(format!("and {} more", found.len() - NAMED));
    }
    lines
}
