//! What a server did over a time, or several servers together.

use super::point::Point;
use crate::base::{Millis, float};
use crate::facts::Histogram;
use crate::knowledge::series::{Counter, Distribution, Gauge};

/// What one or more servers did over a time: a sum of points. Add the replicas of a class to get the class.
///
/// A series that none of the servers has is none, never zero: nothing follows from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Work {
    /// The time that it covers, all servers together: two that were watched for an hour have two hours.
    pub span: Millis,
    /// Looks at a page.
    pub looks: u32,
    /// Of these, those that found requests in the queue.
    pub queued: u32,
    /// By gauge: what the looks that told it add up to, how many they were, and the most that one saw.
    gauges: [(f64, u32, f64); Gauge::ALL.len()],
    counters: [Option<f64>; Counter::ALL.len()],
    distributions: [Option<Histogram>; Distribution::ALL.len()],
}

impl Work {
    /// Adds a point.
    pub fn add(&mut self, point: Point<'_>) {
        self.span.0 += point.span().0;
        self.looks += point.looks();
        self.queued += point.queued();
        for gauge in Gauge::ALL {
            if let (Some(mean), Some(most)) = (point.mean(gauge), point.most(gauge)) {
                let (sum, looks, known) = &mut self.gauges[gauge as usize];
                *sum += mean * f64::from(point.looks());
                *looks += point.looks();
                *known = known.max(most);
            }
        }
        for counter in Counter::ALL {
            if let Some(count) = point.count(counter) {
                *self.counters[counter as usize].get_or_insert(0.0) += count;
            }
        }
        for distribution in Distribution::ALL {
            if point.has(distribution) {
                let sum = self.distributions[distribution as usize].get_or_insert_default();
                point.add_to(distribution, sum);
            }
        }
    }

    /// Adds what another server did, or the same one at another time.
    pub fn merge(&mut self, other: &Self) {
        self.span.0 += other.span.0;
        self.looks += other.looks;
        self.queued += other.queued;
        for (own, other) in self.gauges.iter_mut().zip(&other.gauges) {
            *own = (own.0 + other.0, own.1 + other.1, own.2.max(other.2));
        }
        for (own, other) in self.counters.iter_mut().zip(&other.counters) {
            if let Some(count) = other {
                *own.get_or_insert(0.0) += count;
            }
        }
        for (own, other) in self.distributions.iter_mut().zip(&other.distributions) {
            if let Some(histogram) = other {
                own.get_or_insert_default().add(histogram);
            }
        }
    }

    /// The mean of a gauge over all looks: of one server, or of one of them on average.
    pub fn mean(&self, gauge: Gauge) -> Option<f64> {
        let (sum, looks, _) = self.gauges[gauge as usize];
        (looks > 0).then(|| sum / f64::from(looks))
    }

    /// The most that one look at one server saw.
    pub fn most(&self, gauge: Gauge) -> Option<f64> {
        let (_, looks, most) = self.gauges[gauge as usize];
        (looks > 0).then_some(most)
    }

    /// The share of looks that found requests in the queue; none where no queue is told.
    pub fn queued_share(&self) -> Option<f64> {
        let (_, looks, _) = self.gauges[Gauge::Waiting as usize];
        (looks > 0).then(|| f64::from(self.queued) / f64::from(looks))
    }

    /// By how much a counter grew.
    pub fn count(&self, counter: Counter) -> Option<f64> {
        self.counters[counter as usize]
    }

    /// Requests that ended, however they did.
    pub fn finished(&self) -> Option<f64> {
        let counts = Counter::FINISHED.iter();
        counts
            .filter_map(|reason| self.count(*reason))
            .reduce(|one, other| one + other)
    }

    /// By how much a counter grew in a second, of one server on average.
    pub fn rate(&self, counter: Counter) -> Option<f64> {
        per_second(self.count(counter)?, self.span)
    }

    /// What came into a distribution; its `mean` and `quantile` are those of this time.
    pub fn distribution(&self, distribution: Distribution) -> Option<&Histogram> {
        self.distributions[distribution as usize].as_ref()
    }
}

/// A count by the time that it took; none where that is not known.
pub(super) fn per_second(count: f64, span: Millis) -> Option<f64> {
    (span.0 > 0).then(|| count * 1000.0 / float(span.0))
}
