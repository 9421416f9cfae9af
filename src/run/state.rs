//! The state of a run: the fold of its events, and nothing else.

use std::collections::BTreeMap;

use super::alarms::AlarmState;
use super::books::Books;
use super::event::{Event, Record};
use super::{EvalState, UnitPhase, UnitState};
use crate::base::{ConfigName, Epoch, EvalName, RunId, Timestamp, UnitId};

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Phase {
    /// Nothing was recorded.
    #[default]
    New,
    /// It goes on.
    Running,
    /// It is over, with this exit code.
    Ended(u8),
}

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunState {
    /// How far it is.
    pub phase: Phase,
    /// Its name.
    pub run: Option<RunId>,
    /// SHA-256 of the plan it follows.
    pub plan_sha256: String,
    /// When it began.
    pub since: Timestamp,
    /// `up --rebuild` began its journal then, and what was before is not known.
    pub rebuilt: bool,
    /// The last line's number.
    pub seq: u64,
    /// The highest epoch seen.
    pub epoch: Epoch,
    /// Who watches, or watched last.
    pub owner: Option<Owner>,
    /// The YAML that its last owner followed, links resolved.
    pub yaml: Option<String>,
    /// Units that were ever started or judged.
    pub units: BTreeMap<UnitId, UnitState>,
    /// Client configurations by name, as last written.
    pub configs: BTreeMap<ConfigName, ConfigState>,
    /// Evaluations.
    pub evals: BTreeMap<EvalName, EvalState>,
    /// Alarms of the last owner, oldest first.
    pub alarms: Vec<AlarmState>,
    /// What servers counted while clients ran.
    pub books: Books,
    /// The `toolorch down` that ended it; where it goes on, one that has not come to its end.
    pub down: Option<Owner>,
}

/// A process that took the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its host.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
    /// That it left, if it said so; a killed one could not.
    pub left: Option<Left>,
}

/// A controller that said that it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
}

/// A client configuration that was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigState {
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Where it says that each server is asked: `host:port`.
    pub named: BTreeMap<UnitId, String>,
}

