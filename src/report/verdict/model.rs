//! What other numbers of replicas would bring, from what was measured, with an interval.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::curve::Slowdown;
use super::evidence::{Class, Evidence};
use super::measured::seats;
use super::network::{Network, Station};
use super::numbers::ratio;
use super::phases::Phases;
use super::sums::{Block, Blocks, Sums};
use crate::base::{Chance, float, nearest};
use crate::report::quantile;

/// Draws of the bootstrap; fewer where one takes long.
const DRAWS: usize = 200;
/// From so many questions at once a network is large.
const LARGE: usize = 400;
/// Blocks below which an interval says nothing.
const FEWEST_BLOCKS: usize = 6;
/// Questions below which nothing is predicted.
const FEWEST_DONE: f64 = 30.0;
/// The outer parts of the draws that are left out: nineteen of twenty are within.
const OUTER: f64 = 0.025;
/// As many standard errors, for what is added to that.
const ERRORS: f64 = 1.96;
/// How far the network may be off, as a share of the change that it predicts.
const MODEL: f64 = 0.1;
/// Decides the draws: the same evidence, the same interval.
const SEED: u64 = 0x746f_6f6c_6f72_6368;

/// A factor on the questions per hour, and the interval in which it will be measured nineteen times of twenty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The likeliest.
    pub factor: f64,
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
}

/// What was measured, ready to be reckoned with.
#[derive(Debug)]
pub(super) struct Model<'a> {
    evidence: &'a Evidence,
    blocks: Blocks,
    all: Block,
    slowdowns: Vec<Slowdown>,
    seats: Vec<Option<usize>>,
    concurrency: usize,
}

impl<'a> Model<'a> {
    /// Makes it to reckon with these classes, or says what is missing.
    pub(super) fn of(
        evidence: &'a Evidence,
        phases: &Phases,
        asked: &[usize],
    ) -> Result<Self, String> {
        for class in asked.iter().map(|index| &evidence.classes[*index]) {
            let sums = Sums::of(class, phases.steady);
            if sums.waiting.rate().is_none() || sums.running.rate().is_none() {
                return Err(unmeasured(class, &sums));
            }
        }
        let blocks = Blocks::of(evidence, phases.steady);
        let all = blocks.all();
        if all.flow.done < FEWEST_DONE {
            return Err(format!(
                "only {:.0} questions were finished in the steady time",
                all.flow.done
            ));
        }
        // Blocks between two looks know of no queue.
        let seen = |index: usize| {
            let seen = blocks.0.iter();
            seen.filter(|block| block.classes[index].running.rate().is_some())
                .count()
        };
        if blocks.0.len() < FEWEST_BLOCKS || asked.iter().any(|index| seen(*index) < FEWEST_BLOCKS)
        {
            return Err("the steady time is too short".to_owned());
        }
        let under_way = all.flow.under_way.rate();
        let concurrency = under_way
            .map(nearest)
            .or(evidence.client.concurrency)
            .filter(|number| *number > 0)
            .ok_or("how many questions are under way at once is not known")?;
        let classes = evidence.classes.iter();
        Ok(Self {
            evidence,
            blocks,
            all,
            slowdowns: classes
                .clone()
                .map(|class| Slowdown::of(class, phases))
                .collect(),
            seats: classes.map(|class| Some(seats(class)?.count)).collect(),
            concurrency,
        })
    }

    /// The replicas of each class as they are.
    pub(super) fn replicas(&self) -> Vec<usize> {
        let classes = self.evidence.classes.iter();
        classes.map(|class| class.replicas).collect()
    }

    /// Questions that were finished in the steady time.
    pub(super) fn done(&self) -> usize {
        nearest(self.all.flow.done)
    }

    /// Questions per second as they were measured.
    pub(super) fn throughput(&self) -> f64 {
        self.all.flow.throughput().unwrap_or_default()
    }

    /// The factor that other replicas bring, without an interval.
    pub(super) fn factor(&self, replicas: &[usize]) -> Option<f64> {
        let slowdowns: Vec<f64> = self.slowdowns.iter().map(|seen| seen.value()).collect();
        self.factor_of(&self.all, &slowdowns, replicas)
    }

    fn factor_of(&self, block: &Block, slowdowns: &[f64], replicas: &[usize]) -> Option<f64> {
        let before = self.network(block, slowdowns, &self.replicas())?;
        let after = self.network(block, slowdowns, replicas)?;
        ratio(after.throughput()?, before.throughput()?)
    }

