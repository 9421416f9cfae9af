//! Faults drawn at random; the seed, the units and the horizon decide them all. Pure.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use super::act::Act;
use super::timed::{self, Happens as _, Length, Timed, written};
use crate::base::{Chance, Millis};
use crate::base::{Name, UnitId};
use crate::plan::{Plan, UnitKind};

/// A unit to which something may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The unit.
    pub unit: UnitId,
    /// The model of which it is a replica, if it is one.
    pub model: Option<Name>,
    /// What may happen to it.
    pub acts: Vec<Act>,
}

impl Candidate {
    /// Every unit of a plan with all that fits it, but for what would show only at a start that nobody made.
    pub fn all(plan: &Plan) -> Vec<Self> {
        let sensible =
            |act: &Act| *act != Act::End && *act != Act::Server(super::faults::Kind::Oom);
        let units = plan.units.iter().map(|unit| Self {
            unit: unit.id.clone(),
            model: match &unit.kind {
                UnitKind::Replica { model, .. } => Some(model.clone()),
                UnitKind::Service { .. } | UnitKind::Tunnel { .. } | UnitKind::Eval { .. } => None,
            },
            acts: Act::fitting(unit).into_iter().filter(sensible).collect(),
        });
        units.collect()
    }
}

/// Something that will happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// When, counted from the beginning.
    pub at: Duration,
    /// To whom.
    pub unit: UnitId,
    /// What.
    pub act: Act,
    /// For how long; none where it is a moment, or for ever.
    pub lasts: Option<Duration>,
}

impl fmt::Display for Planned {
    /// `after 42s: answer-3 hang for 20s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, act) = (written(self.at), self.act.name());
        write!(f, "after {at}: {} {act}", self.unit)?;
        match self.lasts {
            Some(lasts) => write!(f, " for {}", written(lasts)),
            None => Ok(()),
        }
    }
}

/// Reads one unit's timeline: `90s hang 30s, 2m crash`.
///
/// # Errors
/// What cannot be read, in words.
pub fn timeline(unit: &UnitId, text: &str) -> Result<Vec<Planned>, String> {
    let planned = |Timed { after, kind, lasts }| Planned {
        at: after,
        unit: unit.clone(),
        act: kind,
        lasts,
    };
    Ok(timed::parse(text)?.into_iter().map(planned).collect())
}

/// Draws up to `count` things that happen, in the order of their times.
///
/// - All of it is over, and what was killed has had a while to come back, when a fifth of the horizon is left.
/// - Times are spread: one thing in each of `count` equal parts.
/// - Nothing happens to a unit while something else does, or right after it was killed.
/// - Of a model's replicas at most half suffer at once, or the only one.
/// - Kinds come up equally often as far as units allow.
///
/// Where nothing may happen in a part, there is one less.
pub fn schedule(
    seed: u64,
    candidates: &[Candidate],
    horizon: Duration,
    count: usize,
) -> Vec<Planned> {
    let mut draw = Draw {
        chance: Chance::new(seed),
        candidates,
        horizon,
        planned: Vec::new(),
    };
    let longest = draw.longest();
    let (first, last) = (horizon / 20, horizon / 5 * 4);
    let room = last.saturating_sub(first + longest);
    let parts = u32::try_from(count).unwrap_or(u32::MAX);
    for part in 0..parts {
        let width = room / parts;
        let within = draw.length(Duration::ZERO, width);
        let at = rounded(first + width * part + within, horizon);
        draw.one(at);
    }
    draw.planned
}

/// How long a unit suffers: while something lasts, or until it is back from what killed it.
fn suffers(planned: &Planned, horizon: Duration) -> Duration {
    match (planned.act.length(), planned.lasts) {
        (Length::Open, Some(lasts)) => lasts,
        _ => horizon / 10,
    }
}

/// Times as people would say them.
fn rounded(time: Duration, horizon: Duration) -> Duration {
    let grain = match horizon.as_secs() {
        0..10 => 1,
        10..300 => 100,
        _ => 1000,
    };
    Duration::from_millis(Millis::from(time).0 / grain * grain)
}

struct Draw<'a> {
    chance: Chance,
    candidates: &'a [Candidate],
    horizon: Duration,
    planned: Vec<Planned>,
}

