//! Fewer questions in flight after a client's death or stall: what overwhelmed it may have been the load.

use super::brain::Brain;
use crate::base::{EvalName, Timestamp, UnitId};
use crate::facts::Exit;
use crate::run::Event;

impl Brain {
    /// The next lower number in flight, where the YAML has one, holds from the next start on.
    pub(super) fn slow_down(&mut self, eval: &EvalName, now: Timestamp) {
        let Some(plan) = self.plan.eval(eval) else {
            return;
        };
        let Some(client) = self.plan.unit(&plan.unit) else {
            return;
        };
        let (slowed, instead_of) = (self.slowed(&client.id), plan.concurrency);
        let steps = client.slower.iter().map(|step| step.concurrency);
        let lower = |number: &u32| slowed.is_none_or(|slowed| *number < slowed);
        let Some(concurrency) = { steps }.find(lower) else {
            return;
        };
        let eval = eval.clone();
        let slowed = Event::EvalSlowed {
            eval,
            concurrency,
            instead_of,
        };
        self.record(slowed, now);
    }

    /// An owner that comes records an end that came meanwhile; of a client that died the same holds.
    pub(super) fn died_unwatched(&mut self, unit: &UnitId, exit: Exit, now: Timestamp) {
        let ended = Event::Exited {
            unit: unit.clone(),
            exit,
        };
        self.record(ended, now);
        let exit = self.state.unit(unit).exit;
        let died = exit.is_some_and(|exit| !exit.requested && exit.code != Some(0));
        if let Some(eval) = self.eval_of(unit).filter(|_| died)
            && self.verdict(&eval).is_none()
        {
            self.slow_down(&eval, now);
        }
    }

    /// With how many questions in flight this client starts, where that is not the plan's number. A changed YAML, with
    /// another number or without the step, begins anew.
    pub(super) fn slowed(&self, unit: &UnitId) -> Option<u32> {
        let client = self.plan.unit(unit)?;
        let eval = self.eval_of(unit)?;
        let slowed = self.state.evals.get(&eval)?.slowed?;
        let now = self.plan.eval(&eval)?.concurrency;
        let unchanged = slowed.instead_of.is_none_or(|then| Some(then) == now);
        let known = client
            .slower
            .iter()
            .any(|step| step.concurrency == slowed.concurrency);
        (unchanged && known).then_some(slowed.concurrency)
    }
}
