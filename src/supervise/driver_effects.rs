//! The driver's hands: each effect performed, each outcome sent back as an input.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::driver::Driver;
use super::driver_evals::{EvalDesk, write_config};
use super::{Configured, Counts, Effect, Input};
use crate::base::{ConfigName, Epoch, EvalName, Generation, LaunchId, Millis, UnitId};
use crate::facts::Observation;
use crate::plan::Unit;
use crate::run::Handle;
use crate::world::{Awaited, LaunchJob, Launchers};

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
            } => self.launch(unit, generation, &launch),
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

    fn prepare(&mut self, eval: &EvalName) -> Result<Counts, String> {
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

    fn launch(&mut self, id: UnitId, generation: Generation, launch: &LaunchId) {
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
        let (launchers, sender) = (self.launchers.clone(), self.sender.clone());
        tokio::spawn(start(launchers, sender, job, unit));
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

    pub(super) fn await_end(
        &self,
        unit: &UnitId,
        generation: Generation,
        launch: LaunchId,
        pid: u32,
    ) {
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
        let dirs = self.dirs.clone();
        tokio::spawn(async move {
            let outcome = prober.probe(&unit, &what).await;
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

/// Starts a unit and tells what came of it.
async fn start(
    launchers: Arc<Launchers>,
    sender: mpsc::UnboundedSender<Input>,
    job: LaunchJob,
    unit: Unit,
) {
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
