//! Calls by model and replica, from whoever names replicas.

use std::collections::BTreeMap;

use super::coverage::Errors;
use super::rows::{Part, Row};
use crate::eval::TimedCall;

/// A row for each model, and one for each of its replicas behind it. Failed attempts are left out and counted.
pub(super) fn servers<'a>(calls: impl Iterator<Item = &'a TimedCall>) -> Vec<Row> {
    let mut models: BTreeMap<&str, BTreeMap<&str, Vec<&TimedCall>>> = BTreeMap::new();
    for call in calls {
        let Some(model) = call.model.as_deref() else {
            continue;
        };
        let replicas = models.entry(model).or_default();
        replicas.entry("").or_default().push(call);
        if let Some(place) = call.endpoint.as_deref() {
            replicas.entry(place).or_default().push(call);
        }
    }
    let rows = models.into_iter().flat_map(|(model, replicas)| {
        replicas.into_iter().map(|(place, calls)| Row {
            model: Some(model.to_owned()),
            replica: (!place.is_empty()).then(|| place.to_owned()),
            ..Row::of(&calls, Part::Model, Errors::LeftOut)
        })
    });
    rows.collect()
}
