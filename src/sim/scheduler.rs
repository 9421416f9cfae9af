//! When the tokens of an answer come. Pure; the first form: a fixed time per answer, spread evenly.

use std::time::Duration;

/// Timers per streamed answer at most: a thousand tokens need no thousand timers.
const BURSTS: usize = 16;

/// The pace of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// Before the first burst.
    pub(super) first: Duration,
    /// Between bursts.
    pub(super) gap: Duration,
    /// Events per burst, at least 1.
    pub(super) burst: usize,
}

/// The pace of `events` events over `latency`: the first after a quarter of it, the last at its end.
pub(super) fn pace(latency: Duration, events: usize) -> Pace {
    let burst = events.div_ceil(BURSTS).max(1);
    let bursts = u32::try_from(events.div_ceil(burst)).unwrap_or(u32::MAX);
    let first = latency / 4;
    let gap = latency
        .saturating_sub(first)
        .checked_div(bursts.saturating_sub(1))
        .unwrap_or_default();
    Pace { first, gap, burst }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_when_it_should() {
        for events in [1, 2, 7, 16, 17, 1000] {
            let Pace { first, gap, burst } = pace(Duration::from_millis(160), events);
            let bursts = u32::try_from(events.div_ceil(burst)).unwrap();
            assert!(bursts <= 16, "{events}");
            let end = first + gap * (bursts - 1);
            let expected = if bursts == 1 {
                first
            } else {
                Duration::from_millis(160)
            };
            assert!(
                end.abs_diff(expected) < Duration::from_millis(1),
                "{events}: {end:?}"
            );
        }
    }
}
