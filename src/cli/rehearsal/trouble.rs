//! Faults of a rehearsal: those of the YAML, and those drawn from a seed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::base::{Name, RunId, UnitId};
use crate::plan::rehearsal::Rehearsal;
use crate::plan::{Plan, UnitKind};
use crate::sim::{Act, Candidate, Done, Happens as _, Planned, Timeline, schedule, timeline};
use crate::world::UnitDirs;

/// Chaos is drawn for this long after the first client's start; an evaluation that is over earlier misses the rest.
const HORIZON: Duration = Duration::from_secs(30);
/// So many faults are drawn.
const FAULTS: usize = 6;

/// What will go wrong in a rehearsal.
///
/// # Errors
/// A unit that there is not, or a timeline that cannot be read or does not fit its unit; in words.
pub(in crate::cli) fn planned(
    rehearsal: &Rehearsal,
    plan: &Plan,
    chaos: Option<u64>,
) -> Result<Vec<Planned>, String> {
    let own = rehearsal.spec.rehearse.as_ref();
    let mut all = Vec::new();
    for (name, text) in own.iter().flat_map(|own| &own.faults) {
        let unit = UnitId::new(name.as_str());
        let key = format!("rehearse.faults.{name}");
        let Some(found) = plan.unit(&unit) else {
            let names: Vec<&str> = plan.units.iter().map(|unit| unit.id.as_str()).collect();
            return Err(format!(
                "`{key}`: there is no such unit; there are {}",
                names.join(", ")
            ));
        };
        let planned = timeline(&unit, &text.0).map_err(|why| format!("`{key}`: {why}"))?;
        if let Some(unfit) = planned.iter().find(|one| !one.act.fits(found)) {
            let fitting: Vec<&str> = Act::fitting(found).iter().map(|act| act.name()).collect();
            let name = unfit.act.name();
            return Err(format!(
                "`{key}`: `{name}` does not fit it; what does: {}",
                fitting.join(", ")
            ));
        }
        all.extend(planned);
    }
    if let Some(seed) = chaos {
        all.extend(schedule(
            seed,
            &candidates(rehearsal, plan),
            HORIZON,
            FAULTS,
        ));
    }
    all.sort_by_key(|one| one.at);
    Ok(all)
}

/// All but the stand-ins for the world outside: a proxy that is gone would let nobody see what wanted to leave.
fn candidates(rehearsal: &Rehearsal, plan: &Plan) -> Vec<Candidate> {
    let real: BTreeSet<&str> = rehearsal.services.iter().map(Name::as_str).collect();
    let own = |unit: &UnitId| match plan.unit(unit).map(|unit| &unit.kind) {
        Some(UnitKind::Service { name }) => real.contains(name.as_str()),
        _ => true,
    };
    let mut all = Candidate::all(plan);
    all.retain(|one| own(&one.unit));
    all
}

/// Brings the faults.
pub(super) struct Trouble {
    planned: Vec<Planned>,
    place: Option<Arc<crate::sim::Stage>>,
    under_way: Option<Timeline>,
    tell: UnboundedSender<Done>,
    done: UnboundedReceiver<Done>,
}

impl Trouble {
    pub(super) fn new(planned: Vec<Planned>) -> Self {
        let (tell, done) = mpsc::unbounded_channel();
        Self {
            planned,
            place: None,
            under_way: None,
            tell,
            done,
        }
    }

    /// The run in which they happen.
    pub(super) fn takes_place(&mut self, plan: &Plan, run: &RunId) {
        let stage = crate::sim::Stage::new(plan.clone(), UnitDirs::new(run));
        self.place = Some(Arc::new(stage));
    }

    /// A client started: from the first one on time counts. Needs a runtime around it.
    pub(super) fn begin(&mut self) {
        let Some(stage) = &self.place else { return };
        if self.under_way.is_none() && !self.planned.is_empty() {
            let schedule = self.planned.clone();
            let begun = Timeline::begin(stage, schedule, Instant::now(), &self.tell);
            self.under_way = Some(begun);
        }
    }

    /// What came of each, in words, and whether it was done.
    pub(super) fn end(mut self) -> Vec<(bool, String)> {
        drop(self.under_way.take());
        let mut said = Vec::new();
        while let Ok(done) = self.done.try_recv() {
            self.planned.retain(|one| *one != done.planned);
            said.push(match done.outcome {
                Ok(text) => (true, format!("{}: {text}", done.planned)),
                Err(why) => (false, format!("{}: not done: {why}", done.planned)),
            });
        }
        let late = self.planned.iter();
        let reason = "not reached, the evaluations were over";
        said.extend(late.map(|one| (false, format!("{one}: {reason}"))));
        said
    }
}
