//! What a server's page of metrics says at one moment.

use std::collections::BTreeMap;

use crate::facts::Histogram;
use crate::facts::exposition::{self, Line};
use crate::knowledge::series::{self, Counter, Distribution, Gauge, Series};

/// What a server does and has counted, summed over its engines (data-parallel ranks) and models. A series that its page
/// does not have is absent here, not zero.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerSample {
    /// When its process began, in seconds since 1970, where it says so: another one counts from zero.
    pub born: Option<f64>,
    /// What it does now. The use of KV caches is the mean of its engines.
    pub gauges: BTreeMap<Gauge, f64>,
    /// What it has counted since it began.
    pub counters: BTreeMap<Counter, f64>,
    /// What it has spread over buckets since it began; their limits are the server's.
    pub distributions: BTreeMap<Distribution, Histogram>,
}

impl ServerSample {
    /// Reads a page; none if it has no series of an engine.
    pub fn read(page: &str) -> Option<Self> {
        let mut reading = Reading::default();
        for line in exposition::lines(page) {
            reading.take(&line);
        }
        reading.end()
    }

    /// Whether this cannot have come after `earlier`: another process counts, from zero.
    pub(super) fn begins_anew_after(&self, earlier: &Self) -> bool {
        let another = |(now, before): (f64, f64)| (now - before).abs() > 1.0;
        let fell = |now: Option<f64>, before: f64| now.is_some_and(|now| now < before - 0.5);
        self.born.zip(earlier.born).is_some_and(another)
            || (earlier.counters.iter())
                .any(|(counter, before)| fell(self.counters.get(counter).copied(), *before))
            || (earlier.distributions.iter()).any(|(distribution, before)| {
                let now = self.distributions.get(distribution);
                fell(now.map(|now| now.count), before.count)
            })
    }
}

/// A page that is being read.
#[derive(Default)]
struct Reading {
    sample: ServerSample,
    /// Histograms under an earlier name.
    earlier: BTreeMap<Distribution, Histogram>,
    /// How many engines told of their cache.
    caches: f64,
}

impl Reading {
    fn take(&mut self, line: &Line<'_>) {
        if line.name == series::PROCESS_START {
            self.sample.born = line.value();
        } else if let Some(known) = series::series(line.name) {
            self.take_value(known, line);
        } else if let Some((name, part)) = line.name.rsplit_once('_') {
            let histogram = match series::series(name) {
                Some(Series::Distribution(of)) => self.sample.distributions.entry(of),
                Some(Series::Earlier(of)) => self.earlier.entry(of),
                _ => return,
            };
            if let Some(value) = number(line) {
                histogram.or_default().take(part, line, value);
            }
        }
    }

    fn take_value(&mut self, known: Series, line: &Line<'_>) {
        let Some(value) = number(line) else { return };
        let counter = match known {
            Series::Gauge(gauge) => {
                if gauge == Gauge::KvCache {
                    self.caches += 1.0;
                }
                *self.sample.gauges.entry(gauge).or_default() += value;
                return;
            }
            Series::Counter(counter) => counter,
            Series::Finished => {
                Counter::finished(&line.label("finished_reason").unwrap_or_default())
            }
            Series::Distribution(_) | Series::Earlier(_) => return,
        };
        *self.sample.counters.entry(counter).or_default() += value;
    }

    fn end(mut self) -> Option<ServerSample> {
        if let Some(usage) = self.sample.gauges.get_mut(&Gauge::KvCache) {
            *usage /= self.caches;
        }
        for (of, histogram) in self.earlier {
            self.sample.distributions.entry(of).or_insert(histogram);
        }
        let sample = self.sample;
        let any = !(sample.gauges.is_empty() && sample.counters.is_empty());
        any.then_some(sample)
    }
}

/// A value that can be added up.
fn number(line: &Line<'_>) -> Option<f64> {
    line.value().filter(|value| value.is_finite())
}
