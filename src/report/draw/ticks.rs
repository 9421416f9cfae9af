//! Values that an axis names: round ones.

use jiff::tz::TimeZone;

use crate::base::{Millis, Timestamp};
use crate::report::charts::Frame;

/// Round values from zero on, at most so many beside it (one at least); the last one is not below `max`.
pub(in crate::report) fn nice(max: f64, most: u32) -> Vec<f64> {
    let max = if max.is_finite() && max > 0.0 {
        max
    } else {
        1.0
    };
    let rough = max / f64::from(most.max(1));
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0, 20.0].map(|round| round * power);
    let fits = |step: &&f64| max <= **step * f64::from(most.max(1)) * (1.0 + 1e-9);
    let step = step.iter().find(fits).copied().unwrap_or(20.0 * power);
    let mut ticks = vec![0.0];
    for count in 1..=most.max(1) {
        let tick = f64::from(count) * step;
        ticks.push(tick);
        if tick >= max * (1.0 - 1e-9) {
            break;
        }
    }
    ticks
}

/// Round values within a logarithmic axis: 1, 2 and 5 times powers of ten, or these alone where that is too many.
pub(in crate::report) fn logarithmic(from: f64, to: f64, most: usize) -> Vec<f64> {
    let inside = |rounds: &[f64]| -> Vec<f64> {
        let powers = (-9..=12).map(|power| 10_f64.powi(power));
        let all = powers.flat_map(|power| rounds.iter().map(move |round| round * power));
        let inside = |tick: &f64| *tick >= from * (1.0 - 1e-9) && *tick <= to * (1.0 + 1e-9);
        all.filter(inside).collect()
    };
    let (fine, coarse) = (inside(&[1.0, 2.0, 5.0]), inside(&[1.0, 3.0]));
    let ticks = if fine.len() <= most { fine } else { coarse };
    if ticks.len() <= most {
        return ticks;
    }
    let powers = inside(&[1.0]);
    let every = powers.len().div_ceil(most.max(1)).max(1);
    powers.into_iter().step_by(every).collect()
}

/// A moment that a time axis names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) struct Moment {
    /// When.
    pub(in crate::report) at: Timestamp,
    /// The time of day, `14:05`; of a long time the day.
    pub(in crate::report) text: String,
    /// The day, `31 Dec`, with the first moment of each.
    pub(in crate::report) day: Option<String>,
}

/// Steps between moments, in seconds.
const STEPS: [u64; 19] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
    172_800,
];

/// Round moments of local time within a frame, at most so many.
pub(in crate::report) fn moments(frame: &Frame, zone: &TimeZone, most: u64) -> Vec<Moment> {
    let span = frame.span().as_secs();
    let fits = |step: &u64| span / step < most.max(1);
    let step = STEPS.into_iter().find(fits);
    let step = step.unwrap_or_else(|| (span / most.max(1)).div_ceil(86_400).max(1) * 86_400 * 2);
    let mut day = String::new();
    // Round in local time; a change of the clock in between is one of whole hours nearly everywhere.
    let offset = local(frame.from, zone).map_or(0, |local| i64::from(local.offset().seconds()));
    let begin = i64::try_from(frame.from.0.div_ceil(1000)).unwrap_or(0) + offset;
    let length = i64::try_from(step).unwrap_or(i64::MAX);
    let first = begin + (length - begin.rem_euclid(length)) % length - offset;
    let first = Timestamp(u64::try_from(first).unwrap_or(0) * 1000);
    let moments = std::iter::successors(Some(first), |at| Some(*at + Millis::from_secs(step)));
    let within = moments.take_while(|at| *at <= frame.to);
    within
        .filter_map(|at| {
            let local = local(at, zone)?;
            let own = local.strftime("%-d %b").to_string();
            let form = if step < 60 { "%H:%M:%S" } else { "%H:%M" };
            let (text, is_new) = match step {
                86_400.. => (own.clone(), false),
                _ => (local.strftime(form).to_string(), own != day),
            };
            day.clone_from(&own);
            let day = is_new.then_some(own);
            Some(Moment { at, text, day })
        })
        .collect()
}

/// Round lengths of time since a frame's begin, at most so many: where no clock on a wall shows its moments.
pub(in crate::report) fn elapsed(frame: &Frame, most: u64) -> Vec<Moment> {
    let span = frame.span().as_secs();
    let fits = |step: &u64| span / step < most.max(1);
    let step = STEPS.into_iter().find(fits);
    let step = step.unwrap_or_else(|| (span / most.max(1)).div_ceil(86_400).max(1) * 86_400);
    let (unit, word) = match span {
        short if short < 180 => (1, "s"),
        short if short < 3 * 3600 => (60, "min"),
        short if short < 3 * 86_400 => (3600, "h"),
        _ => (86_400, "d"),
    };
    let ticks = (0..=span / step).map(|tick| tick * step);
    let ticks = ticks.filter(|seconds| seconds % unit == 0);
    ticks
        .map(|seconds| Moment {
            at: frame.from + Millis::from_secs(seconds),
            text: match seconds {
                0 => "0".to_owned(),
                seconds => format!("{} {word}", seconds / unit),
            },
            day: None,
        })
        .collect()
}

