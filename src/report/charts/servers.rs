//! What the servers of each model or service did over time.

use super::class::Classes;
use super::frame::Frame;
use crate::base::{Millis, Timestamp};
use crate::facts::samples::{Point, Samples, ServerSeries};
use crate::knowledge::series::{Counter, Gauge};

/// The servers of a model or service together, piece by piece of a frame; none where nothing is known.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassSeries {
    /// Which.
    pub class: usize,
    /// Servers that were sampled.
    pub servers: usize,
    /// Tokens generated in a second.
    pub tokens: Vec<Option<f64>>,
    /// Requests being computed.
    pub running: Vec<Option<f64>>,
    /// Requests in the queue.
    pub waiting: Vec<Option<f64>>,
    /// The share of the KV cache that is used, on average over its servers.
    pub kv: Vec<Option<f64>>,
    /// The same of the server that used most of its own.
    pub kv_most: Vec<Option<f64>>,
}

impl ClassSeries {
    fn empty(class: usize, frame: &Frame) -> Self {
        let none = || vec![None; frame.pieces()];
        Self {
            class,
            servers: 0,
            tokens: none(),
            running: none(),
            waiting: none(),
            kv: none(),
            kv_most: none(),
        }
    }

    /// Whether any piece of a series is known.
    pub fn has(series: &[Option<f64>]) -> bool {
        series.iter().any(Option::is_some)
    }
}

/// Of all that was sampled, by class, in their order.
pub(super) fn series(samples: &Samples, classes: &Classes, frame: &Frame) -> Vec<ClassSeries> {
    let all = 0..classes.all().len();
    let of_class = all.filter_map(|class| {
        let mut own = samples.servers.iter();
        let own = own.by_ref();
        let own = own.filter(|(unit, _)| classes.of_unit(unit) == Some(class));
        let mut sum = ClassSeries::empty(class, frame);
        // The share of a KV cache is a mean over servers.
        let mut holders = vec![0_u32; frame.pieces()];
        for (_, server) in own {
            add(&mut sum, &mut holders, server, frame, samples.every);
        }
        for (kv, servers) in sum.kv.iter_mut().zip(holders) {
            *kv = kv.map(|kv| kv / f64::from(servers.max(1)));
        }
        (sum.servers > 0).then_some(sum)
    });
    of_class.collect()
}

fn add(
    sum: &mut ClassSeries,
    holders: &mut [u32],
    server: &ServerSeries,
    frame: &Frame,
    every: Millis,
) {
    sum.servers += 1;
    let mean = |gauge| over(server, frame, every, move |point| point.mean(gauge));
    plus(&mut sum.running, &mean(Gauge::Running));
    plus(&mut sum.waiting, &mean(Gauge::Waiting));
    let tokens = |point: Point<'_>| point.rate(Counter::GenerationTokens);
    plus(&mut sum.tokens, &over(server, frame, every, tokens));
    let kv = mean(Gauge::KvCache);
    for (servers, kv) in holders.iter_mut().zip(&kv) {
        *servers += u32::from(kv.is_some());
    }
    plus(&mut sum.kv, &kv);
    let most = over(server, frame, every, |point| point.most(Gauge::KvCache));
    for (own, other) in sum.kv_most.iter_mut().zip(most) {
        *own = match (*own, other) {
            (Some(own), Some(other)) => Some(own.max(other)),
            (own, other) => own.or(other),
        };
    }
}

fn plus(sum: &mut [Option<f64>], more: &[Option<f64>]) {
    for (own, more) in sum.iter_mut().zip(more) {
        *own = match (*own, *more) {
            (None, None) => None,
            (own, more) => Some(own.unwrap_or_default() + more.unwrap_or_default()),
        };
    }
}

/// A value by pieces: the mean of the points that lie in each, by how long they do. A point stands for the time since the one
/// before; where that is not known or was a gap, for one pause between samples.
#[expect(clippy::cast_precision_loss, reason = "lengths of time below 2^53")]
fn over(
    server: &ServerSeries,
    frame: &Frame,
    every: Millis,
    value: impl Fn(Point<'_>) -> Option<f64>,
) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0.0); frame.pieces()];
    for point in server.points() {
        let Some(value) = value(point).filter(|value| value.is_finite()) else {
            continue;
        };
        let longest = 4 * every.0.max(1) * u64::from(point.looks().max(1));
        let span = match point.span().0 {
            0 => every.0.max(1),
            span => span.min(longest),
        };
        let from = Timestamp(point.at().0.saturating_sub(span));
        for (piece, length) in frame.touched(from, point.at()) {
            if let Some((sum, weight)) = sums.get_mut(piece) {
                *sum += value * length as f64;
                *weight += length as f64;
            }
        }
    }
    let means = sums.into_iter();
    means
        .map(|(sum, weight)| (weight > 0.0).then(|| sum / weight))
        .collect()
}
