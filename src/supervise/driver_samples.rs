//! What servers, machines and evaluations do is sampled while the run goes on. A thread of its own keeps it: neither a slow disk
//! nor a slow node delays anything, and nothing here decides anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{interval_at, timeout};

use super::Input;
use super::driver::Driver;
use super::liveness::LOOK_EVERY;
use crate::base::{Clock, EvalName, Generation, Millis, NodeName, RunId, Timestamp, UnitId};
use crate::facts::JobLoad;
use crate::facts::samples::{Encoder, EvalLine, Head, Line, NodeLine, NodeSample, ServerSample};
use crate::plan::Plan;
use crate::run::RunState;
use crate::run::store::{NotKept, Owner, SampleFile};
use crate::world::{LocalTransport, Station, SystemClock, lasts, look_at_load};

/// A sample is taken this often. Servers are looked at more often than that, and asked once: the page of a look is read.
const SAMPLE_EVERY: Millis = Millis::from_secs(15);

/// In a rehearsal every look is one: its time passes faster.
const OFTEN: Millis = LOOK_EVERY;

/// How often samples of this run are taken.
pub(super) fn sample_every(plan: &Plan) -> Millis {
    let rehearses = plan.shares.speed.is_some_and(|speed| speed > 1.0);
    if rehearses { OFTEN } else { SAMPLE_EVERY }
}

/// A look comes a little sooner or later than the one before.
const EARLY: Millis = Millis::from_secs(2);

/// Machines are asked for the first time after this: at the start processors have other work.
const NODES_AFTER: Millis = Millis::from_secs(5);

/// More than that waits for no disk: what comes then is left out, and the counters of later samples have it.
const MOST_WAITING: usize = 4096;

/// What the last samples may take when the run ends.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something for the thread that keeps samples.
enum Seen {
    Server(Timestamp, UnitId, Generation, ServerSample),
    Node(NodeLine),
    Eval(EvalLine),
    /// What was seen so far is written.
    Write,
    /// The same, whoever's turn it is.
    WriteAll,
}

/// Into that thread; cheap to clone.
#[derive(Clone)]
pub(super) struct Tap(SyncSender<Seen>);

impl Tap {
    /// A server's page was read.
    pub(super) fn page(&self, unit: &UnitId, generation: Generation, page: &str) {
        if let Some(sample) = ServerSample::read(page) {
            let at = SystemClock.now();
            self.tell(Seen::Server(at, unit.clone(), generation, sample));
        }
    }

    /// Whether somebody still listens.
    fn tell(&self, seen: Seen) -> bool {
        !matches!(self.0.try_send(seen), Err(TrySendError::Disconnected(_)))
    }
}

/// The driver's side of it.
pub(super) struct Sampling {
    tap: Tap,
    every: Millis,
    /// When which start of a server was last sampled.
    taken: BTreeMap<UnitId, (Generation, Timestamp)>,
    /// Open files of clients, and their limit.
    files: BTreeMap<UnitId, (u64, u64)>,
    /// Calls under way of clients that tell of them.
    open_calls: BTreeMap<EvalName, usize>,
    said: mpsc::UnboundedReceiver<String>,
    ended: oneshot::Receiver<()>,
}

impl Sampling {
    /// Begins; where the system refuses a thread nothing is kept.
    pub(super) fn begin(owner: &Owner, run: RunId, every: Millis) -> Self {
        let head = Head {
            v: Head::FORMAT,
            run,
            epoch: owner.epoch(),
            began: SystemClock.now(),
            every,
        };
        let file = SampleFile::new(owner.dir(), head);
        let (tap, seen) = sync_channel(MOST_WAITING);
        let (tell, said) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("samples".to_owned());
        let begun = thread.spawn(move || {
            Keeper::new(file, tell).keep(&seen);
            // Nobody may wait for it.
            let _ = end.send(());
        });
        if let Err(error) = begun {
            tracing::warn!(%error, "nothing is sampled");
        }
        Self {
            tap: Tap(tap),
            every,
            taken: BTreeMap::new(),
            files: BTreeMap::new(),
            open_calls: BTreeMap::new(),
            said,
            ended,
        }
    }

