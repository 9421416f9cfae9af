//! A client at work: its results counted, its silence noticed, its end judged.

use super::brain::Brain;
use super::effect::Effect;
use super::evals::{Counting, EvalWork, Stage};
use super::input::{Counts, Signs};
use super::restart::{Again, again};
use super::stops::Then;
use crate::base::{EvalName, ExitStatus, Millis, Timestamp, UnitId};
use crate::facts::Exit;
use crate::plan::EvalPlan;
use crate::run::{StopWhy, Verdict};

/// How often the results of a running client are counted.
pub(super) const COUNT_EVERY: Millis = Millis(1_000);
/// This many results, all in error, show that the rest would go the same way.
const HOPELESS: usize = 8;
/// What was asked during an outage fails for so long after it.
const AFTERMATH: Millis = Millis(15_000);
/// A client whose results are complete may take this long to end by itself.
const LINGER: Millis = Millis(60_000);
/// Results that cannot be read when a client has ended are tried again for so long.
const UNREADABLE: Millis = Millis(30_000);

/// What ended a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// It ended of its own accord.
    Itself,
    /// Something else ended it: another try may go better even if nothing was finished.
    Force,
    /// We stopped it because nothing moved.
    Stall,
    /// We stopped it so that it goes on another way: it did nothing wrong and goes on at once.
    Renewal,
    /// What it requires will not come back.
    Bereft,
}

/// How a client ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    /// Starting it again would end the same way, for this reason.
    permanent: Option<String>,
    /// In words: `it ended with exit code 1`.
    how: String,
    by: By,
}

impl Ending {
    /// We stopped it.
    fn stopped(permanent: Option<String>, how: &str) -> Self {
        let how = permanent.clone().unwrap_or_else(|| how.to_owned());
        let by = By::Force;
        Self { permanent, how, by }
    }

    /// We stopped it so that it goes on another way.
    pub(super) fn renewed(how: &str) -> Self {
        Self {
            permanent: None,
            how: how.to_owned(),
            by: By::Renewal,
        }
    }

    /// It was held, and what it requires will not come back.
    pub(super) fn bereft(how: String) -> Self {
        Self {
            permanent: None,
            how,
            by: By::Bereft,
        }
    }

    /// It ended and nobody asked for it.
    fn of(exit: Option<&Exit>, permanent: Option<String>) -> Self {
        let (how, by) = match exit {
            // Refused by the unit script: the client itself never ran.
            Some(Exit {
                code: Some(code @ (64 | 69 | 73 | 75 | 78)),
                signal: None,
                reason: Some(reason),
                ..
            }) => (
                format!("its start was refused with exit code {code}: {reason}"),
                By::Force,
            ),
            Some(Exit {
                signal: Some(signal),
                ..
            }) => (format!("{signal} ended it"), By::Force),
            Some(Exit {
                code: Some(code), ..
            }) => (format!("it ended with exit code {code}"), By::Itself),
            Some(Exit {
                reason: Some(reason),
                ..
            }) => (reason.clone(), By::Force),
            _ => ("it ended, nobody knows how".to_owned(), By::Force),
        };
        Self { permanent, how, by }
    }
}

impl EvalWork {
    /// Results and errors that this attempt added.
    pub(super) fn gained(&self) -> (usize, usize) {
        (
            self.counts.done.saturating_sub(self.at_start.done),
            self.counts.errors.saturating_sub(self.at_start.errors),
        )
    }

    /// This attempt finished no question, as far as results and markers tell.
    fn silent(&self) -> bool {
        self.gained().0 == 0 && self.signs.markers == 0
    }

    /// Results of an outage, and of the moments after it, say nothing about the rest: they are not judged.
    fn heed_outage(&mut self, served: bool, now: Timestamp) {
        if !served || self.outage.is_some() {
            self.unserved = Some(now);
        }
        if self.unserved.is_some_and(|at| now.since(at) < AFTERMATH) {
            self.judged_from = self.counts;
        }
    }

    /// What shows that the rest of this attempt would be in vain.
    fn hopeless(&self) -> Option<String> {
        let (now, before) = (&self.counts, &self.judged_from);
        let done = now.done.saturating_sub(before.done);
        let errors = now.errors.saturating_sub(before.errors);
        let toolless = now.toolless.saturating_sub(before.toolless);
        match done {
            few if few < HOPELESS || errors + toolless < done => None,
            all if errors == all => Some(format!("all its {all} results are errors")),
            all => Some(format!(
                "in none of its {all} results a tool was called, or they are errors: is the orchestrator's name a path \
                 where the client runs, and does its tool parser fit?"
            )),
        }
    }

