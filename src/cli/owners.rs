//! Whether a run may be taken from here, before anything else is said of it.

use super::detach::CONTROLLER;
use super::printer::Printer;
use super::runs;
use crate::base::{Clock, ClusterName, ExitStatus, RunId, UnitId};
use crate::diag::{Code, Report};
use crate::run::store::{RunDir, StoreError, Watch, host_name, own_process, read_journal, salvage};
use crate::run::{Phase, RunState};
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
    run.check_files()?;
    if let Some(obstacle) = watched(&run, rebuild)? {
        return Ok(Some(obstacle));
    }
    let (here, there) = (state_root(), run.state_root());
    let there = there.filter(|there| *there != here && is_alive(run.id()));
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

/// Whether anything of a run of this name lives here.
pub(super) fn is_alive(run: &RunId) -> bool {
    !find_marked(&format!("{run}/")).is_empty() || !starts(run).is_empty()
}

/// The run keeps its units' state where this owner's environment says; nothing of it lives elsewhere. From now on it is
/// the run of this directory.
pub(super) fn keep_place(run: &RunDir) -> Result<(), StoreError> {
    let here = state_root();
    if run.state_root().is_some_and(|there| there != here) {
        // What is left there harms nobody but for its secrets.
        let _ = UnitDirs::of_run(run).clear(&UnitId::new(CONTROLLER));
    }
    run.keep_state_root(&here)?;
    run.keep_record()
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

/// Somebody watches the run, or its units may live where nobody here can see them: what cannot be seen is not dead, and must
/// not be started twice.
fn watched(run: &RunDir, rebuild: bool) -> Result<Option<Obstacle>, StoreError> {
    match Watch::look(run.path(), SystemClock.now()) {
        Ok(Watch::Alive(owner)) => return Ok(Some(Obstacle::Owned(owner.owned()))),
        Err(StoreError::Damaged { .. }) if rebuild => {}
        other => drop(other?),
    }
    let there = elsewhere(run)?;
    Ok(there.map(|there| Obstacle::Elsewhere(there.advice(run))))
}

/// Units of a run that may live where nobody here can see them.
pub(super) struct Elsewhere {
    /// The host on which the run was last watched.
    pub(super) host: String,
    /// Those that are neither reached over ssh nor in SLURM jobs, as far as the journal can be read; all in a copy of the run's
    /// folder.
    pub(super) units: Vec<UnitId>,
}

/// Where units of a run may live, if that is not here: what cannot be seen is not dead, and must neither be started twice
/// nor be said to be gone. None while a controller watches: that one can be asked.
///
/// # Errors
/// The run's directory cannot be listed.
pub(super) fn elsewhere(run: &RunDir) -> Result<Option<Elsewhere>, StoreError> {
    let here = own_process();
    let last = match Watch::look(run.path(), SystemClock.now()) {
        Ok(Watch::Alive(_)) => return Ok(None),
        Ok(Watch::Gone(owner)) if owner.process.is_seen_from(&here) => return Ok(None),
        Ok(Watch::Gone(owner)) => Some(owner.process.host),
        // The journal knows it, too.
        Ok(Watch::Nobody) | Err(_) => None,
    };
    // What can be seen is here, whatever this machine was called.
    if is_alive(run.id()) {
        return Ok(None);
    }
    let (state, whole) = match read_journal(run.path()) {
        Ok(records) => (RunState::fold(&records), true),
        Err(_) => (RunState::fold(&salvage(run.path())?.records), false),
    };
    let host = match (last, &state.owner) {
        (Some(host), _) => host,
        (None, Some(owner)) if owner.host != here.host => owner.host.clone(),
        (None, None) if run.made_on().is_some_and(|host| host != here.host) => {
            run.made_on().unwrap_or_default().to_owned()
        }
        (None, _) => return Ok(None),
    };
    // What is reached over ssh, or in jobs, is reached from anywhere; by a copy of the run's folder it is not touched.
    let plan = runs::read_plan(run).ok().filter(|_| run.is_its_own());
    let far = |unit: &UnitId| (plan.as_ref()).is_some_and(|plan| plan.elsewhere(unit).is_some());
    let units = state.units.iter();
    let units: Vec<UnitId> = units
        .filter(|(unit, seen)| seen.phase.may_live() && !far(unit))
        .map(|(unit, _)| unit.clone())
        .collect();
    let over = matches!(state.phase, Phase::Ended(_)) || (units.is_empty() && whole);
    Ok((!over).then_some(Elsewhere { host, units }))
}

impl Elsewhere {
    /// Where, and which.
    pub(super) fn words(&self, run: &RunDir) -> String {
        let host = &self.host;
        let place = if *host == host_name() {
            format!("in another container of `{host}`")
        } else {
            format!("on `{host}`")
        };
        let names: Vec<&str> = self.units.iter().map(UnitId::as_str).collect();
        let units = match names.as_slice() {
            [] => "units of it may live there".to_owned(),
            [name] => format!("a unit of it may live there: {name}"),
            names => format!(
                "{} units of it may live there: {}",
                names.len(),
                names.join(", ")
            ),
        };
        format!("`{}` was started {place}, and {units}", run.id())
    }

    /// The same, with what to do.
    fn advice(&self, run: &RunDir) -> String {
        let (host, id) = (&self.host, run.id());
        format!(
            "{}\nhelp: go on there, or end it there: toolorch down {id}\n      if `{host}` is gone for good, or this folder is a copy from there: toolorch down --gone {host} {id}",
            self.words(run)
        )
    }
}

/// Refuses where units of the run may live elsewhere; `undone` says what was not done.
pub(super) fn be_here(run: &RunDir, undone: &str, printer: Printer) -> Result<(), ExitStatus> {
    let found = elsewhere(run).map_err(|error| runs::store(&error, printer))?;
    let Some(there) = found else { return Ok(()) };
    printer.complain(&format!("error: {}\n{undone}", there.advice(run)));
    Err(ExitStatus::Refused)
}

/// Refuses a copy of a run that goes on: whatever lives is the original's. What is over may be looked at anywhere.
pub(super) fn be_original(run: &RunDir, printer: Printer) -> Result<(), ExitStatus> {
    let Some(original) = run.copy_of() else {
        return Ok(());
    };
    if run.is_over().unwrap_or(false) {
        return Ok(());
    }
    let home = original.ancestors().nth(3).unwrap_or(original);
    printer.complain(&format!(
        "error: `{}` is a copy of `{}`, and goes on there alone\nhelp: name that one with TOOLORCH_HOME={}; `toolorch up` begins a run of this folder's own",
        run.path().display(),
        original.display(),
        home.display()
    ));
    Err(ExitStatus::Refused)
}
