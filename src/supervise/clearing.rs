//! A server that starts again waits for the memory of its GPUs: after a kill the driver may take seconds to free it.

use super::brain::Brain;
use super::effect::Effect;
use super::tasks::Task;
use crate::base::{Generation, GpuIndex, Millis, Timestamp, UnitId};
use crate::facts::GpuSeen;
use crate::plan::Unit;
use crate::run::UnitPhase;

/// MiB of a GPU that no living process claims: less is what a driver keeps for itself.
const HELD: u64 = 1024;
/// The pause between two looks.
const PAUSE: Millis = Millis::from_secs(1);
/// The server starts all the same after this long.
const PATIENCE: Millis = Millis::from_secs(60);

/// A wait for GPUs to be free.
#[derive(Debug)]
pub(super) struct Clearing {
    since: Timestamp,
    /// When to look again; none while a look is under way.
    again: Option<Timestamp>,
}

impl Clearing {
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn wakes(&self) -> Option<Timestamp> {
        self.again
    }

    /// Gives back the time in which nobody looked.
    pub(super) fn shift(&mut self, length: Millis) {
        self.since = self.since + length;
        self.again = self.again.map(|at| at + length);
    }
}

impl Brain {
    /// Starts a server; one that ran before, only once nothing of that holds its GPUs.
    pub(super) fn start(&mut self, unit: &UnitId, now: Timestamp) {
        let ran = self.state.unit(unit).generation > Generation(0);
        let on_gpus = (self.plan.unit(unit)).is_some_and(|unit| !unit.gpus.is_empty());
        if !(ran && on_gpus) {
            return self.launch(unit, now);
        }
        let clearing = Clearing {
            since: now,
            again: None,
        };
        self.tasks.insert(unit.clone(), Task::Clearing(clearing));
        self.ask(Effect::LookAtGpus { unit: unit.clone() });
    }

    /// It is time to look again.
    pub(super) fn look_at_gpus(&mut self, unit: &UnitId) {
        if let Some(Task::Clearing(clearing)) = self.tasks.get_mut(unit) {
            clearing.again = None;
            self.ask(Effect::LookAtGpus { unit: unit.clone() });
        }
    }

    /// The GPUs of its node were looked at.
    pub(super) fn gpus_seen(&mut self, unit: &UnitId, seen: &[GpuSeen], now: Timestamp) {
        let held = self
            .plan
            .unit(unit)
            .and_then(|unit| self.held_gpu(unit, seen));
        let working = self.working();
        let Some(Task::Clearing(clearing)) = self.tasks.get_mut(unit) else {
            return;
        };
        if !working || clearing.again.is_some() {
            return;
        }
        if let Some((gpu, memory)) = held {
            if now.since(clearing.since) < PATIENCE {
                clearing.again = Some(now + PAUSE);
                return;
            }
            let text = format!(
                "`{unit}` starts although {memory} MiB of GPU {gpu} are held by no process that can be seen, for a \
                 minute by now: a reset of the GPU or a restart of the node frees them"
            );
            self.alarm("gpu-held", Some(unit), text, now);
        }
        self.launch(unit, now);
    }

    /// Of a unit's GPUs the one that is held most, with so many MiB; none if each is free, as far as can be told.
    fn held_gpu(&self, unit: &Unit, seen: &[GpuSeen]) -> Option<(GpuIndex, u64)> {
        let own = seen.iter().filter(|seen| unit.gpus.contains(&seen.gpu));
        own.filter(|seen| !self.hides_processes(unit, seen))
            .filter_map(|seen| Some((seen.gpu, seen.unclaimed?)))
            .filter(|(_, memory)| *memory >= HELD)
            .max_by_key(|(_, memory)| *memory)
    }

    /// A ready neighbour computes on this GPU and no process was named: a container shows none of them, and what is
    /// in use may be the neighbour's.
    fn hides_processes(&self, unit: &Unit, seen: &GpuSeen) -> bool {
        let neighbour = |other: &&Unit| {
            other.id != unit.id && other.node == unit.node && other.gpus.contains(&seen.gpu)
        };
        let ready = |other: &Unit| matches!(self.phase(&other.id), UnitPhase::Ready(_));
        seen.claimants == 0 && self.plan.units.iter().filter(neighbour).any(ready)
    }
}
