//! Clients in front of engines, in virtual time: each sends its next request when the last one is answered. Pure.

use std::collections::{HashMap, VecDeque};

use super::batch::{Batch, Event, Micros, Moment, Rates, Ticket};
use super::lengths;
use crate::base::{Chance, float, floor};

/// Seeds apart, so that a long prompt says nothing of its answer.
const PROMPTS: u64 = 0x7072_6f6d_7074_7300;
const ANSWERS: u64 = 0x616e_7377_6572_7300;

/// Lengths in tokens: log-normal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lengths {
    /// Their mean.
    pub(super) mean: u64,
    /// The standard deviation of their logarithm.
    pub(super) spread: f64,
}

impl Lengths {
    fn draw(self, number: u64, seed: u64) -> u64 {
        let length = lengths::drawn(number, seed, self.mean, self.spread);
        u64::try_from(length).unwrap_or(u64::MAX)
    }
}

/// Who asks how much of whom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Setting {
    /// Of each engine.
    pub(super) rates: Rates,
    /// Engines; each request goes to one chosen at random.
    pub(super) replicas: usize,
    /// Clients: requests under way at once.
    pub(super) concurrency: usize,
    /// Requests in all.
    pub(super) requests: u64,
    /// Tokens of a request's prompt.
    pub(super) prompt: Lengths,
    /// Tokens of its answer.
    pub(super) answer: Lengths,
    /// Decides all that is random.
    pub(super) seed: u64,
}

/// A request that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    /// The engine.
    pub(super) replica: usize,
    /// When it was sent.
    pub(super) sent: Micros,
    /// When its computation began.
    pub(super) started: Micros,
    /// When its first token was out.
    pub(super) first: Micros,
    /// When its last token was out.
    pub(super) finished: Micros,
    /// Tokens of its prompt.
    pub(super) prompt: u64,
    /// Tokens of its answer.
    pub(super) answer: u64,
}

/// Clients and engines.
#[derive(Debug)]
pub(super) struct ClosedLoop {
    setting: Setting,
    /// By replica.
    engines: Vec<Batch>,
    open: HashMap<Ticket, Answered>,
    sent: u64,
    happened: VecDeque<Event>,
}

impl ClosedLoop {
    /// All clients have just sent their first request.
    pub(super) fn new(setting: Setting) -> Self {
        let replicas = setting.replicas.max(1);
        let mut all = Self {
            setting,
            engines: (0..replicas).map(|_| Batch::new(setting.rates)).collect(),
            open: HashMap::new(),
            sent: 0,
            happened: VecDeque::new(),
        };
        for _ in 0..setting.concurrency {
            all.send(0);
        }
        all
    }

    /// The engines, by replica.
    pub(super) fn engines(&self) -> &[Batch] {
        &self.engines
    }

    /// Whether every request was answered.
    #[cfg(test)]
    pub(super) fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// Lets everything happen up to `until`; who was answered meanwhile, in order.
    pub(super) fn advance(&mut self, until: Micros) -> Vec<Answered> {
        let mut answered = Vec::new();
        loop {
            while let Some(event) = self.happened.pop_front() {
                answered.extend(self.tell(event));
            }
            let next = self.engines.iter().enumerate();
            let next = next.filter_map(|(replica, engine)| Some((engine.next()?, replica)));
            let mut events = Vec::new();
            let Some((now, replica)) = next.min().filter(|(now, _)| *now <= until) else {
                // Nothing happens any more, but steps go by, and are counted.
                for engine in &mut self.engines {
                    engine.advance(until, &mut events);
                }
                return answered;
            };
            self.engines[replica].advance(now, &mut events);
            self.happened.extend(events);
        }
    }

    fn tell(&mut self, event: Event) -> Option<Answered> {
        let open = self.open.get_mut(&event.ticket)?;
        match event.what {
            Moment::Started => open.started = event.at,
            Moment::FirstToken => open.first = event.at,
            Moment::Preempted => {}
            Moment::Finished => {
                open.finished = event.at;
                let answered = self.open.remove(&event.ticket);
                self.send(event.at);
                return answered;
            }
        }
        None
    }

    /// A client sends its next request, as long as there are any.
    fn send(&mut self, now: Micros) {
        if self.sent >= self.setting.requests {
            return;
        }
        let Setting {
            prompt,
            answer,
            seed,
            ..
        } = self.setting;
        let ticket = self.sent;
        self.sent += 1;
        // Three draws for each request, none like another.
        let mut row = Chance::new(ticket.wrapping_mul(3) ^ seed.rotate_left(32));
        let replica = place(row.uniform(), self.engines.len());
        let (prompt, answer) = (
            prompt.draw(ticket, seed ^ PROMPTS),
            answer.draw(ticket, seed ^ ANSWERS),
        );
        self.open.insert(
            ticket,
            Answered {
                replica,
                sent: now,
                started: now,
                first: now,
                finished: now,
                prompt,
                answer,
            },
        );
        let mut events = Vec::new();
        self.engines[replica].push(now, ticket, prompt, answer, &mut events);
        self.happened.extend(events);
    }
}

fn place(share: f64, count: usize) -> usize {
    floor::<usize>(share * float(count)).min(count - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every request is answered once, in order of time; never more are under way than there are clients.
        #[test]
        fn every_request_is_answered(
            replicas in 1_usize..4,
            concurrency in 1_usize..20,
            requests in 1_u64..60,
            cache in 3_000_u64..100_000,
            seed: u32,
        ) {
            let rates = Rates { sequences: 8, cache, ..Rates::of(20_000.0, 100.0, 0.01) };
            let lengths = |mean| Lengths { mean, spread: 0.6 };
            let setting = Setting {
                rates, replicas, concurrency, requests, seed: seed.into(),
                prompt: lengths(500), answer: lengths(100),
            };
            let run = |step: Micros| {
                let mut all = ClosedLoop::new(setting);
                let mut answered = Vec::new();
                let mut now = 0;
                while !all.is_over() {
                    now += step;
                    answered.extend(all.advance(now));
                    prop_assert!(all.open.len() <= concurrency);
                }
                Ok(answered)
            };
            let answered = run(1_000_000)?;
            prop_assert_eq!(answered.len() as u64, requests);
            prop_assert!(answered.is_sorted_by_key(|request| request.finished));
            for request in &answered {
                prop_assert!(request.sent <= request.started && request.started < request.first);
                prop_assert!(request.first <= request.finished);
            }
            prop_assert_eq!(answered, run(777_777)?);
        }
    }
}
