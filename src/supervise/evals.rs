//! Evaluations: what the owner remembers of each, and when its client may start.

use std::collections::BTreeSet;

use super::brain::Brain;
use super::held::HOLD_AFTER;
use super::input::{Counts, Signs};
use super::open_files::FilesWatch;
use super::signs::Told;
use super::tasks::Task;
use super::watch::Ending;
use crate::base::{EvalName, ExitStatus, Millis, Name, Timestamp, UnitId};
use crate::plan::{EvalPlan, Group, UnitKind};
use crate::run::{Event, Verdict};
use crate::spec::model::AfterState;

/// With `min_ready` reached the other replicas get this long before the client starts without them.
const WAIT_FOR_REST: Millis = Millis(60_000);

/// How far the client of an evaluation is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Stage {
    /// For servers, earlier evaluations, or the time of a restart.
    #[default]
    Waiting,
    /// Its configuration is being written.
    Configuring,
    /// Its results are being made ready.
    Preparing,
    /// It was launched.
    Running,
    /// It is being stopped; then its results are judged, with this as its end.
    Stopping(Ending),
    /// It ended; the results are counted for the last time.
    Judging(Ending),
    /// It is over; what was asked again and not answered is brought back, then this is its verdict.
    BringingBack(Verdict),
    /// It is being stopped, and waits then for what it requires.
    Held,
    /// What failed in an outage is set aside.
    Requeuing,
}

/// Whether results are being counted: one count at a time, so that an answer is never older than
/// the one before it, and a client's end is judged by a count that began after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Counting {
    /// No.
    #[default]
    Idle,
    /// Yes.
    Asked,
    /// Yes, and its answer is out of date.
    AskedTooSoon,
}

/// What the owner remembers of an evaluation beside the journal.
#[derive(Debug, Default)]
pub(super) struct EvalWork {
    pub(super) stage: Stage,
    pub(super) counts: Counts,
    pub(super) signs: Signs,
    /// What stood when this attempt of the client began.
    pub(super) at_start: Counts,
    pub(super) attempt_began: Timestamp,
    /// When a result or a line of output last came.
    pub(super) moved: Timestamp,
    /// What stood when results began to tell of the client and not of an outage.
    pub(super) judged_from: Counts,
    /// When something that it requires was last seen not to be there.
    pub(super) unserved: Option<Timestamp>,
    /// Since when something that it requires is not there.
    pub(super) outage: Option<Timestamp>,
    /// What stood when it last stalled.
    pub(super) stalled_at: Option<usize>,
    /// Since when its results are complete.
    pub(super) finished_since: Option<Timestamp>,
    pub(super) count_at: Option<Timestamp>,
    pub(super) counting: Counting,
    pub(super) files: FilesWatch,
    /// What was said of this client already.
    pub(super) told: Told,
    /// Since when its results cannot be read.
    pub(super) unreadable_since: Option<Timestamp>,
    /// Servers that people know to be unused by its client.
    pub(super) told_unused: BTreeSet<UnitId>,
    pub(super) start_at: Option<Timestamp>,
    /// Since when enough servers are ready and others are on their way.
    pub(super) enough_since: Option<Timestamp>,
}

impl EvalWork {
    /// When something is to be done about it.
    pub(super) fn wakes(&self) -> Option<Timestamp> {
        let rest = self.enough_since.map(|since| since + WAIT_FOR_REST);
        let may_hold = self.stage == Stage::Running && !self.counts.is_whole();
        let hold = self.outage.filter(|_| may_hold);
        let hold = hold.map(|since| since + HOLD_AFTER);
        [self.count_at, self.files.look_at, self.start_at, rest, hold]
            .into_iter()
            .flatten()
            .min()
    }

    /// Its client is started again at this time.
    pub(super) fn wait_until(&mut self, at: Timestamp) {
        self.stage = Stage::Waiting;
        self.start_at = Some(at);
    }
}

/// Whether what an evaluation waits for is there.
enum Awaited {
    /// All of it.
    Ready,
    /// Enough of it; more is on its way.
    Enough,
    /// Not yet.
    Coming,
    /// Never, for this reason.
    Never(String, ExitStatus),
}

impl Brain {
    pub(super) fn eval_work(&mut self, eval: &EvalName) -> &mut EvalWork {
        self.evals.entry(eval.clone()).or_default()
    }

