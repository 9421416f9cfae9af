//! Results that were made while their client called undeclared places: a run that ended with 7 is not forgotten.

use std::collections::BTreeMap;

use super::printer::Printer;
use crate::base::{EvalName, ExitStatus, RunId, clean};
use crate::eval::{PastCall, declared};
use crate::plan::Plan;
use crate::supervise::EvalDesk;

/// The undeclared calls of each evaluation that has any.
pub(super) type Undeclared = BTreeMap<EvalName, Vec<PastCall>>;

/// Looks it up, and says it with what clears it. What `run` itself has seen is in its journal.
pub(super) fn heed(
    plan: &Plan,
    desks: &mut [EvalDesk],
    run: Option<&RunId>,
    printer: Printer,
) -> Result<Undeclared, ExitStatus> {
    let mut undeclared = find(plan, desks, printer)?;
    for calls in undeclared.values_mut() {
        calls.retain(|call| Some(&call.run) != run);
    }
    undeclared.retain(|_, calls| !calls.is_empty());
    say(desks, &undeclared, printer);
    Ok(undeclared)
}

/// Looks it up.
pub(super) fn find(
    plan: &Plan,
    desks: &mut [EvalDesk],
    printer: Printer,
) -> Result<Undeclared, ExitStatus> {
    let declared = declared(plan);
    let mut undeclared = Undeclared::new();
    for desk in desks {
        let past = desk.past_calls().map_err(|why| {
            printer.complain(&format!("error: {why}"));
            ExitStatus::Refused
        })?;
        let calls = past.undeclared(&declared);
        if !calls.is_empty() {
            undeclared.insert(desk.name().clone(), calls);
        }
    }
    Ok(undeclared)
}

/// Says it, with what clears it.
pub(super) fn say(desks: &[EvalDesk], undeclared: &Undeclared, printer: Printer) {
    for desk in desks {
        if let Some(calls) = undeclared.get(desk.name()) {
            say_of(desk, calls, printer);
        }
    }
}

fn say_of(desk: &EvalDesk, calls: &[PastCall], printer: Printer) {
    let calls: Vec<String> = calls.iter().map(ToString::to_string).collect();
    printer.say(&format!(
        "NOT DECLARED: while the results of `{}` were made its client {}\n\
         help: make them anew in another `results` folder, with the place under `externals` if the call is meant;\n\
         \x20     to let them count as they are, remove `{}`",
        desk.name(),
        clean(&calls.join(", ")),
        desk.past_calls_file().display(),
    ));
}
