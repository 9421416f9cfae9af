//! Evaluations: when a client starts, whether it works, what follows its end.

use std::collections::BTreeSet;

use super::brain::Brain;
use super::effect::{Effect, Outcome};
use super::input::{Counts, Signs};
use super::restart::{Again, again};
use crate::base::{ConfigName, EvalName, Millis, Timestamp, UnitId};
use crate::plan::{EvalPlan, Group, UnitKind};
use crate::run::{Event, StopWhy, UnitPhase, Verdict};
use crate::spec::model::AfterState;

/// How often the results of a running client are counted.
const COUNT_EVERY: Millis = Millis(1_000);
/// With `min_ready` reached the other replicas get this long before the client starts without them.
const WAIT_FOR_REST: Millis = Millis(60_000);
/// This many results, all in error, show that the rest would go the same way.
const HOPELESS: usize = 8;
/// A client whose results are complete may take this long to end by itself.
const LINGER: Millis = Millis(60_000);

/// How far the client of an evaluation is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Stage {
    /// For servers, earlier evaluations, or the time of a restart.
    #[default]
    Waiting,
    /// Its configuration is being written.
    Configuring,
    /// Its results are being made ready.
    Preparing,
    /// It was launched.
    Running,
    /// It is being stopped; then this follows.
    Stopping(After),
    /// It ended; the results are counted for the last time.
    Judging(Ending),
}

/// What follows a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
enum After {
    /// Nothing: this is why.
    GiveUp(String),
    /// Another start, within the budget.
    Restart,
    /// Its results are complete.
    Judge,
}

/// How a client ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ending {
    /// Starting it again would end the same way, for this reason.
    permanent: Option<String>,
    /// In words: `exit code 1`.
    how: String,
    /// A signal ended it: nothing was its own fault.
    killed: bool,
}

/// What the owner remembers of an evaluation beside the journal.
#[derive(Debug, Default)]
pub(super) struct EvalWork {
    stage: Stage,
    counts: Counts,
    signs: Signs,
    /// What stood when this attempt of the client began.
    at_start: Counts,
    attempt_began: Timestamp,
    /// When a result or a line of output last came.
    moved: Timestamp,
    count_at: Option<Timestamp>,
    start_at: Option<Timestamp>,
    /// Since when enough servers are ready.
    enough_since: Option<Timestamp>,
}

