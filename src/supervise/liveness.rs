//! Whether a ready server lives: one look after the other joined to a verdict. Pure, and of one server alone.
//!
//! Three things can be believed. A counter that moved, since nothing but a working engine moves it. A canary that came
//! back, since only a working engine answers it. Processor time, where the work is done on processors. `/health` can
//! not: the API server answers it while the engine behind it is frozen.

use crate::base::{Generation, Millis, Timestamp};
use crate::facts::{Body, Canary, Counters, Door, Liveness, Look};

/// Canaries in a row that a server may answer with an error before people hear of it.
const FAILURES: u32 = 3;
/// How often a server is looked at.
pub(super) const LOOK_EVERY: Millis = Millis::from_secs(5);
/// How long its answer is waited for. Under full load an API server may take seconds.
pub(super) const LOOK_PATIENCE: Millis = Millis::from_secs(9);
/// How long a canary may take.
pub(super) const CANARY_PATIENCE: Millis = Millis::from_secs(15);
/// Nothing moved for so long although there is something to do: a canary is sent.
const QUIET: Millis = Millis::from_secs(7);
/// Nothing is asked of it: a canary is sent this long after the last sign of life.
const IDLE: Millis = Millis::from_secs(12);
/// Without a sign of life for so long, and with a canary lost, it has stalled. A prompt may take as long.
const STALLED: Millis = Millis::from_secs(20);
/// A service may do one thing at a time and wait for others in it.
const SILENT: Millis = Millis::from_secs(60);
/// A port may be closed for a moment, as while a server reloads.
const CLOSED: Millis = Millis::from_secs(15);
/// Who uses less than this share of a processor does not work.
const IDLERS_SHARE: u64 = 10;

/// What a server can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// A model: it has counters, and completes.
    Engine {
        /// The work is done on GPUs: processor time shows nothing, since who waits for a GPU spins.
        on_gpus: bool,
    },
    /// It answers a path.
    Service,
    /// It listens, and nothing more is known of it.
    Listener,
}

/// What is asked of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Asked {
    /// A look.
    pub(super) look: bool,
    /// That look includes its processes.
    pub(super) deep: bool,
    /// A canary.
    pub(super) canary: bool,
}

/// Something that is asked for from time to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// At this time.
    At(Timestamp),
    /// It was asked for then, and has not come back.
    Out(Timestamp),
}

/// What is known of a ready server.
#[derive(Debug, Clone)]
pub(super) struct Vital {
    pub(super) generation: Generation,
    nature: Nature,
    look: Turn,
    /// The look that is out includes its processes.
    deep: bool,
    canary: Turn,
    /// From when on it is judged: what was asked before is void.
    since: Timestamp,
    /// The last sign of life.
    alive: Timestamp,
    /// When it last answered anything: that alone is no sign of life.
    answered: Timestamp,
    /// A canary was lost, and there was no sign of life since.
    lost: bool,
    /// Since when its port is closed.
    closed: Option<Timestamp>,
    door: Door,
    counters: Option<(Timestamp, Counters)>,
    body: Option<(Timestamp, Body)>,
    /// The last two looks saw its processes, or they cannot be seen.
    compared: bool,
    /// Canaries that came back since the counters were read.
    canaries: u64,
    /// Canaries in a row that were answered with a server's error.
    failures: u32,
    /// Canaries in a row that were answered with 404.
    unknown: u32,
}

/// What a look told beside a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moved {
    /// Tokens generated since the last look, for others than our canaries.
    pub(super) tokens: u64,
    /// Milliseconds of requests being computed in that time: two for a second are 2,000.
    pub(super) computing: u64,
}

impl Vital {
    /// It is ready; it is looked at for the first time at `first`.
    pub(super) fn new(
        nature: Nature,
        generation: Generation,
        now: Timestamp,
        first: Timestamp,
    ) -> Self {
        Self {
            generation,
            nature,
            look: Turn::At(first),
            deep: false,
            canary: Turn::At(now),
            since: now,
            alive: now,
            answered: now,
            lost: false,
            closed: None,
            door: Door::Answers,
            counters: None,
            body: None,
            compared: false,
            canaries: 0,
            failures: 0,
            unknown: 0,
        }
    }

    /// Nobody looked for a while: what was seen before proves nothing any more.
    pub(super) fn reset(&mut self, now: Timestamp) {
        self.since = now;
        self.answered = now;
        self.lives(now);
        self.closed = None;
        // That it is within reach again is to be told when it is seen.
        if !self.is_away() {
            self.door = Door::Answers;
        }
        self.counters = None;
        self.body = None;
        self.compared = false;
        if let Turn::At(at) = &mut self.look {
            *at = (*at).max(now);
        }
    }

    /// When it last answered anything.
    pub(super) fn answered(&self) -> Timestamp {
        self.answered
    }

    /// It is looked at now, unless somebody does already.
    pub(super) fn look_soon(&mut self, now: Timestamp) {
        if let Turn::At(at) = &mut self.look {
            *at = now;
        }
    }

