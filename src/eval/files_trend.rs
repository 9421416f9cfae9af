//! Open files of a client over time: whether they grow, and when its limit is reached.

use std::collections::VecDeque;

use crate::base::{Millis, Timestamp, float, floor};
use crate::facts::FilesSeen;

/// The time that a trend looks back.
const WINDOW: Millis = Millis::from_secs(600);
/// A trend is not read from less.
const FEWEST: usize = 3;

/// Looks at one process, oldest first.
#[derive(Debug, Clone, Default)]
pub struct FilesTrend {
    pid: u32,
    looks: VecDeque<Look>,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    at: Timestamp,
    open: u64,
    done: usize,
}

/// When a limit is reached if nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// From the last look on.
    pub full_in: Millis,
    /// How many questions will be finished then; none if none is being finished.
    pub question: Option<usize>,
}

impl std::fmt::Display for Forecast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let in_words = match self.full_in {
            short if short < Millis::from_secs(1) => "at once".to_owned(),
            length => format!("in {length}"),
        };
        write!(f, "full {in_words}")?;
        match self.question {
            Some(question) => write!(f, ", at about question {question}"),
            None => Ok(()),
        }
    }
}

impl FilesTrend {
    /// Takes one more look; another process than before begins anew.
    pub fn add(&mut self, at: Timestamp, seen: &FilesSeen, done: usize) {
        if seen.pid != self.pid {
            self.pid = seen.pid;
            self.looks.clear();
        }
        let open = seen.open;
        self.looks.push_back(Look { at, open, done });
        while (self.looks.front()).is_some_and(|look| at.since(look.at) > WINDOW) {
            self.looks.pop_front();
        }
    }

    /// When so many files are open; none if they do not grow, or too little was seen.
    pub fn forecast(&self, limit: u64) -> Option<Forecast> {
        let (first, last) = (self.looks.front()?, self.looks.back()?);
        if self.looks.len() < FEWEST {
            return None;
        }
        let open = self.slope(|look| float(look.open));
        if open <= 0.0 {
            return None;
        }
        let length = float(limit.saturating_sub(last.open)) / open;
        let span = float(last.at.since(first.at).0);
        let gained = float(last.done.saturating_sub(first.done));
        let more = floor(gained / span * length);
        let question = (gained > 0.0).then(|| last.done.saturating_add(more));
        Some(Forecast {
            full_in: Millis(floor(length)),
            question,
        })
    }

    /// The slope of the line that fits best, per millisecond.
    fn slope(&self, value: impl Fn(&Look) -> f64) -> f64 {
        let count = float(self.looks.len());
        let began = self.looks.front().map_or(Timestamp(0), |look| look.at);
        let points = || {
            let looks = self.looks.iter();
            looks.map(|look| (float(look.at.since(began).0), value(look)))
        };
        let (x, y) = points().fold((0.0, 0.0), |(xs, ys), (x, y)| (xs + x, ys + y));
        let (x, y) = (x / count, y / count);
        let (above, below) = points().fold((0.0, 0.0), |(above, below), (px, py)| {
            (above + (px - x) * (py - y), below + (px - x) * (px - x))
        });
        if below > 0.0 { above / below } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use proptest::prelude::*;

    fn seen(open: u64) -> FilesSeen {
        FilesSeen {
            pid: 7,
            start: 1,
            open,
            soft: 1024,
            hard: Some(4096),
        }
    }

    /// Looks every five seconds.
    fn trend(looks: impl IntoIterator<Item = (u64, usize)>) -> FilesTrend {
        let mut trend = FilesTrend::default();
        for (number, (open, done)) in (0..).zip(looks) {
            trend.add(Timestamp(number * 5_000), &seen(open), done);
        }
        trend
    }

    #[test]
    fn a_leak_is_told_with_its_time_and_its_question() {
        // A file every five seconds, a question every ten.
        let leak = trend((0..120_usize).map(|n| (600 + n as u64, 1600 + n / 2)));
        assert_snapshot!(leak.forecast(1024).unwrap(), @"full in 25m 25s, at about question 1810");
        let nothing_done = trend((0..10).map(|n| (600 + n, 5)));
        assert_snapshot!(nothing_done.forecast(609).unwrap(), @"full at once");
        assert_snapshot!(nothing_done.forecast(610).unwrap(), @"full in 5.0s");
    }

    #[test]
    fn what_does_not_grow_has_no_forecast() {
        assert_eq!(trend([(5, 0), (500, 0)]).forecast(1024), None);
        assert_eq!(trend([(600, 0); 20]).forecast(1024), None);
        assert_eq!(trend((0..20).map(|n| (600 - n, 0))).forecast(1024), None);
    }

    #[test]
    fn another_process_begins_anew() {
        let mut trend = trend((0..10).map(|n| (600 + n, 0)));
        let other = FilesSeen {
            pid: 8,
            ..seen(900)
        };
        trend.add(Timestamp(60_000), &other, 0);
        assert_eq!(trend.forecast(1024), None);
    }

    proptest! {
        #[test]
        fn a_forecast_never_fails(looks in prop::collection::vec((0..u64::MAX, 0..usize::MAX), 0..30), limit in 0..u64::MAX) {
            let _ = trend(looks).forecast(limit);
        }
    }
}
