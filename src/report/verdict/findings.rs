//! What stands out beside the verdict: workers that starve, questions that take too long, replicas unlike their neighbours.

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::{Class, Evidence};
use super::measured::Questions;
use super::numbers::{between, median, millis, number, ratio, seconds, whole};
use super::phases::{Phases, Span, times};
use crate::base::{Millis, Timestamp};
use crate::report::quantile;

/// Looks are put together over so long.
const BUCKET: f64 = 60.0;
/// So many of the questions with one class …
const BLOCKED: f64 = 0.9;
/// … for so long, while others have nothing to do.
const STARVED: f64 = 300.0;
/// A replica with fewer calls at once has nothing to do.
const NOTHING: f64 = 0.5;
/// A question is late from so many median times.
const LATE: f64 = 3.0;
/// Times below which nothing is late.
const ENOUGH: usize = 20;
/// A replica is unlike its neighbours from this factor …
const UNLIKE: f64 = 1.5;
/// … where chance does not explain it: so many standard errors of a count.
const ERRORS: f64 = 4.0;

/// What stands out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Findings {
    /// Times in which nearly all questions were with one class, and others had nothing to do.
    pub starved: Vec<Starved>,
    /// Questions under way that take much longer than others, the oldest first.
    pub late: Vec<Late>,
    /// Replicas unlike their neighbours.
    pub uneven: Vec<Uneven>,
}

/// A time in which nearly all questions were with one class, and others had nothing to do.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Starved {
    /// The class.
    pub class: String,
    /// When.
    pub span: Span,
    /// GPUs of others that had nothing to do, on average.
    pub idle_gpus: f64,
}

/// A question that takes much longer than others.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Late {
    /// Its id.
    pub id: String,
    /// So long already.
    pub age: Millis,
    /// Half of the others took no longer.
    pub median: Millis,
}

/// A replica unlike its neighbours.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Uneven {
    /// Its name.
    pub replica: String,
    /// How often it was called, in relation to the mean of all.
    pub calls: f64,
    /// How long it computes a call, in relation to the median of all; none where that is not known.
    pub time: Option<f64>,
}

pub(super) fn findings(evidence: &Evidence, phases: &Phases, questions: &Questions) -> Findings {
    let uneven = |class: &Class| uneven(class, phases.steady);
    Findings {
        starved: starved(evidence, questions),
        late: late(evidence),
        uneven: evidence.classes.iter().flat_map(uneven).collect(),
    }
}

/// Calls under way with one class, and those that it computes, by bucket; none where nothing was seen.
struct Load {
    in_flight: Vec<Option<f64>>,
    running: Vec<Option<f64>>,
}

impl Load {
    fn of(class: &Class, whole_run: Span) -> Self {
        let count = whole(seconds(whole_run.length()) / BUCKET) + 1;
        let mut load = Self {
            in_flight: vec![None; count],
            running: vec![None; count],
        };
        for series in &class.series {
            let mut own = vec![(0.0, 0.0, 0.0); count];
            for window in series.windows.iter().filter(|one| whole_run.has(one.at)) {
                let index = whole((between(whole_run.from, window.at) / BUCKET).floor());
                if let (Some(slot), Some(running), Some(waiting)) =
                    (own.get_mut(index), window.running, window.waiting)
                {
                    slot.0 += 1.0;
                    slot.1 += running;
                    slot.2 += running + waiting;
                }
            }
            for (index, (looks, running, all)) in own.into_iter().enumerate() {
                if let (Some(running), Some(all)) = (ratio(running, looks), ratio(all, looks)) {
                    *load.running[index].get_or_insert(0.0) += running;
                    *load.in_flight[index].get_or_insert(0.0) += all;
                }
            }
        }
        load
    }
}

