//! What was sampled, added up: by class, and by blocks of time that can be drawn again.

use super::counted::Looks;
use super::evidence::{Class, Evidence, Series, Window};
use super::numbers::{between, ratio};
use super::phases::{Span, under_way};
use crate::base::{Chance, Millis, Timestamp, float, floor};

/// Blocks are so long, in seconds …
const BLOCK: f64 = 300.0;
/// … and of a shorter run there are so many.
const BLOCKS: f64 = 12.0;

/// Something that adds up, and over how many seconds of one replica it was seen to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Total {
    value: f64,
    seconds: f64,
}

impl Total {
    pub(super) fn add(&mut self, value: Option<f64>, length: f64) {
        if let Some(value) = value {
            self.value += value;
            self.seconds += length;
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.value += other.value;
        self.seconds += other.seconds;
    }

    /// Per second and replica; of a gauge its mean. None where it was never seen.
    pub(super) fn rate(self) -> Option<f64> {
        ratio(self.value, self.seconds)
    }
}

/// What one class did, by one of its replicas on average.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sums {
    pub(super) running: Looks,
    pub(super) waiting: Looks,
    pub(super) finished: Total,
    pub(super) queue: Total,
    pub(super) inference: Total,
    pub(super) computed: Total,
    pub(super) preempted: Total,
    /// The share of looks that found someone waiting.
    pub(super) waited: Total,
    /// The share of looks that found the cache full.
    pub(super) full: Total,
    /// The share of looks that found nothing to do.
    pub(super) idle: Total,
}

/// The cache is full from here on.
const FULL: f64 = 0.95;

impl Sums {
    fn add(&mut self, window: &Window) {
        let length = window.length.as_secs_f64();
        self.look(window, length);
        self.count(window, 1.0, length);
    }

    /// What the look at its end found, which stands for so long.
    fn look(&mut self, window: &Window, length: f64) {
        let share = |value: Option<bool>| value.map(|value| if value { length } else { 0.0 });
        self.running.add(window.running, length);
        self.waiting.add(window.waiting, length);
        self.waited
            .add(share(window.waiting.map(|value| value > 0.0)), length);
        self.full
            .add(share(window.kv.map(|value| value > FULL)), length);
        self.idle
            .add(share(window.running.map(|value| value <= 0.0)), length);
    }

    /// This share of what was counted since the look before, and so long.
    fn count(&mut self, window: &Window, part: f64, length: f64) {
        let part = |counted: Option<f64>| counted.map(|counted| counted * part);
        self.finished.add(part(window.finished), length);
        self.queue.add(part(window.queue_seconds), length);
        self.inference.add(part(window.inference_seconds), length);
        self.computed.add(part(window.computed_seconds), length);
        self.preempted.add(part(window.preemptions), length);
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.running.join(other.running);
        self.waiting.join(other.waiting);
        self.finished.join(other.finished);
        self.queue.join(other.queue);
        self.inference.join(other.inference);
        self.computed.join(other.computed);
        self.preempted.join(other.preempted);
        self.waited.join(other.waited);
        self.full.join(other.full);
        self.idle.join(other.idle);
    }

    /// All of one class within some time.
    pub(super) fn of(class: &Class, span: Span) -> Self {
        Self::of_all(&class.series, span)
    }

    /// All of these replicas within some time. What was counted between two looks belongs to it as far as that time does: looks of a
    /// fast rehearsal are minutes apart.
    pub(super) fn of_all(series: &[Series], span: Span) -> Self {
        let mut sums = Self::default();
        for window in series.iter().flat_map(|series| &series.windows) {
            let length = window.length.as_secs_f64();
            if span.has(window.at) {
                sums.look(window, length);
            }
            let from = Timestamp(window.at.0.saturating_sub(window.length.0)).max(span.from);
            let within = between(from, window.at.min(span.until));
            if let Some(part) = ratio(within, length).filter(|part| *part > 0.0) {
                sums.count(window, part, within);
            }
        }
        sums
    }

