//! When questions were finished: by when their results were written, or by counts of them.

use std::collections::{BTreeMap, BTreeSet};

use super::run::Known;
use super::turns::Turns;
use crate::base::{Millis, Timestamp};
use crate::report::clock::Clock;
use crate::report::verdict::Task;
use crate::run::Event;

/// When results were written.
#[derive(Debug, Clone, Copy)]
pub enum Ends<'a> {
    /// By question, as the files say; none for a line of a file.
    Written(&'a [(String, Option<Timestamp>)]),
    /// Nobody looked at files: the journal counts results.
    Counted,
}

/// While a client runs, files are newer than what was written down last.
const MOMENT: Millis = Millis::from_secs(60);
/// When it has ended all are there, but for the clocks of two machines: what is written later is of another run.
const SKEW: Millis = Millis::from_secs(2);

/// Questions that were finished in this run, and those under way where it is known when they were begun.
pub(super) fn tasks(known: &Known<'_>, clock: Clock, span: (Timestamp, Timestamp)) -> Vec<Task> {
    let (from, until) = span;
    let runs = known.state.unit(&known.eval.unit).phase.may_live();
    let latest = until + if runs { MOMENT } else { SKEW };
    let written = match known.ends {
        Ends::Written(all) => by_files(all, latest),
        Ends::Counted => None,
    };
    let begins = written
        .as_ref()
        .and_then(|ends| begins(known, ends, latest))
        .unwrap_or_default();
    let mut ends = written.unwrap_or_else(|| by_counts(known, span));
    let done: BTreeSet<&str> = ends.iter().map(|(id, _)| id.as_str()).collect();
    let open = begins.iter().filter(|(id, _)| !done.contains(id.as_str()));
    let open: Vec<Task> = open
        .map(|(id, began)| task(id, Some(*began), None, clock))
        .collect();
    ends.retain(|(_, at)| *at > from);
    ends.sort_by(|one, other| (one.1, &one.0).cmp(&(other.1, &other.0)));
    let finished = ends.iter().map(|(id, at)| {
        let began = begins.get(id).copied();
        task(id, began, Some((*at).min(until)), clock)
    });
    finished.chain(open).collect()
}

fn task(id: &str, began: Option<Timestamp>, ended: Option<Timestamp>, clock: Clock) -> Task {
    Task {
        id: id.to_owned(),
        began: began.map(|at| clock.moment(at)),
        ended: ended.map(|at| clock.moment(at)),
    }
}

/// None where files do not say it: they are lines, or were copied since.
fn by_files(
    all: &[(String, Option<Timestamp>)],
    latest: Timestamp,
) -> Option<Vec<(String, Timestamp)>> {
    let ends = all.iter().map(|(id, at)| Some((id.clone(), (*at)?)));
    let ends: Vec<_> = ends.collect::<Option<_>>()?;
    let late = ends.iter().any(|(_, at)| *at > latest);
    (!late).then_some(ends)
}

/// When questions were begun, by the order in which the client takes them; of those without a result only while it runs.
fn begins(
    known: &Known<'_>,
    ends: &[(String, Timestamp)],
    latest: Timestamp,
) -> Option<BTreeMap<String, Timestamp>> {
    let unit = &known.eval.unit;
    let starts = known.records.iter().filter(|record| {
        matches!(&record.event, Event::Started { unit: of, adopted: false, .. } if of == unit)
    });
    let turns = Turns {
        order: known.order,
        ends: ends.iter().map(|(id, at)| (id.as_str(), *at)).collect(),
        starts: starts.map(|record| record.at).collect(),
        workers: known.workers()?,
        until: latest,
    };
    let runs = known.state.unit(unit).phase.may_live();
    let begun = turns.begins()?.into_iter();
    let wanted = begun.filter(|(id, _)| runs || turns.ends.contains_key(id));
    Some(wanted.map(|(id, at)| (id.to_owned(), at)).collect())
}

/// Spread evenly between two counts.
fn by_counts(known: &Known<'_>, (from, _): (Timestamp, Timestamp)) -> Vec<(String, Timestamp)> {
    let told = known
        .records
        .iter()
        .filter_map(|record| match &record.event {
            Event::EvalProgress { eval, done, .. } if *eval == known.eval.name => {
                Some((record.at, *done))
            }
            _ => None,
        });
    let sampled = known.samples.evals.get(&known.eval.name);
    let sampled = sampled
        .into_iter()
        .flatten()
        .map(|line| (line.at, line.done));
    let mut counts: Vec<(Timestamp, usize)> = told.chain(sampled).collect();
    counts.sort_unstable();
    let mut ends = Vec::new();
    let mut before: Option<(Timestamp, usize)> = None;
    for (at, done) in counts {
        // What the first count has was there before.
        if let Some((since, known)) = before.filter(|(_, known)| *known < done) {
            let since = since.max(from.min(at));
            let more = (done - known) as u64;
            let length = at.since(since).0;
            ends.extend(
                (1..=more).map(|nth| (String::new(), Timestamp(since.0 + length * nth / more))),
            );
        }
        before = Some((at, done));
    }
    ends
}
