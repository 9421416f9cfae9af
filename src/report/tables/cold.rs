//! Whether calls of a kind were slow at first, and for how long.

use schemars::JsonSchema;
use serde::Serialize;

use super::distribution::{share, tidy};
use crate::base::{Millis, Timestamp, float};
use crate::report::quantile;

/// A window is so long, or a twelfth of all where that is shorter.
const WINDOW: Millis = Millis(5 * 60_000);
/// And has so many calls, or grows until it has: of fewer the median is hardly known.
const CALLS: usize = 20;
/// So many windows in a row must be as the end is.
const IN_A_ROW: usize = 3;
/// The end: so long, or a quarter of all where that is shorter.
const END: Millis = Millis(60 * 60_000);
/// As the end: the median is above it by this share, at most, as far as so many calls can tell. What is faster is not cold.
const NEAR: f64 = 0.25;
/// Calls that all ended within less were copied, or are too few for windows.
const SHORTEST: Millis = Millis(10_000);

/// What is known of a slow beginning.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Cold {
    /// It was slow at first.
    Slow {
        /// For how long, in seconds from the first call's end.
        lasted: f64,
        /// How many calls ended in that time.
        calls: usize,
        /// Their share of those whose time counts, from 0 to 1.
        share: f64,
        /// The median of the slow calls in seconds.
        median: f64,
        /// The median at the end in seconds.
        median_at_end: f64,
    },
    /// It was as fast at first as at the end.
    Not,
    /// That cannot be said.
    Unknown {
        /// Why.
        why: String,
    },
}

/// Looks for the beginning in which calls took longer than at the end: up to the first of three windows whose medians are at most
/// 25 % above the median at the end. `times` are ends of calls and milliseconds, and are put in order; `used` is how many calls there are,
/// with or without a time of their end. Answers also where the slow beginning ends.
pub fn cold(times: &mut [(Timestamp, f64)], used: usize) -> (Cold, Option<Timestamp>) {
    let unknown = |why: String| (Cold::Unknown { why }, None);
    times.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return unknown("it is not known when calls ended".to_owned());
    };
    let (first, last) = (first.0, last.0);
    let least = CALLS * (IN_A_ROW + 1);
    if times.len() < least {
        return unknown(format!(
            "it takes {least} calls whose end is known, and there are {}",
            times.len()
        ));
    }
    let span = last.since(first);
    if span < SHORTEST {
        return unknown(format!(
            "all calls ended within {span}: they were copied, or fast"
        ));
    }
    let windows = windows(times, first, Millis(WINDOW.0.min(span.0 / 12)));
    let end = end_of(times, last, Millis(END.0.min(span.0 / 4)));
    let near = |window: &&[(Timestamp, f64)]| at_least(window) <= (1.0 + NEAR) * end;
    let settled = windows
        .windows(IN_A_ROW)
        .position(|row| row.iter().all(&near));
    let Some(settled) = settled else {
        return unknown("calls were never as fast as at the end for long".to_owned());
    };
    let until = windows[settled][0].0;
    let slow = &times[..times.partition_point(|(at, _)| *at < until)];
    // A window that was slow by chance among fast ones is no slow beginning.
    if settled == 0 || slow.is_empty() || median(slow) <= (1.0 + NEAR) * end {
        return (Cold::Not, None);
    }
    let found = Cold::Slow {
        lasted: until.since(first).as_secs_f64(),
        calls: slow.len(),
        share: share(slow.len(), used).unwrap_or_default(),
        median: tidy(median(slow) / 1000.0),
        median_at_end: tidy(end / 1000.0),
    };
    (found, Some(until))
}

/// Parts of the calls, each at least as long as `width` and with enough calls; what is left at the end belongs to the last.
fn windows(
    times: &[(Timestamp, f64)],
    first: Timestamp,
    width: Millis,
) -> Vec<&[(Timestamp, f64)]> {
    let mut cuts = vec![0];
    let mut begin = first;
    for (index, (at, _)) in times.iter().enumerate() {
        let is_full = index - cuts[cuts.len() - 1] >= CALLS;
        if at.since(begin) >= width && is_full && times.len() - index >= CALLS {
            cuts.push(index);
            begin = *at;
        }
    }
    cuts.push(times.len());
    cuts.windows(2).map(|cut| &times[cut[0]..cut[1]]).collect()
}

