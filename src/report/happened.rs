//! What happened in a run beside its questions: alarms, starts anew, and where calls went.

use schemars::JsonSchema;
use serde::Serialize;

use super::charts::{Course, MarkKind};
use super::routing::{Routed, Watched, since, verdict, watched};
use crate::base::{Millis, clean};
use crate::eval::{Account, Balance};
use crate::plan::Plan;
use crate::run::RunState;

/// What happened in a run. Moments are in RFC 3339, by the clock of the machine on which it ran; lengths of time in a rehearsal are
/// the cluster's.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Happened {
    /// Alarms of all its owners, oldest first.
    pub alarms: Vec<Alarm>,
    /// Servers and clients that ended by themselves, were started more than once, or were given up.
    pub restarts: Vec<Restarts>,
    /// How closely the calls of each evaluation's clients were watched.
    pub calls: Vec<Watched>,
    /// The routing books, model by model.
    pub books: Vec<Book>,
    /// Since when they are, in words.
    pub books_since: &'static str,
    /// Places that nobody declared and that clients say they called.
    pub elsewhere: Vec<Elsewhere>,
}

/// Something that a person should have known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Alarm {
    /// When.
    pub at: String,
    /// In a rehearsal: how long after the run's begin, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Millis>,
    /// When it was over, as far as something that happened shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
    /// In a rehearsal: how long after the run's begin that was, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_after: Option<Millis>,
    /// Its stable word: `toolorch explain` knows it.
    pub name: String,
    /// Which unit, if one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What, in words.
    pub text: String,
}

/// A unit that did not go through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Restarts {
    /// Which.
    pub unit: String,
    /// Starts beyond the first, but for those after a rehearsal had killed a client itself.
    pub again: u64,
    /// When it ended by itself or was given up, and how, oldest first.
    pub ends: Vec<End>,
}

/// An end that nobody had asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct End {
    /// When.
    pub at: String,
    /// In a rehearsal: how long after the run's begin, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Millis>,
    /// How, in words.
    pub words: String,
}

/// The account of one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Book {
    /// Its name, as clients call it.
    pub model: String,
    /// Requests that its servers finished while clients ran; absent where no counter was read to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served: Option<u64>,
    /// Of these, probes and canaries of toolorch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<u64>,
    /// Calls that clients report as answered.
    pub reported: u64,
    /// Calls that clients report as failed.
    pub failed: u64,
    /// Whether every request is somebody's and every call went to a server; absent where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balanced: Option<bool>,
    /// The same in words, with what is wrong, or why it cannot be told.
    pub balance: String,
}

/// A place that nobody declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Elsewhere {
    /// `host:port`.
    pub place: String,
    /// Calls.
    pub calls: u64,
}

impl Happened {
    /// From the fold of the journal, its course, and the books as they were read.
    pub fn of(plan: &Plan, run: &RunState, course: &Course, routed: &Routed) -> Self {
        let alarms = course.alarms.iter().map(|told| Alarm {
            at: course.here_at(told.at).to_string(),
            after: course.after(told.at),
            over: told.over.map(|at| course.here_at(at).to_string()),
            over_after: told.over.and_then(|at| course.after(at)),
            name: told.alarm.clone(),
            unit: told.unit.as_ref().map(ToString::to_string),
            text: clean(&told.text),
        });
        let elsewhere = routed.elsewhere.iter().map(|(place, calls)| Elsewhere {
            place: place.to_string(),
            calls: *calls,
        });
        Self {
            alarms: alarms.collect(),
            restarts: restarts(course),
            calls: watched(plan, run),
            books: routed.accounts.iter().map(book).collect(),
            books_since: since(run),
            elsewhere: elsewhere.collect(),
        }
    }
}

fn restarts(course: &Course) -> Vec<Restarts> {
    let lanes = course.groups.iter().flat_map(|group| &group.lanes);
    let all = lanes.map(|lane| {
        let ends = lane.marks.iter();
        let ends = ends.filter(|mark| matches!(mark.kind, MarkKind::Died | MarkKind::GaveUp));
        Restarts {
            unit: lane.unit.to_string(),
            again: lane.starts.saturating_sub(1 + lane.tries()),
            ends: ends
                .map(|mark| End {
                    at: course.here_at(mark.at).to_string(),
                    after: course.after(mark.at),
                    words: clean(&mark.words),
                })
                .collect(),
        }
    });
    all.filter(|one| one.again > 0 || !one.ends.is_empty())
        .collect()
}

fn book(account: &Account) -> Book {
    Book {
        model: account.model.clone(),
        served: account.served.map(|served| served.finished),
        ours: account.served.map(|served| served.ours),
        reported: account.answered,
        failed: account.failed,
        balanced: match account.balance {
            Balance::Even => Some(true),
            Balance::Unreported(_) | Balance::Elsewhere(_) => Some(false),
            Balance::Open(_) => None,
        },
        balance: verdict(&account.balance),
    }
}
