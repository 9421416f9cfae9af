//! The thin loop: news in, effects out.  It decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::driver_evals::{EvalDesk, write_config};
use super::{Brain, Effect, Input, Outcome};
use crate::base::{
    Clock, ConfigName, Epoch, EvalName, ExitStatus, Generation, LaunchId, NodeName, RunId,
    Timestamp, UnitId,
};
use crate::facts::{Observation, RunningUnit, Signal};
use crate::plan::Unit;
use crate::run::store::{Durability, Journal, StoreError};
use crate::run::{Event, Handle, Record, RunState, UnitPhase};
use crate::world::{
    Awaited, LaunchJob, Launchers, News, PortWait, PortWatch, Prober, SystemClock, UnitDirs,
    Watcher, last_line,
};

/// Ports are looked at in one pass for all units.
const PORTS_EVERY: Duration = Duration::from_millis(100);
/// People are shown something this often.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// Every unit is looked at this often, in case the kernel's word was lost; the owner says that it
/// lives.
const LOOK_EVERY: Duration = Duration::from_secs(10);
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
    /// The TLS library does not start.
    #[error("cannot make an HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

impl DriveError {
    /// How a command ends on it.
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Store(error) => error.exit_status(),
            Self::Watch(_) | Self::Http(_) => ExitStatus::Internal,
        }
    }
}

/// The loop and what it holds.
pub struct Driver<'a> {
    brain: Brain,
    journal: Journal,
    ground: Ground,
    audience: &'a mut dyn Audience,
    launchers: Arc<Launchers>,
    prober: Prober,
    dirs: UnitDirs,
    watcher: Watcher,
    news: mpsc::UnboundedReceiver<News>,
    inputs: mpsc::UnboundedReceiver<Input>,
    sender: mpsc::UnboundedSender<Input>,
    ports: PortWatch,
    leaders: BTreeMap<UnitId, RunningUnit>,
}

impl<'a> Driver<'a> {
    /// A driver for a brain that has taken the run.
    ///
    /// # Errors
    /// The system refuses to watch, or the TLS library does not start.
    pub fn new(
        brain: Brain,
        journal: Journal,
        ground: Ground,
        audience: &'a mut dyn Audience,
    ) -> Result<Self, DriveError> {
        let dirs = UnitDirs::new(&ground.run);
        let (watcher, news) = Watcher::new(dirs.clone())?;
        let (sender, inputs) = mpsc::unbounded_channel();
        Ok(Self {
            brain,
            journal,
            ground,
            audience,
            launchers: Arc::default(),
            prober: Prober::new()?,
            dirs,
            watcher,
            news,
            inputs,
            sender,
            ports: PortWatch::default(),
            leaders: BTreeMap::new(),
        })
    }

    /// Drives until the owner's work is over.
    ///
    /// # Errors
    /// [`DriveError`]; servers and clients go on.
    pub async fn drive(
        mut self,
        mut signals: mpsc::Receiver<Signal>,
    ) -> Result<(Outcome, Vec<EvalDesk>), DriveError> {
        let begin = self.look_around();
        let mut outcome = self.take(begin)?;
        let mut ports = every(PORTS_EVERY);
        let mut show = every(SHOW_EVERY);
        let mut look = every(LOOK_EVERY);
        while outcome.is_none() {
            let waits = self.port_waits();
            let wake = self.until_wake();
            let inputs = tokio::select! {
                Some(input) = self.inputs.recv() => self.heed(input),
                Some((unit, observation)) = self.news.recv() => self.learn(unit, observation),
                Some(signal) = signals.recv() => vec![Input::Leave(signal)],
                () = sleep(wake) => vec![Input::Tick],
                _ = ports.tick(), if !waits.is_empty() => self.look_at_ports(&waits),
                _ = show.tick() => { self.show(); Vec::new() }
                _ = look.tick() => self.look_again()?,
            };
            for input in inputs {
                outcome = outcome.or(self.take(input)?);
            }
        }
        let now = SystemClock.now();
        self.show();
        self.journal.leave(now)?;
        // The loop ends only with an outcome.
        let outcome = outcome.unwrap_or(Outcome {
            code: 1,
            summary: String::new(),
            kept: true,
        });
        if !outcome.kept && !self.ground.sessions.is_empty() {
            // Its windows are empty now; a failure would show as a session in `tmux ls`, no more.
            let (run, scripts) = (&self.ground.run, &self.ground.scripts);
            let _ = self.launchers.stop_tmux(run, scripts).await;
        }
        Ok((outcome, self.ground.desks))
    }

