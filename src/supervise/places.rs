//! Servers that listen elsewhere than the plan says, and clients that are to hear of it.

use super::brain::Brain;
use crate::base::{Place, Timestamp, UnitId};
use crate::facts::RunningUnit;
use crate::run::{Event, StopWhy, UnitPhase};
use crate::spec::model::OnMove;

impl Brain {
    /// A start was told where to listen: from now on the plan says so, too.
    pub(super) fn placed(&mut self, unit: &UnitId, running: &RunningUnit, now: Timestamp) {
        let (Some(told), Some(planned)) = (&running.place, self.plan.unit(unit)) else {
            return;
        };
        // The YAML knows by which of its addresses a node is reached.
        let host = if self.plan.in_pool(unit) {
            &told.host
        } else {
            &planned.address
        };
        let place = Place::new(host, told.port);
        let before = planned
            .port
            .map(|port| Place::new(&planned.address, port.0));
        let known = if self.plan.in_pool(unit) {
            self.state.unit(unit).place
        } else {
            before
        };
        if known.as_ref() == Some(&place) {
            return;
        }
        self.plan.place(unit, &place);
        let (unit, generation) = (unit.clone(), running.generation);
        self.record(
            Event::Placed {
                unit,
                generation,
                place,
            },
            now,
        );
    }

    /// Clients that ask a server where it was before are started again, once for all that come up now.
    pub(super) fn follow_moves(&mut self, now: Timestamp) {
        for (eval, client) in self.clients() {
            let moved = self.state.moved(&self.plan, &eval);
            let ready = |unit: &&UnitId| matches!(self.phase(unit), UnitPhase::Ready(_));
            let rises = |unit: &UnitId| *self.phase(unit) == UnitPhase::Started;
            let heeded = (self.plan.eval(&eval)).is_some_and(|eval| eval.on_move != OnMove::Ignore);
            let (Some(first), true) = (moved.iter().find(ready), heeded) else {
                continue;
            };
            if moved.iter().any(rises) || self.is_stopping(&client) {
                continue;
            }
            let how = match moved.len() {
                1 => format!("`{first}` moved"),
                more => format!("`{first}` and {} more moved", more - 1),
            };
            self.renew(&eval, StopWhy::NewEndpoints, &how, now);
        }
    }
}
