//! An evaluation without a server that it requires is held: its client is stopped until there is one again.
//!
//! Otherwise a client that goes on turns an outage of three minutes into errors for the rest of its dataset.

use super::brain::Brain;
use super::effect::Effect;
use super::evals::Stage;
use super::stops::Then;
use super::tasks::Task;
use super::watch::Ending;
use crate::base::{EvalName, Millis, Name, Timestamp, UnitId};
use crate::plan::EvalPlan;
use crate::run::{Event, Held, StopWhy, UnitPhase};

/// An outage that lasts so long holds the client.
pub(super) const HOLD_AFTER: Millis = Millis::from_secs(10);
/// One that will not end by itself holds it as soon as its results were counted since.
const HOPELESS_AFTER: Millis = Millis(2_000);
/// What failed a moment before the outage was noticed failed of it.
const NOTICED: Millis = Millis::from_secs(5);

/// What an evaluation lacks.
struct Missing {
    /// In words.
    why: String,
    prospect: Prospect,
}

/// Whether what is missing may be there again.
enum Prospect {
    /// It is on its way, or may be.
    Coming,
    /// Somebody keeps all of this group from being started.
    Drained(Name),
    /// It was given up.
    Never,
}

impl Brain {
    /// The outage for which an evaluation is held, if it is.
    pub(super) fn held(&self, eval: &EvalName) -> Option<&Held> {
        self.state.evals.get(eval)?.held.as_ref()
    }

    /// Holds what has gone without something that it requires for too long.
    pub(super) fn advance_holds(&mut self, now: Timestamp) {
        for name in self.goal.evals.clone() {
            let Some(eval) = self.plan.eval(&name) else {
                continue;
            };
            if *self.stage(&name) != Stage::Running || self.is_stopping(&eval.unit) {
                continue;
            }
            let missing = self.missing(eval);
            let unit = eval.unit.clone();
            // An earlier owner held it, and did not come to stop it.
            if self.held(&name).is_some() {
                self.eval_work(&name).stage = Stage::Held;
                self.stop(&unit, StopWhy::Held, Then::Rest, now);
                continue;
            }
            let work = self.eval_work(&name);
            let Some(why) = missing else {
                if work.outage.take().is_some() {
                    work.unserved = Some(now);
                }
                continue;
            };
            let since = *work.outage.get_or_insert(now);
            // Nothing is left to ask: it ends by itself.
            if work.counts.is_whole() {
                continue;
            }
            let wait = match why.prospect {
                Prospect::Coming => HOLD_AFTER,
                Prospect::Drained(_) | Prospect::Never => HOPELESS_AFTER,
            };
            if now.since(since) >= wait {
                self.hold(&name, &unit, since, why, now);
                self.eval_work(&name).stage = Stage::Held;
                self.stop(&unit, StopWhy::Held, Then::Rest, now);
            }
        }
    }

    fn hold(
        &mut self,
        eval: &EvalName,
        unit: &UnitId,
        since: Timestamp,
        missing: Missing,
        now: Timestamp,
    ) {
        let work = self.eval_work(eval);
        work.outage = None;
        work.count_at = None;
        let Missing { why, prospect } = missing;
        let then = match prospect {
            Prospect::Coming => Some("it goes on by itself when there is one again".to_owned()),
            Prospect::Drained(group) => Some(format!(
                "it goes on when one is undrained: toolorch drain --undo {group}"
            )),
            // Its verdict says so.
            Prospect::Never => None,
        };
        if let Some(then) = then {
            let text = format!("`{eval}` is held: {why}; {then}");
            self.alarm("held", Some(unit), text, now);
        }
        self.record(
            Event::EvalHeld {
                eval: eval.clone(),
                unit: unit.clone(),
                since: Timestamp(since.0.saturating_sub(NOTICED.0)),
                why,
            },
            now,
        );
    }