/// The median of the last calls.
fn end_of(times: &[(Timestamp, f64)], last: Timestamp, length: Millis) -> f64 {
    let late = times.partition_point(|(at, _)| last.since(*at) > length);
    median(&times[late.min(times.len() - CALLS)..])
}

fn median(times: &[(Timestamp, f64)]) -> f64 {
    of_sorted(times, 0.5)
}

/// What the median is at least, in 39 of 40 cases: the sample's quantile that lies 0.98/√n below it. Else chance alone would
/// make every third window of widely spread times a slow one.
fn at_least(times: &[(Timestamp, f64)]) -> f64 {
    of_sorted(times, 0.5 - 0.98 / float(times.len()).sqrt())
}

fn of_sorted(times: &[(Timestamp, f64)], q: f64) -> f64 {
    let mut times: Vec<f64> = times.iter().map(|(_, ms)| *ms).collect();
    times.sort_unstable_by(f64::total_cmp);
    quantile(&times, q).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A call every ten seconds; `ms` says how long the n-th took.
    fn calls(count: u64, ms: impl Fn(u64) -> f64) -> Vec<(Timestamp, f64)> {
        let call = |n| (Timestamp(1_000_000 + n * 10_000), ms(n));
        (0..count).map(call).collect()
    }

    #[test]
    fn the_logs_retrieval_was_cold_for_its_first_half_hour() {
        // 8 s, and 0.2 s from the 180th call on: half an hour of two.
        let mut times = calls(720, |n| if n < 180 { 8000.0 } else { 200.0 });
        times.reverse();
        let (found, until) = cold(&mut times, 800);
        let expected = Cold::Slow {
            lasted: 1800.0,
            calls: 180,
            share: 0.225,
            median: 8.0,
            median_at_end: 0.2,
        };
        assert_eq!(found, expected);
        assert_eq!(until, Some(Timestamp(1_000_000 + 180 * 10_000)));
    }

    #[test]
    fn what_cannot_be_said_says_why() {
        let said = |mut times: Vec<(Timestamp, f64)>| {
            let used = times.len();
            format!("{:?}", cold(&mut times, used).0)
        };
        let worse = calls(720, |n| 100.0 * 1.01_f64.powi(i32::try_from(n).unwrap()));
        let at_once = calls(720, |_| 5.0);
        let at_once = at_once.into_iter().map(|(_, ms)| (Timestamp(7), ms));
        let all = [
            said(Vec::new()),
            said(calls(79, |_| 5.0)),
            said(at_once.collect()),
            said(worse),
            said(calls(720, |n| if n / 30 % 3 == 0 { 900.0 } else { 200.0 })),
            said(calls(720, |n| if n < 300 { 100.0 } else { 200.0 })),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        Unknown { why: "it is not known when calls ended" }
        Unknown { why: "it takes 80 calls whose end is known, and there are 79" }
        Unknown { why: "all calls ended within 0ms: they were copied, or fast" }
        Not
        Unknown { why: "calls were never as fast as at the end for long" }
        Not
        "#);
    }

    proptest! {
        /// However widely times are spread: what is called slow was slower than the end, and is what stands before it.
        #[test]
        fn a_slow_beginning_is_slower_than_the_end(spread in prop::collection::vec(0.2_f64..5.0, 80..400)) {
            let half = spread.len() / 2;
            // Both halves have the same times.
            let mut times = calls(2 * half as u64, |n| 1000.0 * spread[usize::try_from(n).unwrap() % half]);
            let before = times.clone();
            let (found, until) = cold(&mut times, before.len());
            prop_assert_eq!(times.len(), before.len());
            if let (Cold::Slow { calls, median, median_at_end, .. }, Some(until)) = (&found, until) {
                prop_assert!(*median > 1.25 * median_at_end);
                prop_assert_eq!(times.iter().filter(|(at, _)| *at < until).count(), *calls);
            }
        }
    }
}
