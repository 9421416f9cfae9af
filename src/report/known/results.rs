//! Evidence of results without a run: what their tables know.

use crate::report::tables::{Evaluation, Row};
use crate::report::verdict::{Calls, Class, Client, Evidence, Step};

/// What results alone tell: how long a question's calls took, and no more. No server was seen, and nobody says how many there
/// were; those that a log names are counted.
pub fn evidence_of_results(tables: &Evaluation) -> Option<Evidence> {
    let own = tables.orchestrator.iter();
    let own = own.map(|own| ("orchestrator".to_owned(), &own.row));
    let tools = tables.tools.iter();
    let tools = tools.filter_map(|row| Some((row.tool.clone()?, row)));
    let steps: Vec<Step> = own
        .chain(tools)
        .filter_map(|(name, row)| {
            let calls = calls(row)?;
            Some(Step { name, calls })
        })
        .collect();
    let models = tables.servers.iter().filter(|row| row.replica.is_none());
    let classes: Vec<Class> = models
        .filter_map(|row| {
            let replicas = tables.servers.iter();
            let replicas = replicas.filter(|one| one.replica.is_some() && one.model == row.model);
            Some(Class {
                name: row.model.clone()?,
                replicas: replicas.count(),
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
            ..Client::default()
        },
        classes,
        ..Evidence::default()
    })
}

fn calls(row: &Row) -> Option<Calls> {
    let times = row.seconds.as_ref()?;
    Some(Calls {
        count: times.count,
        mean: times.mean,
    })
}
