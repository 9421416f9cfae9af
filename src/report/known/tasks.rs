//! When questions were finished: by when their results were written, or by counts of them.

use super::clock::Clock;
use super::run::Known;
use crate::base::{Millis, Timestamp};
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

/// A file may be written a moment after the last thing that is known.
const MOMENT: Millis = Millis::from_secs(60);

/// Questions that were finished in this run.
pub(super) fn tasks(known: &Known<'_>, clock: Clock, span: (Timestamp, Timestamp)) -> Vec<Task> {
    let (from, until) = span;
    let mut ends = match known.ends {
        Ends::Written(all) => by_files(all, until),
        Ends::Counted => None,
    }
    .unwrap_or_else(|| by_counts(known, span));
    ends.retain(|(_, at)| *at > from);
    ends.sort_by(|one, other| (one.1, &one.0).cmp(&(other.1, &other.0)));
    let task = |(id, at): (String, Timestamp)| Task {
        id,
        began: None,
        ended: Some(clock.moment(at.min(until))),
    };
    ends.into_iter().map(task).collect()
}

/// None where files do not say it: they are lines, or were copied since.
fn by_files(
    all: &[(String, Option<Timestamp>)],
    until: Timestamp,
) -> Option<Vec<(String, Timestamp)>> {
    let ends = all.iter().map(|(id, at)| Some((id.clone(), (*at)?)));
    let ends: Vec<_> = ends.collect::<Option<_>>()?;
    let late = ends.iter().any(|(_, at)| *at > until + MOMENT);
    (!late).then_some(ends)
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
