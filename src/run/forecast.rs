//! What an owner that comes to a run is about to do there: told beforehand by `plan`, and by `up` itself.
//!
//! The owner decides step by step, from what it sees at each (`supervise`). This is the same from one look, as far as it
//! can be known then.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Changes, Retry, RunState, UnitPhase, UnitState};
use crate::base::{EvalName, Generation, Name, UnitId};
use crate::facts::{Exit, Observation};
use crate::plan::{EvalPlan, Plan, Unit};
use crate::spec::model::{OnMove, RetryErrors, WhenDone};

/// What is known when it is told.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    /// What is to be.
    pub plan: &'a Plan,
    /// The plan that the run followed so far; none where that cannot be read.
    pub before: Option<&'a Plan>,
    /// What the journal says, before anybody takes the run.
    pub state: &'a RunState,
    /// What the plan changes of what lives.
    pub changes: &'a Changes,
    /// How each unit looks now; one that was not looked at never was.
    pub seen: &'a BTreeMap<UnitId, Observation>,
    /// Evaluations that are wanted, with what is known of their results.
    pub results: &'a BTreeMap<EvalName, ResultsSeen>,
    /// What is asked of the owner.
    pub asked: Asked,
    /// Processes of the run live.
    pub lives: bool,
}

/// What is asked of an owner beside evaluations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Servers that are not there may be started.
    pub start_servers: bool,
    /// Clients are started again to use servers that they do not know.
    pub restart_evals: bool,
}

/// What is known of an evaluation's results.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResultsSeen {
    /// Questions without a complete result.
    pub missing: usize,
    /// All questions; none where only a file tells the end.
    pub total: usize,
    /// Results in error that the evaluation's rule asks again.
    pub due: usize,
    /// The evaluation's own rule says that it is finished.
    pub finished: bool,
    /// Calls to undeclared places are held against them.
    pub held: bool,
}

/// Something that is about to happen, or that keeps something from happening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Act {
    /// A server runs otherwise than it should: it is stopped and started.
    Restarted {
        /// Which.
        unit: UnitId,
        /// What differs.
        why: String,
    },
    /// It runs, and should not.
    Stopped {
        /// Which.
        unit: UnitId,
    },
    /// A server is started in a run in which none ever was.
    Started {
        /// Which.
        unit: UnitId,
    },
    /// A server is new in the plan.
    Added {
        /// Which.
        unit: UnitId,
    },
    /// A start that waits in a queue waits anew: its job is submitted again, for more servers.
    QueuedAnew {
        /// Which.
        unit: UnitId,
    },
    /// A SLURM job that runs goes on with what it was submitted with.
    JobKept {
        /// Its id.
        job: String,
        /// What it would be submitted with no more.
        what: String,
    },
    /// A server ran, and does no more.
    StartedAgain {
        /// Which.
        unit: UnitId,
        /// What became of it.
        why: String,
    },
    /// A server does not run, and nobody asked for it to be started.
    Absent {
        /// Which.
        unit: UnitId,
    },
    /// A client that runs is stopped and goes on with what is missing.
    ClientRestarted {
        /// Which.
        unit: UnitId,
        /// What differs for it.
        why: String,
    },
    /// A client that runs is stopped if this takes longer than clients are left without a server.
    ClientHeld {
        /// Which.
        unit: UnitId,
        /// All servers of this model or service are away for a while.
        without: Name,
    },
    /// A client is started.
    ClientStarted {
        /// Which.
        unit: UnitId,
        /// Questions without a complete result.
        missing: usize,
        /// All questions; none where only a file tells the end.
        total: usize,
    },
    /// Results in error are asked again.
    AskedAgain {
        /// Of which evaluation.
        eval: EvalName,
        /// How many.
        errors: usize,
        /// By which rule.
        rule: RetryErrors,
        /// Only when nothing else is left to ask.
        later: bool,
    },
    /// Everything of the run is taken down: `when_done` says so, and nothing is left to do.
    TakenDown,
    /// A server is not used by a client that goes on.
    Unused {
        /// Which.
        unit: UnitId,
        /// By the client of which evaluation.
        eval: EvalName,
    },
    /// A server is not started since somebody drained it.
    StaysDrained {
        /// Which.
        unit: UnitId,
    },
    /// It runs, and the journal does not know that start.
    LeftAlone {
        /// Which.
        unit: UnitId,
    },
    /// It could not be looked at, and is neither started nor stopped as long as that is so.
    Unseen {
        /// Which.
        unit: UnitId,
        /// Why.
        why: String,
    },
    /// Calls to undeclared places are held against results: whoever asks for them ends with exit code 7.
    HeldAgainst {
        /// Of which evaluation.
        eval: EvalName,
    },
}

