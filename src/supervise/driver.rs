//! The thin loop: news in, effects out.  It decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::driver_books::Ours;
use super::driver_clients::Afar;
use super::driver_evals::EvalDesk;
use super::driver_fleet::Paces;
use super::driver_records::Backlog;
use super::driver_routes;
use super::driver_samples::{Sampling, sample_every};
use super::{Brain, Input, Outcome};
use crate::base::{
    Clock, ExitStatus, Generation, Millis, NodeName, Place, RunId, Timestamp, UnitId,
};
use crate::eval::{RouteNews, endpoints_so_far};
use crate::facts::{Observation, RunningUnit, Signal};
use crate::run::store::{Journal, StoreError, failpoint, is_going_down};
use crate::run::{Record, RunState, UnitPhase};
use crate::world::{
    Asked, Fleet, Launchers, News, PortWait, PortWatch, Prober, RouteWatch, SystemClock, Teller,
    UnitDirs, Watcher, Wrist, lasts, own_files,
};

/// Ports are looked at in one pass for all units.
const PORTS_EVERY: Millis = Millis(100);
/// People are shown something this often.
const SHOW_EVERY: Millis = Millis(250);
/// Every unit is looked at this often, in case the kernel's word was lost; the owner says that it
/// lives.
const LOOK_EVERY: Millis = Millis::from_secs(10);
/// Requests are looked for this often.
const ASKED_EVERY: Millis = Millis(500);
/// Nothing heard for three looks: the controller, or its machine, stood still.
const AWAY: Millis = Millis(LOOK_EVERY.0 * 3);
/// The counters of servers that are not ready are read this often while clients run.
const METER_EVERY: Millis = Millis::from_secs(5);
/// Logs shown beside units that are not ready: more fit no terminal.
const TAILS: usize = 40;

/// Who is told what happens.
pub trait Audience {
    /// A line of the journal; `state` has it already.
    fn event(&mut self, record: &Record, state: &RunState);

    /// Something to be said that is no event.
    fn message(&mut self, text: &str);

    /// Time passes; `tails` has the last log lines of units that are on their way.
    fn tick(&mut self, now: Timestamp, state: &RunState, tails: &BTreeMap<UnitId, String>);
}

/// What a drive needs beside the brain.
#[derive(Debug)]
pub struct Ground {
    /// The run's name.
    pub run: RunId,
    /// The folder with `units/` and `tmux/`.
    pub scripts: PathBuf,
    /// The tmux session of each node that has one.
    pub sessions: BTreeMap<NodeName, String>,
    /// The folder for the units' logs.
    pub logs: PathBuf,
    /// The folder in which requests lie.
    pub requests: PathBuf,
    /// The nodes that are reached from here.
    pub fleet: Arc<Fleet>,
    /// The caller's environment, from which `pass` takes values.
    pub environment: BTreeMap<String, String>,
    /// The evaluations' results and client configurations.
    pub desks: Vec<EvalDesk>,
}

/// Why a drive ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The journal could not be written, or another controller took the run.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refused something that everything rests on.
    #[error("cannot watch units: {0}")]
    Watch(#[from] std::io::Error),
}

impl DriveError {
    /// Another controller has the run, and watches it.
    pub fn is_lost_to_another(&self) -> bool {
        matches!(self, Self::Store(StoreError::Superseded { .. }))
    }

    /// How a command ends on it.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Store(error) => error.exit_status(),
            Self::Watch(_) => ExitStatus::Internal,
        }
    }
}

/// What is left of a drive that came to its end.
#[derive(Debug)]
pub struct Driven {
    /// How it ended.
    pub outcome: Outcome,
    /// All that is known, recorded or not.
    pub state: RunState,
    /// The evaluations' results and client configurations.
    pub desks: Vec<EvalDesk>,
}

