//! What stands out beside the verdict: workers that starve, questions that take too long, replicas unlike their neighbours.

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::{Class, Evidence};
use super::measured::Questions;
use super::numbers::{between, median, millis, number, ratio};
use super::phases::{Phases, Span, times};
use super::starvation::{Silent, Starved, silent, starved};
use crate::base::Millis;
use crate::report::quantile;

/// A question is late from so many median times.
const LATE: f64 = 3.0;
/// Of those that are finished the longest are told.
const SLOWEST: usize = 20;
/// Times below which nothing is late.
const ENOUGH: usize = 20;
/// A replica is unlike its neighbours from this factor …
const UNLIKE: f64 = 1.5;
/// … where chance does not explain it: so many standard errors of a count.
const ERRORS: f64 = 4.0;

/// What stands out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Findings {
    /// Times in which one class was waited for, and others had nothing to do.
    pub starved: Vec<Starved>,
    /// Times in which questions were left, and the client asked no server.
    pub silent: Vec<Silent>,
    /// Questions under way that take much longer than others, the oldest first.
    pub late: Vec<Late>,
    /// Questions that took much longer than others, the longest twenty.
    pub slow: Vec<Late>,
    /// Of how many finished questions it is known how long they took.
    pub timed: usize,
    /// Finished questions.
    pub finished: usize,
    /// Replicas unlike their neighbours.
    pub uneven: Vec<Uneven>,
}

/// A question that takes much longer than others.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Late {
    /// Its id.
    pub id: String,
    /// So long, or so long already.
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
    let (late, slow) = late(evidence);
    let finished = evidence.client.tasks.iter();
    Findings {
        starved: starved(evidence, questions),
        silent: silent(evidence),
        late,
        slow,
        timed: times(&evidence.client).len(),
        finished: finished.filter(|task| task.ended.is_some()).count(),
        uneven: evidence.classes.iter().flat_map(uneven).collect(),
    }
}

/// Questions that take, and that took, much longer than others.
fn late(evidence: &Evidence) -> (Vec<Late>, Vec<Late>) {
    let mut times = times(&evidence.client);
    times.sort_unstable_by(f64::total_cmp);
    let known = (quantile(&times, 0.5), quantile(&times, 0.99));
    let (Some(median), Some(last)) = known else {
        return (Vec::new(), Vec::new());
    };
    if times.len() < ENOUGH {
        return (Vec::new(), Vec::new());
    }
    let found = |ended: bool, least: f64| {
        let tasks = evidence.client.tasks.iter();
        let tasks = tasks.filter(|task| task.ended.is_some() == ended);
        let mut late: Vec<Late> = tasks
            .filter_map(|task| {
                let age = between(task.began?, task.ended.unwrap_or(evidence.until));
                (age > least).then(|| Late {
                    id: task.id.clone(),
                    age: millis(age),
                    median: millis(median),
                })
            })
            .collect();
        late.sort_by(|one, other| (other.age, &one.id).cmp(&(one.age, &other.id)));
        late
    };
    let least = (LATE * median).max(last);
    let mut slow = found(true, least);
    slow.truncate(SLOWEST);
    (found(false, least), slow)
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
