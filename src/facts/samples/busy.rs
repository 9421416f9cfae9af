//! A made-up server that is as busy as real ones are, for tests.

use super::page::ServerSample;
use crate::facts::Histogram;
use crate::knowledge::series::{Counter, Distribution, Gauge};

/// vLLM's limits of buckets, as recorded from 0.32.
const SECONDS: [f64; 21] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
];
const TOKENS: [f64; 16] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0,
    20_000.0, 50_000.0, 100_000.0,
];
const GAPS: [f64; 19] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
];

/// The server, and its chance.
pub(crate) struct Busy {
    state: u64,
    starts: u32,
    pub(crate) sample: ServerSample,
}

impl Busy {
    /// One that has just begun.
    pub(crate) fn new(seed: u64) -> Self {
        let mut busy = Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            starts: 0,
            sample: ServerSample::default(),
        };
        busy.restart();
        busy
    }

    /// Its process ends, and another one begins.
    pub(crate) fn restart(&mut self) {
        self.starts += 1;
        self.sample = ServerSample {
            born: Some(1.767e9 + 100.0 * f64::from(self.starts)),
            ..ServerSample::default()
        };
        for gauge in Gauge::ALL {
            self.sample.gauges.insert(gauge, 0.0);
        }
        for counter in Counter::ALL {
            self.sample.counters.insert(counter, 0.0);
        }
        for of in Distribution::ALL {
            let limits: &[f64] = match of {
                Distribution::BetweenTokens => &GAPS,
                Distribution::PromptLength | Distribution::AnswerLength => &TOKENS,
                _ => &SECONDS,
            };
            let limits = limits.iter().copied().chain([f64::INFINITY]);
            let histogram = Histogram {
                below: limits.map(|limit| (limit, 0.0)).collect(),
                ..Histogram::default()
            };
            self.sample.distributions.insert(of, histogram);
        }
    }

    /// Between 0 and 1.
    pub(crate) fn chance(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        f64::from(u32::try_from(self.state >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }

    /// Fifteen seconds at sixteen requests under way: some end, and tokens are written.
    pub(crate) fn work(&mut self) {
        let running = (8.0 + 16.0 * self.chance()).round();
        let waiting = (6.0 * self.chance() - 3.0).max(0.0).round();
        let usage = 0.2 + 0.6 * self.chance();
        for (gauge, value) in Gauge::ALL.into_iter().zip([running, waiting, usage]) {
            self.sample.gauges.insert(gauge, value);
        }
        let written = (running * 15.0 * (20.0 + 20.0 * self.chance())).round();
        self.count(Counter::GenerationTokens, written);
        for _ in 0..200 {
            let gap = 0.02 + 0.08 * self.chance() * self.chance();
            self.spread(Distribution::BetweenTokens, gap, (written / 200.0).round());
        }
        while self.chance() < 0.75 {
            self.end_one();
        }
    }

    fn end_one(&mut self) {
        let tail = self.chance().max(1e-3).recip().sqrt();
        let (prompt, answer) = ((900.0 * tail).round(), (400.0 * tail).round());
        let (queue, prefill) = (self.chance() * 2.0, self.chance() * 0.9);
        let decode = answer * (0.02 + 0.02 * self.chance());
        for (of, value) in [
            (Distribution::Latency, queue + prefill + decode),
            (Distribution::FirstToken, queue + prefill),
            (Distribution::Queue, queue),
            (Distribution::Inference, prefill + decode),
            (Distribution::Prefill, prefill),
            (Distribution::Decode, decode),
            (Distribution::PromptLength, prompt),
            (Distribution::AnswerLength, answer),
        ] {
            self.spread(of, value, 1.0);
        }
        let how = if self.chance() < 0.1 {
            Counter::CutOff
        } else {
            Counter::Stopped
        };
        let found = (prompt * self.chance()).round();
        for (counter, more) in [
            (how, 1.0),
            (Counter::PromptTokens, prompt),
            (Counter::CacheQueries, prompt),
            (Counter::CacheHits, found),
        ] {
            self.count(counter, more);
        }
    }

    fn count(&mut self, counter: Counter, more: f64) {
        *self.sample.counters.entry(counter).or_default() += more;
    }

    fn spread(&mut self, of: Distribution, value: f64, times: f64) {
        let histogram = self.sample.distributions.entry(of).or_default();
        histogram.count += times;
        histogram.sum += value * times;
        for (limit, below) in &mut histogram.below {
            if value <= *limit {
                *below += times;
            }
        }
    }
}
