//! The parts of a run: cold, steady, and the end in which few questions are left.

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::{Class, Client, Evidence};
use super::numbers::{between, median, ratio};
use crate::base::{Millis, Timestamp, float, floor, nearest};

/// Looks are put together over so long before the times of tokens are compared.
const BUCKET: f64 = 60.0;
/// A class is warm once the median of so many buckets is near its final one …
const ROLLING: usize = 5;
/// … this often in a row …
const IN_A_ROW: usize = 3;
/// … by this share.
const NEAR: f64 = 0.25;

/// The parts of a run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Phases {
    /// All of it.
    pub whole: Span,
    /// Classes that were slow at first.
    pub cold: Vec<Cold>,
    /// What is judged.
    pub steady: Span,
    /// The end, from when less than half as many questions were under way as might be.
    pub tail: Option<Span>,
}

/// Some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Span {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
}

impl Span {
    /// How long it is.
    pub fn length(self) -> Millis {
        self.until.since(self.from)
    }

    /// Whether a sample of this time belongs to it.
    pub(super) fn has(self, at: Timestamp) -> bool {
        at > self.from && at <= self.until
    }
}

/// A class that was slow at first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Cold {
    /// Its name.
    pub class: String,
    /// Until when.
    pub until: Timestamp,
    /// For how long.
    pub length: Millis,
    /// How long a call of the usual length was computed in the beginning, in seconds: by the median time of a token.
    pub first: f64,
    /// What that came down to.
    pub settled: f64,
    /// The time that calls were computed longer than those at the end, all together.
    pub cost: Millis,
}

/// The parts of this run.
pub(super) fn phases(evidence: &Evidence) -> Phases {
    let whole = Span {
        from: evidence.began,
        until: evidence.until,
    };
    let tail = tail(&evidence.client, whole);
    let body = Span {
        until: tail.map_or(whole.until, |tail| tail.from),
        ..whole
    };
    let cold: Vec<Cold> = evidence
        .classes
        .iter()
        .filter_map(|class| cold(class, body))
        .collect();
    let wall = whole.length().as_secs_f64();
    // All begin with the same step, so that the first round is like no other; a cold class may take more, but not the run.
    let round = mean_time(&evidence.client).unwrap_or(0.0).min(0.15 * wall);
    let slow = cold
        .iter()
        .map(|cold| cold.length.as_secs_f64())
        .fold(0.0, f64::max)
        .min(0.3 * wall);
    let warm = whole.from + Millis::from_secs_f64(round.max(slow));
    let steady = Span {
        from: warm,
        until: body.until,
    };
    // Where nearly all is beginning and end, or no sample lies between them, there is nothing better than all of it.
    let unseen = sampled(evidence, whole) && !sampled(evidence, steady);
    let steady = if unseen || steady.length().as_secs_f64() < 0.2 * wall {
        whole
    } else {
        steady
    };
    Phases {
        whole,
        cold,
        steady,
        tail,
    }
}

fn sampled(evidence: &Evidence, span: Span) -> bool {
    let series = evidence.classes.iter().flat_map(|class| &class.series);
    series
        .flat_map(|series| &series.windows)
        .any(|window| span.has(window.at))
}

/// Questions under way at this time; none where that cannot be told.
pub(super) fn under_way(client: &Client, at: Timestamp) -> Option<usize> {
    if client.absent.iter().any(|absent| absent.has(at)) {
        return Some(0);
    }
    if client.tasks.is_empty() {
        return None;
    }
    let later = |task: &&super::evidence::Task| task.ended.is_none_or(|ended| ended > at);
    if client.tasks.iter().all(|task| task.began.is_some()) {
        let begun = client.tasks.iter().filter(later);
        return Some(
            begun
                .filter(|task| task.began.is_some_and(|began| began <= at))
                .count(),
        );
    }
    // A closed loop has as many as it may, as long as there are any.
    let ended_later = client
        .tasks
        .iter()
        .filter(later)
        .filter(|task| task.ended.is_some())
        .count();
    let left = client.total?.saturating_sub(client.done) + ended_later;
    Some(left.min(client.concurrency?))
}

/// The mean time of a question in seconds, of those whose begin and end were seen.
pub(super) fn mean_time(client: &Client) -> Option<f64> {
    super::numbers::mean(&times(client))
}

/// The times of questions in seconds, of those whose begin and end were seen.
pub(super) fn times(client: &Client) -> Vec<f64> {
    let both = |task: &super::evidence::Task| Some(between(task.began?, task.ended?));
    client.tasks.iter().filter_map(both).collect()
}

