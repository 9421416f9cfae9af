//! Drained servers: stopped because somebody asked for it, and not started again until somebody asks for that.

use super::brain::Brain;
use super::stops::Then;
use super::tasks::Task;
use crate::base::{Timestamp, UnitId};
use crate::plan::Group;
use crate::run::{Event, StopWhy};

impl Brain {
    /// Whether a unit is drained.
    pub(super) fn is_drained(&self, unit: &UnitId) -> bool {
        self.state
            .units
            .get(unit)
            .is_some_and(|state| state.drained)
    }

    /// How many servers of a group are drained: they may come back, so that nothing is given up for want of them.
    pub(super) fn drained_of(&self, group: &Group) -> usize {
        let units = group.endpoints.iter().map(|end| &end.unit);
        units.filter(|unit| self.is_drained(unit)).count()
    }

    /// How many servers of a group an evaluation wants to be ready: drained ones are not missed as long as another is left.
    pub(super) fn wanted_of(&self, group: &Group) -> usize {
        let left = group.endpoints.len() - self.drained_of(group);
        group.min_ready.min(left.max(1))
    }

    /// Somebody asks for these servers to be stopped, and started no more.
    pub(super) fn drain(&mut self, units: &[UnitId], now: Timestamp) {
        for unit in units {
            if !self.working() || self.server(unit).is_none() || self.is_drained(unit) {
                continue;
            }
            self.record(Event::Drained { unit: unit.clone() }, now);
            match self.tasks.get(unit) {
                // Nobody knows what it is: it is left alone.
                Some(Task::Foreign | Task::Unseen { .. }) => {}
                Some(Task::Stopping(_)) => self.then_after_stop(unit, Then::Rest),
                _ => {
                    self.tasks.remove(unit);
                    if self.may_live(unit) {
                        self.stop(unit, StopWhy::Drained, Then::Rest, now);
                    }
                }
            }
        }
    }

    /// Somebody asks for these servers to be started again, in their turn.
    pub(super) fn undrain(&mut self, units: &[UnitId], now: Timestamp) {
        for unit in units {
            if self.working() && self.is_drained(unit) {
                self.record(Event::Undrained { unit: unit.clone() }, now);
                self.then_after_stop(unit, Then::Anew);
                self.awaits_start(unit);
            }
        }
    }
}
