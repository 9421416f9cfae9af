//! Times in which GPUs had nothing to do while questions were left: they waited for others, or the client asked nobody.

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::{Class, Evidence, Window};
use super::measured::Questions;
use super::numbers::{between, ratio};
use super::phases::{Span, under_way};
use crate::base::{Millis, Timestamp, ceil, float, floor};

/// Looks are put together over so long.
const BUCKET: f64 = 60.0;
/// What a look found stands for no more than so long before it.
const STANDS: f64 = 300.0;
/// So many of the questions with one class, or …
const BLOCKED: f64 = 0.9;
/// … so many calls that wait for it …
const WAITS: f64 = 1.0;
/// … for so long, while others have nothing to do.
const STARVED: f64 = 300.0;
/// A replica with fewer calls at once has nothing to do.
const NOTHING: f64 = 0.5;

/// A time in which one class was waited for, and others had nothing to do.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Starved {
    /// The class that was waited for.
    pub class: String,
    /// When.
    pub span: Span,
    /// GPUs of others that had nothing to do, on average.
    pub idle_gpus: f64,
    /// Calls that waited for a place, on average.
    pub waiting: f64,
    /// The share of the questions under way that was with it, on average; none where nobody knows how many were under way.
    pub share: Option<f64>,
}

/// A time in which questions were left, and no server had a call.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Silent {
    /// When.
    pub span: Span,
    /// GPUs that had nothing to do.
    pub gpus: usize,
}

/// One class minute by minute; none where nothing was seen.
struct Load {
    running: Vec<Option<f64>>,
    waiting: Vec<Option<f64>>,
}

impl Load {
    fn of(class: &Class, run: Span) -> Self {
        let count = buckets(run);
        let mut load = Self {
            running: vec![None; count],
            waiting: vec![None; count],
        };
        for series in &class.series {
            let mut own = vec![(0.0, 0.0, 0.0); count];
            for window in series.windows.iter().filter(|one| run.has(one.at)) {
                let Some((running, waiting)) = calls(window) else {
                    continue;
                };
                let until = between(run.from, window.at);
                let from = (until - window.length.as_secs_f64().min(STANDS)).max(0.0);
                let (first, last) = (floor(from / BUCKET), floor::<usize>(until / BUCKET));
                for (bucket, slot) in own.iter_mut().enumerate().take(last + 1).skip(first) {
                    let begin = float(bucket) * BUCKET;
                    let length = until.min(begin + BUCKET) - from.max(begin);
                    slot.0 += length;
                    slot.1 += length * running;
                    slot.2 += length * waiting;
                }
            }
            for (bucket, (length, running, waiting)) in own.into_iter().enumerate() {
                if let (Some(running), Some(waiting)) =
                    (ratio(running, length), ratio(waiting, length))
                {
                    *load.running[bucket].get_or_insert(0.0) += running;
                    *load.waiting[bucket].get_or_insert(0.0) += waiting;
                }
            }
        }
        load
    }

    fn in_flight(&self, bucket: usize) -> Option<f64> {
        Some(self.running[bucket]? + self.waiting[bucket]?)
    }
}

/// Calls of a look, computed and waiting. What was counted since the one before says more of a long time than a moment at its end.
fn calls(window: &Window) -> Option<(f64, f64)> {
    let length = window.length.as_secs_f64();
    let counted = |all: Option<f64>| {
        all.filter(|_| length > BUCKET)
            .and_then(|all| ratio(all, length))
    };
    let most = |seen: Option<f64>, all: Option<f64>| Some(seen?.max(counted(all).unwrap_or(0.0)));
    let computed = window.computed_seconds.or(window.inference_seconds);
    let running = most(window.running, computed)?;
    // It worked, and nobody knows for how long of that.
    let worked = window.finished.is_some_and(|calls| calls > 0.0);
    if running <= 0.0 && worked && length > BUCKET {
        return None;
    }
    Some((running, most(window.waiting, window.queue_seconds)?))
}