    /// Why a running client is stopped, if it is.
    fn trouble(&mut self, plan: &EvalPlan, now: Timestamp) -> Option<Ending> {
        if self.counts.finished {
            let since = *self.finished_since.get_or_insert(now);
            let lingers = now.since(since) >= LINGER;
            return lingers.then(|| Ending::stopped(None, "its results were complete"));
        }
        self.finished_since = None;
        if self.silent() && now.since(self.attempt_began) >= plan.first_result {
            let limit = plan.first_result;
            let why = format!("no result and no marker within {limit} of its start");
            return Some(Ending::stopped(Some(why), ""));
        }
        if let Some(why) = self.hopeless() {
            return Some(Ending::stopped(Some(why), ""));
        }
        let stalled = now.since(self.moved) >= plan.stall;
        stalled.then(|| Ending {
            by: By::Stall,
            ..Ending::stopped(None, "it had stalled")
        })
    }
}

impl Brain {
    /// Servers wrote something: clients that wait for it are at work.
    pub(super) fn tokens_came(&mut self, now: Timestamp) {
        let at_work = self.evals.values_mut();
        at_work
            .filter(|work| work.stage == Stage::Running)
            .for_each(|work| work.moved = now);
    }

    /// Results were counted, or could not be.
    pub(super) fn counted(
        &mut self,
        eval: &EvalName,
        counts: Result<Counts, String>,
        signs: Signs,
        now: Timestamp,
    ) {
        let unreadable = match counts {
            Ok(counts) => {
                self.note_counts(eval, counts, now);
                None
            }
            Err(why) => Some(why),
        };
        let work = self.eval_work(eval);
        let news = unreadable.is_some() && work.unreadable_since.is_none();
        let since = unreadable
            .as_ref()
            .map(|_| work.unreadable_since.unwrap_or(now));
        work.unreadable_since = since;
        if signs.log_bytes > work.signs.log_bytes {
            work.moved = now;
        }
        work.signs = signs;
        self.note_degraded(eval, now);
        if let (true, Some(why)) = (news, &unreadable) {
            let text = format!("the results of `{eval}` cannot be read: {why}");
            self.alarm("results-unreadable", None, text, now);
        }
        let served = (self.plan.eval(eval)).is_some_and(|plan| self.is_served(plan));
        self.eval_work(eval).heed_outage(served, now);
        let counting = &mut self.eval_work(eval).counting;
        if std::mem::take(counting) == Counting::AskedTooSoon {
            return self.count(eval.clone());
        }
        match self.stage(eval).clone() {
            Stage::Running => {
                self.eval_work(eval).count_at = Some(now + COUNT_EVERY);
                self.heed_signs(eval, now);
                self.watch_client(eval, now);
            }
            Stage::Judging(_) if since.is_some_and(|at| now.since(at) < UNREADABLE) => {
                self.eval_work(eval).count_at = Some(now + COUNT_EVERY);
            }
            Stage::Judging(ending) => self.judge(eval, ending, unreadable, now),
            _ => {}
        }
    }

    /// Whether a running client works; if not it is stopped.
    fn watch_client(&mut self, eval: &EvalName, now: Timestamp) {
        let Some(plan) = self.plan.eval(eval).cloned() else {
            return;
        };
        // What was left of it is being cleared away: it has ended already. Or its start waits, for a disk maybe.
        if self.is_stopping(&plan.unit) || self.launching.contains_key(&plan.unit) {
            return;
        }
        // It can do nothing about an outage; how that goes on is decided elsewhere.
        let work = self.eval_work(eval);
        if work.outage.is_some() && !work.counts.is_whole() {
            return;
        }
        let Some(ending) = self.eval_work(eval).trouble(&plan, now) else {
            return;
        };
        if ending.permanent.is_none() && !self.eval_work(eval).counts.finished {
            let limit = plan.stall;
            let text = format!(
                "`{eval}` has stalled: no result, no output and no token of any server for {limit}"
            );
            self.alarm("stalled", Some(&plan.unit), text, now);
        }
        self.stop_client(eval, ending, StopWhy::NoProgress, now);
    }

    /// Stops a client; its results are judged by this end.
    pub(super) fn stop_client(
        &mut self,
        eval: &EvalName,
        ending: Ending,
        why: StopWhy,
        now: Timestamp,
    ) {
        let Some(unit) = self.plan.eval(eval).map(|eval| eval.unit.clone()) else {
            return;
        };
        let work = self.eval_work(eval);
        work.stage = Stage::Stopping(ending);
        work.count_at = None;
        work.files.look_at = None;
        self.stop(&unit, why, Then::Rest, now);
    }

