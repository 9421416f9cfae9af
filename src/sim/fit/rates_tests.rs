//! Rates from intervals that an engine of known rates would leave.

use proptest::prelude::*;

use super::*;

/// Step 10 ms, 0.1 ms for each sequence, 5,000 prompt tokens a second.
fn interval(steps: f64, running: f64, prompt: f64) -> Interval {
    let seconds = steps * (0.010 + 0.0001 * running) + prompt / 5000.0;
    Interval {
        seconds,
        steps: Some(steps),
        generated: steps * running,
        prompt,
        preemptions: 0.0,
        gaps: (steps * running, seconds * running),
        busy: true,
        running,
        follows: false,
    }
}

fn observed(intervals: Vec<Interval>) -> Observed {
    Observed {
        intervals,
        ..Observed::default()
    }
}

fn found(intervals: Vec<Interval>) -> Rates {
    fit(&observed(intervals), 0.0, &Prior::default()).unwrap()
}

#[test]
fn three_rates_are_found_where_load_and_prompts_vary() {
    let all = [
        (900.0, 4.0, 500.0),
        (700.0, 30.0, 9000.0),
        (600.0, 64.0, 2000.0),
        (650.0, 50.0, 100.0),
        (800.0, 12.0, 4000.0),
    ];
    let rates = found(
        all.map(|(steps, running, prompt)| interval(steps, running, prompt))
            .to_vec(),
    );
    assert!((rates.decode.value / (1.0 / 0.0101) - 1.0).abs() < 0.02);
    assert!((rates.slowdown.value / (0.0001 / 0.0101) - 1.0).abs() < 0.02);
    assert!((rates.prefill.value / 5000.0 - 1.0).abs() < 0.02);
    assert_eq!(
        rates.decode.note,
        "±1 %, from 5 intervals with 4 to 64 running"
    );
}

#[test]
fn without_the_number_of_steps_the_gaps_tell_them() {
    let all = [
        (900.0, 4.0),
        (700.0, 30.0),
        (600.0, 64.0),
        (650.0, 50.0),
        (800.0, 12.0),
    ];
    let without = all.map(|(steps, running)| Interval {
        steps: None,
        ..interval(steps, running, 0.0)
    });
    let rates = found(without.to_vec());
    assert!((rates.slowdown.value / (0.0001 / 0.0101) - 1.0).abs() < 0.02);
    assert!(
        rates.prefill.note.starts_with("assumed"),
        "{}",
        rates.prefill.note
    );
}

#[test]
fn where_running_hardly_varies_the_slowdown_is_assumed_and_said() {
    let all = [
        (900.0, 40.0, 500.0),
        (700.0, 40.5, 9000.0),
        (600.0, 40.0, 2000.0),
        (650.0, 39.5, 100.0),
    ];
    let rates = found(
        all.map(|(steps, running, prompt)| interval(steps, running, prompt))
            .to_vec(),
    );
    assert!((rates.slowdown.value - 1.0 / 150.0).abs() < 1e-12);
    assert_eq!(
        rates.slowdown.note,
        "assumed: 4 intervals with 40 to 40 running say too little; measure at more than one load"
    );
    // 14 ms at 40, as measured: 1 + 39 / 150 steps of one.
    assert!(
        (rates.decode.value * 0.014 - 1.26).abs() < 0.01,
        "{rates:?}"
    );
}

#[test]
fn one_interval_gives_a_rate_and_none_gives_nothing() {
    let rates = found(vec![interval(900.0, 1.0, 0.0)]);
    assert!(
        (rates.decode.value * 0.0101 - 1.0).abs() < 0.02,
        "{rates:?}"
    );
    assert_eq!(fit(&observed(vec![]), 0.0, &Prior::default()), None);
}

#[test]
fn time_in_which_nothing_was_computed_does_not_count() {
    let all = [
        (900.0, 4.0),
        (700.0, 30.0),
        (600.0, 64.0),
        (650.0, 50.0),
        (300.0, 12.0),
    ];
    let idle = all.map(|(steps, running)| {
        let busy = interval(steps, running, 0.0);
        Interval {
            seconds: busy.seconds * 2.0,
            ..busy
        }
    });
    let rates = found(idle.to_vec());
    assert!(
        (rates.decode.value * 0.0101 - 1.0).abs() < 0.02,
        "{rates:?}"
    );
}

proptest! {
    /// Whatever is counted, rates are positive numbers or there are none.
    #[test]
    fn no_count_is_too_strange(
        all in prop::collection::vec(
            (0.0_f64..100.0, 0.0_f64..1e4, 0.0_f64..1e6, 0.0_f64..1e6, 0.0_f64..1e6, 0.0_f64..1e6), 0..12),
    ) {
        let intervals = all.iter().map(|(seconds, steps, generated, prompt, gaps, time)| Interval {
            seconds: *seconds,
            steps: Some(*steps),
            generated: *generated,
            prompt: *prompt,
            preemptions: 1.0,
            gaps: (*gaps, *time),
            busy: true,
            running: 3.0,
            follows: true,
        });
        if let Some(rates) = fit(&observed(intervals.collect()), 100.0, &Prior::default()) {
            for estimate in [rates.prefill, rates.decode] {
                prop_assert!(estimate.value > 0.0 && estimate.value.is_finite());
            }
            prop_assert!((0.0..=1.0).contains(&rates.slowdown.value));
        }
    }
}
