//! Gathers what the charts of a report's page are drawn from.

use super::closing;
use super::runs::Found as Run;
use crate::facts::samples::Samples;
use crate::report::charts::{Charts, Classes, Course, Recorded, Spread, Words, spreads};
use crate::report::tables::Times;
use crate::run::store::StoreError;
use crate::supervise::EvalDesk;
use crate::view::{ended, gave_up, stop_why, verdict};
use crate::world::read_dataset;

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
        routing: routing(run),
    };
    Charts {
        course: Course::of(recorded, &classes, &WORDS),
        spreads,
        classes,
    }
}

/// Of results alone.
pub(super) fn of_results(times: Vec<Times>, bins: usize) -> Charts {
    let mut classes = Classes::default();
    let spreads = all_spreads(vec![times], bins, &mut classes);
    Charts {
        classes,
        spreads,
        course: None,
    }
}

fn all_spreads(all: Vec<Vec<Times>>, bins: usize, classes: &mut Classes) -> Vec<Vec<Spread>> {
    let all = all.into_iter();
    all.map(|times| spreads(times, bins, classes)).collect()
}

/// Where the calls of its clients went; empty where none ran, or where their results cannot be read.
fn routing(run: &Run) -> String {
    let ran = run.plan.evals.iter();
    let ran = ran.filter(|eval| run.state.books.evals.contains_key(&eval.name));
    let desks = ran.map(|eval| {
        let path = eval.dataset.as_deref();
        let ids = path.map(|path| read_dataset(path.as_ref(), &eval.id_fields).ids);
        EvalDesk::new(&run.plan, eval, &ids.unwrap_or_default())
    });
    let desks: Result<Vec<EvalDesk>, String> = desks.collect();
    desks.map_or_else(
        |_| String::new(),
        |desks| closing::routing(&run.plan, &run.state, &desks),
    )
}
