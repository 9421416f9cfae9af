//! Calls of a model or service as the client saw them.

use super::run::{Known, calls_of};
use crate::base::float;
use crate::knowledge::adapters::adapter;
use crate::plan::{Group, UnitKind};
use crate::report::tables::{Evaluation, Row, Source};
use crate::report::verdict::Calls;

/// The tool whose second part is a call of the retrieval service (`_retrieval_ms`).
const SEARCH: &str = "search";
/// Times in tables are rounded to microseconds: a mean below this is none.
const NOTHING: f64 = 1e-5;

/// Its calls: of the client's log, as the model of a tool, or as the service behind one. No calls where the client tells of all
/// that could have been; none where nobody knows.
pub(super) fn asked(known: &Known<'_>, group: &Group) -> Option<Calls> {
    let tables = known.tables?;
    let is_own = |row: &&Row| {
        let model = row.model.as_deref();
        model == Some(&group.key) || model == Some(group.name.as_str())
    };
    let mut servers = tables.servers.iter().filter(|row| row.replica.is_none());
    if let Some(row) = servers.find(is_own) {
        return calls_of(row);
    }
    let experts = tables.experts.iter();
    let own: Vec<&Row> = experts.filter(is_own).collect();
    if own.is_empty() && is_service(known, group) {
        return is_retrieval(known, group).then(|| second_part(tables))?;
    }
    if own.is_empty() {
        return tells_all(known, group, tables).then_some(NONE);
    }
    let all: Vec<Calls> = own.iter().filter_map(|row| calls_of(row)).collect();
    let count = all.iter().map(|calls| calls.count).sum();
    of_seconds(count, all.iter().map(|calls| calls.seconds()).sum())
}

const NONE: Calls = Calls {
    count: 0,
    mean: 0.0,
};

fn of_seconds(count: usize, seconds: f64) -> Option<Calls> {
    let mean = seconds / float(count);
    (count > 0).then_some(Calls { count, mean })
}

/// Whether the client tells of all its calls that could have gone there: its log has each call to a model, and its results have
/// each call of a tool, and so of an expert.
fn tells_all(known: &Known<'_>, group: &Group, tables: &Evaluation) -> bool {
    let logged = matches!(
        tables.servers_source,
        Some(Source::CallLog | Source::ClientLog)
    );
    let experts = adapter(&known.eval.adapter).map_or(&[][..], |adapter| adapter.models);
    let is_expert = experts.contains(&group.key.as_str());
    logged || (is_expert && !tables.tools.is_empty())
}

fn is_service(known: &Known<'_>, group: &Group) -> bool {
    let units = group.endpoints.iter();
    let units = units.filter_map(|end| known.plan.unit(&end.unit));
    let mut kinds = units.map(|unit| &unit.kind);
    kinds.any(|kind| matches!(kind, UnitKind::Service { .. }))
}

/// The service that the client's adapter knows as its retrieval, else the only service of the cluster that the client needs.
fn is_retrieval(known: &Known<'_>, group: &Group) -> bool {
    let services = adapter(&known.eval.adapter).map_or(&[][..], |adapter| adapter.services);
    let needed = known.plan.groups.iter().filter(|group| {
        let of_cluster = known.plan.shares.of.contains_key(&group.name);
        of_cluster && known.eval.requires.contains(&group.name) && is_service(known, group)
    });
    let needed: Vec<&str> = needed.map(|group| group.name.as_str()).collect();
    let is_named = |name: &&&str| services.iter().any(|names| names.contains(*name));
    let named = needed.iter().find(is_named);
    let only = needed.first().filter(|_| needed.len() == 1);
    named
        .or(only)
        .is_some_and(|name| group.name.as_str() == *name)
}

/// What searches took beside their model. Each takes both of its parts, so that no search is no call.
fn second_part(tables: &Evaluation) -> Option<Calls> {
    let is_search = |row: &&Row| row.tool.as_deref() == Some(SEARCH);
    let Some(whole) = tables.tools.iter().find(is_search) else {
        return (!tables.tools.is_empty()).then_some(NONE);
    };
    let whole = calls_of(whole)?;
    let models = tables.experts.iter().filter(is_search);
    let models = models.filter_map(calls_of);
    let seconds = whole.seconds() - models.map(Calls::seconds).sum::<f64>();
    let calls = of_seconds(whole.count, seconds)?;
    (calls.mean > NOTHING).then_some(calls)
}
