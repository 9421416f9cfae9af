//! A drain ends with its run: the next one says what it starts again.

use super::printer::Printer;
use super::runs;
use crate::plan::Plan;
use crate::run::RunState;
use crate::run::store::{RunDir, read_journal};

/// Says which servers of the plan were drained in the run before this one; nothing where that cannot be read.
pub(super) fn say(dir: &RunDir, plan: &Plan, printer: Printer) {
    let runs = runs::home().runs_of(dir.cluster()).unwrap_or_default();
    let before = runs.iter().rfind(|run| run.number() < dir.number());
    let Some((run, records)) = before.and_then(|run| Some((run, read_journal(run.path()).ok()?)))
    else {
        return;
    };
    let state = RunState::fold(&records);
    let drained = state.units.iter().filter(|(_, unit)| unit.drained);
    let names: Vec<String> = drained
        .filter(|(unit, _)| plan.unit(unit).is_some())
        .map(|(unit, _)| format!("`{unit}`"))
        .collect();
    if !names.is_empty() {
        printer.say(&format!(
            "drained in `{}`, and started again in this run: {}",
            run.id(),
            names.join(", ")
        ));
    }
}
