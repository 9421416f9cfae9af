//! From what was seen of servers to lines: what came since the line before.

use std::collections::BTreeMap;

use super::line::{Amount, ServerLine, Spread};
use super::page::ServerSample;
use crate::base::{Generation, Timestamp, UnitId};
use crate::facts::Histogram;

/// After so many lines all is told again: an hour's worth.
const ALL_AGAIN: u32 = 240;

/// Sums are told to a tenth of a millisecond.
const PARTS: f64 = 1e4;

/// What was told of each server, so that only what is new need be.
#[derive(Debug, Default)]
pub struct Encoder {
    told: BTreeMap<UnitId, Told>,
}

#[derive(Debug)]
struct Told {
    generation: Generation,
    /// As a reader knows it, who adds lines up: rounded.
    sample: ServerSample,
    /// Lines since all was told.
    lines: u32,
}

impl Encoder {
    /// The line for a server whose page said this.
    pub fn line(
        &mut self,
        at: Timestamp,
        unit: &UnitId,
        generation: Generation,
        seen: &ServerSample,
    ) -> ServerLine {
        let mut line = ServerLine {
            at,
            unit: unit.clone(),
            generation,
            all: false,
            born: None,
            now: BTreeMap::new(),
            more: BTreeMap::new(),
            spread: BTreeMap::new(),
        };
        let follows = |told: &&mut Told| {
            told.generation == generation
                && told.lines < ALL_AGAIN
                && !seen.begins_anew_after(&told.sample)
        };
        if let Some(told) = self.told.get_mut(unit).filter(follows) {
            told.tell_more(seen, &mut line);
        } else {
            let sample = tell_all(seen, &mut line);
            let told = Told {
                generation,
                sample,
                lines: 0,
            };
            self.told.insert(unit.clone(), told);
        }
        line
    }

    /// What was told did not arrive: all is told again.
    pub fn forget(&mut self) {
        self.told.clear();
    }
}

impl Told {
    fn tell_more(&mut self, seen: &ServerSample, line: &mut ServerLine) {
        self.lines += 1;
        for (gauge, value) in &seen.gauges {
            let value = rounded(*value);
            let told = self.sample.gauges.insert(*gauge, value);
            if told.is_none_or(|told| told.total_cmp(&value).is_ne()) {
                line.now.insert(*gauge, Amount(value));
            }
        }
        for (counter, value) in &seen.counters {
            let told = self.sample.counters.entry(*counter).or_default();
            let more = value - *told;
            if more > 0.0 {
                *told = *value;
                line.more.insert(*counter, Amount(more));
            }
        }
        for (distribution, seen) in &seen.distributions {
            let told = self.sample.distributions.entry(*distribution).or_default();
            if seen.count > told.count {
                let fresh = seen.since(told);
                // Limits are told once.
                let limits_are_known = !told.below.is_empty();
                // What rounding leaves out comes with the next line.
                let sum = rounded(fresh.sum).max(0.0);
                *told = Histogram {
                    sum: told.sum + sum,
                    ..seen.clone()
                };
                let mut spread = spread(&fresh, sum);
                spread
                    .per
                    .retain(|(_, count)| !limits_are_known || count.0 > 0.0);
                line.spread.insert(*distribution, spread);
            }
        }
    }
}

/// Tells all; answers with what a reader knows then.
fn tell_all(seen: &ServerSample, line: &mut ServerLine) -> ServerSample {
    let mut told = seen.clone();
    (line.all, line.born) = (true, seen.born);
    for (gauge, value) in &mut told.gauges {
        *value = rounded(*value);
        line.now.insert(*gauge, Amount(*value));
    }
    let counters = seen.counters.iter();
    line.more = counters
        .map(|(counter, value)| (*counter, Amount(*value)))
        .collect();
    for (distribution, histogram) in &mut told.distributions {
        histogram.sum = rounded(histogram.sum);
        let spread = spread(histogram, histogram.sum);
        line.spread.insert(*distribution, spread);
    }
    told
}

/// A histogram, bucket by bucket.
fn spread(histogram: &Histogram, sum: f64) -> Spread {
    let mut before = 0.0;
    let per = histogram.below.iter().map(|(limit, below)| {
        // A page that is read while it changes may say less of a wider bucket.
        let count = (below - before).max(0.0);
        before = f64::max(before, *below);
        (limit.is_finite().then_some(Amount(*limit)), Amount(count))
    });
    Spread {
        per: per.collect(),
        n: Amount(histogram.count),
        sum: Amount(sum),
    }
}

fn rounded(value: f64) -> f64 {
    (value * PARTS).round() / PARTS
}
