//! The servers' own histograms as tables.

use super::run::Known;
use crate::base::Timestamp;
use crate::facts::samples::{Samples, Work};
use crate::plan::{EvalPlan, Group};
use crate::report::tables::ServerTimes;

/// Each model that was sampled while this evaluation ran, and each of its replicas behind it; none that worked for others alone.
pub fn server_times(known: &Known<'_>) -> Vec<ServerTimes> {
    let Some((from, until)) = known.span() else {
        return Vec::new();
    };
    let others = known.plan.evals.iter();
    let others = others.filter(|eval| eval.name != known.eval.name);
    let others: Vec<(&EvalPlan, (Timestamp, Timestamp))> = others
        .filter_map(|eval| Some((eval, known.span_of(eval)?)))
        .collect();
    // One more sample is taken when a client has ended; what the next one asks for is not in it.
    let last = until + known.samples.every;
    let next = others.iter().map(|(_, (from, _))| *from);
    let next = next.filter(|next| *next >= until).min();
    let span = (from, next.map_or(last, |next| last.min(next)));
    let rows = known.plan.groups.iter().flat_map(|group| {
        let needs = |eval: &EvalPlan| eval.requires.contains(&group.name);
        let beside = others
            .iter()
            .filter(|(eval, span)| needs(eval) && span.0 < until && span.1 > from);
        let shared: Vec<String> = beside.map(|(eval, _)| eval.name.to_string()).collect();
        let is_ones = needs(known.eval) || shared.is_empty();
        let all = all_of(known.samples, group, Some(span));
        let own = ServerTimes::of(&group.key, None, &all);
        let replicas = group.endpoints.iter().filter_map(move |end| {
            let work = known.samples.servers.get(&end.unit)?.over(span.0, span.1);
            ServerTimes::of(&group.key, Some(end.unit.as_str()), &work)
        });
        let rows = own.into_iter().chain(replicas).filter(move |_| is_ones);
        rows.map(move |row| ServerTimes {
            shared_with: shared.clone(),
            ..row
        })
    });
    rows.collect()
}

/// What all servers of a model did.
pub(super) fn all_of(
    samples: &Samples,
    group: &Group,
    span: Option<(Timestamp, Timestamp)>,
) -> Work {
    let mut all = Work::default();
    for end in &group.endpoints {
        if let Some(series) = samples.servers.get(&end.unit) {
            all.merge(&match span {
                Some((from, until)) => series.over(from, until),
                None => series.all(),
            });
        }
    }
    all
}
