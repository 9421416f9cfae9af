//! What a run looks like now where nobody watches it: the journal ends with its last owner.

use std::path::Path;

use super::owners;
use super::runs::Found;
use crate::base::{Clock, Timestamp, UnitId};
use crate::facts::{Exit, Observation};
use crate::plan::{EvalPlan, ResultsPlan};
use crate::run::{Event, Record, RunState};
use crate::supervise::EvalDesk;
use crate::world::{SystemClock, UnitDirs, read_dataset};

/// The state with what one look adds: units that ended since, results that came since.
pub(super) fn as_seen_now(found: &Found) -> RunState {
    let now = SystemClock.now();
    let dirs = UnitDirs::of_run(&found.dir);
    let mut state = found.state.clone();
    // What lives elsewhere is seen there alone.
    let here = matches!(owners::elsewhere(&found.dir), Ok(None));
    let ended: Vec<Event> = state
        .units
        .iter()
        .filter(|(_, unit)| here && unit.phase.may_live())
        .filter_map(|(id, _)| ended(id, dirs.observe(id)))
        .collect();
    let counted = found
        .plan
        .evals
        .iter()
        .filter_map(|eval| count(found, eval));
    for event in ended.into_iter().chain(counted) {
        tell(&mut state, event, now);
    }
    // Nobody is there who would start it again.
    state.units.values_mut().for_each(|unit| unit.died = None);
    state
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
        Observation::Lost { generation, launch } => Exit {
            generation,
            launch,
            code: None,
            signal: None,
            requested: false,
            reason: Some("its process is gone and nothing recorded how".to_owned()),
            tail: Vec::new(),
            cause: None,
        },
        Observation::Running(_) | Observation::Never | Observation::Unknown { .. } => return None,
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
