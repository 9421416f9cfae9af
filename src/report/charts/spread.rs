//! How the times of calls are spread: a histogram and the share that was done by when.

use super::class::Classes;
use crate::base::float;
use crate::report::quantile;
use crate::report::tables::Times;

/// So many bars, where nobody wants another number.
pub const BINS: usize = 20;
/// The share curve is drawn through so many points.
const STEPS: usize = 200;
/// Times that differ by more than this factor are shown on a logarithmic axis: their middle from the fifth to the 95th of 100.
const WIDE: f64 = 12.0;

/// The times of a kind of call.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// Which: a tool, or the orchestrator.
    pub name: String,
    /// The models that answer for it.
    pub models: Vec<String>,
    /// Its hue: that of its only model.
    pub class: Option<usize>,
    /// How many times are known.
    pub count: usize,
    /// The axis is logarithmic.
    pub log: bool,
    /// Equally wide bars, in the axis' sense.
    pub bins: Vec<Bin>,
    /// Seconds, and the share of calls that took no longer; both rise.
    pub steps: Vec<(f64, f64)>,
    /// Median, and the times that 90 and 99 of 100 calls did not exceed, in seconds.
    pub percentiles: [f64; 3],
}

/// A bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Above so many seconds; the first has also those that took just so long.
    pub from: f64,
    /// And up to so many.
    pub to: f64,
    /// So many calls.
    pub count: usize,
}

/// Of all kinds of call of which times are known.
pub fn spreads(all: Vec<Times>, bins: usize, classes: &mut Classes) -> Vec<Spread> {
    let all = all.into_iter();
    all.filter_map(|times| spread(times, bins, classes))
        .collect()
}

fn spread(times: Times, bins: usize, classes: &mut Classes) -> Option<Spread> {
    let Times {
        name,
        models,
        seconds,
    } = times;
    let (first, last) = (*seconds.first()?, *seconds.last()?);
    let at = |share| quantile(&seconds, share).unwrap_or_default();
    let log = first > 0.0 && at(0.95) > WIDE * at(0.05);
    // Every model is known from here on, so that hues go by the order of tools.
    let known: Vec<usize> = models.iter().map(|model| classes.know(model)).collect();
    Some(Spread {
        name,
        class: (known.len() == 1).then(|| known[0]),
        models,
        count: seconds.len(),
        log,
        bins: histogram(&seconds, bins.max(1), log, first, last),
        steps: steps(&seconds),
        percentiles: [at(0.50), at(0.90), at(0.99)],
    })
}

fn histogram(seconds: &[f64], bins: usize, log: bool, first: f64, last: f64) -> Vec<Bin> {
    // Bars of a linear axis begin at zero.
    let first = if log { first } else { 0.0 };
    let last = if last > first { last } else { first + 1.0 };
    let edge = |index: usize| {
        let share = float(index) / float(bins);
        match index {
            0 => first,
            index if index == bins => last,
            _ if log => first * (last / first).powf(share),
            _ => first + (last - first) * share,
        }
    };
    let mut before = 0;
    let bars = (0..bins).map(|index| {
        let (from, to) = (edge(index), edge(index + 1));
        let until = match index + 1 {
            end if end == bins => seconds.len(),
            _ => seconds.partition_point(|time| *time <= to),
        };
        let count = until.max(before) - before;
        before = until.max(before);
        Bin { from, to, count }
    });
    bars.collect()
}

fn steps(seconds: &[f64]) -> Vec<(f64, f64)> {
    let last = seconds.len().saturating_sub(1);
    let count = STEPS.min(seconds.len());
    let index = |step: usize| step * last / count.saturating_sub(1).max(1);
    (0..count)
        .map(|step| {
            let index = index(step);
            (seconds[index], float(index + 1) / float(seconds.len()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(seconds: Vec<f64>, bins: usize) -> Option<Spread> {
        let times = Times {
            name: "search".to_owned(),
            models: vec!["m".to_owned()],
            seconds,
        };
        spread(times, bins, &mut Classes::default())
    }

    #[test]
    fn bars_are_numpys() {
        // numpy.histogram([1, 2, 3, 4], bins=4, range=(0, 4)): bars there are closed at the left, and these at the right.
        let found = of(vec![1.0, 2.0, 3.0, 4.0], 4).unwrap();
        assert!(!found.log);
        let counts: Vec<usize> = found.bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [1, 1, 1, 1]);
        assert_eq!(
            found.steps,
            [(1.0, 0.25), (2.0, 0.5), (3.0, 0.75), (4.0, 1.0)]
        );
        assert_eq!(of(Vec::new(), 4), None);
        let one = of(vec![7.0], 20).unwrap();
        assert_eq!(one.bins[19].count, 1);
    }

    proptest! {
        /// Every call is in one bar, bars touch, and the curve rises to all of them.
        #[test]
        fn every_call_is_in_one_bar(
            mut seconds in prop::collection::vec(0.001_f64..1e5, 1..600), bins in 1_usize..60,
        ) {
            seconds.sort_unstable_by(f64::total_cmp);
            let found = of(seconds.clone(), bins).unwrap();
            prop_assert_eq!(found.bins.len(), bins);
            prop_assert_eq!(found.bins.iter().map(|bin| bin.count).sum::<usize>(), seconds.len());
            prop_assert!(found.bins.windows(2).all(|two| two[0].to.to_bits() == two[1].from.to_bits()));
            prop_assert!(found.bins.iter().all(|bin| bin.from < bin.to));
            prop_assert!(found.steps.len() <= STEPS);
            prop_assert!(found.steps.windows(2).all(|two| two[0].0 <= two[1].0 && two[0].1 < two[1].1));
            let (last, all) = *found.steps.last().unwrap();
            prop_assert!(last.to_bits() == seconds[seconds.len() - 1].to_bits() && (all - 1.0).abs() < 1e-12);
        }
    }
}
