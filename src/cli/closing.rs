//! The last words of `up`: tables of results, what keeps running, the exit code.

use super::detach::CONTROLLER;
use super::past_calls;
use super::printer::Printer;
use crate::base::{Clock, Epoch, ExitStatus, UnitId};
use crate::eval::{Lost, Reports, accounts, declared, reported_elsewhere};
use crate::plan::{EvalPlan, Plan};
use crate::report::{Summary, routing_text, summary_text};
use crate::run::store::RunDir;
use crate::run::{EvalState, Retry, RunState};
use crate::supervise::{Driven, EvalDesk};
use crate::view::{Ending, summary};
use crate::world::{SystemClock, UnitDirs, end_starts, logged_calls};

/// Prints the tables of evaluations that need no further run; answers how they stand.
pub(super) fn results(
    plan: &Plan,
    desks: &mut [EvalDesk],
    last: &RunState,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let mut errors = false;
    for desk in desks.iter_mut() {
        let progress = desk.progress().map_err(|why| {
            printer.complain(&format!("error: {why}"));
            ExitStatus::Internal
        })?;
        errors |= !progress.errors.is_empty();
    }
    printer
        .data(&tables(desks, last))
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

/// What came out of an evaluation; none if its results cannot be read any more.
fn summary_of(desk: &mut EvalDesk, run: &RunState) -> Option<Summary> {
    let due = desk.counts().map_or(0, |counts| counts.due);
    let progress = desk.progress().ok()?;
    let state = run.evals.get(desk.name());
    Some(Summary {
        asked_again: state.map_or(0, |state| state.retry.ids()),
        degraded: state.map(EvalState::degraded).unwrap_or_default(),
        due,
        eval: desk.name().clone(),
        calls: desk.calls(),
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

/// Where the calls of this run's clients went.
pub(super) fn routing(plan: &Plan, run: &RunState, desks: &[EvalDesk]) -> String {
    let (mut reports, mut asked, mut unlogged) = (Reports::default(), false, false);
    for desk in desks {
        let Some(mark) = run.books.evals.get(desk.name()) else {
            continue;
        };
        let eval = plan.eval(desk.name());
        let log = eval.and_then(|eval| eval.call_log.as_deref());
        let logged = log.and_then(|log| logged_calls(log.as_ref(), mark.call_log));
        asked = true;
        unlogged |= logged.is_none();
        reports.lost = reports.lost.into_iter().chain(lost(eval, run)).min();
        reports.running |= eval.is_some_and(|eval| run.unit(&eval.unit).phase.may_live());
        reports
            .calls
            .extend(logged.unwrap_or_else(|| desk.calls_after(mark.results)));
    }
    reports.logged = asked && !unlogged;
    // Without an evaluation nobody reports anything.
    let accounts = if asked {
        accounts(plan, &run.books, &reports)
    } else {
        Vec::new()
    };
    let elsewhere = reported_elsewhere(&declared(plan), &reports.calls);
    routing_text(plan, run, &accounts, &elsewhere)
}

/// What results may leave out of the calls of an evaluation's clients.
fn lost(eval: Option<&EvalPlan>, run: &RunState) -> Option<Lost> {
    let eval = eval?;
    let state = run.evals.get(&eval.name);
    let clients = state.map_or(0, |state| state.routing.clients);
    let retried = state.is_some_and(|state| matches!(state.retry, Retry::Begun(_)));
    let own_end = (run.unit(&eval.unit).exit).is_some_and(|exit| exit.code == Some(0));
    match clients {
        _ if !own_end => Some(Lost::CutOff),
        0 | 1 => None,
        // The first one had asked all that it could: a retry comes when nothing else is left.
        2 if retried => Some(Lost::AskedAgain),
        _ => Some(Lost::CutOff),
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

/// Prints how a drive ended, also where the last of it could not be recorded.
pub(super) fn outcome(
    plan: &Plan,
    dir: &RunDir,
    done: &mut Driven,
    stop_with: &str,
    printer: Printer,
) -> ExitStatus {
    let status = done.outcome.code;
    if dir.is_going_down() {
        printer.say("`toolorch down` stops the rest");
        return status;
    }
    let routing = routing(plan, &done.state, &done.desks);
    let tables = match tables(&mut done.desks, &done.state) {
        tables if routing.is_empty() => tables,
        tables => format!("{tables}\n{routing}"),
    };
    let text = summary(
        plan,
        &done.state,
        &Ending {
            status,
            now: SystemClock.now(),
            stop_with,
            tables: &tables,
        },
    );
    printer.say(text.trim_end());
    status
}
