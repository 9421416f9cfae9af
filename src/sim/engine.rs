//! A batching engine in real time: requests enter, and are told what happens to them.
//!
//! One task moves an engine from step to step as long as it has work; an idle engine costs nothing. With a `speed` of 20
//! a virtual second passes in 50 ms; what is counted and logged stays virtual.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use super::batch::{Batch, Event, Micros, Moment, Rates, Ticket};
use super::work::Work;

/// An engine and those who wait for it.
#[derive(Debug)]
pub(super) struct Engine {
    inner: Mutex<Inner>,
    /// Something entered or left: the next step may come sooner.
    changed: Notify,
    began: Instant,
    /// The virtual time at which it stands still; none while it does not.
    frozen: AtomicU64,
    /// Virtual time in which it stood still before.
    stood: AtomicU64,
    rates: Rates,
    speed: f64,
}

/// It does not stand still.
const GOES: Micros = Micros::MAX;

#[derive(Debug)]
struct Inner {
    batch: Batch,
    told: HashMap<Ticket, mpsc::UnboundedSender<Event>>,
    next: Ticket,
    /// A task moves it.
    driven: bool,
}

/// What `/metrics` says of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    /// Requests in the batch.
    pub(super) running: u64,
    /// Requests in the queue.
    pub(super) waiting: u64,
    /// The share of the KV cache that is used, in thousandths.
    pub(super) cache: u64,
    /// Tokens that the KV cache holds, and what was done so far; none without an engine.
    pub(super) engine: Option<(u64, Work)>,
}

impl Engine {
    /// An idle engine whose virtual time runs `speed` times as fast as the clock.
    pub(super) fn new(rates: Rates, speed: f64) -> Self {
        Self {
            inner: Mutex::new(Inner {
                batch: Batch::new(rates),
                told: HashMap::new(),
                next: 0,
                driven: false,
            }),
            changed: Notify::new(),
            began: Instant::now(),
            frozen: AtomicU64::new(GOES),
            stood: AtomicU64::new(0),
            rates,
            speed,
        }
    }