    /// Seconds that a request is computed (S).
    pub(super) fn service(&self) -> Option<f64> {
        let time = self.inference.rate().or_else(|| self.running.rate())?;
        ratio(time, self.finished.rate()?)
    }

    /// Seconds that a request waits (W).
    pub(super) fn queued(&self) -> Option<f64> {
        let time = self.queue.rate().or_else(|| self.waiting.rate())?;
        ratio(time, self.finished.rate()?)
    }

    /// How many others a request is computed with, itself included.
    pub(super) fn company(&self) -> Option<f64> {
        ratio(self.running.square()?, self.running.rate()?)
    }
}

/// What the client did in some time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Flow {
    /// Questions finished.
    pub(super) done: f64,
    /// Questions under way, times seconds.
    pub(super) under_way: Total,
    /// How long that was.
    pub(super) seconds: f64,
}

impl Flow {
    fn join(&mut self, other: &Self) {
        self.done += other.done;
        self.under_way.join(other.under_way);
        self.seconds += other.seconds;
    }

    /// Questions finished per second (X).
    pub(super) fn throughput(&self) -> Option<f64> {
        ratio(self.done, self.seconds).filter(|rate| *rate > 0.0)
    }
}

/// A piece of the judged time: the client, and each class.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Block {
    pub(super) flow: Flow,
    pub(super) classes: Vec<Sums>,
}

/// The judged time in pieces.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Blocks(pub(super) Vec<Block>);

impl Blocks {
    /// Cuts it: into pieces of five minutes, or into twelve where that would be fewer.
    pub(super) fn of(evidence: &Evidence, span: Span) -> Self {
        let whole_length = span.length().as_secs_f64();
        let length = BLOCK.min(whole_length / BLOCKS);
        if length <= 0.0 {
            return Self(Vec::new());
        }
        let count = floor::<usize>(whole_length / length).max(1);
        let length = whole_length / float(count);
        let empty = Block {
            classes: vec![Sums::default(); evidence.classes.len()],
            ..Block::default()
        };
        let mut blocks = vec![empty; count];
        let index = |at: Timestamp| floor::<usize>(between(span.from, at) / length).min(count - 1);
        for (number, class) in evidence.classes.iter().enumerate() {
            let windows = class.series.iter().flat_map(|series| &series.windows);
            for window in windows.filter(|window| span.has(window.at)) {
                blocks[index(window.at)].classes[number].add(window);
            }
        }
        let ends = evidence.client.tasks.iter().filter_map(|task| task.ended);
        for end in ends.filter(|end| span.has(*end)) {
            blocks[index(end)].flow.done += 1.0;
        }
        for (order, block) in blocks.iter_mut().enumerate() {
            block.flow.seconds = length;
            let middle = (float(order) + 0.5) * length;
            let at = span.from + Millis::from_secs_f64(middle);
            let now = under_way(&evidence.client, at).map(|now| float(now) * length);
            block.flow.under_way.add(now, length);
        }
        Self(blocks)
    }

    /// All of them together.
    pub(super) fn all(&self) -> Block {
        Self::sum(self.0.iter())
    }

    /// As many of them as there are, drawn with replacement.
    pub(super) fn drawn(&self, chance: &mut Chance) -> Block {
        let last = (self.0.len() as u64).saturating_sub(1);
        let draw = |_| {
            let index = usize::try_from(chance.between(0, last)).unwrap_or(0);
            &self.0[index]
        };
        let drawn: Vec<&Block> = (0..self.0.len()).map(draw).collect();
        Self::sum(drawn.into_iter())
    }

    fn sum<'a>(blocks: impl Iterator<Item = &'a Block>) -> Block {
        let mut sum = Block::default();
        for block in blocks {
            sum.flow.join(&block.flow);
            sum.classes
                .resize(block.classes.len().max(sum.classes.len()), Sums::default());
            for (class, other) in sum.classes.iter_mut().zip(&block.classes) {
                class.join(other);
            }
        }
        sum
    }
}