    fn until_wake(&self) -> Duration {
        let now = SystemClock.now();
        self.brain
            .next_wake()
            .map_or(LOOK_EVERY, |at| at.since(now).into())
    }

    /// Hands one input to the brain and performs what it asks for.
    fn take(&mut self, input: Input) -> Result<Option<Outcome>, DriveError> {
        let effects = self.brain.step(input, SystemClock.now());
        self.write_down(&effects)?;
        let mut outcome = None;
        for effect in effects {
            match effect {
                Effect::Finish(end) => outcome = Some(end),
                other => self.perform(other),
            }
        }
        Ok(outcome)
    }

    /// Records go to the disk before anything that follows from them; one sync for all of them.
    fn write_down(&mut self, effects: &[Effect]) -> Result<(), DriveError> {
        let records: Vec<&Record> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Record(record) => Some(record),
                _ => None,
            })
            .collect();
        let last_intent = records.iter().rposition(|record| must_last(&record.event));
        for (place, record) in records.iter().enumerate() {
            let durability = if last_intent == Some(place) {
                Durability::Synced
            } else {
                Durability::Buffered
            };
            self.journal
                .append(record.at, record.event.clone(), durability)?;
            self.audience.event(record, self.brain.state());
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Record(_) | Effect::Finish(_) => {}
            Effect::Launch {
                unit,
                generation,
                launch,
            } => self.launch(unit, generation, launch),
            Effect::Watch { unit } => self.watch(&unit),
            Effect::Stop { unit, generation } => self.stop(unit, generation),
            Effect::Probe {
                unit,
                generation,
                rung,
            } => self.probe(&unit, generation, rung),
            Effect::WriteConfig { config, ready } => {
                let result = self.write_config(&config, &ready);
                self.send(Input::ConfigDone { config, result });
            }
            Effect::Prepare { eval } => {
                let result = self.prepare(&eval);
                self.send(Input::Prepared { eval, result });
            }
            Effect::Count { eval } => {
                let log = self.log_of(&eval);
                if let Some(desk) = self.desk(&eval) {
                    let (counts, signs) = desk.count(log.as_deref());
                    self.send(Input::Counted {
                        eval,
                        counts,
                        signs,
                    });
                }
            }
        }
    }

    fn send(&self, input: Input) {
        // The receiver lives as long as we do.
        let _ = self.sender.send(input);
    }

    fn unit(&self, id: &UnitId) -> Option<&Unit> {
        self.brain.plan().unit(id)
    }

    fn desk(&mut self, eval: &EvalName) -> Option<&mut EvalDesk> {
        self.ground
            .desks
            .iter_mut()
            .find(|desk| desk.name() == eval)
    }

    fn prepare(&mut self, eval: &EvalName) -> Result<super::Counts, String> {
        let Some(desk) = self.desk(eval) else {
            return Err(format!("nothing is known of `{eval}`"));
        };
        let result = desk.prepare();
        let said = desk.take_said();
        for line in said {
            self.audience.message(&line);
        }
        result
    }

    fn log_of(&self, eval: &EvalName) -> Option<PathBuf> {
        let unit = &self.brain.plan().eval(eval)?.unit;
        let handle = self.brain.state().units.get(unit)?.handle.as_ref()?;
        Some(PathBuf::from(&handle.log))
    }

    fn launch(&mut self, id: UnitId, generation: Generation, launch: LaunchId) {
        let Some(unit) = self.unit(&id).cloned() else {
            return;
        };
        let job = LaunchJob {
            run: self.ground.run.clone(),
            unit: id.clone(),
            session: self.ground.sessions.get(&unit.node).cloned(),
            launcher: unit.launcher,
            generation,
            epoch: self.epoch(),
            launch: launch.clone(),
            scripts: self.ground.scripts.clone(),
            log: self.log_path(&id, generation),
        };
        if let Err(result) = self.hand_over(&unit) {
            self.send(Input::LaunchDone {
                unit: id,
                generation,
                result: Err(result),
            });
            return;
        }
        self.leaders.remove(&id);
        self.watcher.follow(&id);
        let remnant = matches!(self.watcher.look(&id), Observation::Lost { .. });
        tokio::spawn(start(
            self.launchers.clone(),
            self.sender.clone(),
            job,
            unit,
            remnant,
        ));
    }

    /// Values that the unit takes from the caller, node-local and for it alone.
    fn hand_over(&self, unit: &Unit) -> Result<(), String> {
        self.dirs.make(&unit.id)?;
        let values: Vec<(String, String)> = unit
            .env
            .pass
            .iter()
            .filter_map(|name| {
                let value = self.ground.environment.get(name)?;
                Some((name.clone(), value.clone()))
            })
            .collect();
        if values.is_empty() {
            return Ok(());
        }
        self.dirs.put_secrets(&unit.id, &values)
    }

    fn log_path(&self, unit: &UnitId, generation: Generation) -> PathBuf {
        let name = match generation.0 {
            1 => format!("{unit}.log"),
            n => format!("{unit}.{n}.log"),
        };
        self.ground.logs.join(name)
    }

    fn epoch(&self) -> Epoch {
        self.journal.owner().epoch()
    }

    /// Watches a unit that ran before we came.
    fn watch(&mut self, unit: &UnitId) {
        self.watcher.follow(unit);
        if let Observation::Running(running) = self.watcher.look(unit) {
            let pid = if running.supervised {
                running.supervisor
            } else {
                running.pid
            };
            self.await_end(unit, running.generation, running.launch.clone(), pid);
            self.leaders.insert(unit.clone(), running);
        }
    }

    fn await_end(&self, unit: &UnitId, generation: Generation, launch: LaunchId, pid: u32) {
        self.watcher.await_end(Awaited {
            unit: unit.clone(),
            generation,
            launch,
            pid,
        });
    }

    fn stop(&mut self, id: UnitId, generation: Generation) {
        let Some(unit) = self.unit(&id) else { return };
        let grace = unit.grace;
        let (launchers, sender) = (self.launchers.clone(), self.sender.clone());
        let (run, scripts) = (self.ground.run.clone(), self.ground.scripts.clone());
        tokio::spawn(async move {
            let done = launchers.stop(&run, &id, &scripts, grace).await;
            let _ = sender.send(Input::StopDone {
                unit: id,
                generation,
                result: done.map_err(|error| error.to_string()),
            });
        });
    }

    fn probe(&self, id: &UnitId, generation: Generation, rung: usize) {
        let Some(unit) = self.unit(id).cloned() else {
            return;
        };
        let Some(what) = unit.ready.rungs.get(rung).cloned() else {
            return;
        };
        let (prober, sender) = (self.prober.clone(), self.sender.clone());
        tokio::spawn(async move {
            let outcome = prober.probe(&unit, &what).await;
            let _ = sender.send(Input::Probed {
                unit: unit.id,
                generation,
                rung,
                outcome,
            });
        });
    }

    /// What we did ourselves goes to the brain; a script that was started is waited for.
    fn heed(&mut self, input: Input) -> Vec<Input> {
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
        }
        vec![input]
    }

    /// What was seen of a unit goes to the brain; a leader without its script is waited for.
    fn learn(&mut self, unit: UnitId, observation: Observation) -> Vec<Input> {
        if let Observation::Running(running) = &observation {
            let known = self.leaders.insert(unit.clone(), running.clone());
            let orphaned = known.is_none_or(|known| known.supervised) && !running.supervised;
            if orphaned {
                let (generation, launch) = (running.generation, running.launch.clone());
                self.await_end(&unit, generation, launch, running.pid);
            }
        }
        vec![Input::Seen { unit, observation }]
    }

    fn port_waits(&self) -> Vec<PortWait> {
        self.brain
            .port_waits()
            .filter_map(|unit| {
                Some(PortWait {
                    unit: unit.id.clone(),
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

    fn live_units(&self) -> Vec<UnitId> {
        self.brain
            .state()
            .units
            .iter()
            .filter(|(_, state)| state.phase.may_live())
            .map(|(unit, _)| unit.clone())
            .collect()
    }

    /// Every unit once, and a sign of life of our own.
    fn look_again(&mut self) -> Result<Vec<Input>, DriveError> {
        self.journal.renew(SystemClock.now())?;
        let looks = self.live_units().into_iter().map(|unit| {
            let observation = self.watcher.look(&unit);
            Input::Seen { unit, observation }
        });
        Ok(looks.collect())
    }

    /// The first look: every unit of the plan, the results of every evaluation.
    fn look_around(&mut self) -> Input {
        let seen = self
            .brain
            .plan()
            .units
            .iter()
            .map(|unit| (unit.id.clone(), self.watcher.look(&unit.id)))
            .collect();
        let counted = self
            .ground
            .desks
            .iter_mut()
            .map(|desk| (desk.name().clone(), desk.count(None).0))
            .collect();
        Input::Begin { seen, counted }
    }

    fn show(&mut self) {
        let state = self.brain.state();
        let tails = state
            .units
            .iter()
            .filter(|(_, unit)| matches!(unit.phase, UnitPhase::Launched | UnitPhase::Started))
            .filter_map(|(id, unit)| Some((id, unit.handle.as_ref()?)))
            .take(TAILS)
            .filter_map(|(id, handle)| Some((id.clone(), last_line(handle.log.as_ref())?)))
            .collect();
        self.audience.tick(SystemClock.now(), state, &tails);
    }

    fn write_config(
        &mut self,
        config: &ConfigName,
        ready: &BTreeSet<UnitId>,
    ) -> Result<(String, String, usize), String> {
        let brain = &self.brain;
        let ours: Vec<String> = brain.state().configs.values().cloned().collect();
        let done = write_config(brain.plan(), config, ready, &self.ground.run, &ours)?;
        for line in &done.said {
            self.audience.message(line);
        }
        Ok((done.path, done.sha256, done.endpoints))
    }
}

/// Starts a unit and tells what came of it. What is left of a start that was lost goes first.
async fn start(
    launchers: Arc<Launchers>,
    sender: mpsc::UnboundedSender<Input>,
    job: LaunchJob,
    unit: Unit,
    remnant: bool,
) {
    if remnant {
        // A failure shows in the start that follows: the port or the lock is still held.
        let _ = launchers
            .stop(&job.run, &job.unit, &job.scripts, unit.grace)
            .await;
    }
    let result = launchers.launch(&job).await;
    let result = result.map_err(|error| error.to_string()).map(|pid| Handle {
        launcher: unit.launcher,
        native: pid.to_string(),
        port: unit.port,
        log: job.log.to_string_lossy().into_owned(),
    });
    let _ = sender.send(Input::LaunchDone {
        unit: job.unit,
        generation: job.generation,
        result,
    });
}

/// What must be on the disk before anything follows: intents, and where to find what was started.
fn must_last(event: &Event) -> bool {
    matches!(
        event,
        Event::RunStarted { .. }
            | Event::OwnerTook { .. }
            | Event::LaunchIntended { .. }
            | Event::Launched { .. }
            | Event::StopIntended { .. }
            | Event::EvalEnded { .. }
            | Event::OwnerLeft { .. }
            | Event::RunEnded { .. }
    )
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
