//! The routing books of a run: what its clients report beside what its servers counted.

use std::collections::BTreeSet;

use super::runs::Found as Run;
use crate::base::EvalName;
use crate::eval::{Lost, Reports, accounts, declared, reported_elsewhere};
use crate::plan::{EvalPlan, Plan};
use crate::report::Routed;
use crate::run::{Retry, RunState};
use crate::supervise::EvalDesk;
use crate::world::{logged_calls, read_dataset};

/// Of a run as its directory tells it. Of results that `changed` after its end nothing is believed; where they cannot be read
/// nothing is known.
pub(super) fn of_run(run: &Run, changed: &BTreeSet<EvalName>) -> Routed {
    let ran = run.plan.evals.iter();
    let ran = ran.filter(|eval| run.state.books.evals.contains_key(&eval.name));
    let desks = ran.map(|eval| {
        let path = eval.dataset.as_deref();
        let ids = path.map(|path| read_dataset(path.as_ref(), &eval.id_fields).ids);
        EvalDesk::new(&run.plan, eval, &ids.unwrap_or_default())
    });
    let desks: Result<Vec<EvalDesk>, String> = desks.collect();
    desks.map_or_else(
        |_| Routed::default(),
        |mut desks| of(&run.plan, &run.state, &mut desks, changed),
    )
}

/// Of the evaluations of these desks.
pub(super) fn of(
    plan: &Plan,
    run: &RunState,
    desks: &mut [EvalDesk],
    changed: &BTreeSet<EvalName>,
) -> Routed {
    let (mut reports, mut asked, mut unlogged) = (Reports::default(), false, false);
    for desk in desks {
        let Some(mark) = run.books.evals.get(desk.name()) else {
            continue;
        };
        asked = true;
        if changed.contains(desk.name()) {
            reports.changed = true;
            continue;
        }
        let eval = plan.eval(desk.name());
        let log = eval.and_then(|eval| eval.call_log.as_deref());
        let logged = log.and_then(|log| logged_calls(log.as_ref(), mark.call_log));
        unlogged |= logged.is_none();
        reports.lost = reports.lost.into_iter().chain(lost(eval, run)).min();
        reports.running |= eval.is_some_and(|eval| run.unit(&eval.unit).phase.may_live());
        reports.calls.extend(logged.unwrap_or_else(|| {
            // What has come since the last look counts; where it cannot be read, what was seen before does.
            let _ = desk.progress();
            desk.calls_after(mark.results)
        }));
    }
    reports.logged = asked && !unlogged;
    // Without an evaluation nobody reports anything.
    let accounts = if asked {
        accounts(plan, &run.books, &reports)
    } else {
        Vec::new()
    };
    Routed {
        accounts,
        elsewhere: reported_elsewhere(&declared(plan), &reports.calls),
    }
}

/// What results may leave out of the calls of an evaluation's clients.
fn lost(eval: Option<&EvalPlan>, run: &RunState) -> Option<Lost> {
    let eval = eval?;
    let state = run.evals.get(&eval.name);
    let clients = state.map_or(0, |state| state.routing.clients);
    let retried = state.is_some_and(|state| matches!(state.retry, Retry::Begun(_)));
    let own_end = (run.unit(&eval.unit).exit).is_some_and(|exit| exit.code == Some(0));
    match clients {
        _ if !own_end => Some(Lost::CutOff),
        0 | 1 => None,
        // The first one had asked all that it could: a retry comes when nothing else is left.
        2 if retried => Some(Lost::AskedAgain),
        _ => Some(Lost::CutOff),
    }
}
