//! The owner's sign of life for the units of this machine: their scripts compare it, and act where it stops.

use super::driver::Driver;
use crate::base::{Clock, Timestamp};
use crate::run::store::own_process;
use crate::spec::model::WhenDone;
use crate::world::SystemClock;

impl Driver<'_> {
    /// Says to the units of this machine that somebody watches them, and what is meant to become of servers that nobody
    /// watches any more.
    pub(super) fn beat(&self) {
        let Timestamp(at) = SystemClock.now();
        let (process, epoch) = (own_process(), self.journal.owner().epoch());
        // Servers without an evaluation are kept until somebody takes them down.
        let goes =
            self.brain.plan().when_done == WhenDone::Down && !self.brain.goal.evals.is_empty();
        let then = if goes { "down" } else { "keep" };
        let (pid, start) = (process.pid, process.start);
        let line = format!("pid={pid} start={start} epoch={epoch} at={at} then={then}\n");
        if let Err(error) = self.dirs.beat(&line) {
            tracing::warn!(%error, "the units of this machine do not hear that they are watched");
        }
    }
}