impl EvalWork {
    pub(super) fn wakes(&self) -> Option<Timestamp> {
        let rest = self
            .enough_since
            .filter(|_| self.stage == Stage::Waiting)
            .map(|since| since + WAIT_FOR_REST);
        [self.count_at, self.start_at, rest]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Whether the servers of an evaluation are there.
enum Servers {
    /// Enough are ready and no other is on its way.
    Ready,
    /// Enough are ready, others are on their way.
    Enough,
    /// Not yet.
    Coming,
    /// Never, for this reason.
    Never(String),
}

impl Brain {
    fn eval_work(&mut self, eval: &EvalName) -> &mut EvalWork {
        self.evals.entry(eval.clone()).or_default()
    }

    fn eval_of(&self, unit: &UnitId) -> Option<EvalName> {
        match &self.plan.unit(unit)?.kind {
            UnitKind::Eval { name } => Some(name.clone()),
            _ => None,
        }
    }

    fn verdict(&self, eval: &EvalName) -> Option<&Verdict> {
        self.state.evals.get(eval)?.verdict.as_ref()
    }

    /// Takes new counts; the journal hears of them when they changed.
    pub(super) fn note_counts(&mut self, eval: &EvalName, counts: Counts, now: Timestamp) {
        let work = self.eval_work(eval);
        let changed = work.counts != counts;
        if counts.done > work.counts.done {
            work.moved = now;
        }
        work.counts = counts;
        if changed {
            self.record(
                Event::EvalProgress {
                    eval: eval.clone(),
                    done: counts.done,
                    errors: counts.errors,
                    correct: counts.correct,
                    torn: counts.torn,
                    total: counts.total,
                },
                now,
            );
        }
    }

    fn end_eval(&mut self, eval: &EvalName, verdict: Verdict, now: Timestamp) {
        let work = self.eval_work(eval);
        work.stage = Stage::Waiting;
        work.count_at = None;
        work.start_at = None;
        work.enough_since = None;
        let eval = eval.clone();
        self.record(Event::EvalEnded { eval, verdict }, now);
    }

    /// Starts what may start, counts what is due.
    pub(super) fn advance_evals(&mut self, now: Timestamp) {
        for eval in self.goal.evals.clone() {
            if self.verdict(&eval).is_some() && self.eval_work(&eval).stage == Stage::Waiting {
                continue;
            }
            let work = self.eval_work(&eval);
            if work.count_at.is_some_and(|at| at <= now) {
                work.count_at = None;
                self.ask(Effect::Count { eval: eval.clone() });
            }
            if self.eval_work(&eval).stage == Stage::Waiting {
                self.advance_waiting(&eval, now);
            }
        }
        self.write_config_without_evals(now);
    }

    fn advance_waiting(&mut self, name: &EvalName, now: Timestamp) {
        let Some(eval) = self.plan.eval(name).cloned() else {
            return;
        };
        let work = self.eval_work(name);
        if work.counts.finished {
            let verdict = judge_finished(work.counts);
            return self.end_eval(name, verdict, now);
        }
        if work.start_at.is_some_and(|at| at > now) {
            return;
        }
        match self.earlier(&eval) {
            Servers::Ready | Servers::Enough => {}
            Servers::Coming => return,
            Servers::Never(why) => {
                return self.end_eval(name, Verdict::NotStarted { why, code: 5 }, now);
            }
        }
        match self.servers_of(&eval) {
            Servers::Ready => self.begin_attempt(&eval, now),
            Servers::Enough => {
                let since = *self.eval_work(name).enough_since.get_or_insert(now);
                if now.since(since) >= WAIT_FOR_REST {
                    self.begin_attempt(&eval, now);
                }
            }
            Servers::Coming => {}
            Servers::Never(why) => {
                self.end_eval(name, Verdict::NotStarted { why, code: 4 }, now);
            }
        }
    }

    /// Whether the evaluations that come first are far enough.
    fn earlier(&self, eval: &EvalPlan) -> Servers {
        for (other, wanted) in &eval.after {
            if !self.goal.evals.contains(other) {
                continue;
            }
            match (self.verdict(other), wanted) {
                (None, _) => return Servers::Coming,
                (Some(Verdict::Complete), _) | (Some(_), AfterState::Ended) => {}
                (Some(_), AfterState::Complete) => {
                    return Servers::Never(format!("`{other}` comes first and is not complete"));
                }
            }
        }
        Servers::Ready
    }

    /// Whether the models and services that the evaluation requires are there.
    fn servers_of(&self, eval: &EvalPlan) -> Servers {
        let required = |group: &&Group| eval.requires.contains(&group.name);
        let mut all_settled = true;
        let mut enough = true;
        for group in self.plan.groups.iter().filter(required) {
            let fates = group.endpoints.iter().map(|end| self.settled(&end.unit));
            let (mut ready, mut coming) = (0, 0);
            for fate in fates {
                match fate {
                    Some(true) => ready += 1,
                    Some(false) => {}
                    None => coming += 1,
                }
            }
            if ready + coming < group.min_ready {
                return Servers::Never(format!(
                    "`{}` has {ready} of the {} servers that must be ready",
                    group.name, group.min_ready
                ));
            }
            all_settled &= coming == 0;
            enough &= ready >= group.min_ready;
        }
        match (enough, all_settled) {
            (true, true) => Servers::Ready,
            (true, false) => Servers::Enough,
            (false, _) => Servers::Coming,
        }
    }

    fn begin_attempt(&mut self, eval: &EvalPlan, now: Timestamp) {
        let work = self.eval_work(&eval.name);
        work.start_at = None;
        work.enough_since = None;
        work.attempt_began = now;
        if let Some(config) = eval.config.clone() {
            work.stage = Stage::Configuring;
            let ready = self.ready_units();
            self.ask(Effect::WriteConfig { config, ready });
        } else {
            work.stage = Stage::Preparing;
            let eval = eval.name.clone();
            self.ask(Effect::Prepare { eval });
        }
    }

    fn ready_units(&self) -> BTreeSet<UnitId> {
        self.plan
            .servers()
            .filter(|unit| matches!(self.phase(&unit.id), UnitPhase::Ready(_)))
            .map(|unit| unit.id.clone())
            .collect()
    }

    /// Without evaluations the configurations are written once, when all servers are settled.
    fn write_config_without_evals(&mut self, _now: Timestamp) {
        if !self.goal.evals.is_empty() || !self.servers_settled() {
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
        result: Result<(String, String, usize), String>,
        now: Timestamp,
    ) {
        self.configs_done.insert(config.clone());
        let waiting: Vec<EvalName> = self
            .goal
            .evals
            .iter()
            .filter(|name| {
                let configured = self.plan.eval(name).and_then(|eval| eval.config.as_ref());
                configured == Some(config)
            })
            .filter(|name| {
                self.evals
                    .get(*name)
                    .is_some_and(|work| work.stage == Stage::Configuring)
            })
            .cloned()
            .collect();
        match result {
            Ok((path, sha256, endpoints)) => {
                if self.state.configs.get(config) != Some(&sha256) {
                    self.record(
                        Event::ConfigWritten {
                            config: config.clone(),
                            path,
                            sha256,
                            endpoints,
                        },
                        now,
                    );
                }
                for eval in waiting {
                    self.eval_work(&eval).stage = Stage::Preparing;
                    self.ask(Effect::Prepare { eval });
                }
            }
            Err(why) => {
                self.record(
                    Event::Alarm {
                        alarm: "client-config".to_owned(),
                        unit: None,
                        text: why.clone(),
                    },
                    now,
                );
                for eval in waiting {
                    let why = why.clone();
                    self.end_eval(&eval, Verdict::NotStarted { why, code: 3 }, now);
                }
            }
        }
    }

    /// Results were made ready: the client may start, or has nothing left to do.
    pub(super) fn prepared(
        &mut self,
        eval: &EvalName,
        result: Result<Counts, String>,
        now: Timestamp,
    ) {
        if self.eval_work(eval).stage != Stage::Preparing || !self.working() {
            return;
        }
        let Some(unit) = self.plan.eval(eval).map(|eval| eval.unit.clone()) else {
            return;
        };
        match result {
            Err(why) => self.end_eval(eval, Verdict::NotStarted { why, code: 3 }, now),
            Ok(counts) if counts.finished => {
                self.note_counts(eval, counts, now);
                self.end_eval(eval, judge_finished(counts), now);
            }
            Ok(counts) => {
                self.note_counts(eval, counts, now);
                let work = self.eval_work(eval);
                work.stage = Stage::Running;
                work.at_start = counts;
                work.signs = Signs::default();
                self.launch(unit, now);
            }
        }
    }

    /// The client's process was seen.
    pub(super) fn client_started(&mut self, unit: &UnitId, now: Timestamp) {
        let Some(eval) = self.eval_of(unit) else {
            return;
        };
        let work = self.eval_work(&eval);
        if work.stage == Stage::Waiting {
            work.at_start = work.counts;
        }
        work.stage = Stage::Running;
        work.attempt_began = now;
        work.moved = now;
        work.count_at = Some(now + COUNT_EVERY);
    }

    /// Results were counted.
    pub(super) fn counted(
        &mut self,
        eval: &EvalName,
        counts: Counts,
        signs: Signs,
        now: Timestamp,
    ) {
        self.note_counts(eval, counts, now);
        let work = self.eval_work(eval);
        if signs.log_bytes > work.signs.log_bytes {
            work.moved = now;
        }
        work.signs = signs;
        match work.stage.clone() {
            Stage::Running => {
                work.count_at = Some(now + COUNT_EVERY);
                self.watch_client(eval, now);
            }
            Stage::Judging(ending) => self.judge(eval, ending, now),
            _ => {}
        }
    }

    /// Whether a running client works; if not it is stopped.
    fn watch_client(&mut self, eval: &EvalName, now: Timestamp) {
        let Some(plan) = self.plan.eval(eval).cloned() else {
            return;
        };
        let work = self.eval_work(eval);
        let (done, errors) = work.gained();
        let silent = done == 0 && work.signs.markers == 0;
        let after = if work.counts.finished && now.since(work.moved) >= LINGER {
            After::Judge
        } else if work.counts.finished {
            return;
        } else if silent && now.since(work.attempt_began) >= plan.first_result {
            After::GiveUp(format!(
                "no result and no marker within {} of its start",
                plan.first_result
            ))
        } else if done >= HOPELESS && errors == done {
            After::GiveUp(format!("its first {done} results are all errors"))
        } else if now.since(work.moved) >= plan.stall {
            After::Restart
        } else {
            return;
        };
        if let After::Restart = after {
            let text = format!(
                "`{eval}` has stalled: no result and no output for {}",
                plan.stall
            );
            self.record(
                Event::Alarm {
                    alarm: "stalled".to_owned(),
                    unit: Some(plan.unit.clone()),
                    text,
                },
                now,
            );
        }
        let work = self.eval_work(eval);
        work.stage = Stage::Stopping(after);
        work.count_at = None;
        self.stop(plan.unit, StopWhy::NoProgress, now);
    }

    /// A client was stopped because we asked for it.
    pub(super) fn client_stopped(&mut self, unit: &UnitId, _now: Timestamp) {
        let Some(eval) = self.eval_of(unit) else {
            return;
        };
        let Stage::Stopping(after) = self.eval_work(&eval).stage.clone() else {
            return;
        };
        let (permanent, how) = match after {
            After::GiveUp(why) => (Some(why.clone()), why),
            After::Restart => (None, "it had stalled".to_owned()),
            After::Judge => (None, "its results were complete".to_owned()),
        };
        self.judge_after_count(
            eval,
            Ending {
                permanent,
                how,
                killed: true,
            },
        );
    }

    /// A client ended by itself.
    pub(super) fn client_ended(
        &mut self,
        unit: &UnitId,
        permanent: Option<String>,
        _now: Timestamp,
    ) {
        let Some(eval) = self.eval_of(unit) else {
            return;
        };
        let exit = self.state.unit(unit).exit;
        let (how, killed) = match exit {
            Some(exit) => match (&exit.signal, exit.code) {
                (Some(signal), _) => (format!("{signal} ended it"), true),
                (None, Some(code)) => (format!("it ended with exit code {code}"), false),
                (None, None) => (
                    exit.reason
                        .unwrap_or_else(|| "it ended, nobody knows how".to_owned()),
                    true,
                ),
            },
            None => ("it ended, nobody knows how".to_owned(), true),
        };
        self.judge_after_count(
            eval,
            Ending {
                permanent,
                how,
                killed,
            },
        );
    }

    fn judge_after_count(&mut self, eval: EvalName, ending: Ending) {
        let work = self.eval_work(&eval);
        work.stage = Stage::Judging(ending);
        work.count_at = None;
        self.ask(Effect::Count { eval });
    }

    /// What follows the end of a client: done, again, or given up.
    fn judge(&mut self, eval: &EvalName, ending: Ending, now: Timestamp) {
        let work = self.eval_work(eval);
        let counts = work.counts;
        let missing = counts.total.saturating_sub(counts.done);
        if counts.finished {
            return self.end_eval(eval, judge_finished(counts), now);
        }
        let (done, errors) = work.gained();
        let silent = done == 0 && work.signs.markers == 0 && !ending.killed;
        let hopeless = done >= HOPELESS && errors == done;
        let why = if let Some(why) = ending.permanent {
            Some(why)
        } else if silent {
            Some(format!(
                "{} before it finished a single question",
                ending.how
            ))
        } else if hopeless {
            Some(format!(
                "{}, and all its {done} results are errors",
                ending.how
            ))
        } else {
            None
        };
        if let Some(why) = why {
            return self.end_eval(eval, Verdict::Incomplete { missing, why }, now);
        }
        let Some(unit) = self.plan.eval(eval).and_then(|e| self.plan.unit(&e.unit)) else {
            return;
        };
        let starts = self.state.unit(&unit.id).starts;
        match again(unit.restart, &starts, now) {
            Again::At(at) => {
                let work = self.eval_work(eval);
                work.stage = Stage::Waiting;
                work.start_at = Some(at);
            }
            Again::Spent(starts) => {
                let why = format!(
                    "{} after {starts} starts: the restart budget is spent",
                    ending.how
                );
                self.end_eval(eval, Verdict::GaveUp { missing, why }, now);
            }
        }
    }

    fn servers_settled(&self) -> bool {
        self.plan
            .servers()
            .all(|unit| self.settled(&unit.id).is_some())
    }

    /// The outcome, once everything that this owner is to achieve is decided.
    pub(super) fn decided(&self) -> Option<Outcome> {
        if self.goal.evals.is_empty() {
            return self.decided_without_evals();
        }
        let mut worst = 0;
        let mut said = Vec::new();
        for eval in &self.goal.evals {
            let verdict = self.verdict(eval)?;
            let idle = self
                .evals
                .get(eval)
                .is_none_or(|work| work.stage == Stage::Waiting);
            if !idle {
                return None;
            }
            let (code, words) = verdict_words(verdict);
            worst = worse(worst, code);
            said.push(format!("{eval}: {words}"));
        }
        Some(Outcome {
            code: worst,
            summary: said.join("; "),
            kept: false,
        })
    }

    fn decided_without_evals(&self) -> Option<Outcome> {
        let written = self
            .plan
            .configs
            .iter()
            .all(|config| self.configs_done.contains(&config.name));
        if !self.servers_settled() || !written {
            return None;
        }
        let short = self.plan.groups.iter().find(|group| {
            let ready = group
                .endpoints
                .iter()
                .filter(|end| self.settled(&end.unit) == Some(true))
                .count();
            ready < group.min_ready
        });
        let (code, summary) = match short {
            None => (0, "all servers are ready".to_owned()),
            Some(group) => (4, format!("`{}` did not become ready", group.name)),
        };
        Some(Outcome {
            code,
            summary,
            kept: false,
        })
    }
}

impl EvalWork {
    /// Results and errors that this attempt added.
    fn gained(&self) -> (usize, usize) {
        (
            self.counts.done.saturating_sub(self.at_start.done),
            self.counts.errors.saturating_sub(self.at_start.errors),
        )
    }
}

fn judge_finished(counts: Counts) -> Verdict {
    if counts.errors == 0 {
        return Verdict::Complete;
    }
    Verdict::Incomplete {
        missing: counts.total.saturating_sub(counts.done),
        why: format!("{} results are in error", counts.errors),
    }
}

fn verdict_words(verdict: &Verdict) -> (u8, String) {
    match verdict {
        Verdict::Complete => (0, "complete".to_owned()),
        Verdict::Incomplete { missing: 0, why } => (5, format!("incomplete: {why}")),
        Verdict::Incomplete { missing, why } => {
            (5, format!("incomplete, {missing} missing: {why}"))
        }
        Verdict::GaveUp { missing, why } => (6, format!("given up, {missing} missing: {why}")),
        Verdict::NotStarted { why, code } => (*code, format!("not started: {why}")),
    }
}

/// Several exit codes at once: 7 > 65 > 6 > 5 > 4 > the rest.
fn worse(one: u8, other: u8) -> u8 {
    let rank = |code: u8| match code {
        7 => 6,
        65 => 5,
        6 => 4,
        5 => 3,
        4 => 2,
        0 => 0,
        _ => 1,
    };
    if rank(other) > rank(one) { other } else { one }
}
