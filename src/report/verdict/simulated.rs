//! A run whose truth is known: workers in front of servers that batch, in events, sampled as a real run is.
//!
//! It shares nothing with the network that predicts it: requests are followed one by one, each with a length of its own.

use std::collections::{BTreeMap, VecDeque};

use super::evidence::{
    Calls, Class, Client, Evidence, Node, Seats, SeatsBy, Series, Step, Task, Window,
};
use crate::base::{Chance, Millis, Timestamp, float};

/// One kind of server.
#[derive(Debug, Clone)]
pub(super) struct Servers {
    pub(super) name: &'static str,
    pub(super) replicas: usize,
    pub(super) seats: usize,
    /// Mean tokens of an answer, and the standard deviation of their logarithm.
    pub(super) tokens: f64,
    pub(super) spread: f64,
    /// Seconds from a token to the next of a request that is alone.
    pub(super) gap: f64,
    /// What each further request adds to that, as a share.
    pub(super) slowdown: f64,
}

/// A run to be simulated.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) classes: Vec<Servers>,
    pub(super) concurrency: usize,
    pub(super) questions: usize,
    /// Rounds of a question: each begins with the first class, and asks one of the others with its probability.
    pub(super) rounds: f64,
    pub(super) asks: Vec<f64>,
    /// Mean seconds of a round at no server.
    pub(super) delay: f64,
    pub(super) seed: u64,
    /// Ends it early, in seconds.
    pub(super) until: Option<f64>,
}

/// Where samples are taken, in seconds.
const EVERY: f64 = 15.0;
/// When the run begins.
pub(super) const BEGAN: Timestamp = Timestamp(1_767_139_200_000);

#[derive(Debug, Clone)]
struct Request {
    worker: usize,
    tokens: f64,
    sent: f64,
    begun: f64,
    /// The server's count of tokens with which it is done.
    due: f64,
}

#[derive(Debug, Clone, Default)]
struct Server {
    running: Vec<Request>,
    waiting: VecDeque<Request>,
    /// Tokens that a request that was there from the start would have.
    tokens: f64,
    now: f64,
    window: Window,
    windows: Vec<Window>,
}

impl Server {
    fn gap(&self, class: &Servers) -> f64 {
        class.gap * (1.0 + class.slowdown * (float(self.running.len()) - 1.0).max(0.0))
    }

    fn advance(&mut self, class: &Servers, now: f64) {
        let computed = (now - self.now) * float(self.running.len());
        add(&mut self.window.computed_seconds, computed);
        if !self.running.is_empty() {
            let tokens = (now - self.now) / self.gap(class);
            self.tokens += tokens;
            add(
                &mut self.window.generated,
                tokens * float(self.running.len()),
            );
        }
        self.now = now;
    }

    fn next(&self, class: &Servers) -> Option<f64> {
        let due = self.running.iter().map(|request| request.due);
        let due = due.min_by(f64::total_cmp)?;
        Some(self.now + (due - self.tokens).max(0.0) * self.gap(class))
    }

    fn fill(&mut self, class: &Servers) {
        while self.running.len() < class.seats
            && let Some(mut request) = self.waiting.pop_front()
        {
            request.begun = self.now;
            request.due = self.tokens + request.tokens;
            self.running.push(request);
        }
    }

    fn sample(&mut self, at: f64) {
        self.window.at = BEGAN + Millis::from_secs_f64(at);
        self.window.length = Millis::from_secs_f64(EVERY);
        self.window.running = Some(float(self.running.len()));
        self.window.waiting = Some(float(self.waiting.len()));
        self.window.kv = Some(0.3);
        for counter in [
            &mut self.window.finished,
            &mut self.window.queue_seconds,
            &mut self.window.inference_seconds,
            &mut self.window.computed_seconds,
            &mut self.window.generated,
            &mut self.window.preemptions,
        ] {
            counter.get_or_insert(0.0);
        }
        self.windows.push(std::mem::take(&mut self.window));
    }
}

fn add(counter: &mut Option<f64>, more: f64) {
    *counter.get_or_insert(0.0) += more;
}

#[derive(Debug, Clone, Default)]
struct Worker {
    question: usize,
    rounds: usize,
    /// When it goes on by itself, and with which class; none while it waits for one.
    goes_on: Option<(f64, usize)>,
}

/// The run.
pub(super) struct Run {
    setting: Setting,
    servers: Vec<Vec<Server>>,
    workers: Vec<Worker>,
    tasks: Vec<Task>,
    calls: BTreeMap<usize, (usize, f64)>,
    chance: Chance,
    now: f64,
}

impl Run {
    /// Runs it to its end; what would be known of it.
    pub(super) fn evidence(setting: &Setting) -> Evidence {
        let mut run = Self {
            servers: setting
                .classes
                .iter()
                .map(|class| vec![Server::default(); class.replicas])
                .collect(),
            workers: vec![Worker::default(); setting.concurrency],
            tasks: Vec::new(),
            calls: BTreeMap::new(),
            chance: Chance::new(setting.seed),
            now: 0.0,
            setting: setting.clone(),
        };
        for worker in 0..setting.concurrency {
            run.begin(worker);
        }
        let mut sampled = 0.0;
        while let Some(next) = run.next() {
            while next >= sampled + EVERY {
                sampled += EVERY;
                run.sample(sampled);
            }
            if setting.until.is_some_and(|until| next > until) {
                run.now = setting.until.unwrap_or(next);
                break;
            }
            run.step(next);
        }
        run.known()
    }