impl Draw<'_> {
    fn longest(&self) -> Duration {
        self.horizon / 10
    }

    fn length(&mut self, low: Duration, high: Duration) -> Duration {
        let [low, high] = [low, high].map(|end| Millis::from(end).0);
        Duration::from_millis(self.chance.between(low, high.max(low)))
    }

    /// Something at this time, if anything may happen then.
    fn one(&mut self, at: Duration) {
        let mut order: Vec<&Candidate> = self.candidates.iter().collect();
        self.chance.shuffle(&mut order);
        for act in self.acts() {
            let lasts = self.lasts(act);
            for candidate in order.iter().filter(|one| one.acts.contains(&act)) {
                let planned = Planned {
                    at,
                    unit: candidate.unit.clone(),
                    act,
                    lasts,
                };
                if self.may(&planned, candidate) {
                    self.planned.push(planned);
                    return;
                }
            }
        }
    }

    /// All kinds, those that came up least first, by chance among equals.
    fn acts(&mut self) -> Vec<Act> {
        let distinct: BTreeSet<Act> = self
            .candidates
            .iter()
            .flat_map(|candidate| candidate.acts.iter().copied())
            .collect();
        let mut acts: Vec<Act> = distinct.into_iter().collect();
        self.chance.shuffle(&mut acts);
        let mut used: HashMap<Act, usize> = HashMap::new();
        for planned in &self.planned {
            *used.entry(planned.act).or_default() += 1;
        }
        acts.sort_by_key(|act| used.get(act).copied().unwrap_or_default());
        acts
    }

    fn lasts(&mut self, act: Act) -> Option<Duration> {
        let shortest = self.horizon / 50;
        let drawn = self.length(shortest, self.longest());
        let drawn = rounded(drawn, self.horizon).max(Duration::from_millis(1));
        match act.length() {
            Length::Moment => None,
            Length::Open => Some(drawn),
            Length::Else(usual) => Some(drawn.min(usual)),
        }
    }

    fn may(&self, planned: &Planned, candidate: &Candidate) -> bool {
        let ends = |planned: &Planned| planned.at + suffers(planned, self.horizon);
        let meanwhile: BTreeSet<&UnitId> = self
            .planned
            .iter()
            .filter(|other| other.at < ends(planned) && planned.at < ends(other))
            .map(|other| &other.unit)
            .collect();
        if meanwhile.contains(&candidate.unit) {
            return false;
        }
        let Some(model) = &candidate.model else {
            return true;
        };
        let replicas = self.candidates.iter();
        let replicas: BTreeSet<&UnitId> = replicas
            .filter(|other| other.model.as_ref() == Some(model))
            .map(|other| &other.unit)
            .collect();
        let down = meanwhile.intersection(&replicas).count();
        down < (replicas.len() / 2).max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::act::{Blow, Word};
    use super::super::faults::Kind;
    use super::*;

    fn candidates(replicas: usize) -> Vec<Candidate> {
        let servers = Kind::all()
            .map(Act::Server)
            .chain([Act::Process(Blow::Stop)]);
        let servers: Vec<Act> = servers.collect();
        let clients = vec![Act::Torn, Act::Client(Word::Leak), Act::Process(Blow::Kill)];
        let replicas = (0..replicas).map(|index| Candidate {
            unit: UnitId::new(format!("answer-{index}")),
            model: Some(Name::new("answer")),
            acts: servers.clone(),
        });
        let client = Candidate {
            unit: UnitId::new("eval-hle"),
            model: None,
            acts: clients,
        };
        replicas.chain([client]).collect()
    }

    #[test]
    fn a_seed_says_what_happens() {
        let hour = Duration::from_hours(1);
        let drawn = schedule(7, &candidates(4), hour, 12);
        let lines: Vec<String> = drawn.iter().map(Planned::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        after 3m49s: answer-1 flood for 2s
        after 7m56s: answer-2 reset for 5m
        after 10m29s: answer-1 slow for 2m59s
        after 14m42s: eval-hle torn
        after 17m46s: answer-3 engine
        after 21m24s: answer-2 hang for 4m25s
        after 25m22s: answer-1 oom
        after 28m57s: answer-3 escapes for 4m10s
        after 29m49s: eval-hle leak
        after 35m4s: answer-3 stop for 5m51s
        after 37m9s: answer-0 port-taken for 20s
        after 40m46s: eval-hle kill
        ");
        assert_eq!(drawn, schedule(7, &candidates(4), hour, 12));
        assert_ne!(drawn, schedule(8, &candidates(4), hour, 12));
    }

    #[test]
    fn what_is_shown_is_read() {
        let unit = UnitId::new("answer-3");
        let read = timeline(&unit, "42s hang 20s, 2m kill").unwrap();
        let lines: Vec<String> = read.iter().map(Planned::to_string).collect();
        assert_eq!(
            lines,
            [
                "after 42s: answer-3 hang for 20s",
                "after 2m: answer-3 kill"
            ]
        );
        insta::assert_snapshot!(timeline(&unit, "start oom").unwrap_err(), @"`oom` cannot be at `start` here: say when");
    }

    proptest! {
        #[test]
        fn every_promise_is_kept(
            seed in any::<u64>(),
            replicas in 1_usize..7,
            seconds in 1_u64..10_000,
            count in 0_usize..40,
        ) {
            let candidates = candidates(replicas);
            let horizon = Duration::from_secs(seconds);
            let drawn = schedule(seed, &candidates, horizon, count);
            prop_assert!(drawn.len() <= count);
            prop_assert!(count == 0 || !drawn.is_empty());
            prop_assert!(drawn.is_sorted_by_key(|planned| planned.at));
            let span = |planned: &Planned| {
                let lasts = planned.lasts.unwrap_or_default();
                (planned.at, planned.at + lasts.max(suffers(planned, horizon)))
            };
            for planned in &drawn {
                prop_assert!(span(planned).1 <= horizon * 4 / 5);
                prop_assert!(planned.lasts.is_none_or(|lasts| !lasts.is_zero()));
                let (from, to) = span(planned);
                let same = drawn.iter().filter(|other| other.unit == planned.unit);
                let both = same.filter(|other| span(other).0 < to && from < span(other).1);
                prop_assert_eq!(both.count(), 1);
                // When this one begins, so many replicas suffer.
                let down = drawn.iter().filter(|other| {
                    other.unit.as_str().starts_with("answer") && span(other).0 <= from && from < span(other).1
                });
                prop_assert!(down.count() <= (replicas / 2).max(1));
            }
        }

        #[test]
        fn a_quiet_hour_has_its_share_of_all(seed in any::<u64>()) {
            let drawn = schedule(seed, &candidates(8), Duration::from_hours(8), 16);
            prop_assert_eq!(drawn.len(), 16);
            let kinds: BTreeSet<Act> = drawn.iter().map(|planned| planned.act).collect();
            prop_assert!(kinds.len() >= 15);
        }
    }
}
