//! `up --rebuild`: a run whose journal is damaged goes on with a journal that is begun anew, from what is seen.

use std::time::Duration;

use super::detach::CONTROLLER;
use crate::base::{Generation, Timestamp, UnitId, sha256};
use crate::facts::Observation;
use crate::plan::Plan;
use crate::run::store::{
    Journal, Owner, RunDir, Salvage, StoreError, Watch, read_journal, read_regular, salvage,
    set_damaged_owner_aside,
};
use crate::run::{Event, Handle, Record, RunState};
use crate::spec::model::LauncherKind;
use crate::world::UnitDirs;

/// A unit script between two lines of its state is looked at again after this.
const PAUSE: Duration = Duration::from_millis(50);
/// So often; one that hangs is left to the supervision.
const LOOKS: usize = 40;

/// Whether a run's books are damaged; those of a newer toolorch are not.
pub(super) fn is_needed(dir: &RunDir, now: Timestamp) -> Result<bool, StoreError> {
    match Watch::look(dir.path(), now) {
        Err(StoreError::Damaged { .. }) => return Ok(true),
        other => other.map(drop)?,
    }
    match read_journal(dir.path()) {
        Err(StoreError::Damaged { .. }) => Ok(true),
        other => other.map(|_| false),
    }
}

/// What can still be read of the books, where they are damaged.
pub(super) fn evidence(dir: &RunDir, now: Timestamp) -> Result<Option<Salvage>, StoreError> {
    let needed = is_needed(dir, now)?;
    needed.then(|| salvage(dir.path())).transpose()
}

/// Makes way for a new owner where nobody can read who the last one was.
pub(super) fn prepare(dir: &RunDir) -> Result<(), StoreError> {
    set_damaged_owner_aside(dir.path())
}

/// Begins the journal anew. Units are what their state files and marks say; evaluations are what their results say, and
/// are counted when the drive begins. What nobody can see again is taken from the lines that can still be read.
pub(super) fn journal(
    owner: Owner,
    dir: &RunDir,
    plan: &Plan,
    now: Timestamp,
    evidence: &Salvage,
) -> Result<(Journal, Vec<Record>), StoreError> {
    let plan_sha256 = read_regular(&dir.plan()).map(|bytes| sha256(&bytes));
    let mut events = vec![Event::RunStarted {
        run: dir.id().clone(),
        cluster: dir.cluster().clone(),
        plan_sha256: plan_sha256.unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rebuilt: true,
    }];
    let dirs = UnitDirs::of_run(dir);
    let mut marked = dirs.find_running();
    let mut units = dirs.units();
    units.extend(marked.keys().cloned());
    units.sort_unstable();
    units.dedup();
    for unit in units.iter().filter(|unit| unit.as_str() != CONTROLLER) {
        let observation = match look(&dirs, unit) {
            Observation::Never => match marked.remove(unit) {
                Some(running) => Observation::Running(running),
                None => continue,
            },
            seen => seen,
        };
        events.extend(seen(&dirs, plan, unit, observation));
    }
    let said = evidence.records.iter().map(|record| &record.event);
    events.extend(said.filter(|event| is_only_said(event)).cloned());
    Journal::rebuild(owner, now, events)
}

/// Whether the journal alone knows it.
fn is_only_said(event: &Event) -> bool {
    matches!(
        event,
        Event::Drained { .. } | Event::Undrained { .. } | Event::OutsideCall { .. }
    )
}

/// What people should know of it for as long as this owner stays.
pub(super) fn alarm(evidence: &Salvage) -> Event {
    let state = RunState::fold(&evidence.records);
    let drained = state.units.iter().filter(|(_, unit)| unit.drained);
    let drained: Vec<String> = drained.map(|(unit, _)| format!("`{unit}`")).collect();
    let drained = match drained.as_slice() {
        [] => String::new(),
        units => format!("; drained as before: {}", units.join(", ")),
    };
    let forgotten = match evidence.lost {
        0 => String::new(),
        lost => format!(
            "; {lost} {} cannot be read: a drain or a call elsewhere that stood there is forgotten",
            if lost == 1 { "line" } else { "lines" }
        ),
    };
    let text = format!(
        "the journal was damaged and is begun anew from what runs and from the lines that can be read; the damaged part is kept beside it{drained}{forgotten}"
    );
    Event::Alarm {
        alarm: "journal-rebuilt".to_owned(),
        unit: None,
        text,
    }
}

fn look(dirs: &UnitDirs, unit: &UnitId) -> Observation {
    for _ in 0..LOOKS {
        match dirs.observe(unit) {
            Observation::Unknown { .. } => std::thread::sleep(PAUSE),
            seen => return seen,
        }
    }
    dirs.observe(unit)
}

/// What the journal would have said of a unit that is as it was seen.
fn seen(dirs: &UnitDirs, plan: &Plan, unit: &UnitId, observation: Observation) -> Vec<Event> {
    let (seen, native) = match &observation {
        Observation::Running(running) => (running.generation, running.supervisor),
        Observation::Exited(exit) => (exit.generation, 0),
        Observation::Lost { generation, .. } => (*generation, 0),
        Observation::Queued(queued) => (queued.generation, 0),
        Observation::Never | Observation::Unknown { .. } => (Generation(0), 0),
    };
    let Some(launch) = observation.launch().cloned() else {
        return Vec::new();
    };
    // A later start may have been refused before it left a state; its number is used up all the same.
    let generation = seen.max(dirs.last_generation(unit));
    let mut events = vec![Event::LaunchIntended {
        unit: unit.clone(),
        generation,
        launch,
        // What it runs by is unknown: the script that stands there is taken for it.
        script: None,
    }];
    events.push(match observation {
        Observation::Exited(mut exit) => {
            exit.generation = generation;
            Event::Exited {
                unit: unit.clone(),
                exit,
            }
        }
        _ => Event::Launched {
            unit: unit.clone(),
            generation,
            handle: Handle {
                submitted: None,
                launcher: plan
                    .unit(unit)
                    .map_or(LauncherKind::Process, |unit| unit.launcher),
                native: native.to_string(),
                // Where it listened before is in no plan any more.
                address: None,
                port: plan.unit(unit).and_then(|unit| unit.port),
                log: dirs.log(unit).unwrap_or_default(),
            },
        },
    });
    events
}