impl RunState {
    /// The state after all these records.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut state = Self::default();
        for record in records {
            state.apply(record);
        }
        state
    }

    /// Takes one more record. Records of a superseded epoch change nothing.
    pub fn apply(&mut self, record: &Record) {
        if record.epoch < self.epoch {
            return;
        }
        self.epoch = record.epoch;
        self.seq = record.seq;
        let at = record.at;
        self.end_alarms(at, &record.event);
        match &record.event {
            Event::RunStarted {
                run,
                plan_sha256,
                rebuilt,
                ..
            } => {
                self.rebuilt = *rebuilt;
                self.phase = Phase::Running;
                self.run = Some(run.clone());
                self.plan_sha256.clone_from(plan_sha256);
                self.since = at;
            }
            Event::OwnerTook { host, pid, yaml } => {
                self.yaml.clone_from(yaml);
                self.phase = Phase::Running;
                // What an earlier owner was alarmed of may be mended; who still sees it says it again.
                self.alarms.clear();
                self.down = None;
                self.books.taken();
                self.owner = Some(Owner {
                    host: host.clone(),
                    pid: *pid,
                    since: at,
                    left: None,
                });
                // The time without an owner says nothing about the pace.
                self.evals.values_mut().for_each(|eval| eval.recent.clear());
                self.judge_afresh();
            }
            Event::DownBegan { host, pid } => {
                self.down = Some(Owner {
                    host: host.clone(),
                    pid: *pid,
                    since: at,
                    left: None,
                });
            }
            Event::ConfigWritten {
                config,
                sha256,
                named,
                ..
            } => {
                let (sha256, named) = (sha256.clone(), named.clone());
                self.configs
                    .insert(config.clone(), ConfigState { sha256, named });
            }
            Event::EvalProgress { .. }
            | Event::OutsideCall { .. }
            | Event::Routed { .. }
            | Event::EvalSlowed { .. }
            | Event::EvalHeld { .. }
            | Event::EvalResumed { .. }
            | Event::EvalEnded { .. }
            | Event::EvalWaits { .. }
            | Event::EvalDegraded { .. }
            | Event::RetryIntended { .. } => {
                self.apply_eval(at, &record.event);
            }
            Event::BooksOpened {
                eval,
                mark,
                servers,
                unread,
            } => self.books.open(at, eval, *mark, servers, unread),
            Event::ServerCounted { served } => self.books.server_ended(served),
            Event::BooksClosed { servers, unread } => self.books.close(servers, unread),
            Event::Alarm { alarm, unit, text } => self.alarms.push(AlarmState {
                at,
                alarm: alarm.clone(),
                unit: unit.clone(),
                text: text.clone(),
                over: None,
            }),
            Event::OwnerLeft { why, .. } => {
                if let Some(owner) = &mut self.owner {
                    let why = why.clone();
                    owner.left = Some(Left { at, why });
                }
            }
            Event::RunEnded { code, .. } => self.phase = Phase::Ended(*code),
            event => self.apply_unit(at, event),
        }
    }

    /// A new owner tries again what an earlier one gave up, with a budget of its own.
    fn judge_afresh(&mut self) {
        for unit in self.units.values_mut() {
            if !unit.phase.may_live() {
                unit.phase = UnitPhase::Planned;
            }
            // What an earlier owner was stopping comes to its end and is started anew, too.
            if matches!(unit.phase, UnitPhase::Planned | UnitPhase::Stopping) {
                unit.starts.clear();
            }
        }
        for eval in self.evals.values_mut() {
            eval.verdict = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Generation, LaunchId, UnitId};
    use crate::run::StopWhy;

    #[test]
    fn only_an_end_that_was_seen_settles_a_start() {
        let unit = UnitId::new("a");
        let mut state = RunState::default();
        let mut settled = |event: Option<Event>| {
            if let Some(event) = event {
                state.apply(&Record {
                    v: Record::FORMAT,
                    seq: state.seq + 1,
                    at: Timestamp(state.seq),
                    epoch: Epoch(1),
                    event,
                });
            }
            state.is_settled(&UnitId::new("a"))
        };
        let intended = |generation| Event::LaunchIntended {
            unit: UnitId::new("a"),
            generation: Generation(generation),
            launch: LaunchId::new("l"),
            script: None,
        };
        let stopped = |generation| Event::Stopped {
            unit: UnitId::new("a"),
            generation: Generation(generation),
        };
        assert!(settled(None), "it was never started");
        assert!(!settled(Some(intended(1))), "it may have been");
        let failed = Event::LaunchFailed {
            unit,
            generation: Generation(1),
            why: "no answer".to_owned(),
        };
        assert!(!settled(Some(failed)), "nobody knows what came of it");
        assert!(settled(Some(stopped(1))));
        assert!(!settled(Some(intended(2))));
        assert!(!settled(Some(stopped(1))), "of the start before");
        let took = Event::OwnerTook {
            host: "h".to_owned(),
            pid: 1,
            yaml: None,
        };
        assert!(settled(Some(stopped(2))) && settled(Some(took)));
        state.rebuilt = true;
        assert!(state.is_settled(&UnitId::new("a")));
        assert!(!state.is_settled(&UnitId::new("b")), "who knows");
    }

    #[test]
    fn a_stop_that_an_earlier_owner_began_uses_nothing_of_the_budget() {
        let unit = UnitId::new("a");
        let took = || Event::OwnerTook {
            host: "here".to_owned(),
            pid: 1,
            yaml: None,
        };
        let intended = |generation| Event::LaunchIntended {
            unit: UnitId::new("a"),
            generation: Generation(generation),
            launch: LaunchId::new(format!("l{generation}")),
            script: None,
        };
        let down = Event::StopIntended {
            unit: unit.clone(),
            generation: Generation(2),
            why: StopWhy::Down,
        };
        let mut state = RunState::default();
        let mut starts = |epoch: u64, event: Event| {
            state.apply(&Record {
                v: Record::FORMAT,
                seq: state.seq + 1,
                at: Timestamp(state.seq),
                epoch: Epoch(epoch),
                event,
            });
            state.unit(&unit).starts.len()
        };
        starts(1, took());
        starts(1, intended(1));
        assert_eq!(starts(1, intended(2)), 2);
        assert_eq!(starts(2, down), 2);
        assert_eq!(starts(3, took()), 0);
    }
}
