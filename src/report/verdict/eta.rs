//! When an evaluation may be done, as an interval: the workers go on in draws, at the rate of late, until the last question.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::Evidence;
use super::lives::Lives;
use super::moves::counted;
use super::numbers::{between, mean, ratio};
use super::phases::{phases, under_way};
use super::sums::Blocks;
use crate::base::{Chance, Millis, Timestamp, float, floor, nearest};
use crate::report::quantile;

/// So many questions should have been finished by now, and none was: it stands still.
const STALLED: f64 = 10.0;
/// The rate forgets over this part of the run.
const MEMORY: f64 = 0.25;
/// But not over less than so many questions.
const REMEMBERED: f64 = 20.0;
/// Slices of the run of which is seen how much they differ.
const SLICES: f64 = 12.0;
/// Questions below which there is no rate.
const FEWEST: usize = 5;
/// Servers are not taken to be faster or slower of late by more than this.
const MOST: f64 = 2.0;
/// The standard deviation of a time's logarithm is between these where times are not known: a question of many steps alike differs
/// less from others than one of few that differ.
const SPREAD: (f64, f64) = (0.45, 0.9);
/// Nineteen of twenty draws are within.
const OUTER: f64 = 0.025;
const DRAWS: usize = 200;
/// Questions that all draws together go through at most.
const STEPS: usize = 2_000_000;
const SEED: u64 = 0x6574_6173;

/// When it may be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Eta {
    /// It is.
    Done,
    /// Nobody can tell.
    Unknown {
        /// Why.
        why: String,
    },
    /// From now; nineteen of twenty draws are within.
    Left {
        /// The least.
        low: Millis,
        /// As many draws were shorter as longer.
        likely: Millis,
        /// The most.
        high: Millis,
    },
}

impl Eta {
    /// The same where so many hours pass in one.
    #[must_use]
    pub fn at_speed(self, speed: f64) -> Self {
        let faster = |length: Millis| Millis::from_secs_f64(length.as_secs_f64() / speed);
        match self {
            Self::Left { low, likely, high } => Self::Left {
                low: faster(low),
                likely: faster(likely),
                high: faster(high),
            },
            other => other,
        }
    }

    /// The same, told so much later.
    #[must_use]
    pub fn after(self, passed: Millis) -> Self {
        match self {
            Self::Left { low, likely, high } => Self::Left {
                low: low - passed,
                likely: likely - passed,
                high: high - passed,
            },
            other => other,
        }
    }
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
    if client.gone {
        return unknown(&format!(
            "no client is running for the {} that are left",
            counted(left, "question")
        ));
    }
    let mut ends: Vec<Timestamp> = client.tasks.iter().filter_map(|task| task.ended).collect();
    ends.sort_unstable();
    let Some(rate) = rate(evidence, &ends).filter(|_| ends.len() >= FEWEST) else {
        return unknown("too few questions are finished");
    };
    if let Some(quiet) = quiet(evidence, &ends, rate) {
        return unknown(&still(quiet));
    }
    let lives = Lives::of(evidence);
    let waits = waiting(evidence);
    let mut chance = Chance::new(SEED);
    let draws = (STEPS / left).clamp(DRAWS / 10, DRAWS);
    let mut all: Vec<f64> = (0..draws)
        .map(|_| drawn(evidence, left, rate, lives.as_ref(), waits, &mut chance))
        .collect();
    all.sort_unstable_by(f64::total_cmp);
    let at = |q| Millis::from_secs_f64(quantile(&all, q).unwrap_or_default());
    Eta::Left {
        low: at(OUTER),
        likely: at(0.5),
        high: at(1.0 - OUTER),
    }
}

/// Why nothing can be said of a run in which nothing is finished any more; none while it moves.
pub(super) fn stalled(evidence: &Evidence) -> Option<String> {
    let client = &evidence.client;
    if client.gone || client.total.is_some_and(|total| client.done >= total) {
        return None;
    }
    let ends = client.tasks.iter().filter_map(|task| task.ended);
    let mut ends: Vec<Timestamp> = ends.collect();
    ends.sort_unstable();
    let rate = rate(evidence, &ends).filter(|_| ends.len() >= FEWEST)?;
    quiet(evidence, &ends, rate).map(still)
}

fn still(quiet: Millis) -> String {
    format!("no question was finished for {quiet}")
}

/// For how long nothing was finished, where that is no chance any more.
fn quiet(evidence: &Evidence, ends: &[Timestamp], rate: Rate) -> Option<Millis> {
    let client = &evidence.client;
    let quiet = between(*ends.last()?, evidence.until);
    // The fewer questions are under way, the longer it takes until one is finished.
    let busy = match (under_way(client, evidence.until), client.concurrency) {
        (Some(now), Some(most)) => ratio(float(now), float(most)).unwrap_or(1.0).min(1.0),
        _ => 1.0,
    };
    (quiet * rate.value * busy > STALLED).then(|| Millis::from_secs_f64(quiet))
}

/// Questions per second of late, and the standard error of its logarithm.
#[derive(Debug, Clone, Copy)]
struct Rate {
    value: f64,
    error: f64,
}

/// The rate of late: each question counts the less the longer ago it was finished.
fn rate(evidence: &Evidence, ends: &[Timestamp]) -> Option<Rate> {
    let last = *ends.last()?;
    let ran = between(evidence.began, last);
    let memory = (MEMORY * ran).max(ratio(REMEMBERED * ran, float(ends.len()))?);
    let weight = |end: &Timestamp| (-between(*end, last) / memory).exp();
    // The last one says up to when the others are counted: with it the rate would be too high.
    let before = &ends[..ends.len() - 1];
    let value = ratio(
        before.iter().map(weight).sum(),
        memory * (1.0 - (-ran / memory).exp()),
    )?;
    Some(Rate {
        value,
        error: scatter(evidence, ends, ran) / (2.0 * memory * SLICES / ran).sqrt(),
    })
}

