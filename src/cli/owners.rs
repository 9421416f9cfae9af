//! Whether a run may be taken from here, before anything else is said of it.

use super::detach::CONTROLLER;
use super::printer::Printer;
use super::runs;
use crate::base::{Clock, ClusterName, ExitStatus, UnitId};
use crate::diag::{Code, Report};
use crate::run::RunState;
use crate::run::store::{RunDir, StoreError, Watch, host_name, read_journal};
use crate::world::{SystemClock, UnitDirs, find_marked, starts, state_root};

/// What keeps a run from being taken from here.
pub(super) enum Obstacle {
    /// Somebody watches it.
    Owned(StoreError),
    /// Its units live where nobody here can see them, or keep their state elsewhere: a second place has locks of its own,
    /// and a unit could be started twice.
    Elsewhere(String),
}

impl Obstacle {
    /// What it is, and what to do.
    pub(super) fn into_words(self) -> String {
        match self {
            Self::Owned(owned) => owned.to_string(),
            Self::Elsewhere(why) => why,
        }
    }
}

/// What keeps the cluster's run from being taken from here, if anything does.
///
/// # Errors
/// What is written of its owners cannot be read.
pub(super) fn obstacle(
    cluster: &ClusterName,
    rebuild: bool,
) -> Result<Option<Obstacle>, StoreError> {
    let Some(run) = runs::home().latest(cluster)? else {
        return Ok(None);
    };
    if let Some(obstacle) = watched(&run, rebuild)? {
        return Ok(Some(obstacle));
    }
    let (here, there) = (state_root(), run.state_root());
    let there = there.filter(|there| *there != here && lives(&run));
    Ok(there.map(|there| {
        Obstacle::Elsewhere(format!(
            "`{}` keeps the state of its units in `{}`, and TOOLORCH_STATE says `{}`\nhelp: what of it runs goes on; watch it with TOOLORCH_STATE={}, or end it first: toolorch down",
            run.id(),
            there.display(),
            here.display(),
            there.display()
        ))
    }))
}

/// Refuses where there is one.
pub(super) fn refuse(
    cluster: &ClusterName,
    rebuild: bool,
    printer: Printer,
) -> Result<(), ExitStatus> {
    let failed = |error| runs::store(&error, printer);
    match obstacle(cluster, rebuild).map_err(failed)? {
        None => Ok(()),
        Some(Obstacle::Owned(owned)) => Err(failed(owned)),
        Some(Obstacle::Elsewhere(why)) => {
            printer.complain(&format!("error: {why}\nnothing was started"));
            Err(ExitStatus::Refused)
        }
    }
}

fn lives(run: &RunDir) -> bool {
    !find_marked(&format!("{}/", run.id())).is_empty() || !starts(run.id()).is_empty()
}

/// The run keeps its units' state where this owner's environment says; nothing of it lives elsewhere.
pub(super) fn keep_place(run: &RunDir) -> Result<(), StoreError> {
    let here = state_root();
    if run.state_root().is_some_and(|there| there != here) {
        // What is left there harms nobody but for its secrets.
        let _ = UnitDirs::of_run(run).clear(&UnitId::new(CONTROLLER));
    }
    run.keep_state_root(&here)
}

/// A stranger on the port of a server that died is no reason to leave the rest of a run unwatched: the server is tried
/// again within its budget, as it would be had its controller lived. Only said.
pub(super) fn let_strangers_be(found: Report, printer: Printer) -> Report {
    let (ports, rest): (Report, Report) =
        (found.into_iter()).partition(|diagnostic| diagnostic.code == Code("E0303"));
    for port in ports {
        printer.complain(&format!("warning: {}; what runs is watched", port.title));
    }
    rest
}

/// Somebody watches the run, or its units live on another machine and nobody here can see them: what cannot be seen is
/// not dead, and must not be started twice.
fn watched(run: &RunDir, rebuild: bool) -> Result<Option<Obstacle>, StoreError> {
    let last = match Watch::look(run.path(), SystemClock.now()) {
        Ok(Watch::Alive(owner)) => return Ok(Some(Obstacle::Owned(owner.owned()))),
        Ok(Watch::Gone(owner)) => owner,
        Ok(Watch::Nobody) => return Ok(None),
        Err(StoreError::Damaged { .. }) if rebuild => return Ok(None),
        Err(error) => return Err(error),
    };
    let there = last.process.host;
    if there == host_name() {
        return Ok(None);
    }
    let state = match read_journal(run.path()) {
        Ok(records) => RunState::fold(&records),
        Err(StoreError::Damaged { .. }) if rebuild => RunState::default(),
        Err(error) => return Err(error),
    };
    let units = state.units.iter();
    let living: Vec<&str> = units
        .filter(|(_, unit)| unit.phase.may_live())
        .map(|(unit, _)| UnitId::as_str(unit))
        .collect();
    if living.is_empty() {
        return Ok(None);
    }
    Ok(Some(Obstacle::Elsewhere(format!(
        "`{}` was started on `{there}`, and {} units of it may live there: {}\nhelp: go on there, or end it there: toolorch down",
        run.id(),
        living.len(),
        living.join(", ")
    ))))
}
