//! What a run looks like now where nobody watches it: the journal ends with its last owner.

use std::path::Path;

use super::owners;
use super::runs::Found;
use crate::base::{Clock, Timestamp, UnitId};
use crate::facts::{Exit, Observation};
use crate::plan::{EvalPlan, ResultsPlan};
use crate::run::store::host_name;
use crate::run::{Event, Record, RunState, UnitPhase};
use crate::supervise::EvalDesk;
use crate::world::{SystemClock, UnitDirs, living_runs, read_dataset, starts};

/// The state with what one look adds: units that ended since, results that came since.
pub(super) fn as_seen_now(found: &Found) -> RunState {
    let now = SystemClock.now();
    let dirs = UnitDirs::of_run(&found.dir);
    let mut state = found.state.clone();
    let (mut events, mut unseen) = (Vec::new(), Vec::new());
    // What lives elsewhere is seen there alone.
    let run_is_here = matches!(owners::elsewhere(&found.dir), Ok(None));
    let here = |id: &UnitId| run_is_here && found.plan.elsewhere(id).is_none();
    let living = found.state.units.iter();
    for (id, unit) in living.filter(|(id, unit)| here(id) && unit.phase.may_live()) {
        let seen = dirs.observe(id);
        match seen {
            // Unknown is not gone.
            Observation::Running(_) | Observation::Unknown { .. } => {}
            seen if seen.launch() == unit.launch.as_ref() => events.extend(ended(id, seen)),
            _ => unseen.push(id),
        }
    }
    for id in gone(found, unseen) {
        let Some(unit) = state.units.get_mut(id) else {
            continue;
        };
        match unit.launch.clone() {
            Some(launch) if unit.phase != UnitPhase::Intended => {
                let generation = unit.generation;
                events.extend(ended(id, Observation::Lost { generation, launch }));
            }
            // Its owner did not come to start it.
            _ => unit.phase = UnitPhase::Planned,
        }
    }
    let counted = found
        .plan
        .evals
        .iter()
        .filter_map(|eval| count(found, eval));
    for event in events.into_iter().chain(counted) {
        tell(&mut state, event, now);
    }
    // Nobody is there who would start it again.
    state.units.values_mut().for_each(|unit| unit.died = None);
    state
}

/// Of units whose last start has no state, since it left none or that was cleared away, those of which neither a process nor a
/// script is to be found. That can be told where they were started.
fn gone<'a>(found: &Found, mut units: Vec<&'a UnitId>) -> Vec<&'a UnitId> {
    let owner = found.state.owner.as_ref();
    let here = owner.is_some_and(|owner| owner.host == host_name());
    if !here || units.is_empty() {
        return Vec::new();
    }
    let living = living_runs().remove(found.dir.id()).unwrap_or_default();
    let starts = starts(found.dir.id());
    let starting = |unit: &UnitId| starts.iter().any(|(_, starting)| starting == unit);
    units.retain(|unit| !living.contains(*unit) && !starting(unit));
    units
}

fn tell(state: &mut RunState, event: Event, at: Timestamp) {
    let record = Record {
        v: Record::FORMAT,
        seq: state.seq + 1,
        at,
        epoch: state.epoch,
        event,
    };
    state.apply(&record);
}

fn ended(unit: &UnitId, seen: Observation) -> Option<Event> {
    let exit = match seen {
        Observation::Exited(exit) => exit,
        Observation::Lost { generation, launch } => Exit::lost(generation, launch),
        Observation::Running(_)
        | Observation::Queued(_)
        | Observation::Never
        | Observation::Unknown { .. } => return None,
    };
    let unit = unit.clone();
    Some(Event::Exited { unit, exit })
}

fn count(found: &Found, eval: &EvalPlan) -> Option<Event> {
    let ids = eval
        .dataset
        .as_ref()
        .map(|path| read_dataset(path.as_ref(), &eval.id_fields).ids)
        .unwrap_or_default();
    let mut desk = EvalDesk::new(&found.plan, eval, &ids).ok()?;
    let counts = desk.count(None).0.ok()?;
    // The folder was moved: what the plan names is not there any more.
    let place = match &eval.results {
        ResultsPlan::Dir { dir, .. } => dir,
        ResultsPlan::Jsonl { file } => file,
    };
    if !Path::new(place).exists() {
        return None;
    }
    Some(Event::EvalProgress {
        eval: eval.name.clone(),
        done: counts.done,
        errors: counts.errors,
        correct: counts.correct,
        torn: counts.torn,
        total: counts.total,
    })
}
