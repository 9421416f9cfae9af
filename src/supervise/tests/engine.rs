//! An engine in virtual time, and one watcher of it: as unkind as a healthy one can be, or hung.

use std::collections::VecDeque;

use super::world::Dice;
use crate::base::{Generation, Millis, Timestamp};
use crate::facts::{Canary, Counters, Door, Liveness, Look};
use crate::supervise::liveness::{CANARY_PATIENCE, LOOK_PATIENCE, Nature, Vital};

/// The grain of time in milliseconds.
const STEP: u64 = 250;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// The engine stands still; its API server answers.
    Hang,
    /// Nothing is answered any more.
    HalfOpen,
    /// The port is closed.
    Closed,
}

/// How an engine is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Requests that it computes at once.
    pub(super) places: usize,
    /// Clients that ask again as soon as they are answered.
    pub(super) clients: usize,
    /// Milliseconds that a client thinks before.
    pub(super) thinks: u64,
    /// Milliseconds of the longest prompt, in which nothing else is done and no token comes out.
    pub(super) prompt: u64,
    /// Milliseconds of the longest answer.
    pub(super) answer: u64,
    /// Milliseconds until a look is answered, at most.
    pub(super) door: u64,
}

#[derive(Debug, Clone, Copy)]
struct Job {
    /// The client; none for a canary.
    client: Option<usize>,
    prompt: u64,
    answer: u64,
}

/// The engine.
struct Engine {
    load: Load,
    dice: Dice,
    queue: VecDeque<Job>,
    running: Vec<Job>,
    /// Clients that think until then.
    thinking: Vec<(u64, usize)>,
    read: Counters,
    canary_done: bool,
}

impl Engine {
    fn new(load: Load, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let thinking = (0..load.clients).map(|client| (dice.below(load.thinks + 1), client));
        Self {
            thinking: thinking.collect(),
            load,
            dice,
            queue: VecDeque::new(),
            running: Vec::new(),
            read: Counters::default(),
            canary_done: false,
        }
    }

    fn step(&mut self, now: u64) {
        let awake: Vec<usize> = (self.thinking.iter())
            .filter(|(until, _)| *until <= now)
            .map(|(_, client)| *client)
            .collect();
        self.thinking.retain(|(until, _)| *until > now);
        for client in awake {
            let job = Job {
                client: Some(client),
                prompt: self.dice.below(self.load.prompt + 1),
                answer: STEP + self.dice.below(self.load.answer + 1),
            };
            self.queue.push_back(job);
        }
        let reads = self.running.iter().any(|job| job.prompt > 0);
        if !reads && self.running.len() < self.load.places {
            self.running.extend(self.queue.pop_front());
        }
        self.read.running = self.running.len() as u64;
        self.read.waiting = self.queue.len() as u64;
        if let Some(job) = self.running.iter_mut().find(|job| job.prompt > 0) {
            job.prompt = job.prompt.saturating_sub(STEP);
            if job.prompt == 0 {
                self.read.prompt += 1;
            }
            return;
        }
        for job in &mut self.running {
            job.answer = job.answer.saturating_sub(STEP);
            self.read.generated += 1;
        }
        let (done, rest): (Vec<Job>, Vec<Job>) =
            self.running.iter().partition(|job| job.answer == 0);
        self.running = rest;
        for job in done {
            self.read.finished += 1;
            match job.client {
                None => self.canary_done = true,
                Some(client) => {
                    let pause = self.dice.below(self.load.thinks + 1);
                    self.thinking.push((now + pause, client));
                }
            }
        }
    }
}

/// Watches an engine for `length` milliseconds, in which the fault comes at `at`: when what was found, if anything.
pub(super) fn watch(
    load: Load,
    seed: u64,
    (fault, at): (Fault, u64),
    length: u64,
) -> Option<(u64, Liveness, String)> {
    let mut engine = Engine::new(load, seed);
    let mut dice = Dice::new(seed ^ 0x5eed);
    let nature = Nature::Engine { on_gpus: true };
    let first = Timestamp(1 + dice.below(5_000));
    let mut vital = Vital::new(nature, Generation(1), Timestamp(0), first);
    // When each comes back by itself, and when it is given up.
    let (mut look, mut canary): (Option<(u64, u64)>, Option<u64>) = (None, None);
    for now in (0..length).step_by(usize::try_from(STEP).unwrap()) {
        let faulty = fault != Fault::None && now >= at;
        if !faulty {
            engine.step(now);
        }
        let time = Timestamp(now);
        if let Some((back, lost)) = look {
            let door = match fault {
                Fault::Closed if faulty => Some(Door::Closed),
                Fault::HalfOpen if faulty => (now >= lost).then_some(Door::Silent),
                _ => (now >= back).then_some(Door::Answers),
            };
            if let Some(door) = door {
                look = None;
                let counters = (door == Door::Answers).then_some(engine.read);
                let body = None;
                let seen = Look {
                    door,
                    counters,
                    body,
                };
                if let (Some((liveness, why)), _) = vital.look(seen, time) {
                    return Some((now, liveness, why));
                }
            }
        }
        if let Some(lost) = canary {
            if std::mem::take(&mut engine.canary_done) && !(faulty && fault != Fault::Hang) {
                canary = None;
                assert_eq!(vital.canary(&Canary::Back(200), time), None);
            } else if now >= lost {
                canary = None;
                // Its client leaves.
                engine.queue.retain(|job| job.client.is_some());
                engine.running.retain(|job| job.client.is_some());
                if let Some((liveness, why)) = vital.canary(&Canary::Lost, time) {
                    return Some((now, liveness, why));
                }
            }
        }
        let asked = vital.ask(time);
        if asked.look {
            assert!(look.is_none(), "two looks at once");
            let latency = dice.below(load.door + 1);
            look = Some((now + latency, now + LOOK_PATIENCE.0));
        }
        if asked.canary {
            assert!(canary.is_none(), "two canaries at once");
            engine.canary_done = false;
            engine.queue.push_back(Job {
                client: None,
                prompt: 0,
                answer: STEP,
            });
            canary = Some(now + CANARY_PATIENCE.0);
        }
        let wakes = vital.wakes();
        assert!(
            wakes.is_none_or(|at| at > time),
            "it would spin at {now}: {vital:?}"
        );
    }
    None
}

/// A length in whole seconds.
pub(super) fn secs(seconds: u64) -> u64 {
    Millis::from_secs(seconds).0
}