    /// A client was stopped because we asked for it.
    pub(super) fn client_stopped(&mut self, unit: &UnitId) {
        let Some(eval) = self.eval_of(unit) else {
            return;
        };
        match self.stage(&eval).clone() {
            Stage::Stopping(ending) => self.judge_after_count(eval, ending),
            Stage::Held => {
                self.eval_work(&eval).stage = Stage::Waiting;
                // It may have finished all the same.
                self.count(eval);
            }
            _ => {}
        }
    }

    /// A client could not be stopped, however often that was tried.
    pub(super) fn client_stuck(&mut self, unit: &UnitId, why: &str, now: Timestamp) {
        let Some(eval) = self.eval_of(unit) else {
            return;
        };
        if self.verdict(&eval).is_some() {
            return;
        }
        let counts = self.eval_work(&eval).counts;
        let verdict = Verdict::GaveUp {
            missing: counts.total.saturating_sub(counts.done),
            why: format!("its client could not be stopped: {why}"),
        };
        self.end_eval(&eval, verdict, now);
    }

    /// A client ended by itself.
    pub(super) fn client_ended(&mut self, unit: &UnitId, permanent: Option<String>) {
        let Some(eval) = self.eval_of(unit) else {
            return;
        };
        if *self.stage(&eval) == Stage::Running {
            let exit = self.state.unit(unit).exit;
            self.judge_after_count(eval, Ending::of(exit.as_ref(), permanent));
        }
    }

    pub(super) fn judge_after_count(&mut self, eval: EvalName, ending: Ending) {
        let work = self.eval_work(&eval);
        work.stage = Stage::Judging(ending);
        work.count_at = None;
        work.files.look_at = None;
        self.count(eval);
    }

    /// Has the results counted, from now on.
    pub(super) fn count(&mut self, eval: EvalName) {
        let counting = &mut self.eval_work(&eval).counting;
        if *counting == Counting::Idle {
            *counting = Counting::Asked;
            self.ask(Effect::Count { eval });
        } else {
            *counting = Counting::AskedTooSoon;
        }
    }

    /// What follows the end of a client: done, again, or given up.
    fn judge(
        &mut self,
        eval: &EvalName,
        ending: Ending,
        unreadable: Option<String>,
        now: Timestamp,
    ) {
        if unreadable.is_none() && ending.by != By::Bereft && self.held_at_its_end(eval, now) {
            return;
        }
        let work = self.eval_work(eval);
        let counts = work.counts;
        let missing = counts.total.saturating_sub(counts.done);
        let how = &ending.how;
        let why = if let Some(why) = unreadable {
            Some(format!("its results cannot be read: {why}"))
        } else if counts.finished && ending.by == By::Bereft {
            return self.not_started(eval, ending.how, ExitStatus::NotReady, now);
        } else if counts.finished {
            if self.retry_due(eval) {
                return self.eval_work(eval).wait_until(now);
            }
            return self.end_eval(eval, super::verdicts::of_finished(counts), now);
        } else if ending.by == By::Bereft {
            let why = ending.how;
            return self.end_eval(eval, Verdict::GaveUp { missing, why }, now);
        } else if ending.by == By::Renewal {
            return self.eval_work(eval).wait_until(now);
        } else if ending.permanent.is_some() {
            ending.permanent
        } else if work.silent() && ending.by == By::Itself {
            let more = if counts.done > 0 {
                "another"
            } else {
                "a single"
            };
            let log = format!("its log says why: toolorch logs eval-{eval}");
            Some(format!("{how} before it finished {more} question; {log}"))
        } else {
            work.hopeless().map(|all| format!("{how}, and {all}"))
        };
        if let Some(why) = why {
            return self.end_eval(eval, Verdict::Incomplete { missing, why }, now);
        }
        if ending.by == By::Stall && work.stalled_at.replace(counts.done) == Some(counts.done) {
            let why = "it stalled twice with the same questions missing".to_owned();
            return self.end_eval(eval, Verdict::GaveUp { missing, why }, now);
        }
        let Some(unit) = self.plan.eval(eval).and_then(|e| self.plan.unit(&e.unit)) else {
            return;
        };
        match again(unit.restart, &self.state.unit(&unit.id).starts, now) {
            Again::At(at) => {
                self.eval_work(eval).wait_until(at);
                self.slow_down(eval, now);
            }
            Again::Spent(starts) => {
                let how = ending.how;
                let why = format!("{how}; the restart budget is spent after {starts} starts");
                self.end_eval(eval, Verdict::GaveUp { missing, why }, now);
            }
        }
    }
}
