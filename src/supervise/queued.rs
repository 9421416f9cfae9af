//! Starts that wait in a queue: for as long as it takes, unless they will never begin.

use super::brain::Brain;
use super::effect::Effect;
use super::stops::Then;
use super::tasks::Task;
use crate::base::{Timestamp, UnitId};
use crate::facts::Queued;
use crate::run::{Event, GaveUp, InQueue, StopWhy, UnitPhase, UnitState};

impl Brain {
    /// An earlier owner asked for this start, and it still waits.
    pub(super) fn adopt_queued(
        &mut self,
        unit: &UnitId,
        state: &UnitState,
        queued: &Queued,
        now: Timestamp,
    ) {
        if state.launch.as_ref() != Some(&queued.launch) {
            return self.foreign(unit, &format!("waits ({})", queued.why), now);
        }
        self.ask(Effect::Watch { unit: unit.clone() });
        if state.phase == UnitPhase::Stopping {
            self.stop(unit, StopWhy::Remnants, Then::Anew, now);
        } else if state.drained {
            self.stop(unit, StopWhy::Drained, Then::Rest, now);
        } else if state.phase.may_live() {
            self.note_queued(unit, queued, now);
            let kept = self.wishes.changes.kept_by_job(&self.plan, unit, state);
            if self.goal.start_servers && kept.is_some() {
                self.ask_again(unit, now);
            } else {
                self.queued(unit, queued, now);
            }
        } else {
            self.foreign(unit, &format!("waits ({})", queued.why), now);
        }
    }

    fn note_queued(&mut self, unit: &UnitId, queued: &Queued, now: Timestamp) {
        let queued = Event::Queued {
            unit: unit.clone(),
            generation: queued.generation,
            why: queued.why.clone(),
            starts: queued.starts.clone(),
        };
        self.record(queued, now);
    }

    /// Its time to become ready begins when its job does.
    pub(super) fn queued(&mut self, unit: &UnitId, queued: &Queued, now: Timestamp) {
        let Some(server) = self.server(unit) else {
            return;
        };
        let deadline = now + server.ready.timeout;
        if let Some(Task::Unsent { at }) = self.tasks.get_mut(unit) {
            // The queue answers again, and is still to be told of this start.
            *at = now;
            return;
        }
        let rising = Task::Rising {
            ladder: None,
            deadline,
        };
        self.tasks.insert(unit.clone(), rising);
        // The estimate moves with every look of the scheduler.
        let known = self.state.unit(unit).queued;
        let is_known = |known: &InQueue| {
            known.why == queued.why && known.starts.is_some() == queued.starts.is_some()
        };
        if !known.as_ref().is_some_and(is_known) {
            self.note_queued(unit, queued, now);
        }
        if queued.never {
            let why = format!(
                "it will never begin: {}; change what it asks for",
                queued.why
            );
            self.stop(
                unit,
                StopWhy::NotReady,
                Then::GiveUp(GaveUp::Permanent { why }),
                now,
            );
        }
    }
}
