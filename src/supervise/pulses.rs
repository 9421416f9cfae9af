//! Ready servers are looked at from time to time; what follows for those that do not live.

use std::collections::{BTreeMap, BTreeSet};

use super::brain::Brain;
use super::effect::{Ask, Effect};
use super::liveness::{LOOK_EVERY, Nature, Vital};
use super::slow::{Found, Pace, REVIEW_EVERY, review};
use super::stops::Then;
use crate::base::{Generation, Millis, Timestamp, UnitId};
use crate::facts::{Liveness, Pulse};
use crate::plan::{Rung, Unit, UnitKind};
use crate::run::{Event, StopWhy, UnitPhase};

/// The vital signs of all ready servers, and whose turn comes when.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    of: BTreeMap<UnitId, (Vital, Pace)>,
    due: BTreeSet<(Timestamp, UnitId)>,
    /// When paces are compared.
    review: Option<Timestamp>,
}

impl Vitals {
    /// When somebody's turn comes.
    pub(super) fn wakes(&self) -> Option<Timestamp> {
        let first = self.due.first().map(|(at, _)| *at);
        [first, self.review].into_iter().flatten().min()
    }

    /// Nobody looked for a while.
    pub(super) fn reset(&mut self, now: Timestamp) {
        self.due.clear();
        for (unit, (vital, pace)) in &mut self.of {
            vital.reset(now);
            *pace = pace.anew();
            self.due.extend(turn(vital).map(|at| (at, unit.clone())));
        }
        self.review = self.review.map(|_| now + REVIEW_EVERY);
    }

    fn add(&mut self, unit: &UnitId, vital: Vital, now: Timestamp) {
        self.remove(unit);
        self.due.extend(turn(&vital).map(|at| (at, unit.clone())));
        self.of.insert(unit.clone(), (vital, Pace::default()));
        self.review.get_or_insert(now + REVIEW_EVERY);
    }

    fn remove(&mut self, unit: &UnitId) {
        if let Some((vital, _)) = self.of.remove(unit)
            && let Some(at) = turn(&vital)
        {
            self.due.remove(&(at, unit.clone()));
        }
    }

    /// Lets something happen to a unit's signs, and puts its next turn into the row.
    fn change<T>(
        &mut self,
        unit: &UnitId,
        change: impl FnOnce(&mut Vital, &mut Pace) -> T,
    ) -> Option<T> {
        let (vital, pace) = self.of.get_mut(unit)?;
        let before = turn(vital);
        let done = change(vital, pace);
        let after = turn(vital);
        if before != after {
            if let Some(at) = before {
                self.due.remove(&(at, unit.clone()));
            }
            self.due.extend(after.map(|at| (at, unit.clone())));
        }
        Some(done)
    }

    /// It is judged by what it does from now on, and looked at as soon as may be.
    pub(super) fn begin_anew(&mut self, unit: &UnitId, now: Timestamp) {
        self.change(unit, |vital, _| {
            vital.reset(now);
            vital.look_soon(now);
        });
    }

    /// When it last answered anything.
    pub(super) fn answered(&self, unit: &UnitId) -> Option<Timestamp> {
        self.of.get(unit).map(|(vital, _)| vital.answered())
    }

    fn whose_turn(&self, now: Timestamp) -> Vec<UnitId> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, unit)| unit.clone()).collect()
    }
}

impl Brain {
    /// A server is ready: from now on its life is watched.
    pub(super) fn watch_life(&mut self, unit: &UnitId, generation: Generation, now: Timestamp) {
        let Some((place, nature)) = self.nature(unit) else {
            return;
        };
        // Each has its own moment, so that a thousand are not asked at once.
        let offset = place as u64 * 617 % LOOK_EVERY.0 + 1;
        let vital = Vital::new(nature, generation, now, now + Millis(offset));
        self.vitals.add(unit, vital, now);
    }

    fn nature(&self, id: &UnitId) -> Option<(usize, Nature)> {
        let place = self.plan.units.iter().position(|unit| &unit.id == id)?;
        let unit = &self.plan.units[place];
        Some((place, nature(unit)?))
    }

    /// Asks whose turn it is, and compares paces.
    pub(super) fn advance_pulses(&mut self, now: Timestamp) {
        for unit in self.vitals.whose_turn(now) {
            if !self.is_watched(&unit) {
                self.vitals.remove(&unit);
                continue;
            }
            let asked = self
                .vitals
                .change(&unit, |vital, _| (vital.generation, vital.ask(now)));
            let Some((generation, asked)) = asked else {
                continue;
            };
            let deep = asked.deep;
            for (wanted, what) in [
                (asked.look, Ask::Look { deep }),
                (asked.canary, Ask::Canary),
            ] {
                if wanted {
                    let unit = unit.clone();
                    self.ask(Effect::Pulse {
                        unit,
                        generation,
                        what,
                    });
                }
            }
        }
        if self.vitals.review.is_some_and(|at| at <= now) {
            self.review_paces(now);
        }
    }

    /// It is ready, in the start that is watched, and nothing is being done about it.
    fn is_watched(&self, unit: &UnitId) -> bool {
        let Some(state) = self.state.units.get(unit) else {
            return false;
        };
        let watched = self.vitals.of.get(unit).map(|(vital, _)| vital.generation);
        matches!(state.phase, UnitPhase::Ready(_))
            && watched == Some(state.generation)
            && !self.tasks.contains_key(unit)
    }

