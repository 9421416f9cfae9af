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

/// Decides from the times of all starts so far; the pause triples with each start in the window.
pub(super) fn again(rule: RestartRule, starts: &[Timestamp], now: Timestamp) -> Again {
    let recent = starts
        .iter()
        .filter(|start| now.since(**start) <= rule.window)
        .count();
    let recent = u32::try_from(recent).unwrap_or(u32::MAX);
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