    /// Where the page of this look is told, if its server's turn has come.
    pub(super) fn due(&mut self, unit: &UnitId, generation: Generation) -> Option<Tap> {
        let now = SystemClock.now();
        let known = self.taken.get(unit);
        let is_fresh = |(of, at): &(Generation, Timestamp)| {
            *of == generation && *at + self.every > now + EARLY
        };
        if known.is_some_and(is_fresh) {
            return None;
        }
        self.taken.insert(unit.clone(), (generation, now));
        Some(self.tap())
    }

    /// Where pages are told whoever's turn it is.
    pub(super) fn tap(&self) -> Tap {
        self.tap.clone()
    }

    /// Keeps what others asked of clients.
    pub(super) fn note(&mut self, input: &Input) {
        match input {
            Input::FilesSeen {
                unit,
                seen: Some(seen),
                ..
            } => {
                self.files.insert(unit.clone(), (seen.open, seen.soft));
            }
            Input::Counted { eval, signs, .. }
                if signs.open_calls > 0 || self.open_calls.contains_key(eval) =>
            {
                self.open_calls.insert(eval.clone(), signs.open_calls);
            }
            _ => {}
        }
    }

    /// What people should hear of.
    fn said(&mut self) -> Option<String> {
        self.said.try_recv().ok()
    }

    /// Has all written that was seen, and waits for that for a moment.
    async fn end(&mut self) {
        self.tap.tell(Seen::WriteAll);
        let (closed, _) = sync_channel(0);
        self.tap = Tap(closed);
        // A disk that hangs keeps nobody from leaving.
        let _ = timeout(PATIENCE, &mut self.ended).await;
    }
}

impl Driver<'_> {
    /// From now on the machines of the run are asked.
    pub(super) fn begin_samples(&self) {
        let here = |unit: &UnitId| self.is_here(unit);
        let on = |name: &NodeName, needs_gpus: bool| {
            let mut units = self.brain.plan().units.iter();
            units.any(|unit| unit.node == *name && (!needs_gpus || !unit.gpus.is_empty()))
        };
        let units = self.brain.plan().units.iter();
        let names: BTreeSet<NodeName> = units
            .filter(|unit| here(&unit.id))
            .map(|unit| unit.node.clone())
            .collect();
        let gpus = names.iter().any(|name| on(name, true));
        let tap = self.samples.tap();
        tokio::spawn(ask_again(tap, names, None, gpus));
        for (station, _) in self.ground.fleet.iter() {
            // Where jobs are submitted none of the run's work is done.
            if station.jobs().is_none() {
                let (station, tap) = (station.clone(), self.samples.tap());
                let gpus = on(station.node(), true);
                let names = BTreeSet::from([station.node().clone()]);
                tokio::spawn(ask_again(tap, names, Some(station), gpus));
            }
        }
    }

    /// From now on what the nodes of jobs do is kept, if it is told here: nothing leads to them but their jobs, which look themselves.
    pub(super) fn sample_jobs(
        &self,
        station: &Station,
    ) -> mpsc::UnboundedSender<(String, JobLoad)> {
        let (sender, mut loads) = mpsc::unbounded_channel::<(String, JobLoad)>();
        let jobs = station.jobs().into_iter().flatten();
        let nodes = jobs.filter_map(|(unit, job)| {
            let unit = self.brain.plan().unit(unit)?;
            Some((job.clone(), unit.node.clone()))
        });
        let nodes: BTreeMap<String, NodeName> = nodes.collect();
        let tap = self.samples.tap();
        tokio::spawn(async move {
            while let Some((job, load)) = loads.recv().await {
                let at = Timestamp(SystemClock.now().0.saturating_sub(load.age.0));
                let line = (nodes.get(&job)).map(|node| line(at, node, &load.sample));
                if line.is_some_and(|line| !tap.tell(Seen::Node(line))) {
                    return;
                }
            }
        });
        sender
    }

    /// A sample's time has come: what was seen is written.
    pub(super) fn sample(&mut self) {
        self.sample_evals();
        self.samples.tap.tell(Seen::Write);
        while let Some(text) = self.samples.said() {
            self.audience.message(&text);
        }
    }

    /// The last one.
    pub(super) async fn end_samples(&mut self) {
        self.sample_evals();
        self.samples.end().await;
    }

    fn sample_evals(&self) {
        for eval in &self.brain.plan().evals {
            if let Some(line) = self.eval_line(&eval.name, &eval.unit, self.brain.state()) {
                self.samples.tap.tell(Seen::Eval(line));
            }
        }
    }

    fn eval_line(&self, eval: &EvalName, unit: &UnitId, state: &RunState) -> Option<EvalLine> {
        let known = state.evals.get(eval)?;
        let client = state.unit(unit);
        let runs = client.phase.may_live();
        Some(EvalLine {
            at: SystemClock.now(),
            eval: eval.clone(),
            generation: client.generation,
            runs,
            done: known.done,
            errors: known.errors,
            total: known.total,
            open_calls: self.samples.open_calls.get(eval).copied().filter(|_| runs),
            files: self.samples.files.get(unit).copied().filter(|_| runs),
        })
    }
}

