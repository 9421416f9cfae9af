//! Units that run and are not those of the plan: what is changed stops and starts again, the rest is left alone.

use std::collections::{BTreeMap, BTreeSet};

use super::brain::Brain;
use super::evals::Stage;
use super::stops::Then;
use super::watch::Ending;
use crate::base::{EvalName, Timestamp, UnitId};
use crate::run::{Changes, StopWhy};
use crate::spec::model::OnMove;

/// What an owner is to do about what runs already, beside watching it.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// What the plan changes.
    pub changes: Changes,
    /// Clients are started again as soon as there are servers that they do not know.
    pub restart_evals: bool,
    /// SHA-256 of each unit's script, to be written down with its start.
    pub scripts: BTreeMap<UnitId, String>,
}

impl Brain {
    /// Units that live and that the plan has no longer.
    pub fn retired(&self) -> impl Iterator<Item = &UnitId> {
        self.wishes.changes.retired.iter()
    }

    /// Stops what the plan changes.
    pub(super) fn fulfil_wishes(&mut self, now: Timestamp) {
        let Changes {
            replaced, retired, ..
        } = self.wishes.changes.clone();
        for (eval, unit) in self.clients() {
            let moved = !self.state.moved(&self.plan, &eval).is_empty();
            let heeded = self
                .plan
                .eval(&eval)
                .is_some_and(|eval| eval.on_move != OnMove::Ignore);
            if replaced.contains_key(&unit) {
                self.renew(&eval, StopWhy::Changed, "its settings changed", now);
            } else if moved && heeded {
                self.renew(&eval, StopWhy::NewEndpoints, "its endpoints moved", now);
            }
        }
        let retired = retired.into_iter().map(|unit| (unit, Then::Rest));
        let replaced = replaced.into_keys().map(|unit| (unit, Then::Anew));
        for (unit, then) in retired.chain(replaced).collect::<Vec<_>>() {
            if self.state.unit(&unit).phase.may_live() && !self.is_stopping(&unit) {
                self.stop(&unit, StopWhy::Changed, then, now);
            }
        }
    }

    /// Clients that run.
    pub(super) fn clients(&self) -> Vec<(EvalName, UnitId)> {
        let evals = self.goal.evals.iter();
        evals
            .filter(|eval| *self.stage(eval) == Stage::Running)
            .filter_map(|eval| self.plan.eval(eval))
            .map(|eval| (eval.name.clone(), eval.unit.clone()))
            .collect()
    }

    /// A client is stopped and goes on with what is missing; that is nobody's fault.
    pub(super) fn renew(&mut self, eval: &EvalName, why: StopWhy, how: &str, now: Timestamp) {
        self.stop_client(eval, Ending::renewed(how), why, now);
    }

    /// What is changed comes to its end before anything starts: another may want its port.
    pub(super) fn changing(&self) -> bool {
        let Changes {
            replaced, retired, ..
        } = &self.wishes.changes;
        let mut units = replaced.keys().chain(retired);
        units.any(|unit| self.is_stopping(unit))
    }

    /// Clients hear of servers that came to be after them, where that is wished; else people do.
    pub(super) fn widen_clients(&mut self, now: Timestamp) {
        for (eval, unit) in self.clients() {
            let ready = |unit: &UnitId| self.settled(unit) == Some(true);
            let unknown = self.state.unknown_to(&self.plan, &eval);
            let unused: BTreeSet<UnitId> = unknown.into_iter().filter(ready).collect();
            if unused.is_empty() || self.is_stopping(&unit) {
                continue;
            }
            if self.wishes.restart_evals {
                // Once for all of them.
                if self.servers_settled() {
                    self.renew(&eval, StopWhy::NewEndpoints, "it gets new endpoints", now);
                }
                continue;
            }
            let told = &mut self.eval_work(&eval).told_unused;
            let news: Vec<&str> = unused.difference(told).map(UnitId::as_str).collect();
            if news.is_empty() {
                continue;
            }
            let text = format!(
                "ready, and unused by the running client of `{eval}`: {}; to make it use them: toolorch up --restart-eval",
                news.join(", ")
            );
            told.extend(unused.iter().cloned());
            self.alarm("unused", Some(&unit), text, now);
        }
    }
}
