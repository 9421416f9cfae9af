//! Bounds of tables: names come from results and logs, and there may be as many as calls.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::Part;
use crate::eval::TimedCall;

/// So many tools, and models, have a row of their own: those with most time.
pub(super) const NAMES: usize = 50;
/// And so many replicas, of all models together.
pub(super) const REPLICAS: usize = 250;

/// Calls by name, in the order of names.
pub(super) type Groups<'a, K> = BTreeMap<K, Vec<&'a TimedCall>>;

/// Takes out the calls of all but the names with most time; answers how many names that are, and their calls.
pub(super) fn others<'a, K: Ord + Clone>(
    groups: &mut Groups<'a, K>,
    most: usize,
) -> Option<(usize, Vec<&'a TimedCall>)> {
    let surplus = groups.len().checked_sub(most).filter(|count| *count > 0)?;
    let time = |calls: &[&TimedCall]| -> f64 {
        let times = calls.iter().filter_map(|call| Part::Whole.of(call.time));
        times.sum()
    };
    let mut names: Vec<(f64, K)> = (groups.iter())
        .map(|(name, calls)| (time(calls), name.clone()))
        .collect();
    // Of the same time the first names stay.
    names.sort_by(|one, other| (one.0.total_cmp(&other.0)).then_with(|| other.1.cmp(&one.1)));
    let gone: BTreeSet<K> = names
        .into_iter()
        .take(surplus)
        .map(|(_, name)| name)
        .collect();
    let gone = groups.extract_if(.., |name, _| gone.contains(name));
    Some((surplus, gone.flat_map(|(_, calls)| calls).collect()))
}
