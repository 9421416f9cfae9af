//! The owner's sign of life for the units of this machine: their scripts compare it, and act where it stops.

use super::driver::Driver;
use crate::base::Clock;
use crate::facts::Heartbeat;
use crate::run::store::own_process;
use crate::spec::model::WhenDone;
use crate::world::SystemClock;

impl Driver<'_> {
    /// Says to the units of this machine that somebody watches them, and what is meant to become of servers that nobody
    /// watches any more; and to `status` that the journal cannot be written.
    pub(super) fn beat(&self) {
        let process = own_process();
        // Servers without an evaluation are kept until somebody takes them down.
        let ends =
            self.brain.plan().when_done == WhenDone::Down && !self.brain.goal.evals.is_empty();
        let beat = Heartbeat {
            pid: process.pid,
            start: process.start,
            epoch: self.journal.owner().epoch(),
            at: SystemClock.now(),
            ends,
            unwritten: self.backlog.unwritten(),
        };
        if let Err(error) = self.dirs.beat(&beat) {
            tracing::warn!(%error, "the units of this machine do not hear that they are watched");
        }
    }
}
