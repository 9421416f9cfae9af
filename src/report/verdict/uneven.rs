//! Replicas unlike the others of their class, where chance does not explain it.

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::{Class, Evidence, Series};
use super::numbers::ratio;
use crate::base::float;

/// A replica is unlike the others from this factor on …
const UNLIKE: f64 = 1.5;
/// … if that is so many standard errors, as many calls on each side being by chance.
const ERRORS: f64 = 4.0;
/// Calls on each side below which nothing is said of their times.
const ENOUGH: f64 = 20.0;
/// Calls wait longer at it than at the others in so many of the looks …
const MOST_LOOKS: f64 = 0.8;
/// … of which there are so many …
const LOOKS: usize = 12;
/// … and by so much of the time that a call is computed.
const MATTERS: f64 = 0.2;

/// A replica unlike the others of its class.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Uneven {
    /// Its name.
    pub replica: String,
    /// How often it was called, in relation to the mean of the others.
    pub calls: f64,
    /// Whether chance does not explain that.
    pub often: bool,
    /// How long it computes a call, in relation to the mean of the others, where that is more than chance.
    pub time: Option<f64>,
    /// How long calls wait for a place at it, and at the others, in seconds, where that is more than chance.
    pub wait: Option<(f64, f64)>,
}

/// What a replica did in the whole run.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    calls: f64,
    timed: f64,
    computed: f64,
    waited: f64,
}

impl Work {
    fn of(series: &Series) -> Self {
        let mut work = Self::default();
        for window in &series.windows {
            let finished = window.finished.unwrap_or(0.0);
            work.calls += finished;
            if let (Some(computed), Some(waited)) = (window.inference_seconds, window.queue_seconds)
            {
                work.timed += finished;
                work.computed += computed;
                work.waited += waited;
            }
        }
        work
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            timed: self.timed + other.timed,
            computed: self.computed + other.computed,
            waited: self.waited + other.waited,
        }
    }
}

/// All of them. A replica that did not work all the time is told elsewhere, and is no measure for others.
pub(super) fn uneven(evidence: &Evidence) -> Vec<Uneven> {
    let well = |series: &&Series| {
        let mut incidents = evidence.incidents.iter();
        !incidents.any(|incident| incident.replica == series.replica)
    };
    let of_class = |class: &Class| {
        let series: Vec<&Series> = class.series.iter().filter(well).collect();
        let found = (0..series.len()).filter_map(|index| unlike(&series, index));
        found.collect::<Vec<_>>()
    };
    evidence.classes.iter().flat_map(of_class).collect()
}

fn unlike(all: &[&Series], index: usize) -> Option<Uneven> {
    let own = Work::of(all[index]);
    let others = all.iter().enumerate().filter(|(other, _)| *other != index);
    let others: Vec<&Series> = others.map(|(_, series)| *series).collect();
    let rest = others.iter().map(|series| Work::of(series));
    let rest = rest.fold(Work::default(), |sum, one| sum.plus(&one));
    let calls = ratio(own.calls, rest.calls / float(others.len()))?;
    // Of two the one that is called more is named, or the one that is never called.
    let named = others.len() > 1 || calls > 1.0 || own.calls <= 0.0;
    let often =
        named && is_unlike(calls) && is_more_than_chance(own.calls, rest.calls, float(all.len()));
    let time = slower(&own, &rest);
    let wait = waits(all[index], &others, &own, &rest);
    (often || time.is_some() || wait.is_some()).then(|| Uneven {
        replica: all[index].replica.clone(),
        calls,
        often,
        time,
        wait,
    })
}

fn is_unlike(factor: f64) -> bool {
    !(1.0 / UNLIKE..=UNLIKE).contains(&factor)
}

/// If each call went to any of them by chance, its count would be binomial.
fn is_more_than_chance(own: f64, rest: f64, replicas: f64) -> bool {
    let (all, share) = (own + rest, 1.0 / replicas);
    (own - all * share).abs() > ERRORS * (all * share * (1.0 - share)).sqrt()
}

/// How much longer a call is computed, where the means of so many calls do not differ as much by chance: times of calls scatter
/// about as much as they are long.
fn slower(own: &Work, rest: &Work) -> Option<f64> {
    if own.timed < ENOUGH || rest.timed < ENOUGH {
        return None;
    }
    let factor = ratio(own.computed / own.timed, rest.computed / rest.timed)?;
    let error = (1.0 / own.timed + 1.0 / rest.timed).sqrt();
    (factor > UNLIKE && factor.ln() > ERRORS * error).then_some(factor)
}

/// How long calls wait there and at the others, where that lasts: queues come and go by chance.
fn waits(series: &Series, others: &[&Series], own: &Work, rest: &Work) -> Option<(f64, f64)> {
    if own.timed < ENOUGH || rest.timed < ENOUGH {
        return None;
    }
    let (here, there) = (own.waited / own.timed, rest.waited / rest.timed);
    let matters = here > UNLIKE * there && here - there > MATTERS * own.computed / own.timed;
    let looks = series.windows.iter().filter_map(|window| {
        let seen = others.iter().filter_map(|other| {
            let after = other.windows.partition_point(|one| one.at < window.at);
            other.windows.get(after)?.waiting
        });
        let seen: Vec<f64> = seen.collect();
        Some(window.waiting? > super::numbers::mean(&seen)?)
    });
    let looks: Vec<bool> = looks.collect();
    let longer = looks.iter().filter(|longer| **longer).count();
    let lasts = looks.len() >= LOOKS && float(longer) >= MOST_LOOKS * float(looks.len());
    (matters && lasts).then_some((here, there))
}