    /// When something is to be asked.
    pub(super) fn wakes(&self) -> Option<Timestamp> {
        let look = match self.look {
            Turn::At(at) => Some(at),
            Turn::Out(_) => None,
        };
        [look, self.canary_due()].into_iter().flatten().min()
    }

    /// What is due now; it counts as asked.
    pub(super) fn ask(&mut self, now: Timestamp) -> Asked {
        let look = matches!(self.look, Turn::At(at) if at <= now);
        let canary = self.canary_due().is_some_and(|at| at <= now);
        if look {
            self.deep = self.suspicious(now);
            self.look = Turn::Out(now);
        }
        if canary {
            self.canary = Turn::Out(now);
        }
        let deep = look && self.deep;
        Asked { look, deep, canary }
    }

    fn canary_due(&self) -> Option<Timestamp> {
        let Turn::At(at) = self.canary else {
            return None;
        };
        let is_engine = matches!(self.nature, Nature::Engine { .. });
        if !is_engine || self.closed.is_some() {
            return None;
        }
        let busy = self.in_flight() > 0 || self.door == Door::Silent || self.lost;
        // A look that takes as long as it is time for the next one is itself a sign.
        let out = match self.look {
            Turn::Out(since) => Some(since + LOOK_EVERY),
            Turn::At(_) => None,
        };
        let pause = if busy { QUIET } else { IDLE };
        let due = self.alive + pause;
        let due = out.map_or(due, |out| due.min(out.max(self.alive + QUIET)));
        Some(due.max(at))
    }

    fn in_flight(&self) -> u64 {
        self.counters.map_or(0, |(_, read)| read.in_flight())
    }

    /// Its processes are worth a look.
    fn suspicious(&self, now: Timestamp) -> bool {
        let waits =
            matches!(self.canary, Turn::Out(since) if now.since(since) >= Millis(LOOK_EVERY.0 / 2));
        self.door != Door::Answers || self.lost || waits
    }

    fn lives(&mut self, now: Timestamp) {
        self.alive = now;
        self.lost = false;
    }

    /// The status of so many canaries in a row, the last among them, was a server's error: worth telling, once. It lives,
    /// and answers nobody.
    pub(super) fn fails(&mut self, canary: &Canary) -> Option<u16> {
        let status = match canary {
            Canary::Back(status @ 500..=599) => *status,
            Canary::Back(_) => {
                self.failures = 0;
                return None;
            }
            Canary::Lost | Canary::Unknown(_) => return None,
        };
        self.failures = self.failures.saturating_add(1);
        (self.failures == FAILURES).then_some(status)
    }

    /// A canary came back, or did not; what follows, in words.
    pub(super) fn canary(&mut self, canary: &Canary, now: Timestamp) -> Option<(Liveness, String)> {
        let asked = match self.canary {
            Turn::Out(since) | Turn::At(since) => since,
        };
        self.canary = Turn::At(now);
        self.unknown = match canary {
            Canary::Back(404) => self.unknown + 1,
            _ => 0,
        };
        if matches!(canary, Canary::Back(_)) {
            self.answered = now;
        }
        match canary {
            Canary::Back(200..=299) => {
                self.canaries += 1;
                self.lives(now);
            }
            // The same request was answered when it was proved ready.
            Canary::Back(404) if self.unknown > 1 => {
                let why = "it no longer knows its model: completions of one token were answered with 404 twice";
                return Some((Liveness::Estranged, why.to_owned()));
            }
            // An API server refuses alone, whatever its engine does.
            Canary::Back(_) => self.canary = Turn::At(now + IDLE),
            Canary::Lost if asked < self.since || self.is_away() => {}
            Canary::Lost => {
                self.lost = true;
                self.canary = Turn::At(now + LOOK_PATIENCE);
                if self.door == Door::Silent {
                    return self.stalled(now);
                }
                // What moved meanwhile is seen before anything is concluded.
                if let Turn::At(at) = &mut self.look {
                    *at = (*at).min(now);
                }
            }
            Canary::Unknown(_) => self.canary = Turn::At(now + LOOK_EVERY),
        }
        None
    }

    /// It was looked at; what follows, in words, and what moved.
    pub(super) fn look(
        &mut self,
        look: Look,
        now: Timestamp,
    ) -> (Option<(Liveness, String)>, Moved) {
        let asked = match self.look {
            Turn::Out(since) => since,
            Turn::At(_) => now,
        };
        self.look = Turn::At((asked + LOOK_EVERY).max(now + Millis(1)));
        match look.door {
            Door::Unknown(_) => return (None, Moved::default()),
            Door::Unreached(why) => return (self.goes_away(why), Moved::default()),
            door if self.is_away() => return (self.shows(&door, now), Moved::default()),
            _ => {}
        }
        if look.door == Door::Closed {
            return (self.is_closed(now), Moved::default());
        }
        self.closed = None;
        if look.door == Door::Answers {
            self.answered = now;
        }
        self.door = look.door;
        let moved = self.read(look.counters, now);
        self.watch(look.body, now);
        (self.stalled(now), moved)
    }

