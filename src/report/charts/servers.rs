//! What the servers of each model or service did over time.

use std::collections::BTreeMap;

use super::class::Classes;
use super::frame::Frame;
use super::standstill::Hangs;
use crate::base::{Generation, Millis, Timestamp, UnitId, float};
use crate::facts::samples::{Point, Samples, ServerSeries};
use crate::knowledge::series::{Counter, Distribution, Gauge};
use crate::run::{Event, Record};

/// The servers of a model or service together, piece by piece of a frame; none where nothing is known.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassSeries {
    /// Which.
    pub class: usize,
    /// Servers that were sampled.
    pub servers: usize,
    /// When that one of them was looked at that was looked at most often.
    pub looks: Vec<Timestamp>,
    /// Tokens generated in a second.
    pub tokens: Vec<Option<f64>>,
    /// Requests being computed.
    pub running: Vec<Option<f64>>,
    /// Requests at servers that hang: these count them as being computed.
    pub stuck: Vec<Option<f64>>,
    /// Where a server hangs that shows no requests: how many are there, nobody knows.
    pub frozen: Vec<bool>,
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
            looks: Vec::new(),
            tokens: none(),
            running: none(),
            stuck: none(),
            frozen: vec![false; frame.pieces()],
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

/// From when on each start of a server could be at work.
pub(super) type Starts = BTreeMap<(UnitId, Generation), Timestamp>;

/// By a journal: it was ready, or else had begun, and some client was there to ask it.
pub(super) fn starts(records: &[Record], clients: &[UnitId]) -> Starts {
    let is_client = |record: &&Record| match &record.event {
        Event::LaunchIntended { unit, .. } => clients.contains(unit),
        _ => false,
    };
    let client = records.iter().find(is_client).map(|record| record.at);
    let mut starts = Starts::new();
    for record in records {
        if let Event::Started {
            unit, generation, ..
        }
        | Event::Ready {
            unit, generation, ..
        } = &record.event
        {
            let asked = client.map_or(record.at, |client| record.at.max(client));
            starts.insert((unit.clone(), *generation), asked);
        }
    }
    starts
}

/// Of all that was sampled, by class, in their order.
pub(super) fn series(
    samples: &Samples,
    classes: &Classes,
    frame: &Frame,
    starts: &Starts,
    hangs: &Hangs,
) -> Vec<ClassSeries> {
    let all = 0..classes.all().len();
    let of_class = all.filter_map(|class| {
        let mut sum = ClassSeries::empty(class, frame);
        // The share of a KV cache is a mean over servers.
        let mut holders = vec![0_u32; frame.pieces()];
        let own = samples.servers.iter();
        for (unit, server) in own.filter(|(unit, _)| classes.of_unit(unit) == Some(class)) {
            let stretches = stretches(unit, server, samples.every, starts);
            add(&mut sum, &mut holders, &stretches, frame, |at| {
                hangs.at(unit, at)
            });
            let looks = server.points().map(Point::at);
            if looks.len() > sum.looks.len() {
                sum.looks = looks.collect();
            }
        }
        for (kv, servers) in sum.kv.iter_mut().zip(holders) {
            *kv = kv.map(|kv| kv / f64::from(servers.max(1)));
        }
        (sum.servers > 0).then_some(sum)
    });
    of_class.collect()
}

/// What a point stands for: the time since the look before of the same process, or since that began.
struct Stretch<'a> {
    from: Timestamp,
    point: Point<'a>,
    /// The look at its begin.
    before: Option<Point<'a>>,
    /// A process that just began has nothing to do.
    begins: bool,
}

/// Where nobody looked for long, or nobody knows when a process began, a point stands for a few pauses between looks, and what was
/// before is a gap.
fn stretches<'a>(
    unit: &UnitId,
    server: &'a ServerSeries,
    every: Millis,
    starts: &Starts,
) -> Vec<Stretch<'a>> {
    let mut before: Option<Point<'a>> = None;
    let points = server.points().map(|point| {
        let last = before
            .replace(point)
            .filter(|last| !point.begins() && last.generation() == point.generation());
        let began = starts.get(&(unit.clone(), point.generation()));
        let began = began
            .copied()
            .filter(|began| last.is_none() && *began < point.at());
        let pause = every.0.max(1);
        let since = last.map(Point::at).or(began);
        let since = since.unwrap_or(Timestamp(point.at().0.saturating_sub(pause)));
        let longest = 4 * pause * u64::from(point.looks().max(1));
        let far = Timestamp(point.at().0.saturating_sub(longest));
        Stretch {
            from: since.max(far),
            point,
            before: last.filter(|last| last.at() >= far),
            begins: began.is_some_and(|began| began >= far),
        }
    });
    points.collect()
}