/// The loop and what it holds.
pub struct Driver<'a> {
    pub(super) brain: Brain,
    pub(super) journal: Journal,
    pub(super) ground: Ground,
    pub(super) audience: &'a mut dyn Audience,
    pub(super) launchers: Arc<Launchers>,
    pub(super) prober: Prober,
    pub(super) dirs: UnitDirs,
    pub(super) watcher: Watcher,
    pub(super) news: mpsc::UnboundedReceiver<News>,
    /// Into that.
    pub(super) teller: Teller,
    pub(super) inputs: mpsc::UnboundedReceiver<Input>,
    pub(super) sender: mpsc::UnboundedSender<Input>,
    pub(super) ports: PortWatch,
    pub(super) leaders: BTreeMap<UnitId, RunningUnit>,
    pub(super) asked: mpsc::UnboundedReceiver<Asked>,
    pub(super) ours: Ours,
    pub(super) routes: RouteWatch,
    /// Where servers were asked when this owner came.
    pub(super) endpoints_before: BTreeSet<Place>,
    pub(super) route_news: mpsc::UnboundedReceiver<RouteNews>,
    pub(super) backlog: Backlog,
    /// Where the life of ready servers is felt, by the start that it is of.
    pub(super) wrists: BTreeMap<UnitId, (Generation, Wrist)>,
    /// How often nodes elsewhere are looked at.
    pub(super) pace: Paces,
    /// What is seen of clients there.
    pub(super) afar: Afar,
    pub(super) samples: Sampling,
}

impl<'a> Driver<'a> {
    /// A driver for a brain that has taken the run.
    ///
    /// # Errors
    /// The system refuses to watch.
    pub fn new(
        brain: Brain,
        journal: Journal,
        ground: Ground,
        audience: &'a mut dyn Audience,
    ) -> Result<Self, DriveError> {
        let dirs = UnitDirs::new(&ground.run);
        let (watcher, teller, news) = Watcher::new(dirs.clone())?;
        let (sender, inputs) = mpsc::unbounded_channel();
        let (prober, asked) = Prober::counted();
        let (routes, route_news) = driver_routes::watch(brain.plan(), &ground.run);
        let often = sample_every(brain.plan());
        Ok(Self {
            endpoints_before: endpoints_so_far(brain.state()),
            backlog: Backlog::new(journal.owner().dir()),
            samples: Sampling::begin(journal.owner(), ground.run.clone(), often),
            pace: Paces::new(),
            afar: Afar::new(),
            brain,
            journal,
            audience,
            launchers: Arc::new(Launchers::reaching(ground.fleet.clone())),
            prober,
            dirs,
            watcher,
            news,
            teller,
            inputs,
            sender,
            ports: PortWatch::default(),
            leaders: BTreeMap::new(),
            asked,
            ours: Ours::default(),
            routes,
            route_news,
            wrists: BTreeMap::new(),
            ground,
        })
    }

    /// Drives until the owner's work is over.
    ///
    /// # Errors
    /// [`DriveError`]; servers and clients go on.
    pub async fn drive(
        mut self,
        mut signals: mpsc::Receiver<Signal>,
    ) -> Result<Driven, DriveError> {
        self.beat();
        self.read_proxies();
        let begin = self.look_around().await;
        self.begin_rounds();
        self.begin_samples();
        failpoint("adopt-after-look");
        let mut outcome = self.take(begin)?;
        let mut ports = every(PORTS_EVERY);
        let mut show = every(SHOW_EVERY);
        let mut look = every(LOOK_EVERY);
        let mut asked = every(ASKED_EVERY);
        let mut meter = every(METER_EVERY);
        let mut sample = every(sample_every(self.brain.plan()));
        let mut heard = SystemClock.now();
        while outcome.is_none() {
            let waits = self.port_waits();
            let wake = self.until_wake();
            let inputs = tokio::select! {
                Some(input) = self.inputs.recv() => self.heed(input),
                Some((unit, observation)) = self.news.recv() => self.learn(unit, observation),
                Some((client, seen)) = self.afar.news.recv() => {
                    self.learn_of_client(client, seen);
                    Vec::new()
                }
                Some(news) = self.route_news.recv() => vec![Input::Routed(news)],
                Some(signal) = signals.recv() => vec![Input::Leave(self.meant(signal))],
                () = sleep(wake) => vec![Input::Tick],
                _ = ports.tick(), if !waits.is_empty() => self.look_at_ports(&waits),
                _ = show.tick() => {
                    self.show();
                    self.set_pace();
                    outcome = self.catch_up()?;
                    Vec::new()
                }
                _ = look.tick() => self.look_again()?,
                _ = asked.tick() => { self.heed_probed(); self.asked() }
                _ = meter.tick() => { self.meter_again(); Vec::new() }
                _ = sample.tick() => { self.sample(); Vec::new() }
            };
            let now = SystemClock.now();
            let length = now.since(std::mem::replace(&mut heard, now));
            let away = (length >= AWAY).then_some(Input::Away { length });
            if away.is_some() {
                // Another may have come in the meantime.
                self.journal.owner().still_owner()?;
            }
            for input in away.into_iter().chain(inputs) {
                outcome = outcome.or(self.take(input)?);
            }
        }
        let now = SystemClock.now();
        self.end_samples().await;
        self.show();
        let jobs_are_empty = self.jobs_are_empty();
        let state = self.last_state();
        failpoint("end-before-leave");
        match self.journal.leave(now) {
            // Whoever comes next sees that this process is gone.
            Err(StoreError::Io { .. }) if self.backlog.unwritten().is_some() => {}
            Err(error @ StoreError::Io { .. }) => self.audience.message(&error.to_string()),
            other => other?,
        }
        // The loop ends only with an outcome.
        let outcome = outcome.unwrap_or(Outcome {
            code: ExitStatus::Internal,
            summary: String::new(),
            kept: true,
        });
        if !outcome.kept {
            self.backlog.close();
            // Its windows are empty now; a failure would show as a session in `tmux ls`, no more.
            let _ = self
                .launchers
                .release(&self.ground.run, &BTreeMap::new())
                .await;
            self.ground.fleet.clear_all().await;
        } else if jobs_are_empty {
            // They would wait for units; a failure would show in `squeue`, no more.
            let _ = self.launchers.end_jobs().await;
        }
        Ok(Driven {
            outcome,
            state,
            desks: self.ground.desks,
        })
    }