    /// The last look reached neither it nor its node.
    fn is_away(&self) -> bool {
        matches!(self.door, Door::Unreached(_))
    }

    fn goes_away(&mut self, why: String) -> Option<(Liveness, String)> {
        let known = self.is_away();
        self.closed = None;
        self.door = Door::Unreached(why.clone());
        (!known).then_some((Liveness::Unreached, why))
    }

    /// An answer proves that it is within reach again. A port that is closed may be that of a tunnel which comes to its end, and
    /// silence that of one which hangs: the next look, later by then, tells.
    fn shows(&mut self, door: &Door, now: Timestamp) -> Option<(Liveness, String)> {
        let since = *self.closed.get_or_insert(now);
        (*door == Door::Answers || now.since(since) >= LOOK_EVERY).then(|| self.comes_back(now))
    }

    /// What it did meanwhile was not seen.
    fn comes_back(&mut self, now: Timestamp) -> (Liveness, String) {
        self.door = Door::Answers;
        self.reset(now);
        (Liveness::Well, "it is within reach again".to_owned())
    }

    fn is_closed(&mut self, now: Timestamp) -> Option<(Liveness, String)> {
        let since = *self.closed.get_or_insert(now);
        let length = now.since(since);
        let why = format!("nobody listens on its port for {length}, and nothing tells of its end");
        (length >= CLOSED).then_some((Liveness::Closed, why))
    }

    fn read(&mut self, counters: Option<Counters>, now: Timestamp) -> Moved {
        let answers = self.door == Door::Answers;
        let Some(read) = counters else {
            // Without counters an answer is all that can be asked for.
            if answers && (self.nature == Nature::Service || self.counters.is_none()) {
                self.lives(now);
            }
            return Moved::default();
        };
        let before = self.counters.replace((now, read));
        let Some((at, old)) = before else {
            return Moved::default();
        };
        if old != read && read.in_flight() > 0 {
            self.lives(now);
        } else if old != read {
            // When it was at work is not known, but for the time of the last look: it may have died right after it.
            self.lives(self.alive.max(at));
        }
        let waits = matches!(self.canary, Turn::Out(_));
        let ours = std::mem::take(&mut self.canaries) + u64::from(waits);
        Moved {
            tokens: read
                .generated
                .saturating_sub(old.generated)
                .saturating_sub(ours),
            computing: now.since(at).0 * (old.running + read.running) / 2,
        }
    }

    fn watch(&mut self, body: Option<Body>, now: Timestamp) {
        let before = std::mem::replace(&mut self.body, body.map(|body| (now, body)));
        let wanted = self.deep || self.door == Door::Silent;
        self.compared = wanted && (before.is_some() || body.is_none());
        let (Some((at, old)), Some(body)) = (before, body) else {
            return;
        };
        let computed = body.computed.saturating_sub(old.computed);
        let works = computed * IDLERS_SHARE >= now.since(at).0;
        let shows = match self.nature {
            Nature::Engine { on_gpus } => !on_gpus && works,
            Nature::Service => works || body.log_bytes > old.log_bytes,
            Nature::Listener => false,
        };
        if shows {
            self.lives(now);
        }
    }

    fn stalled(&self, now: Timestamp) -> Option<(Liveness, String)> {
        let quiet = now.since(self.alive);
        let stopped = self.body.and_then(|(_, body)| body.stopped);
        let hopeless = match self.nature {
            Nature::Engine { on_gpus } => {
                self.lost && quiet >= STALLED && (on_gpus || self.compared)
            }
            Nature::Service => {
                let limit = if stopped.is_some() { STALLED } else { SILENT };
                self.door == Door::Silent && quiet >= limit && self.compared
            }
            Nature::Listener => false,
        };
        let silent = now.since(self.answered);
        hopeless.then(|| (Liveness::Stalled, self.evidence(quiet, silent, stopped)))
    }

    /// What speaks for a stall.
    fn evidence(&self, quiet: Millis, silent: Millis, stopped: Option<u32>) -> String {
        let mut said = match (self.nature, &self.door, self.in_flight()) {
            (Nature::Engine { .. }, Door::Silent, _) => {
                format!("it has answered nothing for {silent}, a completion of one token neither")
            }
            (Nature::Engine { .. }, _, 0) => format!(
                "a completion of one token did not come back within {CANARY_PATIENCE}, and no counter moved for {quiet}, \
                 though its API server answers"
            ),
            (Nature::Engine { .. }, _, flying) => {
                let requests = if flying == 1 { "request" } else { "requests" };
                format!(
                    "no counter moved for {quiet} with {flying} {requests} in flight, and a completion of one token did not \
                     come back within {CANARY_PATIENCE}, though its API server answers"
                )
            }
            _ => format!(
                "it has answered nothing for {silent}, and has neither computed nor written its log for {quiet}"
            ),
        };
        if let Some(pid) = stopped {
            said = format!("{said}; its process {pid} is stopped (SIGSTOP)");
        }
        said
    }
}
