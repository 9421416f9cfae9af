//! What stands out beside the verdict: workers that starve, questions that take too long, replicas unlike their neighbours.

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::{Beside, Evidence, FailedCalls, Incident};
use super::measured::Questions;
use super::numbers::between;
use super::phases::{Span, times};
use super::starvation::{Silent, Starved, silent, starved};
use super::uneven::{Uneven, uneven};
use crate::base::Millis;
use crate::report::quantile;

/// A question is late from so many median times.
const LATE: f64 = 3.0;
/// Of those that are finished the longest are told.
const SLOWEST: usize = 20;
/// Times below which nothing is late.
const ENOUGH: usize = 20;

/// What stands out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Findings {
    /// Times in which one class was waited for, and others had nothing to do.
    pub starved: Vec<Starved>,
    /// Times in which questions were left, and the client asked no server.
    pub silent: Vec<Silent>,
    /// Questions under way that take much longer than others, the oldest first.
    pub late: Vec<Late>,
    /// Questions that took much longer than others, the longest twenty.
    pub slow: Vec<Late>,
    /// Of how many finished questions it is known how long they took.
    pub timed: usize,
    /// Finished questions.
    pub finished: usize,
    /// Replicas unlike their neighbours.
    pub uneven: Vec<Uneven>,
    /// Times in which servers did not work as they should, the earliest first.
    pub incidents: Vec<Incident>,
    /// Calls to servers that brought no answer, where each is told.
    pub failed_calls: Option<FailedCalls>,
    /// Questions that came out as an error, of all that are done.
    pub errors: Option<usize>,
    /// Times between two starts of the client in which none was at work.
    pub absent: Vec<Span>,
    /// Evaluations that the same servers worked for at the same time.
    pub beside: Vec<Beside>,
}

/// A question that takes much longer than others.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Late {
    /// Its id.
    pub id: String,
    /// So long, or so long already.
    pub age: Millis,
    /// Half of the others took no longer.
    pub median: Millis,
}

pub(super) fn findings(evidence: &Evidence, questions: &Questions) -> Findings {
    let (late, slow) = late(evidence);
    let finished = evidence.client.tasks.iter();
    Findings {
        starved: starved(evidence, questions),
        silent: silent(evidence),
        late,
        slow,
        timed: times(&evidence.client).len(),
        finished: finished.filter(|task| task.ended.is_some()).count(),
        uneven: uneven(evidence),
        incidents: evidence.incidents.clone(),
        failed_calls: evidence.client.failed_calls,
        errors: evidence.client.errors,
        absent: evidence.client.absent.clone(),
        beside: evidence.beside.clone(),
    }
}

/// Questions that take, and that took, much longer than others.
fn late(evidence: &Evidence) -> (Vec<Late>, Vec<Late>) {
    let mut times = times(&evidence.client);
    times.sort_unstable_by(f64::total_cmp);
    let known = (quantile(&times, 0.5), quantile(&times, 0.99));
    let (Some(median), Some(last)) = known else {
        return (Vec::new(), Vec::new());
    };
    if times.len() < ENOUGH {
        return (Vec::new(), Vec::new());
    }
    let found = |ended: bool, least: f64| {
        let tasks = evidence.client.tasks.iter();
        let tasks = tasks.filter(|task| task.ended.is_some() == ended);
        let mut late: Vec<Late> = tasks
            .filter_map(|task| {
                let age = between(task.began?, task.ended.unwrap_or(evidence.until));
                (age > least).then(|| Late {
                    id: task.id.clone(),
                    age: Millis::from_secs_f64(age),
                    median: Millis::from_secs_f64(median),
                })
            })
            .collect();
        late.sort_by(|one, other| (other.age, &one.id).cmp(&(one.age, &other.id)));
        late
    };
    let least = (LATE * median).max(last);
    let mut slow = found(true, least);
    slow.truncate(SLOWEST);
    (found(false, least), slow)
}