impl Act {
    /// Whether something that runs, or does not, is otherwise afterwards.
    pub fn is_change(&self) -> bool {
        !matches!(
            self,
            Self::Absent { .. }
                | Self::Unused { .. }
                | Self::StaysDrained { .. }
                | Self::LeftAlone { .. }
                | Self::Unseen { .. }
                | Self::JobKept { .. }
                | Self::HeldAgainst { .. }
                | Self::AskedAgain { later: true, .. }
        )
    }

    /// Whether a server is away for a while, or for good.
    fn leaves_without(&self) -> bool {
        self.is_change() || matches!(self, Self::Absent { .. } | Self::StaysDrained { .. })
    }
}

/// What is about to happen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Forecast {
    /// Every question of the evaluations that are wanted has its result already: nothing is started.
    pub complete: bool,
    /// What happens, and what keeps something from happening.
    pub acts: Vec<Act>,
    /// What would happen without evaluations, where their results keep it from happening.
    pub without_evals: Vec<Act>,
}

impl Forecast {
    /// Tells what an owner is about to do.
    pub fn of(outlook: &Outlook) -> Self {
        let complete = outlook.is_complete();
        let mut acts = Vec::new();
        let mut without_evals = Vec::new();
        if !complete {
            acts = outlook.acts();
        } else if outlook.plan.when_done == WhenDone::Down && outlook.lives {
            acts.push(Act::TakenDown);
        } else {
            let results = &BTreeMap::new();
            without_evals = Outlook {
                results,
                ..*outlook
            }
            .acts();
            without_evals.retain(Act::is_change);
        }
        let held = outlook.results.iter().filter(|(_, seen)| seen.held);
        acts.extend(held.map(|(eval, _)| Act::HeldAgainst { eval: eval.clone() }));
        Self {
            complete,
            acts,
            without_evals,
        }
    }

    /// All goes on as it is.
    pub fn changes_nothing(&self) -> bool {
        !self.complete && !self.acts.iter().any(Act::is_change)
    }
}

