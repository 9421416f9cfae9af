//! One point of a server's series.

use super::server::ServerSeries;
use super::work::per_second;
use crate::base::{Generation, Millis, Timestamp};
use crate::facts::Histogram;
use crate::knowledge::series::{Counter, Distribution, Gauge};

/// What a server did since the point before.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    pub(super) series: &'a ServerSeries,
    pub(super) stored: &'a Stored,
}

/// A point as it is kept: some 220 bytes, and 8 for each bucket that grew.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) at: Timestamp,
    pub(super) span: Millis,
    pub(super) generation: Generation,
    pub(super) begins: bool,
    pub(super) looks: u32,
    pub(super) queued: u32,
    /// Which series the server has: bits of gauges, counters, distributions.
    pub(super) known: Known,
    /// The sum over the looks, and the most.
    pub(super) gauges: [(f32, f32); Gauge::ALL.len()],
    pub(super) counters: [f64; Counter::ALL.len()],
    /// How many values, and what they add up to.
    pub(super) spreads: [(f32, f32); Distribution::ALL.len()],
    pub(super) cells: Box<[Cell]>,
}

/// How many values of a distribution fell into one of its buckets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    pub(super) distribution: u8,
    /// Which of the limits that the series knows.
    pub(super) limit: u16,
    pub(super) count: f32,
}

/// Which series a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Known {
    pub(super) gauges: u16,
    pub(super) counters: u16,
    pub(super) distributions: u16,
}

impl Point<'_> {
    /// When the server's page was read.
    pub fn at(self) -> Timestamp {
        self.stored.at
    }

    /// The time since the point before, or since its process began; zero where that is not known.
    pub fn span(self) -> Millis {
        self.stored.span
    }

    /// The server's n-th start.
    pub fn generation(self) -> Generation {
        self.stored.generation
    }

    /// It is the first of a process: all that this had counted by then is in it.
    pub fn begins(self) -> bool {
        self.stored.begins
    }

    /// How many looks it stands for: one, or more where a long run was thinned out.
    pub fn looks(self) -> u32 {
        self.stored.looks
    }

    /// Of these, those that found requests in the queue.
    pub fn queued(self) -> u32 {
        self.stored.queued
    }

    /// A gauge, the mean of its looks; none where the server does not have it.
    pub fn mean(self, gauge: Gauge) -> Option<f64> {
        let (sum, _) = self.gauge(gauge)?;
        Some(f64::from(sum) / f64::from(self.stored.looks))
    }

    /// The most that one of its looks saw.
    pub fn most(self, gauge: Gauge) -> Option<f64> {
        self.gauge(gauge).map(|(_, most)| f64::from(most))
    }

    fn gauge(self, gauge: Gauge) -> Option<(f32, f32)> {
        let known = self.stored.known.gauges >> gauge as u16 & 1 == 1;
        known.then(|| self.stored.gauges[gauge as usize])
    }

    /// By how much a counter grew since the point before; none where the server does not have it.
    pub fn count(self, counter: Counter) -> Option<f64> {
        let known = self.stored.known.counters >> counter as u16 & 1 == 1;
        known.then(|| self.stored.counters[counter as usize])
    }

    /// The same in a second.
    pub fn rate(self, counter: Counter) -> Option<f64> {
        per_second(self.count(counter)?, self.stored.span)
    }

    /// Whether the server has this distribution.
    pub fn has(self, distribution: Distribution) -> bool {
        self.stored.known.distributions >> distribution as u16 & 1 == 1
    }

    /// How many values came into a distribution since the point before; none where the server does not have it.
    pub fn values(self, distribution: Distribution) -> Option<f64> {
        let (count, _) = self.stored.spreads[distribution as usize];
        self.has(distribution).then(|| f64::from(count))
    }

    /// What the values of a distribution that came since the point before add up to; none where the server does not have it.
    pub fn sum(self, distribution: Distribution) -> Option<f64> {
        let (_, sum) = self.stored.spreads[distribution as usize];
        self.has(distribution).then(|| f64::from(sum))
    }

    /// What came into a distribution since the point before; none where the server does not have it.
    pub fn distribution(self, distribution: Distribution) -> Option<Histogram> {
        let mut histogram = Histogram::default();
        self.has(distribution).then(|| {
            self.add_to(distribution, &mut histogram);
            histogram
        })
    }

    /// Adds what came into a distribution to a histogram.
    pub(super) fn add_to(self, distribution: Distribution, sum: &mut Histogram) {
        let (n, total) = self.stored.spreads[distribution as usize];
        if n == 0.0 && !sum.below.is_empty() {
            return;
        }
        let limits = self.series.limits(distribution);
        for limit in limits {
            sum.know(*limit);
        }
        let cells = self.stored.cells.iter();
        for cell in cells.filter(|cell| cell.distribution == distribution as u8) {
            sum.fill(limits[usize::from(cell.limit)], f64::from(cell.count));
        }
        sum.count += f64::from(n);
        sum.sum += f64::from(total);
    }
}

impl Stored {
    /// Adds what came right after it in the same process.
    pub(super) fn append(&mut self, next: &Self) {
        self.at = next.at;
        self.span.0 += next.span.0;
        self.looks += next.looks;
        self.queued += next.queued;
        self.known = next.known;
        for (own, next) in self.gauges.iter_mut().zip(&next.gauges) {
            *own = (own.0 + next.0, own.1.max(next.1));
        }
        for (own, next) in self.counters.iter_mut().zip(&next.counters) {
            *own += next;
        }
        for (own, next) in self.spreads.iter_mut().zip(&next.spreads) {
            *own = (own.0 + next.0, own.1 + next.1);
        }
        let mut cells = std::mem::take(&mut self.cells).into_vec();
        for cell in &next.cells {
            let same =
                |own: &&mut Cell| (own.distribution, own.limit) == (cell.distribution, cell.limit);
            match cells.iter_mut().find(same) {
                Some(own) => own.count += cell.count,
                None => cells.push(*cell),
            }
        }
        self.cells = cells.into();
    }
}
