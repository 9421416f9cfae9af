//! Evidence of results without a run: what their tables know.

use super::run::failed_calls;
use crate::base::{clean, cut};
use crate::report::tables::{Evaluation, Row};
use crate::report::verdict::{Calls, Class, Client, Evidence, Step};

/// So many columns of a name.
const LONGEST: usize = 80;

/// What results alone tell: how long a question's calls took, and no more. No server was seen, and nobody says how many there
/// were; those that a log names are counted.
pub fn evidence_of_results(tables: &Evaluation) -> Option<Evidence> {
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
    let models = tables.servers.iter();
    let models = models.filter(|row| row.replica.is_none() && row.others.is_none());
    let classes: Vec<Class> = models
        .filter_map(|row| {
            let replicas = tables.servers.iter().filter(|one| one.model == row.model);
            let replicas = replicas.map(|one| match one.replica {
                Some(_) => 1,
                None => one.others.unwrap_or(0),
            });
            Some(Class {
                name: short(row.model.as_deref()?),
                replicas: replicas.sum(),
                calls: Some(calls(row)?),
                fixed: true,
                ..Class::default()
            })
        })
        .filter(|class| class.replicas > 0)
        .collect();
    (!steps.is_empty() && !classes.is_empty()).then(|| Evidence {
        client: Client {
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

fn calls(row: &Row) -> Option<Calls> {
    let times = row.seconds.as_ref()?;
    Some(Calls {
        count: times.count,
        mean: times.mean,
    })
}
