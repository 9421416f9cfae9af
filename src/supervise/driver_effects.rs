//! The driver's hands: each effect performed, each outcome sent back as an input.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::driver::Driver;
use super::driver_evals::{EvalDesk, write_config};
use super::driver_fleet::beside;
use super::liveness::{CANARY_PATIENCE, LOOK_PATIENCE};
use super::reach::REACH_PATIENCE;
use super::{Ask, Configured, Counts, Effect, Input, LaunchFailure, Purpose};
use crate::base::{
    ConfigName, Epoch, EvalName, Generation, LaunchId, Millis, Name, Place, Port, UnitId,
};
use crate::facts::{Observation, Pulse, Served};
use crate::plan::{Unit, UnitKind};
use crate::run::Handle;
use crate::run::store::failpoint;
use crate::world::{
    Awaited, LaunchError, LaunchJob, Launchers, Wrist, lasts, look_at_files, raise_files,
};

/// How long a unit that the plan has no longer may take to end.
const RETIRED_GRACE: Millis = Millis::from_secs(60);

impl Driver<'_> {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Record(_) | Effect::Finish(_) => {}
            Effect::Launch {
                unit,
                generation,
                launch,
                concurrency,
            } => self.launch(unit, generation, &launch, concurrency),
            Effect::Watch { unit } => self.watch(&unit),
            Effect::Stop { unit, generation } => self.stop(unit, generation),
            Effect::Probe {
                unit,
                generation,
                rung,
            } => self.probe(&unit, generation, rung),
            Effect::Pulse {
                unit,
                generation,
                what,
            } => self.pulse(&unit, generation, what),
            Effect::LookAtGpus { unit } => self.look_at_gpus(unit),
            Effect::Reach { external } => self.reach(external),
            Effect::Requeue { eval, since } => {
                let result = self.desk(&eval).map_or(Ok(0), |desk| desk.requeue(since));
                self.send(Input::Requeued { eval, result });
            }
            Effect::WriteConfig { config, ready } => {
                let result = self.write_config(&config, &ready);
                self.send(Input::ConfigDone { config, result });
            }
            Effect::Prepare { eval, again } => self.prepare(eval, again),
            Effect::BringBack { eval } => {
                let result = self.at_desk(&eval, EvalDesk::bring_back);
                self.send(Input::BroughtBack { eval, result });
            }
            Effect::LookAtFiles { unit, generation } => self.look_at_files(unit, generation),
            Effect::RaiseFiles {
                unit,
                generation,
                seen,
                to,
            } => {
                let result = if self.is_here(&unit) {
                    raise_files(&seen, to).map(|()| to)
                } else {
                    Err("it runs on another machine".to_owned())
                };
                self.send(Input::FilesRaised {
                    unit,
                    generation,
                    seen,
                    result,
                });
            }
            Effect::Count { eval } => {
                let log = self.log_of(&eval);
                if let Some(desk) = self.desk(&eval) {
                    failpoint("count-before");
                    let (counts, signs) = desk.count(log.as_deref());
                    failpoint("count-after");
                    let ended = self.has_ended(&eval);
                    let counted = Input::Counted {
                        eval,
                        counts,
                        signs,
                    };
                    if ended {
                        // What its servers counted comes first: they may be stopped for what follows.
                        self.meter(Purpose::Close, Some(counted));
                    } else {
                        self.send(counted);
                    }
                }
            }
        }
    }

    pub(super) fn send(&self, input: Input) {
        // The receiver lives as long as we do.
        let _ = self.sender.send(input);
    }

    fn unit(&self, id: &UnitId) -> Option<&Unit> {
        self.brain.plan().unit(id)
    }

    fn has_ended(&self, eval: &EvalName) -> bool {
        let unit = self.brain.plan().eval(eval).map(|eval| &eval.unit);
        let phase = unit.map(|unit| self.brain.state().unit(unit).phase);
        phase.is_some_and(|phase| !phase.may_live())
    }

    pub(super) fn desk(&mut self, eval: &EvalName) -> Option<&mut EvalDesk> {
        self.ground
            .desks
            .iter_mut()
            .find(|desk| desk.name() == eval)
    }

    /// Has something done to an evaluation's results, and says what people should hear of.
    pub(super) fn at_desk(
        &mut self,
        eval: &EvalName,
        what: impl FnOnce(&mut EvalDesk) -> Result<Counts, String>,
    ) -> Result<Counts, String> {
        let Some(desk) = self.desk(eval) else {
            return Err(format!("nothing is known of `{eval}`"));
        };
        let result = what(desk);
        let said = desk.take_said();
        for line in said {
            self.audience.message(&line);
        }
        result
    }

    /// In a thread of its own: a tree may have many processes, and each of them many files.
    fn look_at_files(&self, unit: UnitId, generation: Generation) {
        if !self.is_here(&unit) {
            let seen = self.afar.files_of(&unit);
            return self.send(Input::FilesSeen {
                unit,
                generation,
                seen,
            });
        }
        let leader = self.leader_here(&unit);
        let sender = self.sender.clone();
        tokio::task::spawn_blocking(move || {
            let seen = leader.and_then(look_at_files);
            let _ = sender.send(Input::FilesSeen {
                unit,
                generation,
                seen,
            });
        });
    }

    fn look_at_gpus(&self, unit: UnitId) {
        let (launchers, sender) = (self.launchers.clone(), self.sender.clone());
        tokio::spawn(async move {
            let seen = launchers.look_at_gpus(&unit).await;
            tracing::debug!(%unit, ?seen, "looked at GPUs");
            let _ = sender.send(Input::GpusSeen { unit, seen });
        });
    }

    fn log_of(&self, eval: &EvalName) -> Option<PathBuf> {
        let unit = &self.brain.plan().eval(eval)?.unit;
        let handle = self.brain.state().units.get(unit)?.handle.as_ref()?;
        Some(PathBuf::from(&handle.log))
    }

    fn launch(
        &mut self,
        id: UnitId,
        generation: Generation,
        launch: &LaunchId,
        concurrency: Option<u32>,
    ) {
        let Some(unit) = self.unit(&id).cloned() else {
            return;
        };
        let job = LaunchJob {
            run: self.ground.run.clone(),
            unit: id.clone(),
            session: self.ground.sessions.get(&unit.node).cloned(),
            launcher: unit.launcher,
            generation,
            epoch: Some(self.epoch()),
            launch: launch.clone(),
            concurrency,
            passed: self.passed_to(&unit),
            scripts: self.ground.scripts.clone(),
            log: self.log_path(&id, generation),
        };
        let handed = if self.is_here(&id) {
            self.hand_over(&unit.id, &job.passed)
        } else {
            Ok(())
        };
        if let Err(why) = handed {
            self.send(Input::LaunchDone {
                unit: id,
                generation,
                result: Err(LaunchFailure::Passing(why)),
            });
            return;
        }
        self.leaders.remove(&id);
        if self.is_here(&id) {
            self.watcher.follow(&id);
        }
        let (launchers, sender) = (self.launchers.clone(), self.sender.clone());
        failpoint(points(&unit, generation).0);
        // Where SLURM chooses the node, nobody knows it yet.
        let known = !self.brain.plan().in_pool(&id);
        let place = unit.asked_at().filter(|_| known);
        tokio::spawn(start(launchers, sender, job, unit, place));
    }

    /// Values that the unit takes from the caller.
    fn passed_to(&self, unit: &Unit) -> Vec<(String, String)> {
        let value = |name: &String| {
            let value = self.ground.environment.get(name)?;
            Some((name.clone(), value.clone()))
        };
        let env = &unit.env;
        env.pass
            .iter()
            .chain(&env.may_pass)
            .filter_map(value)
            .collect()
    }

    /// Puts them where it finds them, for it alone.
    fn hand_over(&self, unit: &UnitId, values: &[(String, String)]) -> Result<(), String> {
        self.dirs.make(unit)?;
        if values.is_empty() {
            return Ok(());
        }
        self.dirs.put_secrets(unit, values)
    }

    pub(super) fn log_path(&self, unit: &UnitId, generation: Generation) -> PathBuf {
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
        if !self.is_here(unit) {
            return;
        }
        self.watcher.follow(unit);
        let running = match self.watcher.look(unit) {
            Observation::Running(running) => Some(running),
            // Its state is gone: it was found by its marks.
            Observation::Never => self.leaders.get(unit).cloned(),
            _ => None,
        };
        if let Some(running) = running {
            let pid = if running.supervised {
                running.supervisor
            } else {
                running.pid
            };
            self.await_end(unit, running.generation, running.launch.clone(), pid);
            self.leaders.insert(unit.clone(), running);
        }
    }

    pub(super) fn await_end(
        &self,
        unit: &UnitId,
        generation: Generation,
        launch: LaunchId,
        pid: u32,
    ) {
        if !self.is_here(unit) {
            return;
        }
        self.watcher.await_end(Awaited {
            unit: unit.clone(),
            generation,
            launch,
            pid,
        });
    }

    fn stop(&mut self, id: UnitId, generation: Generation) {
        let grace = self.unit(&id).map_or(RETIRED_GRACE, |unit| unit.grace);
        let (launchers, sender) = (self.launchers.clone(), self.sender.clone());
        let (run, scripts) = (self.ground.run.clone(), self.ground.scripts.clone());
        let epoch = Some(self.epoch());
        failpoint("stop-before");
        tokio::spawn(async move {
            let done = launchers.stop(&run, &id, epoch, &scripts, grace).await;
            failpoint("stop-after");
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
        let (mut prober, sender) = (self.prober.clone(), self.sender.clone());
        if self.brain.state().unit(id).ready_after.is_some() {
            prober = prober.patient();
        }
        let dirs = self.dirs.clone();
        tokio::spawn(async move {
            failpoint("probe-before");
            let outcome = prober.probe(&unit, &what).await;
            failpoint("probe-after");
            let outcome = outcome.masked(&dirs.secrets(&unit.id));
            tracing::debug!(unit = %unit.id, rung = what.name(), ?outcome, "probed");
            let _ = sender.send(Input::Probed {
                unit: unit.id,
                generation,
                rung,
                outcome,
            });
        });
    }

    fn pulse(&mut self, id: &UnitId, generation: Generation, what: Ask) {
        let Some(wrist) = self.wrist(id, generation) else {
            return;
        };
        let (prober, sender, unit) = (self.prober.clone(), self.sender.clone(), id.clone());
        let node = self.node_of(id);
        let tap = match what {
            Ask::Look { .. } => self.samples.due(id, generation),
            Ask::Canary => None,
        };
        tokio::spawn(async move {
            let pulse = match what {
                Ask::Look { deep } => {
                    let patience = lasts(LOOK_PATIENCE);
                    let look = async {
                        let (look, page) = wrist.look(deep, patience).await;
                        if let (Some(tap), Some(page)) = (tap, page) {
                            tap.page(&unit, generation, &page);
                        }
                        Pulse::Look(look)
                    };
                    beside(node, patience, look).await
                }
                Ask::Canary => {
                    let patience = lasts(CANARY_PATIENCE);
                    let canary = async { Pulse::Canary(prober.canary(&wrist, patience).await) };
                    beside(node, patience, canary).await
                }
            };
            tracing::trace!(%unit, ?pulse, "pulsed");
            let served = counted(&unit, generation, &pulse);
            let _ = sender.send(Input::Pulsed {
                unit,
                generation,
                pulse,
                served,
            });
        });
    }

    /// Where the life of this start is felt.
    fn wrist(&mut self, id: &UnitId, generation: Generation) -> Option<Wrist> {
        match self.wrists.get(id) {
            Some((known, wrist)) if *known == generation => Some(wrist.clone()),
            _ => {
                let leader = self.leader_here(id);
                let state = self.brain.state().units.get(id);
                let log = state.and_then(|state| Some(Path::new(&state.handle.as_ref()?.log)));
                let wrist = Wrist::of(self.unit(id)?, leader, log)?;
                self.wrists.insert(id.clone(), (generation, wrist.clone()));
                Some(wrist)
            }
        }
    }

    fn reach(&self, external: Name) {
        let known = &self.brain.plan().externals;
        let Some(known) = known.iter().find(|known| known.name == external) else {
            return;
        };
        let (prober, sender, url) = (self.prober.clone(), self.sender.clone(), known.url.clone());
        tokio::spawn(async move {
            let result = prober.reach(&url, lasts(REACH_PATIENCE)).await;
            let _ = sender.send(Input::Reached { external, result });
        });
    }

    fn write_config(
        &mut self,
        config: &ConfigName,
        ready: &BTreeSet<UnitId>,
    ) -> Result<Configured, String> {
        let brain = &self.brain;
        let ours = brain.state().configs.values();
        let ours: Vec<String> = ours.map(|config| config.sha256.clone()).collect();
        let done = write_config(
            brain.plan(),
            config,
            ready,
            &BTreeSet::new(),
            &self.ground.run,
            &ours,
        )?;
        for line in &done.said {
            self.audience.message(line);
        }
        Ok(done.file)
    }
}

/// What a look at a server means for the books; which of it is ours is for the driver to say.
fn counted(unit: &UnitId, generation: Generation, pulse: &Pulse) -> Option<Served> {
    let Pulse::Look(look) = pulse else {
        return None;
    };
    Some(Served {
        unit: unit.clone(),
        generation,
        finished: look.counters?.finished,
        ours: 0,
        unsure: 0,
    })
}

/// Starts a unit and tells what came of it.
async fn start(
    launchers: Arc<Launchers>,
    sender: mpsc::UnboundedSender<Input>,
    job: LaunchJob,
    unit: Unit,
    place: Option<Place>,
) {
    let result = launchers.launch(&job).await;
    failpoint(points(&unit, job.generation).1);
    let result = result.map_err(|error| match error {
        LaunchError::Never { .. } => LaunchFailure::Permanent(error.to_string()),
        LaunchError::Later { .. } => LaunchFailure::Later(error.to_string()),
        _ => LaunchFailure::Passing(error.to_string()),
    });
    let result = result.map(|launched| Handle {
        launcher: unit.launcher,
        native: launched.pid.to_string(),
        port: place
            .as_ref()
            .map_or(unit.port, |place| Some(Port(place.port))),
        address: place.map(|place| place.host),
        submitted: launched.submitted,
        log: launched.log.to_string_lossy().into_owned(),
    });
    let _ = sender.send(Input::LaunchDone {
        unit: job.unit,
        generation: job.generation,
        result,
    });
}

/// The failpoints before and after a start.
fn points(unit: &Unit, generation: Generation) -> (&'static str, &'static str) {
    match unit.kind {
        UnitKind::Eval { .. } => ("eval-before-spawn", "eval-after-spawn"),
        _ if generation > Generation(1) => ("restart-before-spawn", "restart-after-spawn"),
        _ => ("launch-before-spawn", "launch-after-spawn"),
    }
}
