//! Whether a run may be taken from here, before anything else is said of it.

use super::printer::Printer;
use super::runs;
use crate::base::{Clock, ClusterName, ExitStatus, UnitId};
use crate::run::RunState;
use crate::run::store::{StoreError, Watch, host_name, read_journal};
use crate::world::SystemClock;

/// Refuses where somebody watches the cluster's run, or where its units live on another machine and nobody here can see
/// them: what cannot be seen is not dead, and must not be started twice.
pub(super) fn refuse(
    cluster: &ClusterName,
    rebuild: bool,
    printer: Printer,
) -> Result<(), ExitStatus> {
    let failed = |error| runs::store(&error, printer);
    let Some(run) = runs::home().latest(cluster).map_err(failed)? else {
        return Ok(());
    };
    let last = match Watch::look(run.path(), SystemClock.now()) {
        Ok(Watch::Alive(owner)) => return Err(failed(owner.owned())),
        Ok(Watch::Gone(owner)) => owner,
        Ok(Watch::Nobody) => return Ok(()),
        Err(StoreError::Damaged { .. }) if rebuild => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let there = last.process.host;
    if there == host_name() {
        return Ok(());
    }
    let state = match read_journal(run.path()) {
        Ok(records) => RunState::fold(&records),
        Err(StoreError::Damaged { .. }) if rebuild => RunState::default(),
        Err(error) => return Err(failed(error)),
    };
    let units = state.units.iter();
    let living: Vec<&str> = units
        .filter(|(_, unit)| unit.phase.may_live())
        .map(|(unit, _)| UnitId::as_str(unit))
        .collect();
    if living.is_empty() {
        return Ok(());
    }
    printer.complain(&format!(
        "error: `{}` was started on `{there}`, and {} units of it may live there: {}\nhelp: go on there, or end it there: toolorch down\nnothing was started",
        run.id(),
        living.len(),
        living.join(", ")
    ));
    Err(ExitStatus::Refused)
}