    /// A client ended by itself in the middle of an outage, and its results were counted since: whether it is held for
    /// what is missing or in error.
    pub(super) fn held_at_its_end(&mut self, eval: &EvalName, now: Timestamp) -> bool {
        let work = self.eval_work(eval);
        let Some(since) = work.outage.filter(|_| !work.counts.is_whole()) else {
            return false;
        };
        let Some(plan) = self.plan.eval(eval) else {
            return false;
        };
        let unit = plan.unit.clone();
        let Some(missing) = self.missing(plan) else {
            return false;
        };
        self.hold(eval, &unit, since, missing, now);
        self.eval_work(eval).stage = Stage::Waiting;
        true
    }

    /// What an evaluation requires and has not a single one of.
    fn missing(&self, eval: &EvalPlan) -> Option<Missing> {
        let required = |name| eval.requires.contains(name);
        let mut groups = self
            .plan
            .groups
            .iter()
            .filter(|group| required(&group.name));
        let without = groups.find(|group| {
            !group.endpoints.is_empty()
                && !(group.endpoints.iter())
                    .any(|end| self.is_there(&end.unit) || self.is_beside(&end.unit, &eval.unit))
        });
        if let Some(group) = without {
            let why = format!("`{}` has no server that is ready", group.name);
            let prospect = if self.readiness(group).1 > 0 {
                Prospect::Coming
            } else if self.drained_of(group) > 0 {
                Prospect::Drained(group.name.clone())
            } else {
                Prospect::Never
            };
            return Some(Missing { why, prospect });
        }
        let mut gone = self.externals.gone().filter(|(name, _)| required(name));
        let (name, why) = gone.next()?;
        let why = format!("`{name}` is out of reach: {why}");
        let prospect = Prospect::Coming;
        Some(Missing { why, prospect })
    }

    /// Whether clients can use a server, as far as anybody knows. One that could not be looked at from the start may be there, and so
    /// may one that had been ready and proves it again to a new owner.
    fn is_there(&self, unit: &UnitId) -> bool {
        if self.no_way_to(unit).is_some() {
            return false;
        }
        let Some(state) = self.state.units.get(unit) else {
            return false;
        };
        match self.tasks.get(unit) {
            None => matches!(state.phase, UnitPhase::Ready(_)) && !self.is_unreached(unit),
            Some(Task::Unseen { .. } | Task::Foreign | Task::Emerging { .. }) => true,
            Some(Task::Rising { .. }) => state.ready_after.is_some() && state.refuted.is_none(),
            Some(
                Task::Stopping(_)
                | Task::Backoff { .. }
                | Task::Clearing(_)
                | Task::Anew
                | Task::Unsent { .. },
            ) => false,
        }
    }

    /// A server and a client of the same other machine, when that cannot be reached from here: nothing is cut between the two, and
    /// neither would hear of a stop.
    fn is_beside(&self, server: &UnitId, client: &UnitId) -> bool {
        let node = self.elsewhere.get(client);
        node.is_some() && self.elsewhere.get(server) == node && self.is_unreached(server)
    }

    /// There is one of each again: what failed in the outage is asked again.
    pub(super) fn resume(&mut self, eval: &EvalName) {
        let Some(since) = self.held(eval).map(|held| held.since) else {
            return;
        };
        self.eval_work(eval).stage = Stage::Requeuing;
        let eval = eval.clone();
        self.ask(Effect::Requeue { eval, since });
    }

    /// What failed in the outage was set aside, or could not be.
    pub(super) fn requeued(
        &mut self,
        eval: &EvalName,
        result: Result<usize, String>,
        now: Timestamp,
    ) {
        if *self.stage(eval) != Stage::Requeuing || !self.working() {
            return;
        }
        match result {
            Err(why) => self.refused(eval, why, now),
            Ok(set_aside) => {
                let counts = self.eval_work(eval).counts.without(set_aside);
                self.note_counts(eval, counts, now);
                let name = eval.clone();
                self.record(
                    Event::EvalResumed {
                        eval: name,
                        set_aside,
                    },
                    now,
                );
                if let Some(plan) = self.plan.eval(eval).cloned() {
                    self.begin_attempt(&plan, now);
                }
            }
        }
    }

    /// What it was held for will not come back: its results, counted once more, say how it ends.
    pub(super) fn give_up_held(&mut self, eval: &EvalName, why: String) {
        self.judge_after_count(eval.clone(), Ending::bereft(why));
    }
}
