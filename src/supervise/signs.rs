//! What a running client's log and results tell beside their numbers: where it waits, and what is worse than it looks.

use std::collections::BTreeSet;

use super::brain::Brain;
use super::evals::Stage;
use crate::base::{EvalName, Millis, Timestamp};
use crate::facts::Degraded;
use crate::plan::EvalPlan;
use crate::run::{Event, Waits};

/// Without a finished question for so long the last ones are named.
const LATE: Millis = Millis::from_secs(300);
/// What the log tells is recorded no more often.
const RECORD_EVERY: Millis = Millis::from_secs(10);
/// Fewer than so many are no rate.
const FEW: usize = 5;
/// More of a hundred than so many are too many.
const TOO_MANY: usize = 5;

/// What was said of one attempt of a client.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// Alarms that were raised, by their words and what they were about.
    alarms: BTreeSet<(&'static str, String)>,
    /// When what the log tells was last recorded.
    recorded: Option<Timestamp>,
    /// The most calls that were under way.
    most_open: usize,
}

impl Brain {
    /// Judges what the last count told of a running client.
    pub(super) fn heed_signs(&mut self, eval: &EvalName, now: Timestamp) {
        let Some(plan) = self.plan.eval(eval).cloned() else {
            return;
        };
        let waits = self.waits(&plan, now);
        let known = self.state.evals.get(eval);
        if known.and_then(|state| state.waits.as_ref()) != waits.as_ref() {
            let (eval, waits) = (eval.clone(), waits.clone());
            self.record(Event::EvalWaits { eval, waits }, now);
        }
        self.heed_starvation(&plan, waits, now);
        self.heed_log(&plan, now);
        self.heed_results(&plan, now);
    }

    /// Whom a client waits for, or for which of its last questions.
    fn waits(&mut self, plan: &EvalPlan, now: Timestamp) -> Option<Waits> {
        let finished_at = self.state.evals.get(&plan.name).map(|state| state.moved);
        let work = self.eval_work(&plan.name);
        let since = work.attempt_began.max(finished_at.unwrap_or_default());
        let ids = work.signs.left.clone();
        if let Some(long) = work.signs.long_calls.clone() {
            return Some(Waits {
                since: long.since,
                server: Some(self.name_of(&long.endpoint)),
                calls: long.calls,
                ids,
            });
        }
        let late = now.since(since) >= LATE && !ids.is_empty();
        late.then_some(Waits {
            since,
            server: None,
            calls: 0,
            ids,
        })
    }

    /// Half of a client's workers wait for one server: the others will come to it, too.
    fn heed_starvation(&mut self, plan: &EvalPlan, waits: Option<Waits>, now: Timestamp) {
        let work = self.eval_work(&plan.name);
        let most_open = work.told.most_open.max(work.signs.open_calls);
        work.told.most_open = most_open;
        let workers = plan.concurrency.map_or(most_open, |count| count as usize);
        let starves = |waits: &Waits| waits.calls > 0 && waits.calls * 2 >= workers;
        let Some(waits) = waits.filter(starves) else {
            // The next time it is news again.
            let alarms = &mut work.told.alarms;
            alarms.retain(|(alarm, _)| *alarm != "starvation");
            return;
        };
        let server = waits.server.unwrap_or_default();
        let text = format!(
            "`{}` starves: {} of its {workers} questions in flight wait for `{server}`, the oldest for {}",
            plan.name,
            waits.calls,
            now.since(waits.since)
        );
        self.tell(plan, "starvation", &server, text, now);
    }

    /// Searches without results, and models that nobody declared.
    fn heed_log(&mut self, plan: &EvalPlan, now: Timestamp) {
        let eval = &plan.name;
        let work = self.eval_work(eval);
        let degraded = work.signs.degraded.clone();
        let done = work.gained().0;
        let failed = usize::try_from(degraded.retrieval_failed).unwrap_or(usize::MAX);
        if failed > 0 {
            let text = format!(
                "a search of `{eval}` went on without results: retrieval did not answer, and its result does not say so"
            );
            self.tell(plan, "retrieval-failed", "", text, now);
        }
        if is_many(failed, done) {
            let text = format!(
                "{failed} searches of `{eval}` went on without results while it finished {done} questions"
            );
            self.tell(plan, "retrieval-failing", "", text, now);
        }
        for name in degraded.elsewhere.keys() {
            let text = format!(
                "the log of `{eval}` tells of calls to {name}, which the YAML does not declare: what comes from there is \
                 no answer of this cluster"
            );
            self.tell(plan, "fallback", name, text, now);
        }
    }

    /// Answers without text, and questions in which no tool was called.
    fn heed_results(&mut self, plan: &EvalPlan, now: Timestamp) {
        let eval = &plan.name;
        let work = self.eval_work(eval);
        let (counts, before, done) = (work.counts, work.at_start, work.gained().0);
        let nulls = counts.null_contents.saturating_sub(before.null_contents);
        let toolless = counts.toolless.saturating_sub(before.toolless);
        if is_many(nulls, done) {
            let text = format!(
                "{nulls} of {done} results of `{eval}` are errors because an answer had no text: does its reasoning \
                 parser take all of it?"
            );
            self.tell(plan, "null-content", "", text, now);
        }
        if is_many(toolless, done) {
            let text = format!(
                "in {toolless} of {done} results of `{eval}` no tool was called, and they count as answered: does the \
                 orchestrator's tool parser fit?"
            );
            self.tell(plan, "no-tool-call", "", text, now);
        }
    }

    /// An alarm about a client, once in an attempt.
    fn tell(
        &mut self,
        plan: &EvalPlan,
        alarm: &'static str,
        what: &str,
        text: String,
        now: Timestamp,
    ) {
        let told = &mut self.eval_work(&plan.name).told.alarms;
        if told.insert((alarm, what.to_owned())) {
            self.alarm(alarm, Some(&plan.unit), text, now);
        }
    }

    /// Records what the log tells: now and then while the client runs, and when it has ended.
    pub(super) fn note_degraded(&mut self, eval: &EvalName, now: Timestamp) {
        let Some(unit) = self.plan.eval(eval).map(|eval| eval.unit.clone()) else {
            return;
        };
        let generation = self.state.unit(&unit).generation;
        let state = self.state.evals.get(eval);
        let known = state.and_then(|state| state.degraded.get(&generation));
        let known = known.map_or(0, Degraded::lines);
        let runs = *self.stage(eval) == Stage::Running;
        let work = self.eval_work(eval);
        let early = (work.told.recorded).is_some_and(|at| now.since(at) < RECORD_EVERY);
        // A log that is read anew tells less at first.
        if work.signs.degraded.lines() <= known || (runs && early) {
            return;
        }
        work.told.recorded = Some(now);
        let degraded = work.signs.degraded.clone();
        let eval = eval.clone();
        self.record(
            Event::EvalDegraded {
                eval,
                generation,
                degraded,
            },
            now,
        );
    }

    /// The unit that listens at `host:port`.
    fn name_of(&self, endpoint: &str) -> String {
        let mut ends = self.plan.groups.iter().flat_map(|group| &group.endpoints);
        let there = ends.find(|end| format!("{}:{}", end.host, end.port) == endpoint);
        there.map_or_else(|| endpoint.to_owned(), |end| end.unit.to_string())
    }
}

/// More than one of twenty, and more than a few.
fn is_many(count: usize, done: usize) -> bool {
    count >= FEW && count * 100 > done * TOO_MANY
}