fn buckets(run: Span) -> usize {
    ceil(run.length().as_secs_f64() / BUCKET)
}

fn run_of(evidence: &Evidence) -> Span {
    Span {
        from: evidence.began,
        until: evidence.until,
    }
}

/// Rows of buckets that are long enough, each as its first one and the one behind its last.
fn rows(count: usize, holds: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut began: Option<usize> = None;
    for bucket in 0..=count {
        if bucket < count && holds(bucket) {
            began.get_or_insert(bucket);
        } else if let Some(first) = began.take()
            && float(bucket - first) * BUCKET >= STARVED
        {
            found.push((first, bucket));
        }
    }
    found
}

fn span(run: Span, (first, behind): (usize, usize)) -> Span {
    let at = |bucket: usize| {
        let at = run.from.0 + Millis::from_secs_f64(float(bucket) * BUCKET).0;
        Timestamp(at.min(run.until.0))
    };
    Span {
        from: at(first),
        until: at(behind),
    }
}

/// Times in which a class was waited for while others had nothing to do.
pub(super) fn starved(evidence: &Evidence, questions: &Questions) -> Vec<Starved> {
    let run = run_of(evidence);
    let classes = evidence.classes.iter();
    let loads: Vec<Load> = classes.map(|class| Load::of(class, run)).collect();
    let mut found = Vec::new();
    for (index, class) in evidence.classes.iter().enumerate() {
        let own = &loads[index];
        let idle = |bucket: usize| -> f64 {
            let others = evidence.classes.iter().zip(&loads).enumerate();
            others
                .filter(|(other, _)| *other != index)
                .filter(|(_, (other, load))| {
                    let each = load.running[bucket].map(|all| all / float(other.replicas.max(1)));
                    each.is_some_and(|each| each < NOTHING)
                })
                .map(|(_, (other, _))| float(other.gpus()))
                .sum()
        };
        let share = |bucket: usize| ratio(own.in_flight(bucket)?, questions.under_way?);
        let waited_for = |bucket: usize| {
            share(bucket).is_some_and(|share| share >= BLOCKED)
                || own.waiting[bucket].is_some_and(|calls| calls >= WAITS)
        };
        let holds = |bucket: usize| waited_for(bucket) && idle(bucket) > 0.0;
        for row in rows(buckets(run), holds) {
            let length = float(row.1 - row.0);
            let mean = |of: &dyn Fn(usize) -> f64| (row.0..row.1).map(of).sum::<f64>() / length;
            found.push(Starved {
                class: class.name.clone(),
                span: span(run, row),
                idle_gpus: mean(&idle),
                waiting: mean(&|bucket| own.waiting[bucket].unwrap_or(0.0)),
                share: questions
                    .under_way
                    .map(|_| mean(&|bucket| share(bucket).unwrap_or(0.0))),
            });
        }
    }
    found
}

/// Times in which questions were left and the client asked no server; none where one of those with GPUs was not seen.
pub(super) fn silent(evidence: &Evidence) -> Vec<Silent> {
    let run = run_of(evidence);
    let classes = evidence.classes.iter();
    let loads: Vec<Load> = classes
        .filter(|class| class.gpus() > 0)
        .map(|class| Load::of(class, run))
        .collect();
    let quiet = |bucket: usize| {
        let calls = loads.iter().map(|load| load.in_flight(bucket));
        let calls: Option<f64> = calls.sum();
        calls.is_some_and(|calls| calls < NOTHING)
    };
    let left = |bucket: usize| {
        let at = span(run, (bucket, bucket + 1)).until;
        under_way(&evidence.client, at).is_some_and(|count| count > 0)
    };
    let gpus = evidence.classes.iter().map(Class::gpus).sum();
    let holds = |bucket: usize| !loads.is_empty() && quiet(bucket) && left(bucket);
    rows(buckets(run), holds)
        .into_iter()
        .map(|row| Silent {
            span: span(run, row),
            gpus,
        })
        .collect()
}
