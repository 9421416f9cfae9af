//! When questions were begun, where nobody saw it: a client that takes them in the dataset's order, so many at once, begins one
//! whenever one has ended. Whether it does shows: no question may end before its turn.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Timestamp;

/// Of a hundred questions so many may have ended before their turn: a file is written a moment after its question ended.
const STRAY: usize = 2;

/// What is known of a client's questions.
#[derive(Debug)]
pub(super) struct Turns<'a> {
    /// All questions, in the dataset's order.
    pub(super) order: &'a [String],
    /// When each was finished, those of before this run as well.
    pub(super) ends: BTreeMap<&'a str, Timestamp>,
    /// The client's starts, oldest first.
    pub(super) starts: Vec<Timestamp>,
    /// Questions that it has under way at once.
    pub(super) workers: usize,
    /// Up to when this is known.
    pub(super) until: Timestamp,
}

impl<'a> Turns<'a> {
    /// When each question was begun, those that are under way as well; none where its ends contradict the order.
    pub(super) fn begins(&self) -> Option<BTreeMap<&'a str, Timestamp>> {
        let mut begun = BTreeMap::new();
        let (mut ended, mut strays) = (0, 0);
        for (nth, start) in self.starts.iter().enumerate() {
            let until = self.starts.get(nth + 1).map_or(self.until, |next| *next);
            // What was under way when the client ended is asked again.
            begun.retain(|id: &&str, _: &mut Timestamp| self.is_done(id, *start));
            let own = self.attempt(*start, until);
            for (id, end) in self.ends_between(*start, until) {
                ended += 1;
                if own.get(id).is_none_or(|at| *at > end) {
                    strays += 1;
                }
            }
            begun.extend(own);
        }
        let agree = strays * 100 <= ended * STRAY;
        begun.retain(|id, at| self.ends.get(id).is_none_or(|end| *at <= *end));
        (agree && ended > 0).then_some(begun)
    }

    fn is_done(&self, id: &str, at: Timestamp) -> bool {
        self.ends.get(id).is_some_and(|end| *end <= at)
    }

    fn ends_between(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = (&'a str, Timestamp)> {
        let ends = self.ends.iter().map(|(id, end)| (*id, *end));
        ends.filter(move |(_, end)| *end > from && *end <= until)
    }

    /// What one start of the client began, and when.
    fn attempt(&self, from: Timestamp, until: Timestamp) -> BTreeMap<&'a str, Timestamp> {
        let mut free: Vec<Timestamp> = self.ends_between(from, until).map(|(_, end)| end).collect();
        free.sort_unstable();
        let mut known = BTreeSet::new();
        let open = self.order.iter().map(String::as_str);
        let open = open.filter(|id| !self.is_done(id, from) && known.insert(*id));
        let turns = std::iter::repeat_n(from, self.workers).chain(free);
        open.zip(turns).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|nth| format!("q{nth}")).collect()
    }

    fn begins(order: &[String], ends: &[(&str, u64)], starts: &[u64]) -> Option<String> {
        let known: BTreeMap<String, Timestamp> = ends
            .iter()
            .map(|(id, end)| ((*id).to_owned(), Timestamp(*end)))
            .collect();
        let turns = Turns {
            order,
            ends: known.iter().map(|(id, end)| (id.as_str(), *end)).collect(),
            starts: starts.iter().map(|at| Timestamp(*at)).collect(),
            workers: 2,
            until: Timestamp(100),
        };
        let found = turns.begins()?;
        let said = order.iter().filter_map(|id| {
            let at = found.get(id.as_str())?;
            Some(format!("{id} {}", at.0))
        });
        Some(said.collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn each_end_begins_the_next_of_the_dataset() {
        let ends = [("q0", 30), ("q1", 20), ("q2", 90), ("q3", 50)];
        assert_eq!(
            begins(&names(9), &ends, &[10]).unwrap(),
            "q0 10, q1 10, q2 20, q3 30, q4 50, q5 90"
        );
        // What was finished before the client began has no turn.
        let before = [("q0", 5), ("q1", 30), ("q2", 20)];
        assert_eq!(
            begins(&names(5), &before, &[10]).unwrap(),
            "q1 10, q2 10, q3 20, q4 30"
        );
    }

    #[test]
    fn what_was_under_way_at_a_restart_is_begun_again() {
        let ends = [("q0", 20), ("q2", 60)];
        // Of q1 and q2, which the first start had, q1 is asked again first.
        assert_eq!(
            begins(&names(6), &ends, &[10, 40]).unwrap(),
            "q0 10, q1 40, q2 40, q3 60"
        );
    }

    #[test]
    fn who_asks_in_another_order_is_known_by_its_ends() {
        let ends = [("q7", 20), ("q1", 30), ("q5", 40)];
        assert_eq!(begins(&names(9), &ends, &[10]), None);
        assert_eq!(begins(&names(9), &[], &[10]), None);
    }
}
