//! Servers in jobs that their nodes do not show: a job that was suspended, a node that fell silent. That such a server does not answer
//! proves nothing.

use super::brain::Brain;
use crate::base::UnitId;
use crate::facts::{Canary, Door, Observation, Pulse};

impl Brain {
    /// Whether its job's node shows it.
    pub(super) fn note_shown(&mut self, unit: &UnitId, seen: &Observation) {
        match seen {
            Observation::Unknown { why } if self.in_jobs.contains(unit) => {
                self.unshown.insert(unit.clone(), why.clone());
            }
            _ => {
                self.unshown.remove(unit);
            }
        }
    }

    /// Silence means nothing where its node shows nothing of it either.
    pub(super) fn beside_node(&self, server: &UnitId, pulse: Pulse) -> Pulse {
        let Some(why) = self.unshown.get(server) else {
            return pulse;
        };
        match pulse {
            Pulse::Look(mut look) if matches!(look.door, Door::Silent | Door::Unknown(_)) => {
                look.door = Door::Unreached(why.clone());
                Pulse::Look(look)
            }
            Pulse::Canary(Canary::Lost) => Pulse::Canary(Canary::Unknown(why.clone())),
            heard => heard,
        }
    }
}
