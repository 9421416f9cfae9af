//! Other evaluations on the same servers: what these counted is of all of them.

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::Evidence;
use super::measured::Measured;
use super::numbers::{between, ratio};
use crate::base::float;

/// Others count from this share of the run on.
const COUNTS: f64 = 0.05;

/// Other evaluations on the same servers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Shared {
    /// Their names.
    pub evaluations: Vec<String>,
    /// Questions that they had under way, on average over the run; none where nobody knows.
    pub questions: Option<f64>,
    /// The client's own times tell which calls are this evaluation's. Else shares are of the questions of all of them.
    pub told_apart: bool,
    /// No more than this share of this evaluation's questions can be at servers.
    pub most_at_servers: Option<f64>,
}

impl Shared {
    /// None where no other evaluation used them.
    pub(super) fn of(
        evidence: &Evidence,
        classes: &[Measured],
        under_way: Option<f64>,
    ) -> Option<Self> {
        let wall = between(evidence.began, evidence.until);
        let length =
            |one: &super::evidence::Beside| ratio(one.length.as_secs_f64(), wall).unwrap_or(0.0);
        let others: Vec<_> = (evidence.beside.iter())
            .filter(|one| length(one) >= COUNTS)
            .collect();
        let each = others
            .iter()
            .map(|one| Some(float(one.concurrency?) * length(one).min(1.0)));
        let known: f64 = classes.iter().filter_map(|class| class.in_flight).sum();
        (!others.is_empty()).then(|| Self {
            evaluations: others.iter().map(|one| one.evaluation.clone()).collect(),
            questions: each.sum(),
            told_apart: classes
                .iter()
                .all(|class| class.own.is_some() || class.gpus == 0),
            most_at_servers: under_way.and_then(|n| Some(ratio(known, n)?.min(1.0))),
        })
    }

    /// Why nothing is said where nobody knows whose calls were at servers.
    pub(super) fn why(&self) -> String {
        format!(
            "{} used the same servers, and whose calls they computed is not known",
            self.evaluations
                .iter()
                .map(|name| format!("evaluation `{name}`"))
                .collect::<Vec<_>>()
                .join(" and ")
        )
    }
}

/// Calls of this class and the questions that they are part of: this evaluation's own where they are told apart, else those of all.
pub(super) fn part(
    class: &Measured,
    shared: Option<&Shared>,
    under_way: Option<f64>,
) -> Option<(f64, f64)> {
    match shared {
        Some(shared) if shared.told_apart => class.own.zip(under_way),
        _ => class.in_flight.zip(of_all(shared, under_way)),
    }
}

/// Questions under way, with those of others where calls are not told apart.
pub(super) fn of_all(shared: Option<&Shared>, under_way: Option<f64>) -> Option<f64> {
    let others = shared.map_or(Some(0.0), |shared| {
        if shared.told_apart {
            Some(0.0)
        } else {
            shared.questions
        }
    });
    Some(under_way? + others?)
}
