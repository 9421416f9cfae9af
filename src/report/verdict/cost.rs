//! What a run costs in GPU hours, and how much of that did nothing.

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::Evidence;
use super::numbers::{between, ratio};
use super::phases::Span;
use super::standstill::still_share;
use super::sums::Sums;
use crate::base::float;

/// GPU hours of a run, from the first start of its client on.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Cost {
    /// Of all servers.
    pub gpu_hours: f64,
    /// Of these, with nothing to compute, as far as that was seen.
    pub idle_hours: f64,
    /// Of these, of servers of which nothing was seen.
    pub unseen_hours: f64,
    /// Beside them: GPUs of the cluster that no server has.
    pub unused_hours: f64,
    /// For each question that was answered in this run: those that came out as an error are none.
    pub per_question: Option<f64>,
}

/// What this run costs so far; none where it has taken no time, as in results alone.
pub fn cost(evidence: &Evidence) -> Option<Cost> {
    let hours = between(evidence.began, evidence.until) / 3600.0;
    if hours <= 0.0 {
        return None;
    }
    let run = Span {
        from: evidence.began,
        until: evidence.until,
    };
    let (mut all, mut idle, mut unseen) = (0.0, 0.0, 0.0);
    for class in &evidence.classes {
        let own = float(class.gpus_per_replica) * hours;
        all += float(class.replicas) * own;
        unseen += float(class.replicas.saturating_sub(class.series.len())) * own;
        for series in &class.series {
            // Who stands still has calls, and is no more idle than at work.
            let worked = 1.0 - still_share(evidence, &series.replica, run);
            match Sums::of_all(std::slice::from_ref(series), run).idling(1.0) {
                Some(share) => idle += own * share * worked,
                None => unseen += own,
            }
        }
    }
    let ended = evidence.client.tasks.iter();
    let done = ended.filter(|task| task.ended.is_some()).count();
    Some(Cost {
        gpu_hours: all,
        idle_hours: idle,
        unseen_hours: unseen,
        unused_hours: float(super::patch::unused(evidence)) * hours,
        per_question: ratio(all, float(done) * (1.0 - error_share(evidence))),
    })
}

/// The share of finished questions that came out as an error; none where nobody tells.
fn error_share(evidence: &Evidence) -> f64 {
    let client = &evidence.client;
    let share = client
        .errors
        .and_then(|errors| ratio(float(errors), float(client.done)));
    share.unwrap_or(0.0).clamp(0.0, 1.0)
}
