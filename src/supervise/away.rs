//! The owner stood still: what it waited for gets the time back.

use super::brain::Brain;
use super::evals::EvalWork;
use super::tasks::Task;
use crate::base::{Millis, Timestamp};
use crate::run::Event;

impl Brain {
    /// Nothing was heard for so long. What did not happen in that time was not seen, which proves nothing: each
    /// deadline moves by the gap.
    pub(super) fn away(&mut self, length: Millis, now: Timestamp) {
        self.record(Event::OwnerAway { length }, now);
        self.tasks.values_mut().for_each(|task| task.shift(length));
        self.evals.values_mut().for_each(|work| work.shift(length));
        self.vitals.reset(now);
        self.externals.reset();
    }
}

impl Task {
    fn shift(&mut self, length: Millis) {
        match self {
            Self::Unseen { until, .. } => shift_if(until, length),
            Self::Emerging { until: at } | Self::Backoff { at } | Self::Unsent { at } => {
                *at = *at + length;
            }
            Self::Rising { ladder, deadline } => {
                *deadline = *deadline + length;
                if let Some(ladder) = ladder {
                    ladder.shift(length);
                }
            }
            Self::Clearing(clearing) => clearing.shift(length),
            Self::Stopping(stop) => stop.shift(length),
            Self::Foreign | Self::Anew => {}
        }
    }
}

impl EvalWork {
    fn shift(&mut self, length: Millis) {
        self.attempt_began = self.attempt_began + length;
        self.moved = self.moved + length;
        self.outage = None;
        for at in [
            &mut self.finished_since,
            &mut self.count_at,
            &mut self.unreadable_since,
            &mut self.start_at,
            &mut self.enough_since,
        ] {
            shift_if(at, length);
        }
    }
}

/// Moves a time that may not be set.
pub(super) fn shift_if(at: &mut Option<Timestamp>, length: Millis) {
    *at = at.map(|at| at + length);
}