fn local(at: Timestamp, zone: &TimeZone) -> Option<jiff::Zoned> {
    let millis = i64::try_from(at.0).ok()?;
    let at = jiff::Timestamp::from_millisecond(millis).ok()?;
    Some(at.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round() {
        let said = |max, most| format!("{:?}", nice(max, most));
        let all = [
            said(64.0, 4),
            said(0.9, 4),
            said(1.0, 2),
            said(0.0, 4),
            said(f64::NAN, 4),
            said(1234.0, 5),
        ];
        insta::assert_snapshot!(all.join("\n"), @"
        [0.0, 20.0, 40.0, 60.0, 80.0]
        [0.0, 0.25, 0.5, 0.75, 1.0]
        [0.0, 0.5, 1.0]
        [0.0, 0.25, 0.5, 0.75, 1.0]
        [0.0, 0.25, 0.5, 0.75, 1.0]
        [0.0, 250.0, 500.0, 750.0, 1000.0, 1250.0]
        ");
        assert_eq!(logarithmic(0.2, 12.0, 8), [0.2, 0.5, 1.0, 2.0, 5.0, 10.0]);
        assert_eq!(
            logarithmic(0.01, 1000.0, 6),
            [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]
        );
    }

    #[test]
    fn moments_are_local_and_name_their_day_once() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        // 2025-12-31T20:07:00Z, in the zone 21:07.
        let from = Timestamp(1_767_211_620_000);
        let said = |length| {
            let frame = Frame::new(from, from + Millis::from_secs(length), 240, Millis(0));
            let moments = moments(&frame, &zone, 6);
            let said = moments.iter().map(|moment| {
                let day = moment.day.as_ref().map(|day| format!(" ({day})"));
                format!("{}{}", moment.text, day.unwrap_or_default())
            });
            said.collect::<Vec<_>>().join(", ")
        };
        let all = [said(90), said(5400), said(86_400), said(10 * 86_400)];
        insta::assert_snapshot!(all.join("\n"), @"
        21:07:00 (31 Dec), 21:07:30, 21:08:00, 21:08:30
        21:30 (31 Dec), 22:00, 22:30
        00:00 (1 Jan), 06:00, 12:00, 18:00
        1 Jan, 3 Jan, 5 Jan, 7 Jan, 9 Jan
        ");
    }

    #[test]
    fn lengths_of_time_are_round() {
        let said = |length| {
            let from = Timestamp(1_767_211_620_123);
            let frame = Frame::new(from, from + Millis::from_secs(length), 240, Millis(0));
            let moments = elapsed(&frame, 6).into_iter();
            moments
                .map(|moment| moment.text)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let all = [said(90), said(2360), said(5 * 3600), said(5 * 86_400)];
        insta::assert_snapshot!(all.join("\n"), @r"
        0, 30 s, 60 s, 90 s
        0, 10 min, 20 min, 30 min
        0, 1 h, 2 h, 3 h, 4 h, 5 h
        0, 1 d, 2 d, 3 d, 4 d, 5 d
        ");
    }

    proptest! {
        #[test]
        fn ticks_reach_the_most_and_little_more(max in 1e-6_f64..1e12, most in 1_u32..12) {
            let ticks = nice(max, most);
            prop_assert!(ticks.len() >= 2 && ticks.len() <= most as usize + 1, "{ticks:?}");
            let last = ticks[ticks.len() - 1];
            prop_assert!(last >= max * (1.0 - 1e-6), "{ticks:?}");
            prop_assert!(most < 2 || last <= max * 2.01, "{ticks:?}");
            prop_assert!(ticks.windows(2).all(|two| two[0] < two[1]));
        }

        #[test]
        fn logarithmic_ticks_lie_within(from in 1e-6_f64..1e6, factor in 1.5_f64..1e7, most in 1_usize..12) {
            let ticks = logarithmic(from, from * factor, most);
            prop_assert!(ticks.len() <= most);
            prop_assert!(ticks.iter().all(|tick| *tick >= from * 0.999 && *tick <= from * factor * 1.001));
            prop_assert!(ticks.is_sorted());
        }

        #[test]
        fn moments_lie_within_and_are_few(from in 0_u64..4_000_000_000_000, span in 1_u64..10_000_000_000, most in 2_u64..10) {
            let frame = Frame::new(Timestamp(from), Timestamp(from + span), 240, Millis(0));
            let moments = moments(&frame, &TimeZone::UTC, most);
            prop_assert!(moments.len() as u64 <= most + 1);
            prop_assert!(moments.iter().all(|moment| moment.at >= frame.from && moment.at <= frame.to));
        }
    }
}
