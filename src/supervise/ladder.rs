//! How a unit climbs its ready ladder: quick at first, then backing off.

use crate::base::{Millis, Timestamp};

/// The shortest pause between two tries of a rung.
const QUICK: Millis = Millis(100);
/// The longest pause.
const SLOW: Millis = Millis(2_000);
/// A pause is this share of the time already spent on the rung, so that noticing late costs at
/// most 2 % of a server's own start.
const SHARE: u64 = 50;

/// Where a unit stands on its ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ladder {
    /// The rung to prove next.
    pub(super) rung: usize,
    /// When it came to this rung.
    since: Timestamp,
    /// What the last try of this rung brought.
    pub(super) said: Option<String>,
    wait: Wait,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wait {
    /// For the port to listen: an event, not a probe.
    Port,
    /// For a probe that is under way.
    Probe,
    /// Until it is time for the next try.
    Until(Timestamp),
}

impl Ladder {
    /// At the bottom: the process lives, its port does not listen yet.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            rung: 0,
            since: now,
            said: None,
            wait: Wait::Port,
        }
    }

    /// The bottom rung waits for the port.
    pub(super) fn waits_for_port(&self) -> bool {
        self.wait == Wait::Port
    }

    /// Goes up one rung; the next may be tried at once.
    pub(super) fn climb(&mut self, now: Timestamp) {
        self.rung += 1;
        self.since = now;
        self.said = None;
        self.wait = Wait::Until(now);
    }

    /// Tries this rung again later; `said` is what this try brought.
    pub(super) fn retry(&mut self, said: String, now: Timestamp) {
        self.said = Some(said);
        let pause = (now.since(self.since).0 / SHARE).clamp(QUICK.0, SLOW.0);
        self.wait = Wait::Until(now + Millis(pause));
    }

    /// Whether the rung is to be tried now; if so the probe counts as under way.
    pub(super) fn take_turn(&mut self, now: Timestamp) -> bool {
        let due = matches!(self.wait, Wait::Until(at) if at <= now);
        if due {
            self.wait = Wait::Probe;
        }
        due
    }

    /// Gives back the time in which nobody looked.
    pub(super) fn shift(&mut self, length: Millis) {
        self.since = self.since + length;
        if let Wait::Until(at) = &mut self.wait {
            *at = *at + length;
        }
    }

    /// When it wants to be woken.
    pub(super) fn wakes(&self) -> Option<Timestamp> {
        match self.wait {
            Wait::Until(at) => Some(at),
            Wait::Port | Wait::Probe => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_time_already_spent() {
        let mut ladder = Ladder::new(Timestamp(0));
        ladder.climb(Timestamp(0));
        assert!(ladder.take_turn(Timestamp(0)));
        assert!(!ladder.take_turn(Timestamp(0)), "a probe is under way");
        let pause = |ladder: &mut Ladder, now| {
            ladder.retry(String::new(), Timestamp(now));
            ladder.wakes().map(|at| at.0 - now)
        };
        assert_eq!(pause(&mut ladder, 0), Some(100));
        assert_eq!(pause(&mut ladder, 20_000), Some(400));
        assert_eq!(pause(&mut ladder, 900_000), Some(2_000));
    }
}
