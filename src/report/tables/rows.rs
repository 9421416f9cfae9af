//! One row of a table: a set of calls, what is known of their times, and the same in parts.

use schemars::JsonSchema;
use serde::Serialize;

use super::cold::{Cold, cold};
use super::coverage::{Coverage, Errors};
use super::distribution::Distribution;
use crate::base::Timestamp;
use crate::eval::{CallTime, TimedCall};

/// What a set of calls is parted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// `ok` or `error`.
    Outcome,
    /// `once` or `retried`, or `not known`.
    Retried,
    /// `cold` or `steady`.
    Window,
}

/// A part of a row's calls. Parts are there only where there is more than one.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Split {
    /// What it was parted by.
    pub by: By,
    /// Which part.
    pub part: String,
    /// How many of the calls that count.
    pub calls: usize,
    /// Their times.
    pub seconds: Distribution,
}

/// A set of calls.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Row {
    /// The tool, where the row is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The model or service, where the row is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The replica as `host:port`, where the row is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// It is of so many names together that have no row of their own: tools, models, or replicas of the model. Only those with
    /// most time have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<usize>,
    /// Of how many calls this speaks.
    pub coverage: Coverage,
    /// Their times; absent if none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Distribution>,
    /// Whether it was slow at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold: Option<Cold>,
    /// The same calls in parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Split>,
}

/// Which time of a call a row is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// From the question to the end of all that it took.
    Whole,
    /// The model's part of it.
    Model,
}

impl Part {
    pub(super) fn of(self, time: CallTime) -> Option<f64> {
        match (time, self) {
            (CallTime::Known { whole, .. }, Self::Whole) => Some(whole),
            (CallTime::Known { model, .. }, Self::Model) => Some(model),
            (CallTime::Unknown(_), _) => None,
        }
    }
}

impl Row {
    /// Of these calls, without a name.
    pub(super) fn of(calls: &[&TimedCall], part: Part, errors: Errors) -> Self {
        let mut coverage = Coverage::default();
        let mut used = Vec::new();
        for call in calls {
            let time = coverage.take(call, errors);
            if let Some(ms) = time.and_then(|time| part.of(time)) {
                used.push((*call, ms));
            }
        }
        Self {
            tool: None,
            model: None,
            replica: None,
            others: None,
            coverage,
            seconds: Distribution::of(used.iter().map(|(_, ms)| *ms)),
            cold: None,
            splits: splits(&used),
        }
    }

    /// The same, also parted into its slow beginning and the rest.
    pub(super) fn with_windows(calls: &[&TimedCall], part: Part, errors: Errors) -> Self {
        let mut row = Self::of(calls, part, errors);
        let known = |call: &&TimedCall| {
            let counts = !(call.failed && errors == Errors::LeftOut);
            Some((call.at?, part.of(call.time).filter(|_| counts)?))
        };
        let mut times: Vec<(Timestamp, f64)> = calls.iter().filter_map(known).collect();
        if row.coverage.used == 0 {
            return row;
        }
        let (found, until) = cold(&mut times, row.coverage.used);
        row.cold = Some(found);
        if let Some(until) = until {
            let of = |is_cold: bool| {
                let times = times.iter().filter(|(at, _)| (*at < until) == is_cold);
                Distribution::of(times.map(|(_, ms)| *ms))
            };
            let parts = [("cold", of(true)), ("steady", of(false))];
            row.splits.extend(parted(By::Window, parts));
        }
        row
    }
}

fn splits(used: &[(&TimedCall, f64)]) -> Vec<Split> {
    let of = |is: &dyn Fn(&TimedCall) -> bool| {
        let part = used.iter().filter(|(call, _)| is(call));
        Distribution::of(part.map(|(_, ms)| *ms))
    };
    let outcome = [
        ("ok", of(&|call| !call.failed)),
        ("error", of(&|call| call.failed)),
    ];
    let retried = [
        ("once", of(&|call| call.retried == Some(false))),
        ("retried", of(&|call| call.retried == Some(true))),
        ("not known", of(&|call| call.retried.is_none())),
    ];
    let mut splits = parted(By::Outcome, outcome);
    splits.extend(parted(By::Retried, retried));
    splits
}

/// The parts that have calls; none if that is one alone.
fn parted<const N: usize>(by: By, parts: [(&str, Option<Distribution>); N]) -> Vec<Split> {
    let some = parts.into_iter().filter_map(|(part, seconds)| {
        let seconds = seconds?;
        Some(Split {
            by,
            part: part.to_owned(),
            calls: seconds.count,
            seconds,
        })
    });
    let splits: Vec<Split> = some.collect();
    if splits.len() > 1 { splits } else { Vec::new() }
}
