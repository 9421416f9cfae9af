//! Starts in a queue that are asked for once more: one that the queue did not take, since it does not answer, and one that waits there with
//! what the YAML asked for before.

use super::brain::Brain;
use super::effect::Effect;
use super::tasks::Task;
use crate::base::{Millis, Timestamp, UnitId};
use crate::run::Event;

/// The pause before a queue is asked again. It may have taken half a minute to say nothing.
const ASK_AGAIN: Millis = Millis::from_secs(10);
/// The alarm that the queue does not answer.
const AWAY: &str = "slurm-away";

impl Brain {
    /// Nothing was started, and nothing is wrong with the start: it waits for the queue as it would wait in it, for as long as it takes.
    pub(super) fn put_off(&mut self, unit: &UnitId, why: &str, now: Timestamp) {
        let told = (self.state.alarms.iter()).any(|told| told.alarm == AWAY && told.over.is_none());
        if !told {
            let text = format!(
                "{why}; what is to be submitted waits until it answers, and nothing that runs is taken for dead"
            );
            self.alarm(AWAY, None, text, now);
        }
        let state = self.state.unit(unit);
        if state.queued.is_none() {
            let queued = Event::Queued {
                unit: unit.clone(),
                generation: state.generation,
                why: "SLURM does not answer; it is submitted when it does".to_owned(),
                starts: None,
            };
            self.record(queued, now);
        }
        let at = now + ASK_AGAIN;
        self.tasks.insert(unit.clone(), Task::Unsent { at });
    }

    /// The same start once more. It happens once at most, however often it is asked for.
    pub(super) fn ask_again(&mut self, unit: &UnitId, now: Timestamp) {
        let state = self.state.unit(unit);
        let (Some(launch), Some(server)) = (state.launch, self.server(unit)) else {
            return;
        };
        let rising = Task::Rising {
            ladder: None,
            deadline: now + server.ready.timeout,
        };
        self.tasks.insert(unit.clone(), rising);
        self.launching.insert(unit.clone(), state.generation);
        self.ask(Effect::Launch {
            unit: unit.clone(),
            generation: state.generation,
            launch,
            concurrency: None,
        });
    }
}
