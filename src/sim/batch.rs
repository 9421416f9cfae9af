//! One engine that batches continuously, in virtual microseconds. Pure: no clock, no chance.
//!
//! The model is vLLM's V1 scheduler at the level of steps: each step gives a token to every sequence that decodes and
//! spends what is left of its token budget on prompts (chunked prefill), first come first served. A sequence starts when
//! a place in the batch and cache for its prompt are free; where the cache runs out, the youngest sequence gives its
//! share back and is computed again later (recompute preemption). Equal steps are taken at once, so the cost of a
//! simulation follows its requests, not their tokens.

use std::collections::VecDeque;

use super::config::MAX_NUM_BATCHED_TOKENS;
use super::work::Work;
use crate::base::nearest;

/// Virtual time: microseconds since the engine began.
pub(super) type Micros = u64;

/// How fast the engine is, and how much fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    /// Prompt tokens per second while nothing else is computed.
    pub(super) prefill: u64,
    /// Microseconds of a step with nothing in it: reading the weights.
    pub(super) step: Micros,
    /// Microseconds that each sequence adds to a step.
    pub(super) per_sequence: Micros,
    /// `--max-num-seqs`.
    pub(super) sequences: usize,
    /// `--max-num-batched-tokens`.
    pub(super) budget: u64,
    /// Tokens that the KV cache holds.
    pub(super) cache: u64,
}

impl Rates {
    /// The rates of an engine that reads `prefill` prompt tokens a second, writes `decode` for a request that is alone,
    /// and takes the share `slowdown` of its step for each further one. What fits is for the caller to say.
    pub(super) fn of(prefill: f64, decode: f64, slowdown: f64) -> Self {
        let step = 1_000_000.0 / decode;
        Self {
            prefill: nearest::<u64>(prefill).max(1),
            step: nearest(step * (1.0 - slowdown)),
            per_sequence: nearest(step * slowdown),
            sequences: 1,
            budget: MAX_NUM_BATCHED_TOKENS,
            cache: 0,
        }
    }
}

/// A request's number.
pub(super) type Ticket = u64;

/// What happened to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// It left the queue, for the first time.
    Started,
    /// Its prompt is computed, and its first token is out.
    FirstToken,
    /// Its last token is out.
    Finished,
    /// It gave its cache back, and waits again.
    Preempted,
}

/// Something that happened, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// When.
    pub(super) at: Micros,
    /// To which request.
    pub(super) ticket: Ticket,
    /// What.
    pub(super) what: Moment,
}

#[derive(Debug, Clone)]
struct Sequence {
    ticket: Ticket,
    /// Tokens to compute before it decodes: the prompt, after a preemption also what was generated.
    to_prefill: u64,
    /// Tokens in the cache.
    held: u64,
    generated: u64,
    wanted: u64,
    prompt: u64,
    started: bool,
    /// When its last token came out.
    last: Micros,
}

/// Equal steps that are under way: many only where nothing but decoding is done.
#[derive(Debug, Clone, Copy)]
struct Steps {
    began: Micros,
    each: Micros,
    count: u64,
}

impl Steps {
    fn end(self) -> Micros {
        self.began + self.each * self.count
    }
}

/// The engine.
#[derive(Debug)]
pub(super) struct Batch {
    rates: Rates,
    /// In the order in which they started.
    running: Vec<Sequence>,
    waiting: VecDeque<Sequence>,
    steps: Option<Steps>,
    work: Work,
}