impl Stretch<'_> {
    fn seconds(&self) -> f64 {
        self.point.at().since(self.from).as_secs_f64()
    }

    /// A gauge at its begin and at its end. Of many looks that are one point their mean is known, and no more.
    fn gauge(&self, gauge: Gauge) -> Option<(f64, f64)> {
        let last = self.point.mean(gauge)?;
        let one = |point: &Point<'_>| point.looks() == 1;
        let before = self.before.filter(one).filter(|_| one(&self.point));
        let first = match before {
            Some(before) => before.mean(gauge),
            None => (self.begins && one(&self.point)).then_some(0.0),
        };
        Some((first.unwrap_or(last), last))
    }

    /// A gauge of requests. Those that came and went between two looks are seen by none: where calls are short beside the pause,
    /// the seconds that they took tell how many there were (Little's law).
    fn requests(&self, gauge: Gauge, seconds: Distribution) -> Option<(f64, f64)> {
        let seen = self.gauge(gauge)?;
        let length = self.seconds();
        let counted = || {
            let calls = self.point.values(Distribution::Latency)?;
            let all = self.point.sum(Distribution::Latency)?;
            let short = calls > 0.0 && all / calls < length / 2.0;
            let mean = self.point.sum(seconds)? / length;
            short.then_some((mean, mean))
        };
        Some(counted().unwrap_or(seen))
    }

    /// By how much a counter grew in a second.
    fn rate(&self, counter: Counter) -> Option<(f64, f64)> {
        let rate = self.point.count(counter)? / self.seconds();
        let known = self.before.is_some() || self.begins || self.point.span().0 > 0;
        known.then_some((rate, rate))
    }
}

fn add(
    sum: &mut ClassSeries,
    holders: &mut [u32],
    stretches: &[Stretch<'_>],
    frame: &Frame,
    hangs: impl Fn(Timestamp) -> bool,
) {
    sum.servers += 1;
    let over = |value: &dyn Fn(&Stretch<'_>) -> Option<(f64, f64)>| over(stretches, frame, value);
    let running = |one: &Stretch<'_>| one.requests(Gauge::Running, Distribution::Inference);
    let hung = |one: &Stretch<'_>| hangs(one.point.at());
    // What it shows stands still, too: no requests there says nothing.
    let is_frozen =
        |one: &Stretch<'_>| hung(one) && running(one).is_none_or(|(_, last)| last <= 0.0);
    let moving = over(&|one| {
        if hung(one) {
            return (!is_frozen(one)).then_some((0.0, 0.0));
        }
        running(one)
    });
    plus(&mut sum.running, &moving);
    if stretches.iter().any(hung) {
        let stuck = over(&|one| {
            if hung(one) {
                return running(one).filter(|_| !is_frozen(one));
            }
            running(one).map(|_| (0.0, 0.0))
        });
        plus(&mut sum.stuck, &stuck);
    }
    for one in stretches.iter().filter(|one| is_frozen(one)) {
        for (piece, _) in frame.touched(one.from.max(frame.from), one.point.at()) {
            if let Some(frozen) = sum.frozen.get_mut(piece) {
                *frozen = true;
            }
        }
    }
    let waiting = over(&|one| one.requests(Gauge::Waiting, Distribution::Queue));
    plus(&mut sum.waiting, &waiting);
    let tokens = over(&|one| one.rate(Counter::GenerationTokens));
    plus(&mut sum.tokens, &tokens);
    let kv = over(&|one| one.gauge(Gauge::KvCache));
    for (servers, kv) in holders.iter_mut().zip(&kv) {
        *servers += u32::from(kv.is_some());
    }
    plus(&mut sum.kv, &kv);
    let most = over(&|one| match one.point.looks() {
        1 => one.gauge(Gauge::KvCache),
        _ => one.point.most(Gauge::KvCache).map(|most| (most, most)),
    });
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

/// A value by pieces: the mean of what lies in each, where it goes evenly from its begin to its end over each stretch.
fn over(
    stretches: &[Stretch<'_>],
    frame: &Frame,
    value: &dyn Fn(&Stretch<'_>) -> Option<(f64, f64)>,
) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0.0); frame.pieces()];
    for one in stretches {
        let finite = |(first, last): &(f64, f64)| first.is_finite() && last.is_finite();
        let Some((first, last)) = value(one).filter(finite) else {
            continue;
        };
        let (from, to) = (one.from.max(frame.from), one.point.at());
        let share = |at: f64| at / float(one.point.at().since(one.from).0.max(1));
        let mut at = float(from.since(one.from).0);
        for (piece, length) in frame.touched(from, to) {
            let length = float(length);
            let middle = first + (last - first) * share(at + length / 2.0);
            at += length;
            if let Some((sum, weight)) = sums.get_mut(piece) {
                *sum += middle * length;
                *weight += length;
            }
        }
    }
    let means = sums.into_iter();
    means
        .map(|(sum, weight)| (weight > 0.0).then(|| sum / weight))
        .collect()
}