    /// There are SLURM jobs, and nothing runs in them.
    fn jobs_are_empty(&self) -> bool {
        let jobs = &self.brain.plan().jobs;
        let mut units = jobs.iter().flat_map(|job| &job.units);
        let lives = |unit: &UnitId| self.brain.state().unit(unit).phase.may_live();
        !jobs.is_empty() && !units.any(lives)
    }

    /// A polite kill may come from `toolorch down`.
    fn meant(&self, signal: Signal) -> Signal {
        match signal {
            Signal::Terminate if is_going_down(self.journal.owner().dir()) => Signal::Down,
            other => other,
        }
    }

    fn until_wake(&self) -> Duration {
        let now = SystemClock.now();
        let wake = self.brain.next_wake().map(|at| at.since(now));
        lasts(wake.unwrap_or(LOOK_EVERY))
    }

    /// Hands one input to the brain and performs what it asks for.
    fn take(&mut self, input: Input) -> Result<Option<Outcome>, DriveError> {
        let leaves = matches!(input, Input::Leave(_));
        let effects = self.brain.step(input, SystemClock.now());
        let outcome = self.carry_out(effects)?;
        Ok(outcome.or_else(|| leaves.then(|| self.go_unrecorded()).flatten()))
    }

    /// What we did ourselves goes to the brain; a script that was started is waited for.
    fn heed(&mut self, input: Input) -> Vec<Input> {
        self.samples.note(&input);
        let input = match input {
            Input::Metered(metered) => {
                if metered.purpose.bounds_a_client() {
                    // Later looks take the place of what is not written yet.
                    self.sample();
                }
                Input::Metered(self.with_ours(metered))
            }
            Input::Pulsed {
                unit,
                generation,
                pulse,
                served,
            } => Input::Pulsed {
                served: served.map(|served| self.less_ours(served)),
                unit,
                generation,
                pulse,
            },
            input => input,
        };
        if let Input::LaunchDone {
            unit,
            generation,
            result: Ok(handle),
        } = &input
        {
            let launch = self.brain.state().unit(unit).launch;
            if let (Ok(pid), Some(launch)) = (handle.native.parse(), launch) {
                self.await_end(unit, *generation, launch, pid);
            }
            self.pace.nudge();
        }
        vec![input]
    }

    /// What was seen of a unit goes to the brain; a leader without its script is waited for.
    fn learn(&mut self, unit: UnitId, observation: Observation) -> Vec<Input> {
        if let Observation::Running(running) = &observation {
            let known = self.leaders.insert(unit.clone(), running.clone());
            let orphaned = known.is_none_or(|known| known.supervised) && !running.supervised;
            if orphaned && self.is_here(&unit) {
                let (generation, launch) = (running.generation, running.launch.clone());
                self.await_end(&unit, generation, launch, running.pid);
            }
        }
        vec![Input::Seen { unit, observation }]
    }

    fn port_waits(&self) -> Vec<PortWait> {
        self.brain
            .port_waits()
            .filter(|unit| self.is_here(&unit.id))
            .filter_map(|unit| {
                Some(PortWait {
                    unit: unit.id.clone(),
                    address: unit.address.clone(),
                    port: unit.port?,
                    leader: self.leaders.get(&unit.id)?.pid,
                })
            })
            .collect()
    }

