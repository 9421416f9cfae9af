//! What every view of a run can take.

use std::collections::BTreeMap;

use crate::base::{Timestamp, UnitId};
use crate::run::{Record, RunState};

/// The end of each unit's log, as it was read; views clean it before they show it.
pub type Tails = BTreeMap<UnitId, String>;

/// Shows a run while it goes on.
///
/// No method fails: a terminal that went away is no reason to stop an evaluation.
pub trait View {
    /// Takes a record; `state` has it already.
    fn event(&mut self, record: &Record, state: &RunState);

    /// Lets time pass: called a few times per second.
    fn tick(&mut self, now: Timestamp, state: &RunState, tails: &Tails);

    /// Shows a message that is no event.
    fn message(&mut self, text: &str);

    /// Shows what was held back and clears what was temporary.
    fn finish(&mut self);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl View for Quiet {
    fn event(&mut self, _: &Record, _: &RunState) {}

    fn tick(&mut self, _: Timestamp, _: &RunState, _: &Tails) {}

    fn message(&mut self, _: &str) {}

    fn finish(&mut self) {}
}
