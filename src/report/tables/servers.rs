//! Calls by model and replica, from whoever names replicas.

use std::collections::BTreeMap;

use super::coverage::Errors;
use super::most::{Groups, NAMES, REPLICAS, others};
use super::rows::{Part, Row};
use crate::eval::TimedCall;

/// A row for each model, and one for each of its replicas behind it. Failed attempts are left out and counted. Where there are more
/// than anybody reads, those with less time are one row: replicas behind those of their model, models at the end.
pub(super) fn servers<'a>(calls: impl Iterator<Item = &'a TimedCall>) -> Vec<Row> {
    let mut models: Groups<'_, &str> = BTreeMap::new();
    for call in calls {
        if let Some(model) = call.model.as_deref() {
            models.entry(model).or_default().push(call);
        }
    }
    let few = others(&mut models, NAMES);
    let mut replicas: Groups<'_, (&str, &str)> = BTreeMap::new();
    for (model, calls) in &models {
        for call in calls {
            if let Some(place) = call.endpoint.as_deref() {
                replicas.entry((model, place)).or_default().push(call);
            }
        }
    }
    let mut kept = replicas.clone();
    others(&mut kept, REPLICAS);
    let mut rows = Vec::new();
    for (model, calls) in models {
        rows.push(row(Some(model), &calls));
        let own = replicas.range((model, "")..);
        let own = own.take_while(|((of, _), _)| *of == model);
        let (mut count, mut rest) = (0, Vec::new());
        for (key, calls) in own {
            if kept.contains_key(key) {
                rows.push(Row {
                    replica: Some(key.1.to_owned()),
                    ..row(Some(model), calls)
                });
            } else {
                count += 1;
                rest.extend(calls);
            }
        }
        rows.extend(others_row(Some(model), count, &rest));
    }
    rows.extend(few.and_then(|(count, calls)| others_row(None, count, &calls)));
    rows
}

fn row(model: Option<&str>, calls: &[&TimedCall]) -> Row {
    Row {
        model: model.map(str::to_owned),
        ..Row::of(calls, Part::Model, Errors::LeftOut)
    }
}

fn others_row(model: Option<&str>, count: usize, calls: &[&TimedCall]) -> Option<Row> {
    (count > 0).then(|| Row {
        others: Some(count),
        ..row(model, calls)
    })
}