    /// Stands still, or goes on.
    pub(super) fn freeze(&self, frozen: bool) {
        let mut inner = self.lock();
        let now = self.now();
        if frozen {
            let mut events = Vec::new();
            inner.batch.advance(now, &mut events);
            inner.tell(&events);
            self.frozen.store(now, Relaxed);
        } else if self.frozen.swap(GOES, Relaxed) != GOES {
            let lost = self.now().saturating_sub(now);
            self.stood.fetch_add(lost, Relaxed);
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// What it does at this moment.
    pub(super) fn load(&self) -> Load {
        let mut inner = self.lock();
        let mut events = Vec::new();
        // Steps that went by since its last moment count.
        inner.batch.advance(self.now(), &mut events);
        inner.tell(&events);
        let batch = &inner.batch;
        let (running, waiting) = batch.sequences();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Load {
            running: count(running),
            waiting: count(waiting),
            cache: batch.cache_used(),
            engine: Some((batch.cache(), *batch.work())),
        }
    }

    /// A request enters, with so many tokens to read and to write.
    pub(super) fn enter(self: &Arc<Self>, prompt: u64, wanted: u64) -> Seat {
        let (sender, moments) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        let (now, ticket) = (self.now(), inner.next);
        inner.next += 1;
        inner.told.insert(ticket, sender);
        let mut events = Vec::new();
        inner.batch.push(now, ticket, prompt, wanted, &mut events);
        inner.tell(&events);
        if inner.driven {
            self.changed.notify_one();
        } else {
            inner.driven = true;
            tokio::spawn(Arc::clone(self).drive());
        }
        Seat {
            engine: Arc::clone(self),
            ticket,
            moments,
            arrived: now,
            wanted,
            finished: None,
        }
    }

    /// How long a step takes at the load of this moment, prompts aside.
    fn step(&self) -> Micros {
        let (running, _) = self.lock().batch.sequences();
        let running = u64::try_from(running).unwrap_or(u64::MAX);
        self.rates.step + self.rates.per_sequence.saturating_mul(running)
    }

    /// Moves the batch until it is empty.
    async fn drive(self: Arc<Self>) {
        loop {
            let wait = {
                let mut inner = self.lock();
                let now = self.now();
                let mut events = Vec::new();
                inner.batch.advance(now, &mut events);
                inner.tell(&events);
                let Some(next) = inner.batch.next() else {
                    inner.driven = false;
                    return;
                };
                next.saturating_sub(now)
            };
            let frozen = self.frozen.load(Relaxed) != GOES;
            tokio::select! {
                () = tokio::time::sleep(self.real(wait)), if !frozen => {}
                () = self.changed.notified() => {}
            }
        }
    }

    fn now(&self) -> Micros {
        let frozen = self.frozen.load(Relaxed);
        if frozen != GOES {
            return frozen;
        }
        let virtual_time = self.began.elapsed().mul_f64(self.speed);
        let passed = u64::try_from(virtual_time.as_micros()).unwrap_or(u64::MAX);
        passed.saturating_sub(self.stood.load(Relaxed))
    }

    /// How long a virtual time takes.
    fn real(&self, time: Micros) -> Duration {
        Duration::from_micros(time).div_f64(self.speed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked has left a batch that can still be moved.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tell(&mut self, events: &[Event]) {
        for event in events {
            if let Some(sender) = self.told.get(&event.ticket) {
                // Whoever left is removed by its seat.
                let _ = sender.send(*event);
            }
        }
    }
}

/// A request's place; whoever drops it has left.
#[derive(Debug)]
pub(super) struct Seat {
    engine: Arc<Engine>,
    ticket: Ticket,
    moments: mpsc::UnboundedReceiver<Event>,
    arrived: Micros,
    /// Tokens to write.
    wanted: u64,
    /// When its last token was out, from its arrival.
    finished: Option<Duration>,
}

impl Seat {
    /// Waits for a moment; how long after the arrival it came, in virtual time.
    pub(super) async fn until(&mut self, what: Moment) -> Duration {
        if let Some(finished) = self.finished {
            return finished;
        }
        while let Some(event) = self.moments.recv().await {
            let since = Duration::from_micros(event.at.saturating_sub(self.arrived));
            if event.what == Moment::Finished {
                self.finished = Some(since);
            }
            if event.what == what {
                return since;
            }
        }
        // The engine lives as long as its seats.
        Duration::ZERO
    }

    /// Waits, after the first token, until about the next of so many pieces is out; not longer than until all are.
    pub(super) async fn piece(&mut self, pieces: usize) {
        let gaps = u64::try_from(pieces.saturating_sub(1)).unwrap_or(u64::MAX);
        let time = self.engine.step().saturating_mul(self.wanted) / gaps.max(1);
        let wait = self.engine.real(time);
        // Whether it was all or the time was over is asked by nobody: the last piece waits for the engine.
        let _ = tokio::time::timeout(wait, self.until(Moment::Finished)).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.engine.lock();
        inner.told.remove(&self.ticket);
        if self.finished.is_none() {
            let now = self.engine.now();
            let mut events = Vec::new();
            inner.batch.remove(now, self.ticket, &mut events);
            inner.tell(&events);
            self.engine.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        prefill: 10_000,
        step: 10_000,
        per_sequence: 1_000,
        sequences: 2,
        budget: 2_000,
        cache: 100_000,
    };

    #[tokio::test]
    async fn requests_are_told_what_happens_to_them() {
        let engine = Arc::new(Engine::new(RATES, 1.0));
        let mut seats: Vec<Seat> = (0..3).map(|_| engine.enter(100, 50)).collect();
        // It joins the batch at the next step.
        seats[1].until(Moment::Started).await;
        let load = engine.load();
        assert_eq!((load.running, load.waiting), (2, 1));
        let mut last = seats.pop().unwrap();
        drop(seats.pop());
        let first = seats.pop().unwrap();
        let waited = last.until(Moment::Started).await;
        assert!(waited < Duration::from_mins(10), "{waited:?}");
        last.until(Moment::Finished).await;
        drop((first, last));
        let load = engine.load();
        assert_eq!((load.running, load.waiting, load.cache), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_frozen_engine_stands_still_and_goes_on_where_it_was() {
        let engine = Arc::new(Engine::new(RATES, 20.0));
        let mut seat = engine.enter(100, 1_000);
        seat.until(Moment::FirstToken).await;
        engine.freeze(true);
        let before = engine.load();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(engine.load(), before);
        engine.freeze(false);
        let total = seat.until(Moment::Finished).await;
        // A thousand steps of 11 ms; the second that passed meanwhile is not among them.
        assert!(total < Duration::from_millis(11_900), "{total:?}");
        assert_eq!(engine.load().running, 0);
    }

    #[tokio::test]
    async fn pieces_come_about_as_fast_as_their_tokens() {
        let engine = Arc::new(Engine::new(RATES, 4.0));
        let mut seat = engine.enter(100, 100);
        seat.until(Moment::FirstToken).await;
        // A hundred steps of 11 ms, at four times the speed, in four gaps.
        let began = Instant::now();
        seat.piece(5).await;
        assert!(seat.finished.is_some() || began.elapsed() >= Duration::from_millis(65));
        let total = seat.until(Moment::Finished).await;
        assert!(total >= Duration::from_secs(1), "{total:?}");
        // Nobody waits for what is over.
        let piece = tokio::time::timeout(Duration::from_mins(1), async {
            for _ in 0..10_000 {
                seat.piece(2).await;
            }
        });
        assert!(piece.await.is_ok());
        assert_eq!(seat.until(Moment::Finished).await, total);
    }
}