/// Asks a machine again and again, until nobody listens; this one, if there is no station. A look that takes long delays only
/// the next one.
async fn ask_again(tap: Tap, names: BTreeSet<NodeName>, station: Option<Arc<Station>>, gpus: bool) {
    let transport = (station.as_ref()).map_or(&LocalTransport as _, |station| station.transport());
    let first = tokio::time::Instant::now() + lasts(NODES_AFTER);
    let mut turns = interval_at(first, lasts(SAMPLE_EVERY));
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let Some(seen) = look_at_load(transport, gpus).await else {
            continue;
        };
        for node in &names {
            if !tap.tell(Seen::Node(line(SystemClock.now(), node, &seen))) {
                return;
            }
        }
    }
}

fn line(at: Timestamp, node: &NodeName, seen: &NodeSample) -> NodeLine {
    NodeLine {
        at,
        node: node.clone(),
        load: seen.load,
        cores: seen.cores,
        memory: seen.memory,
        gpus: seen.gpus.clone(),
    }
}

/// The thread's side: what was seen and is not written yet.
struct Keeper {
    file: SampleFile,
    encoder: Encoder,
    servers: BTreeMap<(UnitId, Generation), (Timestamp, ServerSample)>,
    nodes: BTreeMap<NodeName, NodeLine>,
    evals: BTreeMap<EvalName, EvalLine>,
    /// Counts the times at which something could be written.
    turn: u32,
    tell: mpsc::UnboundedSender<String>,
    /// It was said why nothing is written.
    told: bool,
}

impl Keeper {
    fn new(file: SampleFile, tell: mpsc::UnboundedSender<String>) -> Self {
        Self {
            file,
            encoder: Encoder::default(),
            servers: BTreeMap::new(),
            nodes: BTreeMap::new(),
            evals: BTreeMap::new(),
            turn: 0,
            tell,
            told: false,
        }
    }

    fn keep(mut self, seen: &Receiver<Seen>) {
        self.take_all(seen);
    }

    /// Until all is written, or nobody tells anything any more.
    fn take_all(&mut self, seen: &Receiver<Seen>) {
        for seen in seen {
            match seen {
                Seen::Server(at, unit, generation, sample) => {
                    self.servers.insert((unit, generation), (at, sample));
                }
                Seen::Node(line) => {
                    self.nodes.insert(line.node.clone(), line);
                }
                Seen::Eval(line) => {
                    self.evals.insert(line.eval.clone(), line);
                }
                Seen::Write => {
                    self.turn = self.turn.wrapping_add(1);
                    if self.turn.is_multiple_of(self.file.one_of()) {
                        self.write();
                    }
                }
                Seen::WriteAll => {
                    self.write();
                    return;
                }
            }
        }
    }

