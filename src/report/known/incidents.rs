//! What befell servers and the client while an evaluation ran, as the journal and the samples tell it.

use super::run::Known;
use crate::base::{Timestamp, UnitId};
use crate::facts::Liveness;
use crate::facts::samples::Point;
use crate::knowledge::series::{Counter, Gauge};
use crate::report::clock::Clock;
use crate::report::verdict::{Beside, Incident, Span, Trouble};
use crate::run::{Event, Record, StopWhy};

/// Times in which servers did not work as they should, the earliest first.
pub(super) fn incidents(
    known: &Known<'_>,
    clock: Clock,
    span: (Timestamp, Timestamp),
) -> Vec<Incident> {
    let groups = known.plan.groups.iter();
    let units = groups.flat_map(|group| group.endpoints.iter().map(|end| &end.unit));
    let mut found: Vec<Incident> = units
        .flat_map(|unit| of_unit(known, unit, clock, span))
        .collect();
    found.sort_by(|one, other| {
        (one.span.from, &one.replica).cmp(&(other.span.from, &other.replica))
    });
    found
}

/// Trouble that goes on, since when.
type Open = Option<(Timestamp, Trouble)>;

fn of_unit(
    known: &Known<'_>,
    unit: &UnitId,
    clock: Clock,
    (from, until): (Timestamp, Timestamp),
) -> Vec<Incident> {
    let mut open: Open = None;
    let mut found: Vec<(Timestamp, Option<Timestamp>, Trouble)> = Vec::new();
    for record in known.records {
        let was = open;
        open = after(known, unit, record, open);
        if let (Some((since, trouble)), None) = (was, open) {
            found.push((since, Some(record.at), trouble));
        }
    }
    found.extend(open.map(|(since, trouble)| (since, None, trouble)));
    let within = found.into_iter().filter_map(|(since, over, trouble)| {
        let (first, last) = (since.max(from), over.unwrap_or(until).min(until));
        (first < last).then(|| Incident {
            replica: unit.to_string(),
            trouble,
            span: Span {
                from: clock.moment(first),
                until: clock.moment(last),
            },
            over: over.is_some_and(|over| over <= until),
            calls: calls_of(known, unit, (since, last)),
        })
    });
    within.collect()
}

/// What goes on after this record.
fn after(known: &Known<'_>, unit: &UnitId, record: &Record, open: Open) -> Open {
    let begun = |trouble| open.or(Some((record.at, trouble)));
    match &record.event {
        Event::Judged {
            unit: of, liveness, ..
        } if of == unit => match liveness {
            Liveness::Stalled => open.or(Some((
                worked_last(known, unit, record.at),
                Trouble::StoodStill,
            ))),
            Liveness::Closed => begun(Trouble::Closed),
            Liveness::Unreached => begun(Trouble::OutOfReach),
            Liveness::Well => None,
            Liveness::Slow | Liveness::Estranged => open,
        },
        Event::Exited { unit: of, exit } if of == unit && !exit.requested => begun(Trouble::Ended),
        Event::StopIntended { unit: of, why, .. } if of == unit && *why != StopWhy::Lifeless => {
            None
        }
        Event::Ready { unit: of, .. } if of == unit => None,
        _ => open,
    }
}

/// When it was last seen to compute something before this moment: a server is called stalled only after a while.
fn worked_last(known: &Known<'_>, unit: &UnitId, at: Timestamp) -> Timestamp {
    let series = known.samples.servers.get(unit);
    let worked = |point: &Point<'_>| {
        let grew = |counter| point.count(counter).is_some_and(|more| more > 0.0);
        grew(Counter::GenerationTokens) || grew(Counter::PromptTokens)
    };
    let mut points = series.into_iter().flat_map(|series| series.points().rev());
    let last = points.find(|point| point.at() <= at && worked(point));
    last.map_or(at, Point::at)
}

/// The most calls that a look found with it in that time.
fn calls_of(
    known: &Known<'_>,
    unit: &UnitId,
    (from, until): (Timestamp, Timestamp),
) -> Option<f64> {
    let points = known.samples.servers.get(unit)?.points();
    let within = points.filter(|point| point.at() >= from && point.at() <= until);
    let calls = within.filter_map(|point| {
        Some(point.most(Gauge::Running)? + point.most(Gauge::Waiting).unwrap_or(0.0))
    });
    calls.max_by(f64::total_cmp)
}

/// Times between two starts of the client in which none was at work: from its end, or from what was known last before an owner
/// found it gone.
pub(super) fn absent(known: &Known<'_>, clock: Clock) -> Vec<Span> {
    let unit = &known.eval.unit;
    let mut left: Option<Timestamp> = None;
    let mut before: Option<Timestamp> = None;
    let mut started = false;
    let mut found = Vec::new();
    for record in known.records {
        match &record.event {
            Event::OwnerTook { .. } if started => {
                let sampled = known.samples.evals.get(&known.eval.name);
                let sampled = sampled.into_iter().flatten().map(|line| line.at);
                let sampled = sampled.filter(|at| *at <= record.at).max();
                left = left.or(before.max(sampled));
            }
            Event::Exited { unit: of, .. } | Event::Stopped { unit: of, .. } if of == unit => {
                left.get_or_insert(record.at);
            }
            Event::Started {
                unit: of, adopted, ..
            } if of == unit => {
                if let Some(since) = left
                    .take()
                    .filter(|since| started && !adopted && *since < record.at)
                {
                    found.push(Span {
                        from: clock.moment(since),
                        until: clock.moment(record.at),
                    });
                }
                started = true;
            }
            _ => {}
        }
        before = Some(record.at);
    }
    found
}

/// Other evaluations that ran at the same time, on the same servers.
pub(super) fn beside(
    known: &Known<'_>,
    clock: Clock,
    (from, until): (Timestamp, Timestamp),
) -> Vec<Beside> {
    let others = known.plan.evals.iter();
    let others = others.filter(|eval| eval.name != known.eval.name);
    let shared = others.filter(|eval| {
        let mut needs = eval.requires.iter();
        needs.any(|name| known.eval.requires.contains(name))
    });
    let both = shared.filter_map(|eval| {
        let other = Known { eval, ..*known };
        let (first, last) = other.span()?;
        let (first, last) = (first.max(from), last.min(until));
        (first < last).then(|| Beside {
            evaluation: eval.name.to_string(),
            length: clock.length(last.since(first)),
            concurrency: other.workers(),
        })
    });
    both.collect()
}
