//! What a person should have known, over all owners of a run.

use crate::base::{Timestamp, UnitId};
use crate::run::{Event, Record, RunState};

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// When it was over, as far as something that happened shows it.
    pub over: Option<Timestamp>,
    /// Its stable word.
    pub alarm: String,
    /// Which unit, if one.
    pub unit: Option<UnitId>,
    /// What, in words.
    pub text: String,
}

/// All of them, oldest first. The fold forgets those of earlier owners, so it is watched while it grows.
pub(super) fn told<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Told> {
    let mut state = RunState::default();
    let mut all: Vec<Told> = Vec::new();
    // Where those of this owner begin.
    let mut own = 0;
    for record in records {
        state.apply(record);
        if let Event::OwnerTook { .. } = record.event {
            own = all.len();
        }
        for (index, alarm) in state.alarms.iter().enumerate() {
            match all.get_mut(own + index) {
                Some(known) => known.over = alarm.over,
                None => all.push(Told {
                    at: alarm.at,
                    over: alarm.over,
                    alarm: alarm.alarm.clone(),
                    unit: alarm.unit.clone(),
                    text: alarm.text.clone(),
                }),
            }
        }
    }
    all
}
