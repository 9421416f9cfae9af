//! Fewer questions in flight after a client's death or stall: what overwhelmed it may have been the load.

use super::brain::Brain;
use crate::base::{EvalName, Timestamp, UnitId};
use crate::run::Event;

impl Brain {
    /// The next lower number in flight, where the YAML has one, holds from the next start on.
    pub(super) fn slow_down(&mut self, eval: &EvalName, now: Timestamp) {
        let slowed = self.state.evals.get(eval).and_then(|state| state.slowed);
        let Some(client) = self
            .plan
            .eval(eval)
            .and_then(|plan| self.plan.unit(&plan.unit))
        else {
            return;
        };
        let steps = client.slower.iter().map(|step| step.concurrency);
        let lower = |number: &u32| slowed.is_none_or(|slowed| *number < slowed);
        let Some(concurrency) = { steps }.find(lower) else {
            return;
        };
        let eval = eval.clone();
        self.record(Event::EvalSlowed { eval, concurrency }, now);
    }

    /// With how many questions in flight this client starts, where that is not the plan's number; a step that a changed
    /// YAML no longer has is forgotten.
    pub(super) fn slowed(&self, unit: &UnitId) -> Option<u32> {
        let client = self.plan.unit(unit)?;
        let slowed = self.state.evals.get(&self.eval_of(unit)?)?.slowed?;
        let known = |number: &u32| client.slower.iter().any(|step| step.concurrency == *number);
        Some(slowed).filter(known)
    }
}
