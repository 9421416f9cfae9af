//! When the pieces of an answer come that takes a fixed time. Pure.

use std::time::Duration;

/// Pieces of a streamed answer at most: a thousand tokens need no thousand timers.
const PIECES: usize = 16;

/// How many events a piece has, at least 1.
pub(super) fn piece(events: usize) -> usize {
    events.div_ceil(PIECES).max(1)
}

/// The time to the first piece: a quarter of the answer's.
pub(super) fn first(latency: Duration) -> Duration {
    latency / 4
}

/// The time between two of so many pieces, of which the last comes at the answer's end.
pub(super) fn gap(latency: Duration, pieces: usize) -> Duration {
    let gaps = u32::try_from(pieces.saturating_sub(1)).unwrap_or(u32::MAX);
    let rest = latency.saturating_sub(first(latency));
    rest.checked_div(gaps).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_when_it_should() {
        let latency = Duration::from_millis(160);
        for events in [2, 7, 16, 17, 1000] {
            let pieces = events_in(events);
            assert!((2..=16).contains(&pieces), "{events}");
            let gaps = u32::try_from(pieces - 1).unwrap();
            let end = first(latency) + gap(latency, pieces) * gaps;
            assert!(end.abs_diff(latency) < Duration::from_millis(1), "{events}");
        }
        assert_eq!(gap(latency, 1), Duration::ZERO);
    }

    fn events_in(events: usize) -> usize {
        events.div_ceil(piece(events))
    }
}
