//! One attempt of an evaluation's client: its configuration, its results made ready, its start.

use std::collections::BTreeSet;

use super::brain::Brain;
use super::effect::{Again, Effect};
use super::evals::Stage;
use super::input::{Configured, Counts, Signs};
use super::open_files::FilesWatch;
use super::signs::Told;
use super::watch::COUNT_EVERY;
use crate::base::{ConfigName, EvalName, Timestamp, UnitId};
use crate::plan::{EvalPlan, Group};
use crate::run::{ConfigState, Event, Retry};

impl Brain {
    /// Everything that the client needs is there: its configuration comes first.
    pub(super) fn begin_attempt(&mut self, eval: &EvalPlan, now: Timestamp) {
        self.intend_retry(&eval.name, now);
        let work = self.eval_work(&eval.name);
        if let Some(config) = eval.config.clone() {
            work.stage = Stage::Configuring;
            let ready = self.ready_units();
            self.ask(Effect::WriteConfig { config, ready });
        } else {
            self.prepare(&eval.name);
        }
    }

    fn prepare(&mut self, eval: &EvalName) {
        self.eval_work(eval).stage = Stage::Preparing;
        let again = if matches!(self.retry(eval), Retry::Intended(_)) {
            Again::Errors
        } else {
            Again::Nothing
        };
        let eval = eval.clone();
        self.ask(Effect::Prepare { eval, again });
    }

    fn ready_units(&self) -> BTreeSet<UnitId> {
        self.plan
            .servers()
            .filter(|unit| self.settled(&unit.id) == Some(true))
            .map(|unit| unit.id.clone())
            .collect()
    }

    pub(super) fn servers_settled(&self) -> bool {
        self.plan
            .servers()
            .all(|unit| self.settled(&unit.id).is_some())
    }

    /// The first model or service without enough servers that are ready.
    pub(super) fn short_group(&self) -> Option<&Group> {
        let short = |group: &&Group| self.readiness(group).0 < self.wanted_of(group);
        self.plan.groups.iter().find(short)
    }

    /// Without evaluations the configurations are written once, when all servers are settled, and
    /// only if there are enough of them: a client's old file is better than one without endpoints.
    pub(super) fn write_config_without_evals(&mut self) {
        let wanted = self.goal.evals.is_empty() && self.servers_settled();
        if !wanted || self.short_group().is_some() {
            return;
        }
        let missing: Vec<ConfigName> = self
            .plan
            .configs
            .iter()
            .map(|config| config.name.clone())
            .filter(|name| !self.configs_asked.contains(name))
            .collect();
        for config in missing {
            self.configs_asked.insert(config.clone());
            let ready = self.ready_units();
            self.ask(Effect::WriteConfig { config, ready });
        }
    }

    /// A client configuration was written, or could not be.
    pub(super) fn config_done(
        &mut self,
        config: &ConfigName,
        result: Result<Configured, String>,
        now: Timestamp,
    ) {
        let done = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.configs_done.insert(config.clone(), done);
        let waiting = self.configuring(config);
        match result {
            Ok(file) => {
                let known = self.state.configs.get(config);
                let same =
                    |known: &ConfigState| known.sha256 == file.sha256 && known.named == file.named;
                if !known.is_some_and(same) {
                    let config = config.clone();
                    let Configured {
                        path,
                        sha256,
                        endpoints,
                        named,
                    } = file;
                    self.record(
                        Event::ConfigWritten {
                            config,
                            path,
                            sha256,
                            endpoints,
                            named,
                        },
                        now,
                    );
                }
                for eval in waiting {
                    self.prepare(&eval);
                }
            }
            Err(why) => {
                self.alarm("client-config", None, why.clone(), now);
                for eval in waiting {
                    self.refused(&eval, why.clone(), now);
                }
            }
        }
    }

    /// Evaluations whose clients wait for this configuration.
    fn configuring(&self, config: &ConfigName) -> Vec<EvalName> {
        self.goal
            .evals
            .iter()
            .filter(|name| *self.stage(name) == Stage::Configuring)
            .filter(|name| {
                let configured = self.plan.eval(name).and_then(|eval| eval.config.as_ref());
                configured == Some(config)
            })
            .cloned()
            .collect()
    }

    /// Results were made ready: the client may start, or has nothing left to do.
    pub(super) fn prepared(
        &mut self,
        eval: &EvalName,
        result: Result<Counts, String>,
        now: Timestamp,
    ) {
        if *self.stage(eval) != Stage::Preparing || !self.working() {
            return;
        }
        let Some(unit) = self.plan.eval(eval).map(|eval| eval.unit.clone()) else {
            return;
        };
        match result {
            Err(why) => self.refused(eval, why, now),
            Ok(counts) if counts.finished => {
                self.note_counts(eval, counts, now);
                self.end_eval(eval, super::verdicts::of_finished(counts), now);
            }
            Ok(counts) => {
                self.note_counts(eval, counts, now);
                self.attempt_begins(eval, now);
                self.open_books(eval, now);
                self.launch(&unit, now);
            }
        }
    }

    /// The client's process was seen.
    pub(super) fn client_started(&mut self, unit: &UnitId, now: Timestamp) {
        if let Some(eval) = self.eval_of(unit) {
            self.attempt_begins(&eval, now);
        }
    }

    /// From here on signs of work are looked for, and missed.
    fn attempt_begins(&mut self, eval: &EvalName, now: Timestamp) {
        let work = self.eval_work(eval);
        work.stage = Stage::Running;
        work.at_start = work.counts;
        work.judged_from = work.counts;
        work.signs = Signs::default();
        work.attempt_began = now;
        work.moved = now;
        work.finished_since = None;
        work.count_at = Some(now + COUNT_EVERY);
        work.files = FilesWatch::begin(now);
        work.told = Told::default();
    }
}
