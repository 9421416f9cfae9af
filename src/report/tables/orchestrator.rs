//! The orchestrator's own table: no result tells of its calls, but for those of the quickstart's client.

use schemars::JsonSchema;
use serde::Serialize;

use super::coverage::Errors;
use super::distribution::tidy;
use super::evaluation::Source;
use super::rows::{Part, Row};
use crate::base::float;
use crate::eval::{TimedCall, Written};
use crate::report::quantile;

/// How the orchestrator answered.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Orchestrator {
    /// Where its calls are told.
    pub source: Source,
    /// Its calls; those in error are left out, with their number.
    pub row: Row,
}

/// How often it was asked for each question.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Rounds {
    /// Results that tell.
    pub questions: usize,
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// Nine of ten took no more.
    pub p90: f64,
    /// All but one in a hundred took no more.
    pub p99: f64,
    /// The most.
    pub max: f64,
}

impl Orchestrator {
    pub(super) fn of(calls: &[&TimedCall], source: Source) -> Option<Self> {
        let model = calls.first()?.model.as_deref().map(str::to_owned);
        let row = Row {
            model,
            ..Row::with_windows(calls, Part::Model, Errors::LeftOut)
        };
        Some(Self { source, row })
    }
}

impl Rounds {
    pub(super) fn of<'a>(written: impl Iterator<Item = &'a Written>) -> Option<Self> {
        let rounds = written.filter_map(|one| one.answer.rounds);
        let mut rounds: Vec<f64> = rounds.filter(|rounds| rounds.is_finite()).collect();
        rounds.sort_unstable_by(f64::total_cmp);
        let max = *rounds.last()?;
        let of = |q| tidy(quantile(&rounds, q).unwrap_or_default());
        let mean = rounds.iter().sum::<f64>() / float(rounds.len());
        Some(Self {
            questions: rounds.len(),
            mean: tidy(mean),
            p50: of(0.50),
            p90: of(0.90),
            p99: of(0.99),
            max: tidy(max),
        })
    }
}
