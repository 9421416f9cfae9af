//! Evidence of results without a run: what their tables know, and what somebody says of it.

use std::collections::BTreeMap;

use super::run::failed_calls;
use crate::base::{clean, cut, float};
use crate::report::tables::{Evaluation, Row};
use crate::report::verdict::{Calls, Class, Client, Evidence, Step};

/// So many columns of a name.
const LONGEST: usize = 80;

/// What results do not tell, as far as somebody says it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// Questions that were under way at once.
    pub concurrency: Option<usize>,
    /// GPUs that served a model.
    pub gpus: Vec<(String, usize)>,
}

/// What results alone tell: how long a question's calls took, and no more. No server was seen, and nobody says how many there
/// were; those that a log names are counted.
pub fn evidence_of_results(tables: &Evaluation, told: &Told) -> Option<Evidence> {
    let own = tables.orchestrator.iter();
    let own = own.map(|own| ("orchestrator".to_owned(), &own.row));
    let tools = tables.tools.iter();
    let tools = tools.filter_map(|row| Some((short(row.tool.as_deref()?), row)));
    let steps: Vec<Step> = own
        .chain(tools)
        .filter_map(|(name, row)| {
            let calls = calls(row)?;
            Some(Step { name, calls })
        })
        .collect();
    let classes: Vec<Class> = models(tables)
        .into_iter()
        .map(|(name, calls)| class(tables, told, name, calls))
        .collect();
    (!steps.is_empty() && !classes.is_empty()).then(|| Evidence {
        client: Client {
            concurrency: told.concurrency,
            // Nobody is at work on the rest.
            total: Some(tables.accuracy.done),
            done: tables.accuracy.done,
            steps,
            errors: Some(tables.accuracy.errors),
            failed_calls: failed_calls(tables),
            gone: true,
            ..Client::default()
        },
        classes,
        ..Evidence::default()
    })
}

/// A name of any length, for sentences.
fn short(name: &str) -> String {
    cut(&clean(name), LONGEST)
}

/// Models that calls were made to: those that a log names, and those behind tools of which it tells nothing.
fn models(tables: &Evaluation) -> Vec<(&str, Calls)> {
    let logged = tables.servers.iter();
    let logged = logged.filter(|row| row.replica.is_none() && row.others.is_none());
    let mut all: Vec<(&str, Calls)> = logged
        .filter_map(|row| Some((row.model.as_deref()?, calls(row)?)))
        .collect();
    let mut experts: BTreeMap<&str, Calls> = BTreeMap::new();
    for row in &tables.experts {
        let (Some(model), Some(more)) = (row.model.as_deref(), calls(row)) else {
            continue;
        };
        if all.iter().all(|(known, _)| *known != model) {
            let one = experts.entry(model).or_insert(Calls {
                count: 0,
                mean: 0.0,
            });
            *one = together(*one, more);
        }
    }
    all.extend(experts);
    // Of a result's own list the orchestrator has a row of servers as well.
    let own = tables.orchestrator.as_ref().map(|own| &own.row);
    let own = own.and_then(|row| Some((row.model.as_deref()?, calls(row)?)));
    all.extend(own.filter(|(model, _)| all.iter().all(|(known, _)| known != model)));
    all
}

fn together(one: Calls, other: Calls) -> Calls {
    let count = one.count + other.count;
    let seconds = one.mean * float(one.count) + other.mean * float(other.count);
    Calls {
        count,
        mean: seconds / float(count.max(1)),
    }
}

fn class(tables: &Evaluation, told: &Told, name: &str, calls: Calls) -> Class {
    let seen = tables.servers.iter();
    let seen = seen.filter(|row| row.model.as_deref() == Some(name));
    let seen = seen.map(|row| match row.replica {
        Some(_) => 1,
        None => row.others.unwrap_or(0),
    });
    let seen: usize = seen.sum();
    let gpus = told.gpus.iter().find(|(model, _)| model == name);
    let (replicas, each) = match gpus {
        Some((_, gpus)) if seen > 0 && gpus.is_multiple_of(seen) => (seen, gpus / seen),
        // One for each GPU, where nobody names them.
        Some((_, gpus)) => (*gpus, 1),
        None => (seen, 0),
    };
    Class {
        name: short(name),
        replicas,
        gpus_per_replica: each,
        calls: Some(calls),
        fixed: gpus.is_none(),
        ..Class::default()
    }
}

fn calls(row: &Row) -> Option<Calls> {
    let times = row.seconds.as_ref()?;
    Some(Calls {
        count: times.count,
        mean: times.mean,
    })
}
