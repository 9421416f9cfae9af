//! A server's series, put together from its lines.

use super::line::{ServerLine, Spread};
use super::page::ServerSample;
use super::point::{Cell, Known, Point, Stored};
use super::work::Work;
use crate::base::{Generation, Millis, Timestamp, floor};
use crate::facts::Histogram;
use crate::knowledge::series::{Counter, Distribution, Gauge};

/// What a server did, point by point, in the order of time, over all its starts.
#[derive(Debug, Clone, Default)]
pub struct ServerSeries {
    points: Vec<Stored>,
    /// Limits of buckets, by distribution, in the order in which they were first seen.
    limits: [Vec<f64>; Distribution::ALL.len()],
    /// What its process has counted, as far as it was told.
    counted: Option<(Generation, ServerSample)>,
}

impl ServerSeries {
    /// Its points.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = Point<'_>> + ExactSizeIterator {
        self.points.iter().map(|stored| Point {
            series: self,
            stored,
        })
    }

    /// What it did from one moment to another: the sum of the points that end in that time.
    pub fn over(&self, from: Timestamp, to: Timestamp) -> Work {
        let first = self.points.partition_point(|point| point.at <= from);
        let mut work = Work::default();
        let points = self.points().skip(first);
        points
            .take_while(|point| point.at() <= to)
            .for_each(|point| work.add(point));
        work
    }

    /// All that it did.
    pub fn all(&self) -> Work {
        self.over(Timestamp(0), Timestamp(u64::MAX))
    }

    pub(super) fn limits(&self, distribution: Distribution) -> &[f64] {
        &self.limits[distribution as usize]
    }

    /// Takes its next line; a second one of a moment is none. Answers whether it is of one before the last, because the clock
    /// was set back: what came since then is added to its point.
    pub(super) fn take(&mut self, line: &ServerLine) -> bool {
        let last = self.points.last().map(|point| point.at);
        if last == Some(line.at) {
            return false;
        }
        let set_back = last.is_some_and(|last| line.at < last);
        let told = told(line);
        let (known, begins) = match self.counted.take() {
            Some((generation, known))
                if generation == line.generation
                    && !(line.all && told.begins_anew_after(&known)) =>
            {
                (known, false)
            }
            _ if line.all => (ServerSample::default(), true),
            // What a process had counted before is not known: nothing can be said of this one.
            _ => return false,
        };
        let first = self.points.partition_point(|point| point.at < line.at);
        let since_then = self.points.split_off(first);
        let last = self.points.last().map(|point| point.at);
        let born = told.born.filter(|_| begins).map(moment);
        let since = last.max(born.filter(|born| *born <= line.at));
        let fresh = if line.all {
            less(&told, &known)
        } else {
            told.clone()
        };
        let mut counted = if line.all { told } else { sum(known, &told) };
        // A gauge that cannot be is not what it was before either.
        counted.gauges.retain(|_, value| value.is_finite());
        let span = since.map_or(Millis(0), |since| line.at.since(since));
        let stored = self.store(line, span, begins, &fresh, &counted);
        let folded = since_then
            .into_iter()
            .reduce(|one, next| folded(one, &next));
        self.points.push(match folded {
            Some(before) => Stored {
                span,
                ..self::folded(before, &stored)
            },
            None => stored,
        });
        self.counted = Some((line.generation, counted));
        set_back
    }

    fn store(
        &mut self,
        line: &ServerLine,
        span: Millis,
        begins: bool,
        fresh: &ServerSample,
        counted: &ServerSample,
    ) -> Stored {
        let gauge = |gauge: &Gauge| counted.gauges.get(gauge).copied().unwrap_or_default();
        let gauges = Gauge::ALL.map(|one| (narrow(gauge(&one)), narrow(gauge(&one))));
        let counter = |counter| fresh.counters.get(&counter).copied().unwrap_or_default();
        let mut stored = Stored {
            at: line.at,
            span,
            generation: line.generation,
            begins,
            looks: 1,
            queued: u32::from(gauge(&Gauge::Waiting) > 0.0),
            known: known(counted),
            gauges,
            counters: Counter::ALL.map(counter),
            spreads: Default::default(),
            cells: Box::default(),
        };
        let mut cells = Vec::new();
        for (distribution, histogram) in &fresh.distributions {
            stored.spreads[*distribution as usize] =
                (narrow(histogram.count), narrow(histogram.sum));
            let limits = &mut self.limits[*distribution as usize];
            let mut before = 0.0;
            for (limit, below) in &histogram.below {
                let count = narrow(below - before);
                before = *below;
                let limit = place(limits, *limit);
                if count > 0.0 {
                    let distribution = *distribution as u8;
                    cells.push(Cell {
                        distribution,
                        limit,
                        count,
                    });
                }
            }
        }
        stored.cells = cells.into();
        stored
    }

    /// Makes one point of those that lie in the same piece of time, in the same process.
    pub(super) fn thin_out(&mut self, width: Millis) {
        let piece = |point: &Stored| point.at.0.div_ceil(width.0.max(1));
        let mut thinned: Vec<Stored> = Vec::new();
        for point in std::mem::take(&mut self.points) {
            match thinned.last_mut() {
                Some(last) if !point.begins && piece(last) == piece(&point) => last.append(&point),
                _ => thinned.push(point),
            }
        }
        thinned.shrink_to_fit();
        self.points = thinned;
    }

    /// Moments as another clock has them.
    pub(super) fn move_to(&mut self, moment: &impl Fn(Timestamp) -> Timestamp) {
        for point in &mut self.points {
            let since = moment(Timestamp(point.at.0.saturating_sub(point.span.0)));
            point.at = moment(point.at);
            point.span = point.at.since(since);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.points.len()
    }
}