    /// A look or a canary came back.
    pub(super) fn pulsed(
        &mut self,
        unit: &UnitId,
        generation: Generation,
        pulse: Pulse,
        now: Timestamp,
    ) {
        let watched = self.vitals.of.get(unit);
        if watched.is_none_or(|(vital, _)| vital.generation != generation) || !self.is_watched(unit)
        {
            return;
        }
        let pulse = self.through_tunnel(unit, pulse);
        let pulse = self.beside_node(unit, pulse);
        let mut fails = None;
        let heard = self.vitals.change(unit, |vital, pace| match pulse {
            Pulse::Canary(canary) => {
                fails = vital.fails(&canary);
                (vital.canary(&canary, now), 0)
            }
            Pulse::Look(look) => {
                let (verdict, moved) = vital.look(look, now);
                pace.add(moved);
                (verdict, moved.tokens)
            }
        });
        let Some((verdict, tokens)) = heard else {
            return;
        };
        if tokens > 0 {
            self.tokens_came(now);
        }
        if let Some(status) = fails {
            let text = format!(
                "`{unit}` answers each completion that it is asked for with {status}; its log says why: toolorch logs {unit}"
            );
            self.alarm("completions-fail", Some(unit), text, now);
        }
        match verdict {
            None => {}
            Some((Liveness::Unreached, why)) => self.out_of_reach(unit, why, now),
            Some((Liveness::Well, why)) => self.judged(unit, Liveness::Well, why, now),
            Some((_, why)) if self.suspects_tunnel(unit, &why, now) => {}
            Some((verdict, why)) => self.ends_life(unit, verdict, why, now),
        }
    }

    /// Whether it lives only its node could tell: it is left alone.
    fn out_of_reach(&mut self, unit: &UnitId, why: String, now: Timestamp) {
        let what = match self.no_way_to(unit) {
            Some(_) => format!("`{unit}` cannot be asked: {why}"),
            None if self.in_jobs.contains(unit) => format!("`{unit}` does not answer: {why}"),
            None => format!("`{unit}` does not answer, and its node cannot be asked: {why}"),
        };
        let text = format!("{what}; it is neither stopped nor started");
        self.alarm("out-of-reach", Some(unit), text, now);
        self.judged(unit, Liveness::Unreached, why, now);
    }

    /// It is not alive: its whole tree goes, and it is started again within its budget.
    fn ends_life(&mut self, unit: &UnitId, verdict: Liveness, why: String, now: Timestamp) {
        self.vitals.remove(unit);
        let word = match verdict {
            Liveness::Closed => "port-closed",
            Liveness::Estranged => "model-gone",
            _ => "stalled-server",
        };
        self.alarm(
            word,
            Some(unit),
            format!("`{unit}`: {why}; all of it is ended, and it is started again"),
            now,
        );
        self.judged(unit, verdict, why, now);
        self.stop(unit, StopWhy::Lifeless, Then::Again, now);
    }

    fn judged(&mut self, unit: &UnitId, liveness: Liveness, why: String, now: Timestamp) {
        let generation = self.state.unit(unit).generation;
        let unit = unit.clone();
        self.record(
            Event::Judged {
                unit,
                generation,
                liveness,
                why,
            },
            now,
        );
    }

    /// Compares each server with its peers.
    fn review_paces(&mut self, now: Timestamp) {
        self.vitals.review = (!self.vitals.of.is_empty()).then_some(now + REVIEW_EVERY);
        let mut news = Vec::new();
        for group in &self.plan.groups {
            let units: BTreeSet<&UnitId> = group.endpoints.iter().map(|end| &end.unit).collect();
            let (names, mut paces): (Vec<&UnitId>, Vec<&mut Pace>) = (self.vitals.of.iter_mut())
                .filter(|(unit, _)| units.contains(unit))
                .map(|(unit, (_, pace))| (unit, pace))
                .unzip();
            for (place, found) in review(&mut paces) {
                news.push((names[place].clone(), found));
            }
        }
        for (unit, found) in news
            .into_iter()
            .filter(|(unit, _)| self.is_watched(unit))
            .collect::<Vec<_>>()
        {
            match found {
                Found::Slow(rate, median) => {
                    let why = format!(
                        "it writes {rate:.1} tokens a second for each request, its peers {median:.1}, for ten minutes"
                    );
                    let advice =
                        "look at its GPU's clock, temperature and errors (`nvidia-smi -q`)";
                    self.alarm(
                        "slow-server",
                        Some(&unit),
                        format!("`{unit}`: {why}; {advice}"),
                        now,
                    );
                    self.judged(&unit, Liveness::Slow, why, now);
                }
                Found::Mended => {
                    let why = "it keeps up with its peers again".to_owned();
                    self.judged(&unit, Liveness::Well, why, now);
                }
            }
        }
    }
}

/// Turns come at the same moments for many: a thousand servers would wake us three hundred times a second.
const GRAIN: u64 = 100;

/// When something is to be asked of a server.
fn turn(vital: &Vital) -> Option<Timestamp> {
    let at = vital.wakes()?;
    Some(Timestamp(at.0.next_multiple_of(GRAIN)))
}

/// What a server can show; none for a client.
fn nature(unit: &Unit) -> Option<Nature> {
    let has = |wanted: fn(&Rung) -> bool| unit.ready.rungs.iter().any(wanted);
    unit.port?;
    match &unit.kind {
        // ssh itself notices when the other end is silent; and who knocks at its port knocks at a server.
        UnitKind::Eval { .. } | UnitKind::Tunnel { .. } => None,
        UnitKind::Replica { .. } => Some(Nature::Engine {
            on_gpus: !unit.gpus.is_empty(),
        }),
        UnitKind::Service { .. } if has(|rung| matches!(rung, Rung::Health { .. })) => {
            Some(Nature::Service)
        }
        UnitKind::Service { .. } => Some(Nature::Listener),
    }
}
