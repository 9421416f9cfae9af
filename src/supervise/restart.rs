//! Whether and when a unit is started again after a death that nobody asked for.

use crate::base::{Millis, Timestamp};
use crate::plan::RestartRule;

/// What is done about a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Start it again at this time.
    At(Timestamp),
    /// The budget is spent after this many starts within the window.
    Spent(u32),
}

/// A start that waits for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextStart {
    /// When it is due.
    pub at: Timestamp,
    /// The n-th in the window.
    pub nth: u32,
    /// How many there may be in the window.
    pub of: u32,
}

/// The next start of a unit that died at this time; none if its budget is spent.
pub fn next_start(rule: RestartRule, starts: &[Timestamp], died: Timestamp) -> Option<NextStart> {
    match again(rule, starts, died) {
        Again::At(at) => Some(NextStart {
            at,
            nth: recent(rule, starts, died) + 1,
            of: rule.attempts + 1,
        }),
        Again::Spent(_) => None,
    }
}

fn recent(rule: RestartRule, starts: &[Timestamp], now: Timestamp) -> u32 {
    let in_window = |start: &&Timestamp| now.since(**start) <= rule.window;
    u32::try_from(starts.iter().filter(in_window).count()).unwrap_or(u32::MAX)
}

/// Decides from the times of all starts so far; the pause triples with each start in the window.
pub(super) fn again(rule: RestartRule, starts: &[Timestamp], now: Timestamp) -> Again {
    let recent = recent(rule, starts, now);
    if recent > rule.attempts {
        return Again::Spent(recent);
    }
    let pause = rule
        .backoff
        .0
        .saturating_mul(3_u64.saturating_pow(recent.saturating_sub(1)));
    Again::At(now + Millis(pause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_restarts_in_the_window_then_no_more() {
        let rule = RestartRule {
            attempts: 3,
            backoff: Millis(5_000),
            window: Millis(600_000),
        };
        let now = Timestamp(1_000_000);
        let recent = |n| vec![Timestamp(900_000); n];
        assert_eq!(
            again(rule, &recent(1), now),
            Again::At(Timestamp(1_005_000))
        );
        assert_eq!(
            again(rule, &recent(2), now),
            Again::At(Timestamp(1_015_000))
        );
        assert_eq!(
            again(rule, &recent(3), now),
            Again::At(Timestamp(1_045_000))
        );
        assert_eq!(again(rule, &recent(4), now), Again::Spent(4));
        let old = vec![Timestamp(0); 9];
        assert_eq!(again(rule, &old, now), Again::At(Timestamp(1_005_000)));
    }
}
