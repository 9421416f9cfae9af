//! The last words of `up`: tables of results, what keeps running, the exit code.

use super::printer::Printer;
use super::runs;
use crate::base::{Clock, ExitStatus};
use crate::plan::Plan;
use crate::report::{Summary, summary_text};
use crate::run::store::RunDir;
use crate::supervise::{EvalDesk, Outcome};
use crate::view::{Ending, summary};
use crate::world::SystemClock;

/// Prints the tables of evaluations that need no run; answers how they stand.
pub(super) fn results(desks: &mut [EvalDesk], printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let mut errors = false;
    for desk in desks.iter_mut() {
        let progress = desk.progress().map_err(|why| {
            printer.complain(&format!("error: {why}"));
            ExitStatus::Internal
        })?;
        errors |= !progress.errors.is_empty();
    }
    printer
        .data(&tables(desks))
        .map_err(|_| ExitStatus::Internal)?;
    Ok(if errors {
        ExitStatus::Incomplete
    } else {
        ExitStatus::Done
    })
}

/// What came out of an evaluation; none if its results cannot be read any more.
fn summary_of(desk: &mut EvalDesk) -> Option<Summary> {
    let progress = desk.progress().ok()?;
    Some(Summary {
        eval: desk.name().clone(),
        calls: desk.calls(),
        progress,
    })
}

fn tables(desks: &mut [EvalDesk]) -> String {
    let summaries: Vec<Summary> = desks.iter_mut().filter_map(summary_of).collect();
    if summaries.is_empty() {
        String::new()
    } else {
        summary_text(&summaries)
    }
}

/// Prints how a drive ended.
pub(super) fn outcome(
    plan: &Plan,
    dir: &RunDir,
    outcome: &Outcome,
    desks: &mut [EvalDesk],
    stop_with: &str,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let status = outcome.code;
    if dir.is_going_down() {
        printer.say("`toolorch down` stops the rest");
        return Ok(status);
    }
    let found = runs::read(dir.clone()).map_err(|error| runs::store(&error, printer))?;
    let tables = tables(desks);
    let text = summary(
        plan,
        &found.state,
        &Ending {
            status,
            now: SystemClock.now(),
            stop_with,
            tables: &tables,
        },
    );
    printer.say(text.trim_end());
    Ok(status)
}