    fn look_at_ports(&mut self, waits: &[PortWait]) -> Vec<Input> {
        let listening = self.ports.listening(waits);
        waits
            .iter()
            .filter(|wait| listening.contains(&wait.unit))
            .filter_map(|wait| {
                let mut running = self.leaders.get(&wait.unit)?.clone();
                running.listening = vec![wait.port];
                Some(Input::Seen {
                    unit: wait.unit.clone(),
                    observation: Observation::Running(running),
                })
            })
            .collect()
    }

    /// Units of this machine that are looked at; those of others are seen on the rounds.
    fn live_units(&self) -> Vec<UnitId> {
        let units = self.brain.looks().filter(|unit| self.is_here(unit));
        units.cloned().collect()
    }

    /// Every unit once, and a sign of life of our own.
    fn look_again(&mut self) -> Result<Vec<Input>, DriveError> {
        self.renew()?;
        self.beat();
        let mut elsewhere = self.ports.elsewhere(&self.port_waits());
        let looks = self.live_units().into_iter().map(|unit| {
            let mut observation = self.watcher.look(&unit);
            if let (Observation::Running(running), Some(ports)) =
                (&mut observation, elsewhere.remove(&unit))
            {
                running.listening = ports;
            }
            Input::Seen { unit, observation }
        });
        let mut looks: Vec<Input> = looks.collect();
        looks.extend(own_files().map(|(open, limit)| Input::OwnFiles { open, limit }));
        let strangers = self.ports.strangers().into_iter();
        looks.extend(strangers.map(|(unit, port)| Input::Stranger { unit, port }));
        Ok(looks)
    }

    /// The first look: every unit of the plan, the results of every evaluation.
    async fn look_around(&mut self) -> Input {
        let elsewhere = self.look_at_nodes().await;
        let silent = elsewhere.iter().filter_map(|(_, seen)| match seen {
            Observation::Unknown { why } => Some(why.clone()),
            _ => None,
        });
        for why in silent.collect::<BTreeSet<String>>() {
            let text = format!("warning: {why}; its units are waited for");
            self.audience.message(&text);
        }
        let units = self.brain.plan().units.iter().map(|unit| &unit.id);
        let here = units
            .chain(self.brain.retired())
            .filter(|unit| self.is_here(unit));
        let seen = here
            .map(|unit| (unit.clone(), self.watcher.look(unit)))
            .collect();
        let mut seen = self.without_state(seen);
        seen.extend(elsewhere);
        let counted = self
            .ground
            .desks
            .iter_mut()
            .filter_map(|desk| Some((desk.name().clone(), desk.count(None).0.ok()?)))
            .collect();
        Input::Begin { seen, counted }
    }

    /// A unit whose state directory is gone, as when /tmp was tidied, is found by the marks of its
    /// processes; one pass over all processes, and only where the journal says that it lives.
    fn without_state(
        &mut self,
        mut seen: Vec<(UnitId, Observation)>,
    ) -> Vec<(UnitId, Observation)> {
        let state = self.brain.state();
        let missing = |(unit, observation): &(UnitId, Observation)| {
            *observation == Observation::Never && state.unit(unit).phase.may_live()
        };
        if !seen.iter().any(missing) {
            return seen;
        }
        let mut marked = self.dirs.find_running();
        for entry in seen.iter_mut().filter(|entry| missing(entry)) {
            if let Some(running) = marked.remove(&entry.0) {
                // Its port and its end are told by its leader.
                self.leaders.insert(entry.0.clone(), running.clone());
                entry.1 = Observation::Running(running);
            }
        }
        seen
    }

    fn show(&mut self) {
        let state = self.brain.state();
        let tails = state
            .units
            .iter()
            .filter(|(_, unit)| matches!(unit.phase, UnitPhase::Launched | UnitPhase::Started))
            .filter_map(|(id, unit)| Some((id, unit.handle.as_ref()?)))
            .take(TAILS)
            .filter_map(|(id, handle)| {
                let line = self.dirs.last_line(id, handle.log.as_ref())?;
                Some((id.clone(), line))
            })
            .collect();
        self.audience.tick(SystemClock.now(), state, &tails);
    }
}

fn every(period: Millis) -> Interval {
    let mut interval = interval(lasts(period));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
