//! Who goes along with a drive, and is told what happens.

use std::collections::BTreeMap;

use crate::base::{Timestamp, UnitId};
use crate::plan::Plan;
use crate::run::store::RunDir;
use crate::run::{Record, RunState};
use crate::supervise::Audience;

/// Whoever goes along with a drive.
pub(super) trait Companion: Audience {
    /// The drive begins: this run, by this plan.
    fn begins(&mut self, dir: &RunDir, plan: &Plan);
}

/// Nobody.
pub(super) struct Alone;

impl Companion for Alone {
    fn begins(&mut self, _: &RunDir, _: &Plan) {}
}

impl Audience for Alone {
    fn event(&mut self, _: &Record, _: &RunState) {}
    fn message(&mut self, _: &str) {}
    fn tick(&mut self, _: Timestamp, _: &RunState, _: &BTreeMap<UnitId, String>) {}
}

/// Two who are told the same.
pub(super) struct Both<'a>(
    pub(super) &'a mut dyn Audience,
    pub(super) &'a mut dyn Audience,
);

impl Audience for Both<'_> {
    fn event(&mut self, record: &Record, state: &RunState) {
        self.0.event(record, state);
        self.1.event(record, state);
    }

    fn message(&mut self, text: &str) {
        self.0.message(text);
        self.1.message(text);
    }

    fn tick(&mut self, now: Timestamp, state: &RunState, tails: &BTreeMap<UnitId, String>) {
        self.0.tick(now, state, tails);
        self.1.tick(now, state, tails);
    }
}
