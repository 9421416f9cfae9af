//! Calls to undeclared places that are held against results: they outlive the run that saw them.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::{Place, RunId};
use crate::run::OutsideSeen;

/// What `RESULTS/.toolorch/outside-calls.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastCalls {
    /// The version of this form.
    pub v: u32,
    /// The places, in the order in which they were seen first.
    pub calls: Vec<PastCall>,
}

/// A place that a client called, or was kept from calling, while it made these results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastCall {
    /// The run of that client.
    pub run: RunId,
    /// Host and port.
    pub place: String,
    /// How it was noticed.
    pub seen: OutsideSeen,
    /// How often in that run.
    pub times: u64,
}

impl Default for PastCalls {
    fn default() -> Self {
        Self {
            v: Self::FORMAT,
            calls: Vec::new(),
        }
    }
}

impl PastCalls {
    /// The version of the form that this program writes.
    pub const FORMAT: u32 = 1;

    /// Takes what a run has seen so far of a place.
    pub fn note(&mut self, call: PastCall) {
        let same = |known: &&mut PastCall| {
            (&known.run, &known.place, known.seen) == (&call.run, &call.place, call.seen)
        };
        match self.calls.iter_mut().find(same) {
            Some(known) => known.times = call.times,
            None => self.calls.push(call),
        }
    }

    /// Those that are still held against the results: a place that is declared now is as it should be.
    pub fn undeclared(&self, declared: &BTreeSet<Place>) -> Vec<PastCall> {
        let calls = self.calls.iter();
        let held = calls.filter(|call| !is_declared(&call.place, declared));
        held.cloned().collect()
    }
}

/// Whether a recorded place is among the declared ones.
pub fn is_declared(place: &str, declared: &BTreeSet<Place>) -> bool {
    Place::read(place, 0).is_some_and(|place| declared.contains(&place))
}

impl fmt::Display for PastCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            run,
            place,
            seen,
            times,
        } = self;
        let often = match times {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        write!(f, "{} {place} ({often}, in the run `{run}`)", seen.verb())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(run: &str, place: &str, times: u64) -> PastCall {
        PastCall {
            run: RunId::new(run),
            place: place.to_owned(),
            seen: OutsideSeen::Connected,
            times,
        }
    }

    #[test]
    fn a_run_s_last_word_of_a_place_counts_and_what_is_declared_now_does_not() {
        let mut past = PastCalls::default();
        past.note(call("a-1-0000", "203.0.113.7:443", 1));
        past.note(call("a-1-0000", "api.x.com:443", 1));
        past.note(call("a-1-0000", "203.0.113.7:443", 4));
        past.note(call("a-2-0000", "203.0.113.7:443", 1));
        past.note(PastCall {
            seen: OutsideSeen::Refused,
            ..call("a-1-0000", "203.0.113.7:443", 2)
        });
        let said = |declared: &[&str]| {
            let declared = declared.iter().filter_map(|text| Place::read(text, 0));
            let held = past.undeclared(&declared.collect());
            let lines: Vec<String> = held.iter().map(ToString::to_string).collect();
            lines.join("\n")
        };
        insta::assert_snapshot!(said(&["api.x.com:443"]), @"
        called 203.0.113.7:443 (4 times, in the run `a-1-0000`)
        called 203.0.113.7:443 (once, in the run `a-2-0000`)
        was kept from calling 203.0.113.7:443 (2 times, in the run `a-1-0000`)
        ");
        assert_eq!(said(&["api.x.com:443", "203.0.113.7:443"]), "");
    }
}