    fn next(&self) -> Option<f64> {
        let servers = self.setting.classes.iter().zip(&self.servers);
        let done = servers.flat_map(|(class, all)| all.iter().filter_map(|one| one.next(class)));
        let on = self.workers.iter().filter_map(|worker| worker.goes_on);
        done.chain(on.map(|(at, _)| at)).min_by(f64::total_cmp)
    }

    fn sample(&mut self, at: f64) {
        for (class, all) in self.setting.classes.iter().zip(&mut self.servers) {
            for server in all {
                server.advance(class, at);
                server.sample(at);
            }
        }
    }

    fn step(&mut self, now: f64) {
        self.now = now;
        let mut answered = Vec::new();
        for (index, (class, all)) in self
            .setting
            .classes
            .iter()
            .zip(&mut self.servers)
            .enumerate()
        {
            for server in all {
                server.advance(class, now);
                let tokens = server.tokens + 1e-6;
                for request in server.running.extract_if(.., |one| one.due <= tokens) {
                    add(&mut server.window.finished, 1.0);
                    add(
                        &mut server.window.queue_seconds,
                        request.begun - request.sent,
                    );
                    add(&mut server.window.inference_seconds, now - request.begun);
                    answered.push((index, request));
                }
                server.fill(class);
            }
        }
        for (class, request) in answered {
            let calls = self.calls.entry(class).or_default();
            calls.0 += 1;
            calls.1 += now - request.sent;
            self.answered(request.worker, class);
        }
        for worker in 0..self.workers.len() {
            if let Some((at, class)) = self.workers[worker].goes_on
                && at <= now
            {
                self.workers[worker].goes_on = None;
                self.send(worker, class);
            }
        }
    }

    /// A worker takes the next question, if there is one.
    fn begin(&mut self, worker: usize) {
        if self.tasks.len() >= self.setting.questions {
            return;
        }
        let mut rounds = 1;
        while self.chance.uniform() > 1.0 / self.setting.rounds && rounds < 50 {
            rounds += 1;
        }
        self.workers[worker] = Worker {
            question: self.tasks.len(),
            rounds,
            goes_on: None,
        };
        self.tasks.push(Task {
            id: format!("q{}", self.tasks.len()),
            began: Some(self.at()),
            ended: None,
        });
        self.think(worker, 0);
    }

    fn at(&self) -> Timestamp {
        BEGAN + Millis::from_secs_f64(self.now)
    }

    /// Some time at no server, then a call.
    fn think(&mut self, worker: usize, class: usize) {
        let delay = -self.setting.delay * (1.0 - self.chance.uniform()).max(1e-12).ln();
        self.workers[worker].goes_on = Some((self.now + delay, class));
    }

    fn send(&mut self, worker: usize, class: usize) {
        let servers = &self.setting.classes[class];
        let normal: f64 = (0..12).map(|_| self.chance.uniform()).sum::<f64>() - 6.0;
        let spread = servers.spread;
        let tokens = servers.tokens * (spread * normal - spread * spread / 2.0).exp();
        let last = servers.replicas as u64 - 1;
        let replica = usize::try_from(self.chance.between(0, last)).unwrap();
        let server = &mut self.servers[class][replica];
        server.advance(servers, self.now);
        server.waiting.push_back(Request {
            worker,
            tokens,
            sent: self.now,
            begun: self.now,
            due: 0.0,
        });
        server.fill(servers);
    }

    fn answered(&mut self, worker: usize, class: usize) {
        if class == 0 {
            let mut share = self.chance.uniform();
            for (other, asks) in self.setting.asks.clone().into_iter().enumerate() {
                if share < asks {
                    self.send(worker, other + 1);
                    return;
                }
                share -= asks;
            }
        }
        self.workers[worker].rounds -= 1;
        if self.workers[worker].rounds > 0 {
            self.think(worker, 0);
        } else {
            let (question, at) = (self.workers[worker].question, self.at());
            self.tasks[question].ended = Some(at);
            self.begin(worker);
        }
    }

    fn known(self) -> Evidence {
        let done = self.tasks.iter().filter(|task| task.ended.is_some());
        let calls = |class: usize| {
            let (count, sum) = self.calls.get(&class).copied().unwrap_or_default();
            (count > 0).then(|| Calls {
                count,
                mean: sum / float(count),
            })
        };
        let named = self.setting.classes.iter().enumerate();
        let classes = named.clone().map(|(index, class)| Class {
            name: class.name.to_owned(),
            replicas: class.replicas,
            gpus_per_replica: 1,
            seats: Some(Seats {
                count: class.seats,
                by: SeatsBy::Argument,
            }),
            calls: calls(index),
            answer_tokens: None,
            series: self.servers[index]
                .iter()
                .enumerate()
                .map(|(replica, server)| Series {
                    replica: format!("{}-{replica}", class.name),
                    windows: server.windows.clone(),
                })
                .collect(),
            nodes: vec!["n1".to_owned()],
            pinned: false,
            groups: Vec::new(),
            fixed: false,
            port: None,
        });
        let gpus = self.setting.classes.iter().map(|class| class.replicas);
        Evidence {
            began: BEGAN,
            until: self.at(),
            client: Client {
                concurrency: Some(self.setting.concurrency),
                total: Some(self.setting.questions),
                done: done.count(),
                steps: named
                    .filter_map(|(index, class)| {
                        Some(Step {
                            name: class.name.to_owned(),
                            calls: calls(index)?,
                        })
                    })
                    .collect(),
                tasks: self.tasks.clone(),
                ..Client::default()
            },
            classes: classes.collect(),
            nodes: vec![Node {
                name: "n1".to_owned(),
                gpus: gpus.sum(),
                ..Node::default()
            }],
            ..Evidence::default()
        }
    }
}