impl Batch {
    /// An idle engine.
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            rates,
            running: Vec::new(),
            waiting: VecDeque::new(),
            steps: None,
            work: Work::default(),
        }
    }

    /// Sequences that are computed, and that wait.
    pub(super) fn sequences(&self) -> (usize, usize) {
        (self.running.len(), self.waiting.len())
    }

    /// The share of the cache that is used, in thousandths.
    pub(super) fn cache_used(&self) -> u64 {
        let held: u64 = self.running.iter().map(|sequence| sequence.held).sum();
        (held * 1000 / self.rates.cache.max(1)).min(1000)
    }

    /// What it has done so far.
    pub(super) fn work(&self) -> &Work {
        &self.work
    }

    /// Tokens that its cache holds.
    pub(super) fn cache(&self) -> u64 {
        self.rates.cache
    }

    /// A request arrives at `now`; calls come in the order of their times.
    pub(super) fn push(
        &mut self,
        now: Micros,
        ticket: Ticket,
        prompt: u64,
        wanted: u64,
        events: &mut Vec<Event>,
    ) {
        self.advance(now, events);
        self.waiting.push_back(Sequence {
            ticket,
            to_prefill: prompt.max(1),
            prompt: prompt.max(1),
            last: now,
            held: 0,
            generated: 0,
            wanted: wanted.max(1),
            started: false,
        });
        self.join(now, events);
    }

    /// A request's client left.
    pub(super) fn remove(&mut self, now: Micros, ticket: Ticket, events: &mut Vec<Event>) {
        self.advance(now, events);
        self.waiting.retain(|sequence| sequence.ticket != ticket);
        self.running.retain(|sequence| sequence.ticket != ticket);
        if self.running.is_empty() {
            self.steps = None;
        }
        self.join(now, events);
    }

    /// When something happens next; none while it is idle.
    pub(super) fn next(&self) -> Option<Micros> {
        self.steps.map(Steps::end)
    }

    /// Lets everything happen up to `now`.
    pub(super) fn advance(&mut self, now: Micros, events: &mut Vec<Event>) {
        while let Some(steps) = self.steps.filter(|steps| steps.end() <= now) {
            self.finish(steps, events);
            self.begin(steps.end(), events);
        }
        self.count(now, events);
    }

    /// Gives out what those of the steps under way computed that are over: nothing else happens between them.
    fn count(&mut self, now: Micros, events: &mut Vec<Event>) {
        let Some(steps) = self.steps else {
            return;
        };
        let over = now.saturating_sub(steps.began) / steps.each.max(1);
        if over > 0 {
            let done = Steps {
                count: over,
                ..steps
            };
            self.finish(done, events);
            self.steps = Some(Steps {
                began: done.end(),
                count: steps.count - over,
                ..steps
            });
        }
    }

    /// What changed is seen at the next step's begin: steps taken at once are cut there.
    fn join(&mut self, now: Micros, events: &mut Vec<Event>) {
        match &mut self.steps {
            None => self.begin(now, events),
            // The step begins at this very moment: it is planned anew.
            Some(steps) if steps.began == now => self.begin(now, events),
            Some(steps) => {
                let begun = now.saturating_sub(steps.began).div_ceil(steps.each.max(1));
                steps.count = begun.clamp(1, steps.count);
            }
        }
    }

    /// Begins the next step, or more of them where nothing changes in between.
    fn begin(&mut self, now: Micros, events: &mut Vec<Event>) {
        self.admit(now, events);
        let prompts = self.make_room(now, events);
        self.steps = (!self.running.is_empty()).then(|| {
            let sequences = u64::try_from(self.running.len()).unwrap_or(u64::MAX);
            let each = self.rates.step
                + self.rates.per_sequence * sequences
                + prompts * 1_000_000 / self.rates.prefill.max(1);
            let count = if prompts > 0 { 1 } else { self.steady() };
            let each = each.max(1);
            Steps {
                began: now,
                each,
                count,
            }
        });
    }

    /// Starts who waits, as long as there is a place and cache for its prompt.
    fn admit(&mut self, now: Micros, events: &mut Vec<Event>) {
        let mut reserved: u64 = self.running.iter().map(|s| s.held + s.to_prefill).sum();
        while self.running.len() < self.rates.sequences.max(1) {
            let Some(next) = self.waiting.front() else {
                return;
            };
            let needed = reserved + next.to_prefill;
            // One that fits nowhere runs alone.
            if needed > self.rates.cache && !self.running.is_empty() {
                return;
            }
            let Some(mut next) = self.waiting.pop_front() else {
                return;
            };
            reserved = needed;
            if !next.started {
                next.started = true;
                let (ticket, what) = (next.ticket, Moment::Started);
                events.push(Event {
                    at: now,
                    ticket,
                    what,
                });
            }
            self.running.push(next);
        }
    }

    /// Preempts the youngest until the next step fits the cache; answers how many prompt tokens it computes.
    fn make_room(&mut self, now: Micros, events: &mut Vec<Event>) -> u64 {
        loop {
            let (decoding, prompts) = self.next_step();
            let held: u64 = self.running.iter().map(|sequence| sequence.held).sum();
            if held + decoding + prompts <= self.rates.cache || self.running.len() <= 1 {
                return prompts;
            }
            let Some(mut youngest) = self.running.pop() else {
                return prompts;
            };
            youngest.to_prefill += youngest.held;
            self.work.recomputed += youngest.held;
            youngest.held = 0;
            self.work.preemptions += 1;
            let (ticket, what) = (youngest.ticket, Moment::Preempted);
            events.push(Event {
                at: now,
                ticket,
                what,
            });
            self.waiting.push_front(youngest);
        }
    }

    /// Tokens that the next step decodes, and prompt tokens that it computes.
    fn next_step(&self) -> (u64, u64) {
        let decoding = self.running.iter().filter(|s| s.to_prefill == 0).count();
        let decoding = u64::try_from(decoding).unwrap_or(u64::MAX);
        let prompts: u64 = self.running.iter().map(|s| s.to_prefill).sum();
        let left = self.rates.budget.saturating_sub(decoding).max(1);
        (decoding, prompts.min(left))
    }

    /// How many steps go by until a sequence ends or the cache is full.
    fn steady(&self) -> u64 {
        let remaining = self.running.iter().map(|s| s.wanted - s.generated);
        let held: u64 = self.running.iter().map(|sequence| sequence.held).sum();
        let sequences = u64::try_from(self.running.len()).unwrap_or(u64::MAX);
        let free = self.rates.cache.saturating_sub(held) / sequences.max(1);
        remaining.min().unwrap_or(1).min(free).max(1)
    }

    /// Gives out what the steps computed.
    fn finish(&mut self, steps: Steps, events: &mut Vec<Event>) {
        let at = steps.end();
        let (_, mut prompts) = self.next_step();
        let (generated, read) = (self.work.generated, self.work.prompt);
        for sequence in &mut self.running {
            if sequence.to_prefill == 0 {
                sequence.generated += steps.count;
                sequence.held += steps.count;
                let since = steps.began + steps.each - sequence.last;
                self.work.decoded(steps.count, since, steps.each);
                sequence.last = at;
                continue;
            }
            let computed = sequence.to_prefill.min(prompts);
            prompts -= computed;
            sequence.to_prefill -= computed;
            sequence.held += computed;
            if sequence.to_prefill == 0 && computed > 0 {
                if sequence.generated == 0 {
                    self.work.prompt += sequence.prompt;
                    self.work.generated += 1;
                    let (ticket, what) = (sequence.ticket, Moment::FirstToken);
                    events.push(Event { at, ticket, what });
                } else {
                    self.work.decoded(1, at - sequence.last, steps.each);
                }
                sequence.last = at;
                sequence.generated += 1;
                sequence.held += 1;
            }
        }
        let tokens = self.work.generated - generated + self.work.prompt - read;
        self.work.stepped(steps.count, tokens);
        self.running.retain(|sequence| {
            let goes_on = sequence.generated < sequence.wanted;
            if !goes_on {
                let (ticket, what) = (sequence.ticket, Moment::Finished);
                events.push(Event { at, ticket, what });
            }
            goes_on
        });
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