/// One point of two that follow each other.
fn folded(mut one: Stored, next: &Stored) -> Stored {
    one.append(next);
    one.generation = next.generation;
    one.begins |= next.begins;
    one
}

/// Where a limit stands among those that are known; there are some dozens.
fn place(limits: &mut Vec<f64>, limit: f64) -> u16 {
    let known = limits
        .iter()
        .position(|known| known.total_cmp(&limit).is_eq());
    let at = known.unwrap_or_else(|| {
        // A file of nonsense must not grow without end.
        if limits.len() < usize::from(u16::MAX) {
            limits.push(limit);
        }
        limits.len() - 1
    });
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// What a line says, as a sample.
fn told(line: &ServerLine) -> ServerSample {
    let mut told = ServerSample {
        born: line.born,
        ..ServerSample::default()
    };
    told.gauges
        .extend(line.now.iter().map(|(gauge, value)| (*gauge, value.0)));
    told.counters
        .extend(line.more.iter().map(|(counter, more)| (*counter, more.0)));
    let spreads = line.spread.iter();
    told.distributions
        .extend(spreads.map(|(of, spread)| (*of, histogram(spread))));
    told
}

fn histogram(spread: &Spread) -> Histogram {
    let mut per: Vec<(f64, f64)> = (spread.per.iter())
        .map(|(limit, count)| (limit.map_or(f64::INFINITY, |limit| limit.0), count.0))
        .collect();
    per.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut below = 0.0;
    for (_, count) in &mut per {
        below += count.max(0.0);
        *count = below;
    }
    Histogram {
        below: per,
        count: spread.n.0,
        sum: spread.sum.0,
    }
}

/// What came since `known`.
fn less(told: &ServerSample, known: &ServerSample) -> ServerSample {
    let mut fresh = told.clone();
    for (counter, value) in &mut fresh.counters {
        *value -= known.counters.get(counter).copied().unwrap_or_default();
    }
    for (distribution, histogram) in &mut fresh.distributions {
        if let Some(known) = known.distributions.get(distribution) {
            *histogram = histogram.since(known);
            // Sums are rounded.
            histogram.sum = histogram.sum.max(0.0);
        }
    }
    fresh
}

/// What a process has counted, with what came since.
fn sum(mut counted: ServerSample, more: &ServerSample) -> ServerSample {
    counted.gauges.extend(&more.gauges);
    for (counter, more) in &more.counters {
        *counted.counters.entry(*counter).or_default() += more;
    }
    for (distribution, more) in &more.distributions {
        // Only buckets that grew are told: every wider one grew as well.
        let known = counted.distributions.entry(*distribution).or_default();
        known.add(more);
    }
    counted
}

fn known(sample: &ServerSample) -> Known {
    Known {
        gauges: bits(sample.gauges.keys(), |gauge| *gauge as u8),
        counters: bits(sample.counters.keys(), |counter| *counter as u8),
        distributions: bits(sample.distributions.keys(), |of| *of as u8),
    }
}

fn bits<T>(some: impl Iterator<Item = T>, place: impl Fn(T) -> u8) -> u16 {
    some.fold(0, |bits, one| bits | 1 << place(one))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven digits are enough for a picture"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// Seconds since 1970 as a moment.
fn moment(seconds: f64) -> Timestamp {
    Timestamp(floor(seconds * 1000.0))
}
