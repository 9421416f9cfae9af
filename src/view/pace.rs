//! How fast an evaluation moves, and when it may be done.

use crate::base::{Millis, Timestamp, float};
use crate::run::{EvalState, UnitState};

/// An evaluation's recent pace.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    /// Ids finished per minute, of late; none if too little was seen.
    pub per_minute: Option<f64>,
    /// The time left at that pace; none if unknown, as when nothing moves.
    pub left: Option<Millis>,
    /// Nothing was finished for this long, and longer than usual.
    pub still: Option<Millis>,
    /// Its client waits for something for so long.
    pub waits: Option<Millis>,
}

/// A pace is not read from less than this.
const SHORTEST: Millis = Millis::from_secs(2);

/// A pause is not worth a word below this.
const PATIENCE: Millis = Millis::from_secs(60);

impl Pace {
    /// The pace of an evaluation whose client is at work; one that is held, or without a client, has none.
    pub fn of_working(eval: &EvalState, client: &UnitState, now: Timestamp) -> Self {
        if eval.verdict.is_some() || eval.held.is_some() || !client.phase.may_live() {
            return Self::default();
        }
        Self::of(eval, client.since, now)
    }

    /// Reads the pace from the counts of the last minutes, up to `now`.
    ///
    /// Counts from before `client`, when the client last started, say nothing about it.
    fn of(eval: &EvalState, client: Timestamp, now: Timestamp) -> Self {
        let waits = eval.waits.as_ref().map(|waits| now.since(waits.since));
        let (Some((front, _)), Some((_, last))) = (eval.recent.front(), eval.recent.back()) else {
            return Self {
                waits,
                ..Self::default()
            };
        };
        let began = client.max(*front);
        let before = eval.recent.iter().rev().find(|(at, _)| *at <= began);
        let first = before.map_or(0, |(_, done)| *done);
        let span = now.since(began);
        let gained = last.saturating_sub(first) as u64;
        let quiet = now.since(eval.moved.max(began));
        let usual = Millis(span.0.checked_div(gained).unwrap_or(0) * 10);
        let remaining = eval.total.saturating_sub(eval.done) as u64;
        let still = (remaining > 0 && quiet > usual.max(PATIENCE)).then_some(quiet);
        if gained == 0 || span < SHORTEST {
            return Self {
                still,
                waits,
                ..Self::default()
            };
        }
        Self {
            per_minute: Some(float(gained) * 60_000.0 / float(span.0)),
            left: (still.is_none() && remaining > 0)
                .then(|| Millis(remaining.saturating_mul(span.0) / gained)),
            still,
            waits,
        }
    }

    /// `4.2/min · about 5h 20m left`; empty if nothing is known.
    pub fn words(&self) -> String {
        let mut parts: Vec<String> = self.per_minute.map(rate).into_iter().collect();
        if let Some(still) = self.still {
            parts.push(format!("nothing finished for {still}, time left unknown"));
        } else if let Some(left) = self.left {
            parts.push(format!("about {left} left"));
        }
        parts.join(" · ")
    }
}

/// Ids finished per minute, in the unit that suits them.
pub(super) fn rate(per_minute: f64) -> String {
    match per_minute {
        fast if fast >= 600.0 => format!("{:.0}/s", fast / 60.0),
        fast if fast >= 10.0 => format!("{fast:.0}/min"),
        slow if slow >= 1.0 => format!("{slow:.1}/min"),
        slower => format!("{:.1}/h", slower * 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts at these seconds, of 100.
    fn eval(counts: &[(u64, usize)]) -> EvalState {
        let mut eval = EvalState {
            total: 100,
            ..EvalState::default()
        };
        for (second, done) in counts {
            let at = Timestamp(second * 1000);
            if *done > eval.done {
                eval.moved = at;
            }
            eval.done = *done;
            eval.recent.push_back((at, *done));
        }
        eval
    }

    fn words(counts: &[(u64, usize)], now: u64) -> String {
        Pace::of(&eval(counts), Timestamp(0), Timestamp(now * 1000)).words()
    }

    #[test]
    fn the_time_left_follows_the_recent_pace() {
        assert_eq!(
            words(&[(0, 10), (60, 20)], 60),
            "10/min · about 8m 00s left"
        );
        assert_eq!(
            words(&[(0, 0), (1, 40), (4, 80)], 4),
            "20/s · about 1.0s left"
        );
        assert_eq!(
            words(&[(0, 0), (3600, 2)], 3600),
            "2.0/h · about 2d 01h left"
        );
    }

    #[test]
    fn nothing_is_said_of_too_little() {
        assert_eq!(words(&[], 5), "");
        assert_eq!(words(&[(0, 5)], 5), "");
        assert_eq!(words(&[(0, 5), (1, 9)], 1), "");
    }

    #[test]
    fn a_stall_has_no_end() {
        let counts = [(0, 0), (30, 60)];
        assert_eq!(words(&counts, 80), "45/min · about 53.3s left");
        assert_eq!(
            words(&counts, 330),
            "11/min · nothing finished for 5m 00s, time left unknown"
        );
        assert_eq!(
            words(&[(0, 5)], 300),
            "nothing finished for 5m 00s, time left unknown"
        );
    }

    #[test]
    fn the_time_before_the_client_does_not_count() {
        let counts = [(0, 10), (100, 10), (110, 30)];
        let pace = Pace::of(&eval(&counts), Timestamp(100_000), Timestamp(110_000));
        assert_eq!(pace.words(), "120/min · about 35.0s left");
        let pace = Pace::of(&eval(&counts), Timestamp(200_000), Timestamp(210_000));
        assert_eq!(pace.words(), "", "a second attempt has no pace yet");
    }

    #[test]
    fn a_finished_evaluation_waits_for_nothing() {
        assert_eq!(words(&[(0, 0), (60, 100)], 600), "10/min");
    }
}
