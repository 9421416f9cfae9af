//! The kinds of servers that an evaluation needs, and what was seen of them.

use super::asked::asked;
use super::run::Known;
use crate::base::{GpuIndex, Timestamp, UnitId};
use crate::facts::samples::{Point, ServerSeries};
use crate::knowledge::seats::{SIMULATED, value};
use crate::knowledge::series::{Counter, Distribution, Gauge};
use crate::plan::{Group, Share, UnitKind};
use crate::report::clock::Clock;
use crate::report::verdict::{Class, Seats, SeatsBy, Series, Window};

/// Each model and service that this evaluation needs, and those that none does.
pub(super) fn classes(known: &Known<'_>, clock: Clock, until: Timestamp) -> Vec<Class> {
    let others = known.plan.evals.iter();
    let others: Vec<_> = others.filter(|eval| eval.name != known.eval.name).collect();
    let wanted = |group: &&Group| {
        let needs = |requires: &[_]| requires.contains(&group.name);
        let by_others = others.iter().any(|eval| needs(&eval.requires));
        // The servers of a cluster have a share; what was put up for a rehearsal has none.
        let of_cluster = known.plan.shares.of.contains_key(&group.name);
        of_cluster && (needs(&known.eval.requires) || !by_others)
    };
    let groups = known.plan.groups.iter().filter(wanted);
    groups
        .map(|group| class(known, group, clock, until))
        .collect()
}

fn class(known: &Known<'_>, group: &Group, clock: Clock, until: Timestamp) -> Class {
    let none = Share::default();
    let share = known.plan.shares.of.get(&group.name).unwrap_or(&none);
    let units = group.endpoints.iter().map(|end| &end.unit);
    // One more sample is taken when a client has ended.
    let last = until + known.samples.every;
    let series = units.clone().filter_map(|unit| {
        let sampled = known.samples.servers.get(unit)?;
        Some(Series {
            replica: unit.to_string(),
            windows: windows(sampled, clock, (until, last)),
        })
    });
    Class {
        name: group.name.to_string(),
        replicas: group.endpoints.len(),
        gpus_per_replica: share.gpus,
        seats: units
            .clone()
            .find_map(|unit| seats(known, unit, share.seats)),
        calls: asked(known, group),
        answer_tokens: answer_tokens(known, group),
        series: series.filter(|series| !series.windows.is_empty()).collect(),
        nodes: share.nodes.iter().map(ToString::to_string).collect(),
        pinned: share.pinned,
        groups: numbers(&share.groups),
        fixed: share.fixed,
        port: share.port.map(|port| port.0),
    }
}

/// GPUs by their numbers.
pub(super) fn numbers(groups: &[Vec<GpuIndex>]) -> Vec<Vec<u16>> {
    let groups = groups.iter();
    groups
        .map(|group| group.iter().map(|gpu| gpu.0).collect())
        .collect()
}

/// What `--max-num-seqs` says, else what its engine takes by itself, where that is certain.
fn seats(known: &Known<'_>, unit: &UnitId, usual: Option<usize>) -> Option<Seats> {
    let unit = known.plan.unit(unit)?;
    if !matches!(unit.kind, UnitKind::Replica { .. }) {
        return None;
    }
    if let Some(said) = value(&unit.argv, "--max-num-seqs") {
        let by = SeatsBy::Argument;
        return said.parse().ok().map(|count| Seats { count, by });
    }
    // The shares of a rehearsal are the cluster's, and its servers are simulated.
    let usual = known.plan.shares.speed.map_or(usual, |_| Some(SIMULATED));
    usual.map(|count| Seats {
        count,
        by: SeatsBy::Default,
    })
}

fn answer_tokens(known: &Known<'_>, group: &Group) -> Option<f64> {
    let work = super::times::all_of(known.samples, group, None);
    work.distribution(Distribution::AnswerLength)?.quantile(0.9)
}

/// Its samples in the cluster's time, without those of which nobody knows how long they took, and of each what lies within the
/// client's time: before it and after it this client asked nothing.
pub(super) fn windows(
    series: &ServerSeries,
    clock: Clock,
    (until, last): (Timestamp, Timestamp),
) -> Vec<Window> {
    let points = series.points().filter(|point| point.span().0 > 0);
    let points = points.filter(|point| point.at() > clock.from && point.at() <= last);
    points
        .filter_map(|point| window(point, clock, until))
        .collect()
}

/// Each step of a server adds what was between two tokens of each of its requests, so that calls which were begun before, go on, or
/// are given up count for what was computed of them. How long prompts take is told when a request ends.
fn computed(point: Point<'_>) -> Option<f64> {
    let tokens = point.sum(Distribution::BetweenTokens)?;
    Some(tokens + point.sum(Distribution::Prefill).unwrap_or(0.0))
}

fn window(point: Point<'_>, clock: Clock, until: Timestamp) -> Option<Window> {
    let from = Timestamp(point.at().0.saturating_sub(point.span().0)).max(clock.from);
    let at = point.at().min(until);
    // What a look finds when the client has ended says nothing of the time before.
    let within = |gauge| point.mean(gauge).filter(|_| point.at() <= until);
    let finished = Counter::FINISHED.iter();
    let finished = finished.filter_map(|reason| point.count(*reason));
    (at > from).then(|| Window {
        at: clock.moment(at),
        length: clock.length(at.since(from)),
        running: within(Gauge::Running),
        waiting: within(Gauge::Waiting),
        kv: within(Gauge::KvCache),
        preemptions: point.count(Counter::Preemptions),
        finished: finished.reduce(|one, other| one + other),
        // Simulated servers count in the time that they play.
        queue_seconds: point.sum(Distribution::Queue),
        inference_seconds: point.sum(Distribution::Inference),
        computed_seconds: computed(point),
        generated: point.count(Counter::GenerationTokens),
        prompt: point.count(Counter::PromptTokens),
    })
}