fn tail(client: &Client, whole: Span) -> Option<Span> {
    let half = client.concurrency?.div_ceil(2);
    if under_way(client, whole.until)? >= half {
        return None;
    }
    // The last end of a question before which there were enough under way.
    let mut ends: Vec<Timestamp> = client.tasks.iter().filter_map(|task| task.ended).collect();
    ends.sort_unstable();
    let enough = |at: &Timestamp| {
        under_way(client, Timestamp(at.0.saturating_sub(1))).is_some_and(|now| now >= half)
    };
    // Few are left when it begins, so looking from the end is short.
    let from = *ends.iter().rev().find(|at| enough(at))?;
    (from < whole.until).then_some(Span { from, ..whole })
}

/// One bucket: seconds from a token of a call to its next one, and how many tokens there were.
struct Bucket {
    from: f64,
    gap: f64,
    tokens: f64,
}

/// Times of tokens tell it, not of calls: these depend on how long answers are, and those that were under way while a server stood
/// still come in long after.
fn cold(class: &Class, body: Span) -> Option<Cold> {
    let buckets = buckets(class, body);
    let length = body.length().as_secs_f64();
    // The last hour, of a shorter run its second half.
    let last = (length - 3600.0).max(length / 2.0);
    let settled: Vec<f64> = buckets
        .iter()
        .filter(|bucket| bucket.from >= last)
        .map(|bucket| bucket.gap)
        .collect();
    let settled = median(&settled)?;
    let gaps: Vec<f64> = buckets.iter().map(|bucket| bucket.gap).collect();
    let medians: Vec<f64> = gaps.windows(ROLLING).filter_map(median).collect();
    let near = |value: &f64| *value <= settled * (1.0 + NEAR);
    let warm = medians
        .windows(IN_A_ROW)
        .position(|row| row.iter().all(near))?;
    let first = *medians.first()?;
    // A single slow minute is none.
    if warm < IN_A_ROW || medians.iter().take(IN_A_ROW).any(near) {
        return None;
    }
    let until = buckets[warm + ROLLING / 2].from;
    let early = buckets.iter().filter(|bucket| bucket.from < until);
    let cost: f64 = early
        .map(|bucket| (bucket.gap - settled).max(0.0) * bucket.tokens)
        .sum();
    let usual = tokens_of_a_call(class, body)?;
    Some(Cold {
        class: class.name.clone(),
        until: body.from + Millis::from_secs_f64(until),
        length: Millis::from_secs_f64(until),
        first: first * usual,
        settled: settled * usual,
        cost: Millis::from_secs_f64(cost),
    })
}

fn tokens_of_a_call(class: &Class, body: Span) -> Option<f64> {
    let windows = class.series.iter().flat_map(|series| &series.windows);
    let windows = windows.filter(|window| body.has(window.at));
    let (mut tokens, mut calls) = (0.0, 0.0);
    for window in windows {
        tokens += window.generated.unwrap_or(0.0);
        calls += window.finished.unwrap_or(0.0);
    }
    ratio(tokens, calls)
}

fn buckets(class: &Class, body: Span) -> Vec<Bucket> {
    let count = nearest::<usize>(body.length().as_secs_f64() / BUCKET) + 1;
    let mut sums = vec![(0.0, 0.0); count];
    for series in &class.series {
        let mut before = None;
        for window in series.windows.iter().filter(|window| body.has(window.at)) {
            let Some(running) = window.running else {
                continue;
            };
            // A look is a moment; what was between two of them is best known as their mean.
            let company = f64::midpoint(before.unwrap_or(running), running);
            before = Some(running);
            // Where nobody but a canary asked, or the server stood still, no time of a token is known.
            let tokens = window
                .generated
                .filter(|tokens| *tokens > 0.0 && company >= 0.5);
            let index = floor::<usize>(between(body.from, window.at) / BUCKET);
            if let (Some(tokens), Some(sum)) = (tokens, sums.get_mut(index)) {
                sum.0 += tokens;
                sum.1 += company * window.length.as_secs_f64();
            }
        }
    }
    let bucket = |(index, (tokens, time)): (usize, (f64, f64))| {
        Some(Bucket {
            from: float(index) * BUCKET,
            gap: ratio(time, tokens)?,
            tokens,
        })
    };
    sums.into_iter().enumerate().filter_map(bucket).collect()
}
