//! Of how many calls a table speaks, and why it leaves the others out.

use schemars::JsonSchema;
use serde::Serialize;

use crate::eval::{CallTime, Lack, TimedCall};

/// How calls that brought an error count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errors {
    /// Their times count like any others, as in the log's script.
    Counted,
    /// They are left out: the time of a failed attempt is not that of an answer.
    LeftOut,
}

/// Calls that a row is over, and those that it leaves out, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Coverage {
    /// Calls whose time is known and counts.
    pub used: usize,
    /// All calls that are known of.
    pub calls: usize,
    /// Left out: a field is missing.
    pub missing: usize,
    /// Left out: a field is zero.
    pub zero: usize,
    /// Left out: a field holds something that is no length of time.
    pub odd: usize,
    /// Left out: it brought an error.
    pub failed: usize,
    /// Left out: it was begun, and its end is not told.
    pub unanswered: usize,
}

impl Coverage {
    /// Takes a call; answers its time in milliseconds if that counts.
    pub(super) fn take(&mut self, call: &TimedCall, errors: Errors) -> Option<CallTime> {
        self.calls += 1;
        if call.failed && errors == Errors::LeftOut {
            self.failed += 1;
            return None;
        }
        match call.time {
            CallTime::Known { .. } => {
                self.used += 1;
                return Some(call.time);
            }
            CallTime::Unknown(Lack::Missing) => self.missing += 1,
            CallTime::Unknown(Lack::Zero) => self.zero += 1,
            CallTime::Unknown(Lack::Odd) => self.odd += 1,
            CallTime::Unknown(Lack::Unanswered) => self.unanswered += 1,
        }
        None
    }

    /// Why calls were left out: `missing 8, zero 4`; empty if none was.
    pub fn left_out(&self) -> String {
        let reasons = [
            (self.missing, "missing"),
            (self.zero, "zero"),
            (self.odd, "no time"),
            (self.failed, "failed"),
            (self.unanswered, "unanswered"),
        ];
        let some = reasons.into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = some.map(|(count, why)| format!("{why} {count}")).collect();
        words.join(", ")
    }
}
