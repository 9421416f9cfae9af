//! What follows a death that nobody asked for: swept, then another start, or none.

use super::brain::Brain;
use super::restart::{Again, again};
use super::stops::Then;
use super::tasks::Task;
use crate::base::{Timestamp, UnitId};
use crate::facts::{Exit, LogCause};
use crate::run::{Event, GaveUp, StopWhy, UnitPhase};

impl Brain {
    /// A unit ended and this owner did not ask for it.
    ///
    /// Its script sweeps all that is of it before it records an end.  An end without that record
    /// proves nothing: whatever is left of it goes first.
    pub(super) fn exited(&mut self, unit: &UnitId, mut exit: Exit, now: Timestamp) {
        // What servers say of their deaths means nothing in a client's log, which quotes them.
        if self.server(unit).is_none() {
            exit.cause = None;
        }
        if self.is_tunnel(unit) {
            exit.cause = LogCause::of_ssh(&exit.tail).map(Box::new);
        }
        let was_ready = matches!(self.phase(unit), UnitPhase::Ready(_));
        let recorded = exit.code.is_some() || exit.requested;
        let rising = self.server(unit).is_some() && !was_ready;
        let permanent = permanent_cause(&exit, rising);
        self.record(
            Event::Exited {
                unit: unit.clone(),
                exit,
            },
            now,
        );
        if recorded {
            self.after_death(unit, permanent, now);
        } else {
            self.stop(unit, StopWhy::Remnants, Then::Again, now);
        }
    }

    /// Nothing of it is left: started again within the budget, unless that would end the same way.
    pub(super) fn after_death(&mut self, unit: &UnitId, permanent: Option<String>, now: Timestamp) {
        self.tasks.remove(unit);
        let Some(server) = self.server(unit) else {
            self.client_ended(unit, permanent);
            return;
        };
        if self.is_drained(unit) {
            return;
        }
        let rule = server.restart;
        if let Some(why) = permanent {
            return self.give_up(unit, GaveUp::Permanent { why }, now);
        }
        match again(rule, &self.state.unit(unit).starts, now) {
            Again::At(at) => {
                self.tasks.insert(unit.clone(), Task::Backoff { at });
            }
            Again::Spent(starts) => self.give_up(unit, GaveUp::Budget { starts }, now),
        }
    }

    /// A server is not started again; evaluations that run without it hear of it.
    pub(super) fn give_up(&mut self, unit: &UnitId, why: GaveUp, now: Timestamp) {
        self.tasks.remove(unit);
        self.record(
            Event::GaveUp {
                unit: unit.clone(),
                why,
            },
            now,
        );
        let Some(group) = (self.plan.groups.iter())
            .find(|group| group.endpoints.iter().any(|end| &end.unit == unit))
        else {
            return;
        };
        let name = group.name.clone();
        let all = group.endpoints.len();
        let left = (group.endpoints.iter())
            .filter(|end| self.settled(&end.unit) != Some(false))
            .count();
        for eval in self.evals_running_on(&name) {
            let text = format!(
                "`{unit}` is gone for good while `{eval}` runs: `{name}` has {left} of {all} servers left"
            );
            self.alarm("server-lost", Some(unit), text, now);
        }
    }
}

/// Exit codes with which the unit script itself refuses a start for good: usage, missing
/// configuration.
const REFUSALS: [i32; 2] = [64, 78];

/// Why starting it again would end the same way, if it would.  A log is read for that only while
/// a server comes up: one that was ready has shown that its settings work.
fn permanent_cause(exit: &Exit, rising: bool) -> Option<String> {
    if exit.requested && exit.reason.is_none() {
        let who = match exit.cancelled {
            Some(job) => format!("its SLURM job {job} was cancelled (scancel)"),
            None => "somebody stopped it".to_owned(),
        };
        return Some(format!("{who}; run `toolorch up` again to start it"));
    }
    if let (Some(code), Some(reason)) = (exit.code, &exit.reason)
        && REFUSALS.contains(&code)
    {
        return Some(reason.clone());
    }
    if !rising {
        return None;
    }
    let tail = || LogCause::read(exit.tail.iter().map(String::as_str));
    let found = exit.cause.as_deref().cloned().or_else(tail)?;
    (found.permanent).then(|| format!("{}; {}", found.cause, found.fix))
}
