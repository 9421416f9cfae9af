//! How long questions take, learned also from those that are not finished yet.
//!
//! While a run is young, those that are finished are the short ones. So the share that takes longer than any time is estimated
//! from both (Kaplan and Meier, "Nonparametric estimation from incomplete observations", JASA 53, 1958). The longest of them say
//! little of what may be longer still: the last twentieth goes on at a constant rate, that at which the longest fifth was finished.

use super::evidence::Evidence;
use super::numbers::{between, ratio};
use crate::base::{Chance, float};

/// Finished questions below which nothing is learned.
const ENOUGH: usize = 20;
/// The share of the longest ones of which the rate beyond is taken.
const LONGEST: f64 = 0.2;
/// The share from which on that rate counts: what is left comes to an end with the longest one that happened to be seen.
const LAST: f64 = 0.05;

/// How long questions take.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lives {
    /// A time in seconds, and the share of questions that takes longer; the former rises, the latter falls.
    steps: Vec<(f64, f64)>,
    /// Questions per second of work beyond the last of them.
    beyond: f64,
    /// Questions of which that is known.
    longest: usize,
}

impl Lives {
    /// Of this run; none where too little was finished, or begins were not seen.
    pub(super) fn of(evidence: &Evidence) -> Option<Self> {
        let mut seen: Vec<(f64, bool)> = evidence
            .client
            .tasks
            .iter()
            .filter_map(|task| {
                let end = task.ended.unwrap_or(evidence.until);
                Some((between(task.began?, end), task.ended.is_some()))
            })
            .collect();
        let finished = seen.iter().filter(|(_, ended)| *ended).count();
        if finished < ENOUGH {
            return None;
        }
        // Of the same age, who is finished counts before who is not.
        seen.sort_unstable_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(&one.1)));
        let mut steps = Vec::with_capacity(finished);
        let mut share = 1.0;
        for (index, (time, ended)) in seen.iter().enumerate() {
            if *ended {
                share *= 1.0 - 1.0 / float(seen.len() - index);
                steps.push((*time, share));
            }
        }
        let from = steps.iter().find(|(_, share)| *share <= LONGEST);
        let from = from.map_or(0.0, |(time, _)| *time);
        let longer = seen.iter().filter(|(time, _)| *time > from);
        let worked: f64 = longer.clone().map(|(time, _)| time - from).sum();
        // Where none of them is finished yet, as if one were.
        let ended = longer.filter(|(_, ended)| *ended).count().max(1);
        let last = steps.last()?.0;
        let beyond = ratio(float(ended), worked);
        if beyond.is_some() {
            steps.retain(|(_, share)| *share >= LAST);
        }
        // All as long as each other: beyond that nothing is known.
        let beyond = beyond.unwrap_or_else(|| 1.0 / last.max(1.0));
        Some(Self {
            steps,
            beyond,
            longest: ended,
        })
    }

    /// The standard error of the logarithm of the longest times.
    pub(super) fn error(&self) -> f64 {
        1.0 / float(self.longest).sqrt()
    }

    /// The mean in seconds.
    pub(super) fn mean(&self) -> f64 {
        let (mut sum, mut before, mut share) = (0.0, 0.0, 1.0);
        for (time, left) in &self.steps {
            sum += share * (time - before);
            (before, share) = (*time, *left);
        }
        sum + share / self.beyond
    }

    /// How long one takes that has this age in seconds already, by chance.
    pub(super) fn drawn(&self, age: f64, chance: &mut Chance) -> f64 {
        let until = |age: f64| self.steps.partition_point(|(time, _)| *time <= age);
        let survived = match until(age) {
            0 => 1.0,
            index => self.steps[index - 1].1,
        };
        let wanted = survived * chance.uniform();
        let found = self.steps.partition_point(|(_, share)| *share > wanted);
        match self.steps.get(found) {
            Some((time, _)) if *time > age => *time,
            _ => {
                let last = self.steps.last().map_or(0.0, |(time, _)| *time);
                last.max(age) - (1.0 - chance.uniform()).max(1e-12).ln() / self.beyond
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Millis, Timestamp};
    use crate::report::verdict::{Client, Task};

    fn run(finished: &[u64], open: &[u64]) -> Evidence {
        let now = Timestamp(10_000_000);
        let task = |length: u64, ended: bool| Task {
            id: String::new(),
            began: Some(Timestamp(now.0 - Millis::from_secs(length).0)),
            ended: ended.then_some(now),
        };
        let finished = finished.iter().map(|length| task(*length, true));
        let open = open.iter().map(|length| task(*length, false));
        Evidence {
            until: now,
            client: Client {
                tasks: finished.chain(open).collect(),
                ..Client::default()
            },
            ..Evidence::default()
        }
    }

    #[test]
    fn who_is_not_finished_counts_too() {
        let short: Vec<u64> = (1..=40).collect();
        // The last twentieth of them is taken to go on for a few seconds more.
        let mean = Lives::of(&run(&short, &[])).unwrap().mean();
        assert!((20.5..20.8).contains(&mean), "{mean}");
        // As many are still at work after 40 s: the mean is far longer than that of the finished ones.
        let lives = Lives::of(&run(&short, &[40; 40])).unwrap();
        assert!(lives.mean() > 50.0, "{}", lives.mean());
        assert_eq!(Lives::of(&run(&[5; 19], &[])), None);
        // One that takes far longer than all others, which take the same, may take as long again.
        let lives = Lives::of(&run(&[10; 40], &[110])).unwrap();
        let mut chance = Chance::new(1);
        let mean: f64 = (0..4000)
            .map(|_| lives.drawn(110.0, &mut chance))
            .sum::<f64>()
            / 4000.0;
        assert!((mean - 210.0).abs() < 6.0, "{mean}");
    }

    #[test]
    fn what_is_drawn_is_longer_than_the_age() {
        let lives = Lives::of(&run(&(1..=40).collect::<Vec<_>>(), &[50, 60])).unwrap();
        let mut chance = Chance::new(1);
        for age in [0.0, 0.5, 20.0, 39.0, 40.0, 41.0, 500.0] {
            assert!(
                (0..200).all(|_| lives.drawn(age, &mut chance) > age),
                "{age}"
            );
        }
        let mean: f64 = (0..4000)
            .map(|_| lives.drawn(0.0, &mut chance))
            .sum::<f64>()
            / 4000.0;
        assert!(
            (mean / lives.mean() - 1.0).abs() < 0.05,
            "{mean} {}",
            lives.mean()
        );
    }
}
