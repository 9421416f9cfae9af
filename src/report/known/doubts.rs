//! What of the samples could not be taken as it stands, and how much of the run they cover then.

use super::classes::windows;
use super::run::Known;
use crate::base::bounds::LONGEST_RUN;
use crate::base::float;
use crate::base::{Millis, UnitId};

/// Less than this of the time was not seen.
const NEARLY_ALL: f64 = 0.95;

/// A sentence for each thing; none where all samples were as they should be, or where nothing is judged.
pub fn doubts(known: &Known<'_>) -> Vec<String> {
    let mut said = known.samples.doubted();
    if !said.is_empty()
        && let Some(share) = seen(known).filter(|share| *share < NEARLY_ALL)
    {
        said.push(format!(
            "servers were seen in {:.0} % of the time: what is said of them is from that",
            100.0 * share
        ));
    }
    if let Some((from, until)) = known.span()
        && until.since(from) >= LONGEST_RUN
    {
        said.push(format!(
            "the run seems to take more than a year: a clock was wrong, and what is later than {until} is left out"
        ));
    }
    said
}

/// The share of the time in which its servers were seen; none where nobody knows which it has.
fn seen(known: &Known<'_>) -> Option<f64> {
    let (from, until) = known.span()?;
    let clock = known.clock(from);
    let last = until + known.samples.every;
    let groups = known.plan.groups.iter();
    let groups = groups.filter(|group| known.eval.requires.contains(&group.name));
    let units: Vec<&UnitId> = groups
        .flat_map(|group| &group.endpoints)
        .map(|end| &end.unit)
        .filter(|unit| known.samples.servers.contains_key(*unit))
        .collect();
    let all = clock.length(until.since(from)).0 * units.len() as u64;
    let whole = clock.length(until.since(from));
    let seen = units.iter().map(|unit| {
        let windows = windows(&known.samples.servers[*unit], clock, (until, last));
        let seen: Millis = windows
            .iter()
            .fold(Millis::ZERO, |sum, one| Millis(sum.0 + one.length.0));
        seen.min(whole).0
    });
    (all > 0).then(|| float(seen.sum::<u64>()) / float(all))
}
