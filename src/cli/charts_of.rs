//! Gathers what the charts of a report's page are drawn from.

use super::runs::Found as Run;
use crate::facts::samples::Samples;
use crate::report::charts::{Charts, Classes, Course, Recorded, Spread, Words, spreads};
use crate::report::tables::Times;
use crate::run::store::StoreError;
use crate::view::{ended, gave_up, stop_why, verdict};

const WORDS: Words = Words {
    ended,
    gave_up,
    stop: stop_why,
    verdict,
};

/// Of a run: what was recorded and sampled, and the times of its evaluations' calls.
pub(super) fn of_run(
    run: &Run,
    samples: Result<&Samples, &StoreError>,
    times: Vec<Vec<Times>>,
    bins: usize,
) -> Charts {
    let mut classes = Classes::of(&run.plan);
    let spreads = all_spreads(times, bins, &mut classes);
    let recorded = Recorded {
        plan: &run.plan,
        records: &run.records,
        state: &run.state,
        samples: samples.map_err(|why| format!("samples cannot be read: {why}")),
    };
    Charts {
        course: Course::of(recorded, &classes, &WORDS),
        spreads,
        classes,
        bins,
    }
}

/// Of results alone.
pub(super) fn of_results(times: Vec<Times>, bins: usize) -> Charts {
    let mut classes = Classes::default();
    let spreads = all_spreads(vec![times], bins, &mut classes);
    Charts {
        classes,
        bins,
        spreads,
        course: None,
    }
}

fn all_spreads(all: Vec<Vec<Times>>, bins: usize, classes: &mut Classes) -> Vec<Vec<Spread>> {
    let all = all.into_iter();
    all.map(|times| spreads(times, bins, classes)).collect()
}