    /// The same with an interval: blocks are drawn again and again, and slowdowns with them. To that comes, as if they were
    /// independent, the scatter of both runs that will be compared, and how far the network is off here and now.
    pub(super) fn estimate(&self, replicas: &[usize]) -> Option<Estimate> {
        let factor = self.factor(replicas)?;
        let mut chance = Chance::new(SEED);
        let draws = if self.concurrency > LARGE {
            DRAWS / 4
        } else {
            DRAWS
        };
        let mut drawn: Vec<f64> = (0..draws)
            .filter_map(|_| {
                let block = self.blocks.drawn(&mut chance);
                let slowdowns: Vec<f64> = self
                    .slowdowns
                    .iter()
                    .map(|seen| seen.drawn(&mut chance))
                    .collect();
                self.factor_of(&block, &slowdowns, replicas)
            })
            .collect();
        drawn.sort_unstable_by(f64::total_cmp);
        let (low, high) = (quantile(&drawn, OUTER)?, quantile(&drawn, 1.0 - OUTER)?);
        let change = factor.ln();
        let apart = [
            ERRORS * std::f64::consts::SQRT_2 * self.scatter(),
            MODEL * change.abs(),
            // Where it misses what is, it will miss what comes by as much of the change.
            self.miss().unwrap_or(0.0).abs() * change.abs(),
        ];
        let apart: f64 = apart.iter().map(|part| part * part).sum();
        let out = |inner: f64| (inner.max(0.0).powi(2) + apart).sqrt();
        Some(Estimate {
            factor,
            low: (change - out(change - low.ln())).exp(),
            high: (change + out(high.ln() - change)).exp(),
        })
    }

    /// The standard error of the measured throughput, as a share of it.
    fn scatter(&self) -> f64 {
        let done: Vec<f64> = self.blocks.0.iter().map(|block| block.flow.done).collect();
        let count = float(done.len());
        let mean = done.iter().sum::<f64>() / count;
        let square: f64 = done.iter().map(|done| (done - mean) * (done - mean)).sum();
        ratio((square / (count - 1.0) / count).sqrt(), mean).unwrap_or(1.0)
    }

    /// How far the network is from what was measured, as a logarithm.
    pub(super) fn miss(&self) -> Option<f64> {
        let slowdowns: Vec<f64> = self.slowdowns.iter().map(|seen| seen.value()).collect();
        let network = self.network(&self.all, &slowdowns, &self.replicas())?;
        Some(ratio(network.throughput()?, self.throughput())?.ln())
    }

    /// The class whose seats would be the most taken, and by how much of them; none where nobody ever waited for a seat.
    pub(super) fn fullest(&self, replicas: &[usize]) -> Option<(&'a str, f64)> {
        let slowdowns: Vec<f64> = self.slowdowns.iter().map(|seen| seen.value()).collect();
        let network = self.network(&self.all, &slowdowns, replicas)?;
        let throughput = network.throughput()?;
        let used = |(index, station): (usize, &Station)| {
            let share = ratio(throughput, station.most()?)?;
            Some((index, share))
        };
        let sampled = sampled(&self.all);
        let fullest = network
            .stations
            .iter()
            .enumerate()
            .filter_map(used)
            .max_by(|one, other| one.1.total_cmp(&other.1))?;
        let class = *sampled.get(fullest.0)?;
        Some((&self.evidence.classes[class].name, fullest.1))
    }

    fn network(&self, block: &Block, slowdowns: &[f64], replicas: &[usize]) -> Option<Network> {
        let throughput = block.flow.throughput()?;
        let time = float(self.concurrency) / throughput;
        let mut delay = time;
        let mut stations = Vec::new();
        for index in sampled(block) {
            let (class, sums) = (&self.evidence.classes[index], &block.classes[index]);
            let finished = sums.finished.rate()? * float(class.replicas);
            let station = Station {
                visits: finished / throughput,
                replicas: replicas[index],
                seats: self.seats[index],
                service: sums.service()?,
                company: sums.company()?,
                slowdown: slowdowns[index],
            };
            delay -= station.visits * (station.service + sums.queued().unwrap_or(0.0));
            stations.push(station);
        }
        Some(Network {
            population: self.concurrency,
            stations,
            delay: delay.max(0.0),
        })
    }
}

fn unmeasured(class: &Class, sums: &Sums) -> String {
    let name = &class.name;
    if sums.queue.rate().is_some() && sums.inference.rate().is_some() {
        format!("{name} was not sampled while the client ran, and averages alone predict nothing")
    } else {
        format!("whether calls wait at {name} was not measured")
    }
}

/// Classes of which enough was sampled; the time of the others counts as time elsewhere.
fn sampled(block: &Block) -> Vec<usize> {
    let known = |index: &usize| {
        let sums = &block.classes[*index];
        sums.service().is_some() && sums.company().is_some()
    };
    (0..block.classes.len()).filter(known).collect()
}
