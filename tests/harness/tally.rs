//! What became of the tries of one fault.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// One row: what goes wrong, how it is brought about, how often.
pub(crate) struct Fault {
    /// Its number in the catalogue, and where it strikes.
    pub(crate) id: &'static str,
    pub(crate) what: &'static str,
    pub(crate) how: &'static str,
    /// How often, and how often with `--quick`.
    pub(crate) tries: usize,
    pub(crate) quick: usize,
    /// Lets it happen, at least so often if it can.
    pub(crate) run: fn(usize, &mut Tally),
}

/// The figures of a row.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) tries: usize,
    pub(crate) detected: Vec<Duration>,
    pub(crate) recovered: Vec<Duration>,
    /// Starts beyond one for each server and one for each that was deliberately ended.
    pub(crate) double_starts: usize,
    /// Results that were complete and are gone, changed or made again, and ids without any at the end.
    pub(crate) lost: usize,
    pub(crate) failures: Vec<String>,
    /// Why it could not be tried here.
    pub(crate) skipped: Option<&'static str>,
}

impl Tally {
    pub(crate) fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.double_starts == 0 && self.lost == 0
    }

    /// One more try, which needs no second look at anything.
    pub(crate) fn tried(&mut self) {
        self.tries += 1;
    }

    /// It was noticed so long after it was brought about.
    pub(crate) fn detected(&mut self, since: Instant) {
        self.detected.push(since.elapsed());
    }

    /// All was as before so long after it was brought about.
    pub(crate) fn recovered(&mut self, since: Instant) {
        self.recovered.push(since.elapsed());
    }
}

/// Brings a fault about; what panics is a failure, and the next fault has its turn.
pub(crate) fn run(fault: &Fault, tries: usize) -> Tally {
    let mut tally = Tally::default();
    let outcome = catch_unwind(AssertUnwindSafe(|| (fault.run)(tries, &mut tally)));
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        tally.failures.push(text.unwrap_or_default());
    }
    tally
}