impl Outlook<'_> {
    fn is_complete(&self) -> bool {
        let over =
            |(eval, seen): (&EvalName, &ResultsSeen)| seen.finished && !self.is_due(eval, seen);
        !self.results.is_empty() && self.results.iter().all(over)
    }

    /// Whether results in error are asked again: once in a run.
    fn is_due(&self, eval: &EvalName, seen: &ResultsSeen) -> bool {
        let retry = self.state.evals.get(eval).map(|eval| eval.retry);
        seen.due > 0 && !matches!(retry, Some(Retry::Begun(_)))
    }

    fn acts(&self) -> Vec<Act> {
        let retired = self.changes.retired.iter().cloned();
        let mut acts: Vec<Act> = retired.map(|unit| Act::Stopped { unit }).collect();
        let mut away = BTreeSet::new();
        for unit in self.plan.servers() {
            let act = self.server(unit);
            if act.as_ref().is_some_and(Act::leaves_without) {
                away.insert(&unit.id);
            }
            acts.extend(act);
        }
        acts.extend(self.jobs_kept());
        for eval in &self.plan.evals {
            self.client(eval, &away, &mut acts);
        }
        let strange = self.changes.strange.iter().cloned();
        acts.extend(strange.map(|unit| Act::LeftAlone { unit }));
        acts
    }

    fn seen(&self, unit: &UnitId) -> &Observation {
        self.seen.get(unit).unwrap_or(&Observation::Never)
    }

    /// What becomes of a server of the plan; nothing if it goes on.
    fn server(&self, planned: &Unit) -> Option<Act> {
        let (unit, state) = (planned.id.clone(), self.state.unit(&planned.id));
        let replaced = self.changes.replaced.get(&unit);
        let seen = self.seen(&unit);
        let ending = state.phase == UnitPhase::Stopping;
        let kept = || self.changes.kept_by_job(self.plan, &unit, &state);
        if state.queued.is_some() && (self.grows(&unit) || kept().is_some()) {
            return Some(Act::QueuedAnew { unit });
        }
        match seen {
            // Its script is at work to end it.
            Observation::Unknown { why } if !ending || state.drained => Some(Act::Unseen {
                unit,
                why: why.clone(),
            }),
            Observation::Running(running) if state.launch.as_ref() != Some(&running.launch) => {
                match replaced.filter(|_| state.phase.may_live()) {
                    Some(why) => Some(Act::Restarted {
                        unit,
                        why: why.clone(),
                    }),
                    None => Some(Act::LeftAlone { unit }),
                }
            }
            Observation::Running(_) if state.drained => Some(Act::Stopped { unit }),
            Observation::Running(_) if ending => {
                let why = self.cut_short().to_owned();
                Some(Act::Restarted { unit, why })
            }
            Observation::Running(_) => {
                let why = replaced?.clone();
                Some(Act::Restarted { unit, why })
            }
            _ if state.drained => Some(Act::StaysDrained { unit }),
            _ if !self.asked.start_servers => Some(Act::Absent { unit }),
            _ if self.is_new(&unit, &state) => Some(if self.has_begun() {
                Act::Added { unit }
            } else {
                Act::Started { unit }
            }),
            _ => {
                let why = self.end_of(&state, seen);
                Some(Act::StartedAgain { unit, why })
            }
        }
    }

    /// Jobs that run, and go on with what they were submitted with.
    fn jobs_kept(&self) -> Vec<Act> {
        let units = self.plan.servers().map(|unit| &unit.id);
        let kept = units.filter_map(|unit| {
            let state = self.state.unit(unit);
            let runs = state.phase.may_live() && state.queued.is_none();
            let what = self.changes.kept_by_job(self.plan, unit, &state);
            Some((state.handle?.native, what.filter(|_| runs)?))
        });
        let jobs: BTreeMap<String, String> = kept.collect();
        let act = |(job, what)| Act::JobKept { job, what };
        jobs.into_iter().map(act).collect()
    }

    /// Its job gets a server that it was not submitted with.
    fn grows(&self, unit: &UnitId) -> bool {
        let mut jobs = self.plan.jobs.iter();
        let job = jobs.find(|job| job.units.contains(unit));
        job.is_some_and(|job| {
            job.units
                .iter()
                .any(|unit| self.changes.added.contains(unit))
        })
    }

    /// It never ran, or the run's plan had it no longer.
    fn is_new(&self, unit: &UnitId, state: &UnitState) -> bool {
        let had = self.before.is_none_or(|plan| plan.unit(unit).is_some());
        state.generation == Generation(0) || !had
    }

    /// Something of the run was ever started.
    fn has_begun(&self) -> bool {
        let mut units = self.state.units.values();
        units.any(|unit| unit.generation > Generation(0))
    }

    fn cut_short(&self) -> &'static str {
        if self.state.down.is_some() {
            "`down` cut short"
        } else {
            "stop cut short"
        }
    }

    /// What became of a server that ran and does no more.
    fn end_of(&self, state: &UnitState, seen: &Observation) -> String {
        let recorded = state.exit.as_ref();
        let recorded = recorded.filter(|exit| exit.generation == state.generation);
        match (&state.phase, seen) {
            (UnitPhase::GaveUp(_), _) => "given up".to_owned(),
            (UnitPhase::Stopping, _) => self.cut_short().to_owned(),
            (UnitPhase::Stopped, _) if self.state.down.is_some() => self.cut_short().to_owned(),
            (_, Observation::Exited(exit)) if state.launch.as_ref() == Some(&exit.launch) => {
                how_it_ended(exit)
            }
            (UnitPhase::Intended, Observation::Never | Observation::Exited(_)) => {
                "start cut short".to_owned()
            }
            (UnitPhase::Exited | UnitPhase::Stopped | UnitPhase::Planned, Observation::Never) => {
                recorded.map_or_else(|| "it does not run".to_owned(), how_it_ended)
            }
            _ => "its process is gone".to_owned(),
        }
    }

    /// What becomes of a client, with these servers away for a while.
    fn client(&self, eval: &EvalPlan, away: &BTreeSet<&UnitId>, acts: &mut Vec<Act>) {
        let (unit, state) = (eval.unit.clone(), self.state.unit(&eval.unit));
        let wanted = self.results.get(&eval.name);
        let replaced = self.changes.replaced.contains_key(&unit);
        let ending = state.phase == UnitPhase::Stopping;
        match (self.seen(&unit), wanted) {
            (Observation::Unknown { why }, _) if !ending => acts.push(Act::Unseen {
                unit,
                why: why.clone(),
            }),
            (Observation::Running(running), _)
                if state.launch.as_ref() != Some(&running.launch) =>
            {
                acts.push(Act::LeftAlone { unit });
            }
            (Observation::Running(_), None) if replaced => acts.push(Act::Stopped { unit }),
            (Observation::Running(_), Some(seen)) => {
                // Whoever has an answer to every question needs no server.
                let none = BTreeSet::new();
                let away = if seen.finished { &none } else { away };
                self.running_client(eval, away, acts);
                acts.extend(self.asked_again(eval, seen, true));
            }
            (_, Some(seen)) => self.next_client(eval, seen, acts),
            _ => {}
        }
    }

    fn running_client(&self, eval: &EvalPlan, away: &BTreeSet<&UnitId>, acts: &mut Vec<Act>) {
        let unit = eval.unit.clone();
        let mut unknown = self.state.unknown_to(self.plan, &eval.name);
        unknown.retain(|unit| !self.state.unit(unit).drained);
        let why = self.renewal(eval, &unknown);
        if !why.is_empty() {
            let why = why.join(", ");
            return acts.push(Act::ClientRestarted { unit, why });
        }
        let required = self.plan.groups.iter();
        let required = required.filter(|group| eval.requires.contains(&group.name));
        let bereft = required.filter(|group| {
            let mut ends = group.endpoints.iter();
            !group.endpoints.is_empty() && ends.all(|end| away.contains(&end.unit))
        });
        acts.extend(bereft.map(|group| Act::ClientHeld {
            unit: unit.clone(),
            without: group.name.clone(),
        }));
        acts.extend(unknown.into_iter().map(|unit| Act::Unused {
            unit,
            eval: eval.name.clone(),
        }));
    }

    /// Why a client that runs is started again; nothing if it goes on.
    fn renewal(&self, eval: &EvalPlan, unknown: &BTreeSet<UnitId>) -> Vec<String> {
        let mut why: Vec<String> = Vec::new();
        if self.state.unit(&eval.unit).phase == UnitPhase::Stopping {
            why.push(self.cut_short().to_owned());
        }
        if self
            .state
            .evals
            .get(&eval.name)
            .is_some_and(|eval| eval.held.is_some())
        {
            why.push("it was held".to_owned());
        }
        why.extend(self.changes.replaced.get(&eval.unit).cloned());
        if eval.on_move != OnMove::Ignore {
            let moved = self.state.moved(&self.placed(), &eval.name);
            why.extend(moved.iter().map(|unit| match self.plan.unit(unit) {
                Some(_) => format!("{unit} moves"),
                None => format!("{unit} goes"),
            }));
        }
        if self.asked.restart_evals {
            why.extend(unknown.iter().map(|unit| format!("{unit} is new")));
        }
        why
    }

    /// The plan with each server that goes on where it was told to listen.
    fn placed(&self) -> Plan {
        let mut state = self.state.clone();
        (state.units).retain(|unit, _| !self.changes.replaced.contains_key(unit));
        let mut plan = self.plan.clone();
        state.place_units(&mut plan);
        plan
    }

    /// A client does not run.
    fn next_client(&self, eval: &EvalPlan, seen: &ResultsSeen, acts: &mut Vec<Act>) {
        if !seen.finished {
            acts.push(Act::ClientStarted {
                unit: eval.unit.clone(),
                missing: seen.missing,
                total: seen.total,
            });
        }
        acts.extend(self.asked_again(eval, seen, !seen.finished));
    }

    fn asked_again(&self, eval: &EvalPlan, seen: &ResultsSeen, later: bool) -> Option<Act> {
        self.is_due(&eval.name, seen).then(|| Act::AskedAgain {
            eval: eval.name.clone(),
            errors: seen.due,
            rule: eval.retry_errors,
            later,
        })
    }
}

fn how_it_ended(exit: &Exit) -> String {
    match exit {
        Exit {
            requested: true, ..
        } => "it was stopped".to_owned(),
        Exit {
            signal: Some(signal),
            ..
        } => format!("{signal} ended it"),
        Exit {
            code: Some(code),
            reason: None,
            ..
        } => format!("exit code {code}"),
        Exit {
            reason: Some(reason),
            ..
        } => reason.clone(),
        _ => "nobody knows how it ended".to_owned(),
    }
}