fn starved(evidence: &Evidence, questions: &Questions) -> Vec<Starved> {
    let Some(all) = questions.under_way else {
        return Vec::new();
    };
    let run = Span {
        from: evidence.began,
        until: evidence.until,
    };
    let loads: Vec<Load> = evidence
        .classes
        .iter()
        .map(|class| Load::of(class, run))
        .collect();
    let mut found = Vec::new();
    for (index, class) in evidence.classes.iter().enumerate() {
        let idle = |bucket: usize| -> f64 {
            let others = evidence.classes.iter().zip(&loads).enumerate();
            others
                .filter(|(other, _)| *other != index)
                .filter(|(_, (other, load))| {
                    let each = load.running[bucket].map(|all| all / number(other.replicas.max(1)));
                    each.is_some_and(|each| each < NOTHING)
                })
                .map(|(_, (other, _))| number(other.gpus()))
                .sum()
        };
        let mut began: Option<usize> = None;
        let mut gpus = 0.0;
        let count = loads[index].in_flight.len();
        for bucket in 0..=count {
            let blocked = bucket < count
                && loads[index].in_flight[bucket].is_some_and(|calls| calls >= BLOCKED * all);
            let idle = if blocked { idle(bucket) } else { 0.0 };
            if idle > 0.0 {
                began.get_or_insert(bucket);
                gpus += idle;
            } else if let Some(first) = began.take() {
                let length = number(bucket - first) * BUCKET;
                if length >= STARVED {
                    let at = |bucket: usize| {
                        let at = run.from.0 + millis(number(bucket) * BUCKET).0;
                        Timestamp(at.min(run.until.0))
                    };
                    found.push(Starved {
                        class: class.name.clone(),
                        span: Span {
                            from: at(first),
                            until: at(bucket),
                        },
                        idle_gpus: gpus / number(bucket - first),
                    });
                }
                gpus = 0.0;
            }
        }
    }
    found
}

fn late(evidence: &Evidence) -> Vec<Late> {
    let mut times = times(&evidence.client);
    times.sort_unstable_by(f64::total_cmp);
    if times.len() < ENOUGH {
        return Vec::new();
    }
    let (Some(median), Some(last)) = (quantile(&times, 0.5), quantile(&times, 0.99)) else {
        return Vec::new();
    };
    let open = evidence.client.tasks.iter();
    let open = open.filter(|task| task.ended.is_none());
    let mut late: Vec<Late> = open
        .filter_map(|task| {
            let age = between(task.began?, evidence.until);
            (age > (LATE * median).max(last)).then(|| Late {
                id: task.id.clone(),
                age: millis(age),
                median: millis(median),
            })
        })
        .collect();
    late.sort_by(|one, other| (other.age, &one.id).cmp(&(one.age, &other.id)));
    late
}

fn uneven(class: &Class, steady: Span) -> Vec<Uneven> {
    let each: Vec<(f64, Option<f64>)> = class
        .series
        .iter()
        .map(|series| {
            let windows = series.windows.iter().filter(|window| steady.has(window.at));
            let (mut calls, mut known, mut time) = (0.0, 0.0, 0.0);
            for window in windows {
                let finished = window.finished.unwrap_or(0.0);
                calls += finished;
                if let Some(computed) = window.inference_seconds {
                    known += finished;
                    time += computed;
                }
            }
            (calls, ratio(time, known))
        })
        .collect();
    if each.len() < 2 {
        return Vec::new();
    }
    let mean = each.iter().map(|(calls, _)| calls).sum::<f64>() / number(each.len());
    let times: Vec<f64> = each.iter().filter_map(|(_, time)| *time).collect();
    let usual = median(&times);
    let by_chance = ERRORS * mean.sqrt();
    let unlike = |value: f64| !(1.0 / UNLIKE..=UNLIKE).contains(&value);
    let rows = class.series.iter().zip(each);
    rows.filter_map(|(series, (calls, time))| {
        let share = ratio(calls, mean)?;
        let slow = time.zip(usual).and_then(|(time, usual)| ratio(time, usual));
        let often = unlike(share) && (calls - mean).abs() > by_chance;
        let slower = calls >= number(ENOUGH) && slow.is_some_and(|slow| slow > UNLIKE);
        (often || slower).then(|| Uneven {
            replica: series.replica.clone(),
            calls: share,
            time: slow,
        })
    })
    .collect()
}
