//! Servers that work at under half the pace of their peers: throttled, or with a failing GPU. Pure.
//!
//! The pace is tokens per second of a request being computed, minute by minute, against the median of the peers in the
//! same minute: how long answers are and how many requests come does not matter, and a whole class that is slow is
//! nobody's fault.

use super::liveness::Moved;
use crate::base::{Millis, float};

/// How often paces are compared.
pub(super) const REVIEW_EVERY: Millis = Millis::from_secs(60);
/// So many slow minutes in a row are told.
const TOLD: u32 = 10;
/// So many others in a row end it.
const MENDED: u32 = 3;
/// Milliseconds of requests that a minute must have had: fewer say nothing.
const ENOUGH: u64 = 20_000;

/// How a server did in the last minutes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    minute: Moved,
    slow: u32,
    fair: u32,
    told: bool,
}

/// What a review found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Found {
    /// It is slow: tokens per second of a request, and the median of its peers.
    Slow(f64, f64),
    /// It is no longer.
    Mended,
}

impl Pace {
    /// Adds what moved.
    pub(super) fn add(&mut self, moved: Moved) {
        self.minute.tokens += moved.tokens;
        self.minute.computing += moved.computing;
    }

    /// Nobody looked for a while: the minute begins again.
    pub(super) fn anew(self) -> Self {
        Self {
            minute: Moved::default(),
            ..self
        }
    }

    /// Tokens per second of a request in this minute; none if there was too little to do.
    fn rate(&self) -> Option<f64> {
        let Moved { tokens, computing } = self.minute;
        (computing >= ENOUGH).then(|| float(tokens) * 1000.0 / float(computing))
    }

    fn judge(&mut self, rate: f64, median: f64) -> Option<Found> {
        if rate * 2.0 < median {
            (self.slow, self.fair) = (self.slow + 1, 0);
        } else {
            (self.slow, self.fair) = (0, self.fair + 1);
        }
        if !self.told && self.slow >= TOLD {
            self.told = true;
            return Some(Found::Slow(rate, median));
        }
        if self.told && self.fair >= MENDED {
            self.told = false;
            return Some(Found::Mended);
        }
        None
    }
}

/// Ends the minute of all servers of a model; what was found of which, by place.
pub(super) fn review(peers: &mut [&mut Pace]) -> Vec<(usize, Found)> {
    let rates: Vec<Option<f64>> = peers.iter().map(|pace| pace.rate()).collect();
    let mut found = Vec::new();
    for (place, pace) in peers.iter_mut().enumerate() {
        let others = rates
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place);
        let others: Vec<f64> = others.filter_map(|(_, rate)| *rate).collect();
        if let (Some(rate), Some(median)) = (rates[place], median(others))
            && let Some(news) = pace.judge(rate, median)
        {
            found.push((place, news));
        }
        pace.minute = Moved::default();
    }
    found
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(paces: &mut [Pace], rates: &[u64]) -> Vec<(usize, Found)> {
        for (pace, rate) in paces.iter_mut().zip(rates) {
            pace.add(Moved {
                tokens: rate * 60 * 8,
                computing: 60_000 * 8,
            });
        }
        review(&mut paces.iter_mut().collect::<Vec<_>>())
    }

    #[test]
    fn ten_slow_minutes_are_told_once_and_three_fair_ones_end_it() {
        let mut paces = [Pace::default(); 4];
        for _ in 0..9 {
            assert_eq!(minute(&mut paces, &[50, 50, 20, 48]), []);
        }
        assert_eq!(
            minute(&mut paces, &[50, 50, 20, 48]),
            [(2, Found::Slow(20.0, 50.0))]
        );
        assert_eq!(minute(&mut paces, &[50, 50, 20, 48]), []);
        for _ in 0..2 {
            assert_eq!(minute(&mut paces, &[50, 50, 45, 48]), []);
        }
        assert_eq!(minute(&mut paces, &[50, 50, 45, 48]), [(2, Found::Mended)]);
    }

    #[test]
    fn a_slow_class_and_a_fair_minute_say_nothing() {
        let mut paces = [Pace::default(); 3];
        for _ in 0..30 {
            assert_eq!(minute(&mut paces, &[2, 2, 2]), []);
        }
        for round in 0..30 {
            let third = if round % 9 == 8 { 30 } else { 10 };
            assert_eq!(minute(&mut paces, &[50, 50, third]), []);
        }
        let mut alone = [Pace::default()];
        for _ in 0..30 {
            assert_eq!(minute(&mut alone, &[1]), []);
        }
    }
}
