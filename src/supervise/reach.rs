//! Externals are knocked at while an evaluation needs them.
//!
//! One that never answered us proves nothing by being silent: clients may have a way there that we do not.

use std::collections::BTreeMap;

use super::brain::Brain;
use super::effect::Effect;
use super::evals::Stage;
use crate::base::{Millis, Name, Timestamp};

/// How often an external that is there is asked.
const REACH_EVERY: Millis = Millis::from_secs(15);
/// How often one that is not.
const REACH_AGAIN: Millis = Millis::from_secs(5);
/// How long its answer is waited for.
pub(super) const REACH_PATIENCE: Millis = Millis::from_secs(10);

/// What is known of externals.
#[derive(Debug, Default)]
pub(super) struct Externals(BTreeMap<Name, External>);

#[derive(Debug, Default)]
struct External {
    /// When it is asked; none while an answer is on its way.
    next: Option<Timestamp>,
    /// It has answered once.
    met: bool,
    /// Why it is gone, where it is.
    gone: Option<String>,
}

impl Externals {
    /// Those that answered once and do no longer, and why.
    pub(super) fn gone(&self) -> impl Iterator<Item = (&Name, &str)> {
        self.0
            .iter()
            .filter_map(|(name, external)| Some((name, external.gone.as_deref()?)))
    }

    /// Nobody looked for a while.
    pub(super) fn reset(&mut self) {
        self.0
            .values_mut()
            .for_each(|external| external.gone = None);
    }

    pub(super) fn wakes(&self) -> Option<Timestamp> {
        self.0.values().filter_map(|external| external.next).min()
    }
}

impl Brain {
    /// Asks externals that running or held evaluations require.
    pub(super) fn advance_reach(&mut self, now: Timestamp) {
        if self.plan.externals.is_empty() {
            return;
        }
        let wanted: Vec<Name> = (self.plan.externals.iter())
            .map(|external| &external.name)
            .filter(|name| self.is_needed(name))
            .cloned()
            .collect();
        self.externals
            .0
            .retain(|name, external| external.next.is_none() || wanted.contains(name));
        for name in wanted {
            let external = self.externals.0.entry(name.clone()).or_insert(External {
                next: Some(now),
                ..External::default()
            });
            if external.next.is_some_and(|at| at <= now) {
                external.next = None;
                self.ask(Effect::Reach { external: name });
            }
        }
    }

    fn is_needed(&self, external: &Name) -> bool {
        self.goal.evals.iter().any(|eval| {
            let at_work = *self.stage(eval) == Stage::Running || self.held(eval).is_some();
            at_work
                && self
                    .plan
                    .eval(eval)
                    .is_some_and(|plan| plan.requires.contains(external))
        })
    }

    /// An external answered, or did not.
    pub(super) fn reached(&mut self, name: &Name, result: Result<(), String>, now: Timestamp) {
        let Some(external) = self.externals.0.get_mut(name) else {
            return;
        };
        external.met |= result.is_ok();
        external.gone = result.err().filter(|_| external.met);
        let pause = if external.gone.is_some() {
            REACH_AGAIN
        } else {
            REACH_EVERY
        };
        external.next = Some(now + pause);
    }
}
