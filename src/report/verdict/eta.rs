//! When an evaluation may be done, as an interval: the workers go on in draws, at the rate of late, until the last question.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::Serialize;

use super::evidence::Evidence;
use super::numbers::{between, mean, millis, number, ratio, whole};
use super::phases::{times, under_way};
use crate::base::{Chance, Millis, Timestamp};
use crate::report::quantile;

/// So many questions should have been finished by now, and none was: it stands still.
const STALLED: f64 = 10.0;
/// The rate forgets over this part of the run.
const MEMORY: f64 = 0.25;
/// But not over less than so many questions.
const REMEMBERED: f64 = 20.0;
/// Questions below which there is no rate.
const FEWEST: usize = 5;
/// Times below which a usual spread is taken instead.
const ENOUGH: usize = 20;
/// The standard deviation of a time's logarithm where times are not known.
const SPREAD: f64 = 0.6;
/// Nine of ten draws are within.
const OUTER: f64 = 0.05;
const DRAWS: usize = 200;
/// Questions that all draws together go through at most.
const STEPS: usize = 2_000_000;
const SEED: u64 = 0x6574_6173;

/// When it may be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Eta {
    /// It is.
    Done,
    /// Nobody can tell.
    Unknown {
        /// Why.
        why: String,
    },
    /// From now; nine of ten draws are within.
    Left {
        /// The least.
        low: Millis,
        /// As many draws were shorter as longer.
        likely: Millis,
        /// The most.
        high: Millis,
    },
}

/// When this evaluation may be done.
pub fn eta(evidence: &Evidence) -> Eta {
    let unknown = |why: &str| Eta::Unknown {
        why: why.to_owned(),
    };
    let client = &evidence.client;
    let Some(total) = client.total else {
        return unknown("how many questions there are is not known");
    };
    let left = total.saturating_sub(client.done);
    if left == 0 {
        return Eta::Done;
    }
    let mut ends: Vec<Timestamp> = client.tasks.iter().filter_map(|task| task.ended).collect();
    ends.sort_unstable();
    let Some(rate) = rate(evidence, &ends).filter(|_| ends.len() >= FEWEST) else {
        return unknown("too few questions are finished");
    };
    if let Some(quiet) = quiet(evidence, &ends, rate) {
        return unknown(&still(quiet));
    }
    let mut chance = Chance::new(SEED);
    let draws = (STEPS / left).clamp(DRAWS / 10, DRAWS);
    let mut all: Vec<f64> = (0..draws)
        .map(|_| drawn(evidence, left, rate, ends.len(), &mut chance))
        .collect();
    all.sort_unstable_by(f64::total_cmp);
    let at = |q| millis(quantile(&all, q).unwrap_or_default());
    Eta::Left {
        low: at(OUTER),
        likely: at(0.5),
        high: at(1.0 - OUTER),
    }
}

/// Why nothing can be said of a run in which nothing is finished any more; none while it moves.
pub(super) fn stalled(evidence: &Evidence) -> Option<String> {
    let client = &evidence.client;
    if client.total.is_some_and(|total| client.done >= total) {
        return None;
    }
    let ends = client.tasks.iter().filter_map(|task| task.ended);
    let mut ends: Vec<Timestamp> = ends.collect();
    ends.sort_unstable();
    let rate = rate(evidence, &ends).filter(|_| ends.len() >= FEWEST)?;
    quiet(evidence, &ends, rate).map(still)
}

fn still(quiet: Millis) -> String {
    format!("nothing was finished for {quiet}")
}

/// For how long nothing was finished, where that is no chance any more.
fn quiet(evidence: &Evidence, ends: &[Timestamp], rate: f64) -> Option<Millis> {
    let client = &evidence.client;
    let quiet = between(*ends.last()?, evidence.until);
    // The fewer questions are under way, the longer it takes until one is finished.
    let busy = match (under_way(client, evidence.until), client.concurrency) {
        (Some(now), Some(most)) => ratio(number(now), number(most)).unwrap_or(1.0).min(1.0),
        _ => 1.0,
    };
    (quiet * rate * busy > STALLED).then(|| millis(quiet))
}

/// Questions per second of late: each counts the less the longer ago it was finished.
fn rate(evidence: &Evidence, ends: &[Timestamp]) -> Option<f64> {
    let last = *ends.last()?;
    let ran = between(evidence.began, last);
    let memory = (MEMORY * ran).max(ratio(REMEMBERED * ran, number(ends.len()))?);
    let weight = |end: &Timestamp| (-between(*end, last) / memory).exp();
    ratio(
        ends.iter().map(weight).sum(),
        memory * (1.0 - (-ran / memory).exp()),
    )
}

/// One way in which it may go on, in seconds.
fn drawn(evidence: &Evidence, left: usize, rate: f64, seen: usize, chance: &mut Chance) -> f64 {
    let client = &evidence.client;
    // A rate from so many questions is off by about this.
    let rate = rate * (normal(chance) / number(seen).sqrt().min(REMEMBERED)).exp();
    let Some(workers) = client.concurrency.filter(|workers| *workers > 0) else {
        return number(left) / rate;
    };
    let pool = times(client);
    let usual = number(workers) / rate;
    let known = pool.len() >= ENOUGH;
    // Times of finished questions are too short while few are finished, and other ones were as fast as servers were then.
    let scale = match mean(&pool) {
        Some(mean) if known && left > workers => usual / mean,
        _ => 1.0,
    };
    let time = |chance: &mut Chance| {
        if known {
            let last = (pool.len() - 1) as u64;
            let index = usize::try_from(chance.between(0, last)).unwrap_or(0);
            pool[index] * scale
        } else {
            usual * (SPREAD * normal(chance) - SPREAD * SPREAD / 2.0).exp()
        }
    };
    let mut open: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
    for _ in 0..workers.min(left) {
        open.push(Reverse(0));
    }
    let mut ends = Vec::new();
    let running = client.tasks.iter().filter(|task| task.ended.is_none());
    for task in running.take(workers.min(left)) {
        let age = task.began.map(|began| between(began, evidence.until));
        let rest = remaining(age, chance, &time);
        open.pop();
        ends.push(millis(rest).0);
    }
    let begun = ends.len();
    open.extend(ends.into_iter().map(Reverse));
    let mut end = open.iter().map(|free| free.0).max().unwrap_or(0);
    for _ in begun..left {
        let free = open.pop().map_or(0, |free| free.0);
        let then = free + millis(time(chance)).0;
        end = end.max(then);
        open.push(Reverse(then));
    }
    super::numbers::seconds(Millis(end))
}

/// What is left of a question of this age: of times that are longer, one by chance; of one that is older than any, up to as
/// long again.
fn remaining(age: Option<f64>, chance: &mut Chance, time: &impl Fn(&mut Chance) -> f64) -> f64 {
    let Some(age) = age else {
        return time(chance) * chance.uniform();
    };
    for _ in 0..whole(REMEMBERED) {
        let whole = time(chance);
        if whole > age {
            return whole - age;
        }
    }
    age * chance.uniform()
}

fn normal(chance: &mut Chance) -> f64 {
    (0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0
}
