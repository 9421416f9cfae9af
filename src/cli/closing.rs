//! The last words of `up`: tables of results, what keeps running, the exit code.

use std::collections::BTreeSet;

use super::books_of;
use super::detach::CONTROLLER;
use super::past_calls;
use super::printer::Printer;
use super::results_of;
use super::runs::{self, Found};
use crate::base::{Clock, Epoch, ExitStatus, Generation, UnitId};
use crate::plan::Plan;
use crate::report::{Routed, Summary, routing_text, summary_text};
use crate::run::store::RunDir;
use crate::run::{EvalState, RunState};
use crate::supervise::{Driven, EvalDesk};
use crate::view::{Ending, summary};
use crate::world::{SystemClock, UnitDirs, end_starts};

/// Prints the tables of evaluations that need no further run; answers how they stand.
pub(super) fn results(
    plan: &Plan,
    desks: &mut [EvalDesk],
    last: &RunState,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let mut errors = false;
    for desk in desks.iter_mut() {
        let progress = desk.progress().map_err(|why| printer.internal(why))?;
        errors |= !progress.errors.is_empty();
    }
    printer
        .data(&joined(tables(desks, last), &last_routing(plan)))
        .map_err(|_| ExitStatus::Internal)?;
    let own = if errors {
        ExitStatus::Incomplete
    } else {
        ExitStatus::Done
    };
    let held = past_calls::heed(plan, desks, None, printer)?;
    Ok(if held.is_empty() {
        own
    } else {
        ExitStatus::Misrouted.worse(own)
    })
}

fn joined(tables: String, routing: &str) -> String {
    if routing.is_empty() {
        tables
    } else {
        format!("{tables}\n{routing}")
    }
}

/// Where calls went in the last run, if it is over and its results are those that are there.
fn last_routing(plan: &Plan) -> String {
    let last = runs::home().latest(&plan.cluster).ok().flatten();
    let last = last.and_then(|dir| runs::read(dir).ok());
    let routed = last.as_ref().and_then(results_of::routed);
    let text = |(run, routed): (&Found, Routed)| routing_text(&run.plan, &run.state, &routed);
    last.as_ref().zip(routed).map(text).unwrap_or_default()
}

/// Whether there is something to report of a run: a client of it ran.
pub(super) fn reports(plan: &Plan, run: &RunState) -> bool {
    let mut clients = plan.evals.iter().map(|eval| &eval.unit);
    clients.any(|unit| run.unit(unit).generation > Generation(0))
}

/// The command that reports on a run.
pub(super) fn report_with(dir: &RunDir) -> String {
    format!("toolorch report {}", dir.id())
}

/// What came out of an evaluation; none if its results cannot be read any more.
fn summary_of(desk: &mut EvalDesk, run: &RunState) -> Option<Summary> {
    let due = desk.counts().map_or(0, |counts| counts.due);
    let progress = desk.progress().ok()?;
    let state = run.evals.get(desk.name());
    let calls = desk.calls();
    let mark = run.books.evals.get(desk.name());
    let mark = mark.map_or(0, |mark| mark.results);
    let own = match mark {
        0 => calls.len(),
        mark => desk.calls_after(mark).len(),
    };
    Some(Summary {
        asked_again: state.map_or(0, |state| state.retry.ids()),
        degraded: state.map(EvalState::degraded).unwrap_or_default(),
        due,
        eval: desk.name().clone(),
        earlier_calls: calls.len().saturating_sub(own),
        calls,
        progress,
    })
}

fn tables(desks: &mut [EvalDesk], run: &RunState) -> String {
    let desks = desks.iter_mut();
    let summaries: Vec<Summary> = desks.filter_map(|desk| summary_of(desk, run)).collect();
    if summaries.is_empty() {
        String::new()
    } else {
        summary_text(&summaries)
    }
}

/// Nothing of a run that is over starts any more, however late its script comes to run.
pub(super) fn shut(dir: &RunDir, last: Epoch) {
    let controller = UnitId::new(CONTROLLER);
    // Left-overs harm nobody: the next run has a directory of its own.
    let _ = dir.raise_fence(Epoch(last.0 + 1));
    end_starts(dir.id(), &controller);
    let _ = UnitDirs::of_run(dir).clear_at_the_end(&controller);
}

/// Where the tables go at the end of a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tables {
    /// To standard output: they are what was asked for.
    Data,
    /// To standard error: something else stands on standard output.
    Words,
    /// The same in a rehearsal, which names the report behind its own verdict.
    Rehearsed,
}

/// Prints how a drive ended, also where the last of it could not be recorded.
pub(super) fn outcome(
    plan: &Plan,
    dir: &RunDir,
    done: &mut Driven,
    (stop_with, shown): (&str, Tables),
    printer: Printer,
) -> ExitStatus {
    let status = done.outcome.code;
    if dir.is_going_down() {
        printer.say("`toolorch down` stops the rest");
        return status;
    }
    let routed = books_of::of(plan, &done.state, &mut done.desks, &BTreeSet::new());
    let routing = routing_text(plan, &done.state, &routed);
    let tables = joined(tables(&mut done.desks, &done.state), &routing);
    // A disk that takes no tables takes nothing from the run.
    if shown == Tables::Data && printer.data(&tables).is_err() {
        printer.complain("error: standard output takes no tables");
    }
    let reports = shown != Tables::Rehearsed && reports(plan, &done.state);
    let report_with = reports.then(|| report_with(dir));
    results_of::keep_at_the_end(dir, Some(routed), printer);
    let text = summary(
        plan,
        &done.state,
        &Ending {
            status,
            now: SystemClock.now(),
            stop_with,
            tables: if shown == Tables::Data { "" } else { &tables },
            report_with: report_with.as_deref(),
        },
    );
    printer.say(text.trim_end());
    status
}
