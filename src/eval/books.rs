//! The balance of the routing books: what servers counted against what clients report and what we asked ourselves.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::calls::Call;
use crate::base::{Place, UnitId};
use crate::plan::{Group, Plan, UnitKind};
use crate::run::{Books, Sum};

/// What clients report of their calls.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reports {
    /// The calls of all clients, since their books were opened.
    pub calls: Vec<Call>,
    /// Calls of which the results that are there may say nothing.
    pub lost: Option<Lost>,
    /// A client still runs.
    pub running: bool,
    /// They come from call logs, which have each attempt, also of questions that were not finished.
    pub logged: bool,
    /// Results changed after the run had ended, so that its calls are not known any more.
    pub changed: bool,
}

/// Why calls are in no result. The graver comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// A client was cut off: what it had asked for questions that it did not finish is in none.
    CutOff,
    /// Results in error were asked again, and newer ones took their place.
    AskedAgain,
}

/// The account of one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its key.
    pub model: String,
    /// What its servers finished; none if no counter was read to the end.
    pub served: Option<Sum>,
    /// Calls that clients report as answered.
    pub answered: u64,
    /// Calls that clients report as failed, each retry among them.
    pub failed: u64,
    /// What follows.
    pub balance: Balance,
}

/// Whether an account is balanced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Every request is somebody's, and every call went to a server.
    Even,
    /// Servers finished so many requests that nobody reports.
    Unreported(u64),
    /// Clients report so many calls that no server finished: they went elsewhere.
    Elsewhere(u64),
    /// It cannot be told, for this reason.
    Open(String),
}

/// The accounts of all models that servers of this plan serve, in its order; none where no books were kept.
pub fn accounts(plan: &Plan, books: &Books, reports: &Reports) -> Vec<Account> {
    if books.evals.is_empty() {
        return Vec::new();
    }
    let models = plan.groups.iter().filter(|group| is_model(plan, group));
    models.map(|group| account(group, books, reports)).collect()
}

fn is_model(plan: &Plan, group: &Group) -> bool {
    let unit = group.endpoints.first().and_then(|end| plan.unit(&end.unit));
    unit.is_some_and(|unit| matches!(unit.kind, UnitKind::Replica { .. }))
}

fn account(group: &Group, books: &Books, reports: &Reports) -> Account {
    let units: BTreeSet<&UnitId> = group.endpoints.iter().map(|end| &end.unit).collect();
    let sums = units.iter().filter_map(|unit| books.servers.get(*unit));
    let served = sums.copied().reduce(Sum::and);
    let own = || {
        let calls = reports.calls.iter();
        calls.filter(|call| call.model == group.key)
    };
    let count = |failed: bool| own().filter(|call| call.failed == failed).count() as u64;
    let (answered, failed) = (count(false), count(true));
    let is_one = |set: &BTreeSet<UnitId>| units.iter().any(|unit| set.contains(*unit));
    let doubt = doubt(books, reports, is_one);
    let balance = balance(served.unwrap_or_default(), (answered, failed), doubt);
    Account {
        model: group.key.clone(),
        served,
        answered,
        failed,
        balance,
    }
}

/// Why the counts may be wrong: too low, or too high.
struct Doubt {
    /// What servers finished was not counted to the end.
    uncounted: Option<String>,
    /// What a server finished last may be missing.
    missed: Option<String>,
    /// There may be requests that nobody could report.
    silent: Option<String>,
}

fn doubt(books: &Books, reports: &Reports, is_one: impl Fn(&BTreeSet<UnitId>) -> bool) -> Doubt {
    let uncounted = if reports.changed {
        Some("results changed since this run ended, and what they were is not kept")
    } else if books.are_open() && reports.running {
        Some("its client still runs: what servers finished is counted when that has ended")
    } else if books.are_open() {
        Some("the last client ended while no controller watched")
    } else if is_one(&books.unread) {
        Some("a server of it could not be asked what it counted")
    } else {
        None
    };
    let missed = is_one(&books.ended).then_some(
        "a server of it ended while clients ran, and what it finished in its last seconds is not known",
    );
    let complete = reports.logged || reports.calls.iter().any(|call| call.endpoint.is_some());
    let silent = if reports.calls.is_empty() {
        Some("the client reports no calls")
    } else if !complete {
        Some("the client's results leave calls out; its call log would have them all")
    } else if let (Some(lost), false) = (reports.lost, reports.logged) {
        Some(match lost {
            Lost::CutOff => {
                "a client was cut off, and what it had asked for unfinished questions is in no result"
            }
            Lost::AskedAgain => {
                "results in error were asked again, and what had been asked for them is in no result"
            }
        })
    } else if books.gap {
        Some("another controller watched before, and what it asked is not known")
    } else {
        None
    };
    Doubt {
        uncounted: uncounted.map(str::to_owned),
        missed: missed.map(str::to_owned),
        silent: silent.map(str::to_owned),
    }
}

fn balance(served: Sum, (answered, failed): (u64, u64), doubt: Doubt) -> Balance {
    let Doubt {
        uncounted,
        missed,
        silent,
    } = doubt;
    if let Some(why) = uncounted {
        return Balance::Open(why);
    }
    let theirs = served.finished.saturating_sub(served.ours);
    // A call that failed for its client may have been finished by the server: too late, or torn on the way.
    let most = answered + failed + served.unsure;
    if theirs < answered {
        return missed.map_or(Balance::Elsewhere(answered - theirs), Balance::Open);
    }
    if theirs > most {
        return silent.map_or(Balance::Unreported(theirs - most), Balance::Open);
    }
    // Numbers that meet speak for themselves, but nothing and nothing do not.
    let nothing = most == 0;
    match missed.or(silent).filter(|_| nothing) {
        Some(why) => Balance::Open(why),
        None => Balance::Even,
    }
}

/// Places that clients say they called and that nobody declared, with the number of calls; the most called first.
pub fn reported_elsewhere(declared: &BTreeSet<Place>, calls: &[Call]) -> Vec<(Place, u64)> {
    let mut found: BTreeMap<Place, u64> = BTreeMap::new();
    let places = calls.iter().filter_map(|call| call.endpoint.as_deref());
    for place in places.filter_map(|place| Place::read(place, 0)) {
        if !declared.contains(&place) {
            *found.entry(place).or_default() += 1;
        }
    }
    let mut found: Vec<(Place, u64)> = found.into_iter().collect();
    found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    found
}