    /// The evaluation of the goal whose client this unit is.
    pub(super) fn eval_of(&self, unit: &UnitId) -> Option<EvalName> {
        match &self.plan.unit(unit)?.kind {
            UnitKind::Eval { name } if self.goal.evals.contains(name) => Some(name.clone()),
            _ => None,
        }
    }

    pub(super) fn verdict(&self, eval: &EvalName) -> Option<&Verdict> {
        self.state.evals.get(eval)?.verdict.as_ref()
    }

    /// How far the client is; one that was never thought of waits.
    pub(super) fn stage(&self, eval: &EvalName) -> &Stage {
        self.evals
            .get(eval)
            .map_or(&Stage::Waiting, |work| &work.stage)
    }

    /// Evaluations whose clients run and that require this model or service.
    pub(super) fn evals_running_on(&self, group: &Name) -> Vec<EvalName> {
        self.goal
            .evals
            .iter()
            .filter(|eval| *self.stage(eval) == Stage::Running)
            .filter_map(|eval| self.plan.eval(eval))
            .filter(|eval| eval.requires.contains(group))
            .map(|eval| eval.name.clone())
            .collect()
    }

    /// Takes new counts; the journal hears of them when they changed.
    pub(super) fn note_counts(&mut self, eval: &EvalName, counts: Counts, now: Timestamp) {
        let work = self.eval_work(eval);
        let recorded = |counts: Counts| {
            let Counts {
                done,
                errors,
                correct,
                torn,
                total,
                ..
            } = counts;
            (done, errors, correct, torn, total)
        };
        let changed = recorded(work.counts) != recorded(counts);
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

    /// An evaluation is over, once what was asked again in vain is brought back.
    pub(super) fn end_eval(&mut self, eval: &EvalName, verdict: Verdict, now: Timestamp) {
        if self.bring_back(eval, &verdict) {
            return;
        }
        self.note_end(eval, verdict, now);
    }

    pub(super) fn note_end(&mut self, eval: &EvalName, verdict: Verdict, now: Timestamp) {
        let work = self.eval_work(eval);
        work.stage = Stage::Waiting;
        work.count_at = None;
        work.files = FilesWatch::default();
        work.start_at = None;
        work.enough_since = None;
        let eval = eval.clone();
        self.record(Event::EvalEnded { eval, verdict }, now);
    }

    pub(super) fn not_started(
        &mut self,
        eval: &EvalName,
        why: String,
        code: ExitStatus,
        now: Timestamp,
    ) {
        let code = code.code();
        let counts = self.eval_work(eval).counts;
        if counts.finished {
            if counts.errors > 0 {
                // Only they were to be asked again.
                let text = format!("results of `{eval}` in error are not asked again: {why}");
                self.alarm("no-retry", None, text, now);
            }
            return self.end_eval(eval, super::verdicts::of_finished(counts), now);
        }
        self.end_eval(eval, Verdict::NotStarted { why, code }, now);
    }

    /// The results or the configuration refused the client.
    pub(super) fn refused(&mut self, eval: &EvalName, why: String, now: Timestamp) {
        self.not_started(eval, why, ExitStatus::Refused, now);
    }

    /// Evaluations of the goal that wait and have no verdict.
    fn waiting(&self) -> Vec<EvalPlan> {
        self.goal
            .evals
            .iter()
            .filter(|eval| self.verdict(eval).is_none() && *self.stage(eval) == Stage::Waiting)
            .filter_map(|eval| self.plan.eval(eval))
            .cloned()
            .collect()
    }

    /// Ends evaluations that wait and have nothing left to do.
    pub(super) fn end_finished(&mut self, now: Timestamp) {
        for eval in self.waiting() {
            let counts = self.eval_work(&eval.name).counts;
            let held = self.held(&eval.name).is_some();
            let open = (held && !counts.is_whole())
                || self.retry_due(&eval.name)
                || self.may_live(&eval.unit);
            if counts.finished && !open {
                self.end_eval(&eval.name, super::verdicts::of_finished(counts), now);
            }
        }
    }

    /// Starts what may start, counts what is due.
    pub(super) fn advance_evals(&mut self, now: Timestamp) {
        for eval in self.goal.evals.clone() {
            let work = self.eval_work(&eval);
            if work.count_at.is_some_and(|at| at <= now) {
                work.count_at = None;
                self.count(eval);
            }
        }
        self.look_at_due_files(now);
        for eval in self.waiting() {
            self.advance_waiting(&eval, now);
        }
        self.follow_moves(now);
        self.widen_clients(now);
        self.write_config_without_evals();
    }

    fn advance_waiting(&mut self, eval: &EvalPlan, now: Timestamp) {
        let work = self.eval_work(&eval.name);
        if work.start_at.is_some_and(|at| at > now) {
            return;
        }
        work.start_at = None;
        let since = work.enough_since.take();
        let awaited = match self.awaited(eval) {
            Awaited::Enough => {
                let since = since.unwrap_or(now);
                if now.since(since) >= WAIT_FOR_REST {
                    Awaited::Ready
                } else {
                    self.eval_work(&eval.name).enough_since = Some(since);
                    Awaited::Coming
                }
            }
            other => other,
        };
        let held = self.held(&eval.name).is_some();
        match awaited {
            Awaited::Ready if held => self.resume(&eval.name),
            Awaited::Ready => self.begin_attempt(eval, now),
            Awaited::Enough | Awaited::Coming => {}
            Awaited::Never(why, _) if held => self.give_up_held(&eval.name, why),
            Awaited::Never(why, code) => self.not_started(&eval.name, why, code, now),
        }
    }

    /// All that the client waits for: its own last start, earlier evaluations, servers.
    fn awaited(&self, eval: &EvalPlan) -> Awaited {
        match self.tasks.get(&eval.unit) {
            Some(Task::Unseen { until: None, why }) => {
                let why = format!("its client may be running and cannot be looked at: {why}");
                return Awaited::Never(why, ExitStatus::Refused);
            }
            Some(Task::Foreign) => {
                let why = "a client of it runs that the journal does not know".to_owned();
                return Awaited::Never(why, ExitStatus::Refused);
            }
            _ if self.may_live(&eval.unit) => return Awaited::Coming,
            _ => {}
        }
        match self.earlier(eval) {
            Awaited::Ready => self.servers_of(eval),
            other => other,
        }
    }

    /// Whether the evaluations that come first are far enough.
    fn earlier(&self, eval: &EvalPlan) -> Awaited {
        for (other, wanted) in &eval.after {
            if !self.goal.evals.contains(other) {
                continue;
            }
            match (self.verdict(other), wanted) {
                (None, _) => return Awaited::Coming,
                (Some(Verdict::Complete), _) | (Some(_), AfterState::Ended) => {}
                (Some(_), AfterState::Complete) => {
                    let why = format!("`{other}` comes first and is not complete");
                    return Awaited::Never(why, ExitStatus::Incomplete);
                }
            }
        }
        Awaited::Ready
    }

    /// Whether the models and services that the evaluation requires are there.
    fn servers_of(&self, eval: &EvalPlan) -> Awaited {
        let required = |group: &&Group| eval.requires.contains(&group.name);
        let held = self.held(&eval.name).is_some();
        if held
            && self
                .externals
                .gone()
                .any(|(name, _)| eval.requires.contains(name))
        {
            return Awaited::Coming;
        }
        let (mut enough, mut all_settled) = (true, true);
        for group in self.plan.groups.iter().filter(required) {
            let (ready, coming) = self.readiness(group);
            let wanted = self.wanted_of(group);
            // Where it has begun, one is better than none.
            let least = if held { wanted.min(1) } else { wanted };
            let all_drained = self.drained_of(group) == group.endpoints.len();
            if ready + coming < least && !all_drained {
                let why = if held {
                    format!("`{}` has no server left", group.name)
                } else {
                    format!(
                        "`{}` has {ready} of the {wanted} servers that must be ready",
                        group.name
                    )
                };
                return Awaited::Never(why, ExitStatus::NotReady);
            }
            all_settled &= coming == 0;
            enough &= ready >= least;
        }
        match (enough, all_settled) {
            (true, true) => Awaited::Ready,
            (true, false) => Awaited::Enough,
            (false, _) => Awaited::Coming,
        }
    }

    /// Enough servers of all that an evaluation requires are ready now.
    pub(super) fn is_served(&self, eval: &EvalPlan) -> bool {
        let mut required =
            (self.plan.groups.iter()).filter(|group| eval.requires.contains(&group.name));
        required.all(|group| self.readiness(group).0 >= self.wanted_of(group))
    }

    /// How many servers of a group are ready, and how many are on their way.
    pub(super) fn readiness(&self, group: &Group) -> (usize, usize) {
        let fates = || group.endpoints.iter().map(|end| self.settled(&end.unit));
        let ready = fates().filter(|fate| *fate == Some(true)).count();
        let coming = fates().filter(Option::is_none).count();
        (ready, coming)
    }
}
