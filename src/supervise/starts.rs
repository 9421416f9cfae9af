//! How many starts are under way at once.
//!
//! A unit script costs some 30 ms of processor time before its program runs. Started all at once, the scripts of thirty
//! units keep each other from their first program for a second; in turn, the first runs at once and the last no later.

use std::collections::{BTreeSet, VecDeque};

use crate::base::UnitId;

/// Starts that wait for their turn, first come, first served.
#[derive(Debug)]
pub(super) struct Starts<T> {
    limit: usize,
    waiting: VecDeque<(UnitId, T)>,
    under_way: BTreeSet<UnitId>,
}

impl<T> Starts<T> {
    /// So many at once; at least one. More than one per core, since a script also waits for the disk.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            waiting: VecDeque::new(),
            under_way: BTreeSet::new(),
        }
    }

    /// A start is wanted.
    pub(super) fn want(&mut self, unit: UnitId, start: T) {
        self.waiting.push_back((unit, start));
    }

    /// The next start, if it may begin now. It counts as under way until [`Starts::arrived`].
    pub(super) fn next(&mut self) -> Option<T> {
        if self.under_way.len() >= self.limit {
            return None;
        }
        let (unit, start) = self.waiting.pop_front()?;
        self.under_way.insert(unit);
        Some(start)
    }

    /// A unit was seen, or could not be started.
    pub(super) fn arrived(&mut self, unit: &UnitId) {
        self.under_way.remove(unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_are_under_way_and_none_is_forgotten() {
        let mut starts = Starts::new(2);
        let unit = |n: usize| UnitId::new(format!("u-{n}"));
        for n in 0..4 {
            starts.want(unit(n), n);
        }
        assert_eq!(
            (starts.next(), starts.next(), starts.next()),
            (Some(0), Some(1), None)
        );
        starts.arrived(&unit(3)); // not under way: nothing becomes free
        assert_eq!(starts.next(), None);
        starts.arrived(&unit(1));
        assert_eq!((starts.next(), starts.next()), (Some(2), None));
        starts.arrived(&unit(0));
        starts.arrived(&unit(2));
        assert_eq!((starts.next(), starts.next()), (Some(3), None));
    }

    #[test]
    fn a_limit_of_none_is_one() {
        let mut starts = Starts::new(0);
        starts.want(UnitId::new("u"), ());
        assert_eq!(starts.next(), Some(()));
    }
}
