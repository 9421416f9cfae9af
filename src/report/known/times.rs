//! The servers' own histograms as tables.

use super::run::Known;
use crate::base::Timestamp;
use crate::facts::samples::{Samples, Work};
use crate::plan::Group;
use crate::report::tables::ServerTimes;

/// Each model that was sampled while this evaluation ran, and each of its replicas behind it.
pub fn server_times(known: &Known<'_>) -> Vec<ServerTimes> {
    let Some((from, until)) = known.span() else {
        return Vec::new();
    };
    // One more sample is taken when a client has ended.
    let span = (from, until + known.samples.every);
    let rows = known.plan.groups.iter().flat_map(|group| {
        let all = all_of(known.samples, group, Some(span));
        let own = ServerTimes::of(&group.key, None, &all);
        let replicas = group.endpoints.iter().filter_map(move |end| {
            let work = known.samples.servers.get(&end.unit)?.over(span.0, span.1);
            ServerTimes::of(&group.key, Some(end.unit.as_str()), &work)
        });
        own.into_iter().chain(replicas)
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