/// How much slices of the run differ in what they brought, as a share of their mean; the first one, in which nobody was done yet, apart.
fn scatter(evidence: &Evidence, ends: &[Timestamp], ran: f64) -> f64 {
    let mut slices = vec![0.0; nearest(SLICES)];
    for end in ends {
        let slice = floor::<usize>(between(evidence.began, *end) / ran * SLICES);
        let last = slices.len() - 1;
        slices[slice.min(last)] += 1.0;
    }
    let rest = &slices[1..];
    let mean = mean(rest).unwrap_or_default();
    let square: f64 = rest
        .iter()
        .map(|count| (count - mean) * (count - mean))
        .sum();
    let spread = (square / float(rest.len() - 1)).sqrt();
    ratio(spread, mean).unwrap_or(1.0).min(1.0)
}

/// One way in which it may go on, in seconds.
fn drawn(
    evidence: &Evidence,
    left: usize,
    rate: Rate,
    lives: Option<&Lives>,
    waits: f64,
    chance: &mut Chance,
) -> f64 {
    let client = &evidence.client;
    let rate = rate.value * (normal(chance) * rate.error).exp();
    let Some(workers) = client.concurrency.filter(|workers| *workers > 0) else {
        return float(left) / rate;
    };
    let usual = float(workers) / rate;
    // The servers may be faster or slower of late; in the end all are under way, and the rate says nothing.
    let scale = match lives {
        Some(lives) if left > workers => (usual / lives.mean()).clamp(1.0 / MOST, MOST),
        _ => 1.0,
    };
    let spread = match lives {
        Some(_) => 0.0,
        None => SPREAD.0 + (SPREAD.1 - SPREAD.0) * chance.uniform(),
    };
    let whole_time = |age: Option<f64>, chance: &mut Chance| match lives {
        Some(lives) => lives.drawn(age.unwrap_or(0.0) / scale, chance) * scale,
        None => usual * (spread * normal(chance) - spread * spread / 2.0).exp(),
    };
    let mut open: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
    for _ in 0..workers.min(left) {
        open.push(Reverse(0));
    }
    let mut ends = Vec::new();
    let running = client.tasks.iter().filter(|task| task.ended.is_none());
    for task in running.take(workers.min(left)) {
        let age = task.began.map(|began| between(began, evidence.until));
        let time = whole_time(age, chance);
        let rest = match age {
            Some(age) if time > age => time - age,
            _ => time * chance.uniform(),
        };
        open.pop();
        ends.push(Millis::from_secs_f64(rest).0);
    }
    let begun = ends.len();
    open.extend(ends.into_iter().map(Reverse));
    for _ in begun..left {
        let free = open.pop().map_or(0, |free| free.0);
        open.push(Reverse(
            free + Millis::from_secs_f64(whole_time(None, chance)).0,
        ));
    }
    let ends = open.into_sorted_vec();
    // How long the longest take is known from few.
    let stretch = lives.map_or(1.0, |lives| (normal(chance) * lives.error()).exp());
    let ends = ends.into_iter().rev().map(|end| end.0);
    wound_up(ends, workers, waits, stretch)
}

/// When the last of these ends, in seconds: the fewer are left, the less they wait for each other, down to not at all.
fn wound_up(
    ends: impl ExactSizeIterator<Item = u64>,
    workers: usize,
    waits: f64,
    stretch: f64,
) -> f64 {
    let (mut now, mut before) = (0.0, 0.0);
    let all = ends.len();
    for (gone, end) in ends.enumerate() {
        let end = Millis(end).as_secs_f64();
        let busy = float(all - gone) / float(workers);
        let length = (end - before) * busy.max(1.0 - waits).min(1.0);
        now += if gone == 0 { length } else { length * stretch };
        before = end;
    }
    now
}

/// The share of a question's time in which it waits for a place at a server, as far as that was seen.
fn waiting(evidence: &Evidence) -> f64 {
    let parts = phases(evidence);
    let blocks = Blocks::of(evidence, parts.steady).all();
    let classes = evidence.classes.iter().zip(&blocks.classes);
    let waiting = classes.filter_map(|(class, sums)| {
        let each = sums.queueing(float(class.series.len()))?;
        Some(each * float(class.replicas))
    });
    let waiting: f64 = waiting.sum();
    let all = blocks.flow.under_way.rate();
    all.and_then(|all| ratio(waiting, all))
        .unwrap_or(0.0)
        .min(1.0)
}

fn normal(chance: &mut Chance) -> f64 {
    (0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_by_chance_have_the_rate_at_which_they_came() {
        let mut sum = 0.0;
        for seed in 1..=2000 {
            let mut chance = Chance::new(seed);
            let mut now = 0.0;
            let ends: Vec<Timestamp> = (0..60)
                .map(|_| {
                    now -= 10.0 * (1.0 - chance.uniform()).ln();
                    Timestamp(Millis::from_secs_f64(now).0)
                })
                .collect();
            sum += rate(&Evidence::default(), &ends).unwrap().value * 10.0;
        }
        // 5 % more if the last one counted, up to which the others are.
        assert!((sum / 2000.0 - 1.0).abs() < 0.025, "{}", sum / 2000.0);
    }
}