    fn write(&mut self) {
        let servers = self.servers.iter();
        let mut lines: Vec<Line> = servers
            .map(|((unit, generation), (at, sample))| {
                Line::Server(self.encoder.line(*at, unit, *generation, sample))
            })
            .collect();
        lines.extend(self.nodes.values().cloned().map(Line::Node));
        lines.extend(self.evals.values().cloned().map(Line::Eval));
        if lines.is_empty() {
            return;
        }
        match self.file.append(&lines) {
            Ok(()) => {
                self.servers.clear();
                self.nodes.clear();
                self.evals.clear();
                self.told = false;
            }
            Err(why) => {
                // It stays here, with what is newer in its place; and the next line must not build on these.
                self.encoder.forget();
                self.say(&why);
            }
        }
    }

    fn say(&mut self, why: &NotKept) {
        if !std::mem::replace(&mut self.told, true) {
            let text =
                format!("warning: {why}; the run goes on, and its report will lack this time");
            // Whoever does not listen any more hears of nothing else either.
            let _ = self.tell.send(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::base::Epoch;
    use crate::facts::samples::Samples;
    use crate::facts::samples::busy::Busy;
    use crate::knowledge::series::Counter;
    use crate::run::store::read_samples;

    fn keeper(dir: &Path) -> (Keeper, mpsc::UnboundedReceiver<String>) {
        let head = Head {
            v: Head::FORMAT,
            run: RunId::new("small-1-abcd"),
            epoch: Epoch(1),
            began: Timestamp(0),
            every: SAMPLE_EVERY,
        };
        let (tell, said) = mpsc::unbounded_channel();
        (Keeper::new(SampleFile::new(dir, head), tell), said)
    }

    fn served(at: u64, generation: u64, busy: &Busy) -> Seen {
        let at = Timestamp(at);
        Seen::Server(
            at,
            "a-0".into(),
            Generation(generation),
            busy.sample.clone(),
        )
    }

    fn tokens(samples: &Samples) -> f64 {
        let work = samples.servers.values().next().unwrap().all();
        work.count(Counter::GenerationTokens).unwrap()
    }

    fn play(keeper: Keeper, seen: Vec<Seen>) {
        let (tap, receiver) = sync_channel(100);
        for seen in seen {
            tap.send(seen).unwrap();
        }
        drop(tap);
        keeper.keep(&receiver);
    }

    #[test]
    fn what_a_disk_refuses_is_said_once_and_made_up_for() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let (mut keeper, mut said) = keeper(&gone);
        let mut busy = Busy::new(1);
        for at in 1..4 {
            busy.work();
            let (tap, receiver) = sync_channel(9);
            tap.send(served(at, 1, &busy)).unwrap();
            tap.send(Seen::Write).unwrap();
            drop(tap);
            if at == 3 {
                fs::create_dir(&gone).unwrap();
            }
            keeper.take_all(&receiver);
        }
        let text = said
            .try_recv()
            .unwrap()
            .replace(dir.path().to_str().unwrap(), "DIR");
        insta::assert_snapshot!(text, @"warning: samples cannot be kept: cannot write `DIR/gone/samples.1.jsonl.gz`: No such file or directory (os error 2); the run goes on, and its report will lack this time");
        assert!(said.try_recv().is_err());
        let samples = read_samples(&gone, Timestamp(u64::MAX / 2)).unwrap();
        assert!((tokens(&samples) - busy.sample.counters[&Counter::GenerationTokens]).abs() < 0.5);
    }

    #[test]
    fn the_last_of_each_start_is_written_and_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let (keeper, _said) = keeper(dir.path());
        let (mut first, mut second) = (Busy::new(1), Busy::new(2));
        let mut seen = Vec::new();
        for at in 1..4 {
            first.work();
            seen.push(served(at, 1, &first));
        }
        second.work();
        seen.extend([
            served(9, 2, &second),
            Seen::Write,
            Seen::Write,
            Seen::WriteAll,
        ]);
        play(keeper, seen);
        let samples = read_samples(dir.path(), Timestamp(u64::MAX / 2)).unwrap();
        let points = samples.servers.values().next().unwrap().points();
        let points: Vec<_> = points
            .map(|point| (point.at().0, point.generation().0))
            .collect();
        assert_eq!(points, [(3, 1), (9, 2)]);
        let both = [&first, &second].map(|busy| busy.sample.counters[&Counter::GenerationTokens]);
        assert!((tokens(&samples) - both[0] - both[1]).abs() < 0.5);
    }
}
