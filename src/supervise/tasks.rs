//! What the owner has to do with a unit, beside what the journal says of it.

use super::brain::Brain;
use super::clearing::Clearing;
use super::ladder::Ladder;
use super::stops::Stop;
use crate::base::{Timestamp, UnitId};
use crate::facts::Liveness;
use crate::run::UnitPhase;

/// What is to be done about a unit; a unit that is ready, or given up, has none.
#[derive(Debug)]
pub(super) enum Task {
    /// The first look told nothing.  Unknown is not dead: it is neither started nor stopped.
    Unseen {
        /// Until then it is waited for.
        until: Option<Timestamp>,
        /// Why it could not be looked at.
        why: String,
    },
    /// An earlier owner intended its start a moment ago: it may be under way.
    Emerging {
        /// Not seen by then: it never happened.
        until: Timestamp,
    },
    /// A start that the journal does not know runs: it is left alone.
    Foreign,
    /// It was started and is to become ready.
    Rising {
        /// How far it is; none before its process was seen.
        ladder: Option<Ladder>,
        /// Not ready by then: given up.
        deadline: Timestamp,
    },
    /// It ended and is started again at this time.
    Backoff {
        /// When.
        at: Timestamp,
    },
    /// It is its turn to start again, and what it ran before may still hold its GPUs.
    Clearing(Clearing),
    /// It was gone when this owner came, and is started like one that never was.
    Anew,
    /// Its start waits for a queue that does not answer, or with what was asked for before: it is asked for again at this time.
    Unsent {
        /// When.
        at: Timestamp,
    },
    /// It is being stopped.
    Stopping(Stop),
}

impl Task {
    /// When something is to be done about it.
    pub(super) fn wakes(&self) -> Option<Timestamp> {
        match self {
            Self::Unseen { until, .. } => *until,
            Self::Rising { ladder, deadline } => {
                let rung = ladder.as_ref().and_then(Ladder::wakes);
                Some(rung.map_or(*deadline, |at| at.min(*deadline)))
            }
            Self::Backoff { at } | Self::Emerging { until: at } | Self::Unsent { at } => Some(*at),
            Self::Clearing(clearing) => clearing.wakes(),
            Self::Stopping(stop) => stop.wakes(),
            Self::Foreign | Self::Anew => None,
        }
    }
}

impl Brain {
    /// How far a unit is.
    pub(super) fn phase(&self, unit: &UnitId) -> &UnitPhase {
        self.state
            .units
            .get(unit)
            .map_or(&UnitPhase::Planned, |state| &state.phase)
    }

    /// Something of the unit may be running, as far as anybody knows.
    pub(super) fn may_live(&self, unit: &UnitId) -> bool {
        let unsure = matches!(
            self.tasks.get(unit),
            Some(Task::Unseen { .. } | Task::Foreign)
        );
        unsure || self.phase(unit).may_live()
    }

    /// Units that should be looked at from time to time.
    pub fn looks(&self) -> impl Iterator<Item = &UnitId> {
        let units = self.plan.units.iter().map(|unit| &unit.id);
        units
            .chain(&self.wishes.changes.retired)
            .filter(|unit| self.may_live(unit))
    }

    /// Neither it nor its node answers.
    pub(super) fn is_unreached(&self, unit: &UnitId) -> bool {
        let state = self.state.units.get(unit);
        let liveness = state.and_then(|state| state.liveness.as_ref());
        liveness.is_some_and(|(liveness, _)| *liveness == Liveness::Unreached)
    }

    /// Whether a server is ready, or will never be; none while it is on its way, or out of reach. What is behind a tunnel is as far
    /// as that at most.
    pub(super) fn settled(&self, unit: &UnitId) -> Option<bool> {
        let own = self.settled_itself(unit);
        let Some(tunnel) = self.tunnels.get(unit) else {
            return own;
        };
        match (own, self.settled_itself(tunnel)) {
            (_, Some(false)) => Some(false),
            (Some(true), None) => None,
            (own, _) => own,
        }
    }

    fn settled_itself(&self, unit: &UnitId) -> Option<bool> {
        if self.is_drained(unit) {
            return Some(false);
        }
        match self.tasks.get(unit) {
            Some(Task::Unseen { until: None, .. } | Task::Foreign) => return Some(false),
            Some(Task::Stopping(stop)) if stop.is_stuck() => return Some(false),
            Some(_) => return None,
            None => {}
        }
        match self.phase(unit) {
            UnitPhase::Ready(_) if self.is_unreached(unit) => None,
            UnitPhase::Ready(_) => Some(true),
            UnitPhase::Planned if self.goal.start_servers => None,
            phase if phase.may_live() => None,
            _ => Some(false),
        }
    }
}
