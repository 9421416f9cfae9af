//! Servers that did not work in the judged time: what was measured then says nothing of a run in which they do.

use super::evidence::{Class, Evidence, Incident, Trouble};
use super::numbers::ratio;
use super::phases::Span;
use crate::base::{Timestamp, float};

/// From this share of a class's time on in which its servers did not work, what was measured says little.
const DISTURBED: f64 = 0.25;
/// So does this share of the time in which any server took calls and gave no answer: sooner or later each question asks it, and stays
/// there. It is less than what makes a run the client's.
const HUNG: f64 = 0.15;
/// Time at a server that stood still is named from this share on.
const NAMED: f64 = 0.05;

/// Whether calls of that time stay where they are.
fn keeps_calls(incident: &Incident) -> bool {
    matches!(incident.trouble, Trouble::StoodStill | Trouble::OutOfReach)
}

fn is_of(class: &Class, replica: &str) -> bool {
    let name = replica.rsplit_once('-').map(|(name, _)| name);
    replica == class.name || name == Some(class.name.as_str())
}

/// The part of it that lies within some time.
fn within(incident: &Incident, span: Span) -> Option<(Timestamp, Timestamp)> {
    let (from, until) = (
        incident.span.from.max(span.from),
        incident.span.until.min(span.until),
    );
    (from < until).then_some((from, until))
}

/// The share of some time in which one of these went on.
fn share<'a>(incidents: impl Iterator<Item = &'a Incident>, span: Span) -> f64 {
    let mut parts: Vec<_> = incidents.filter_map(|one| within(one, span)).collect();
    parts.sort_unstable();
    let (mut sum, mut behind) = (0.0, span.from);
    for (from, until) in parts {
        sum += until.since(from.max(behind)).as_secs_f64();
        behind = behind.max(until);
    }
    ratio(sum, span.length().as_secs_f64()).unwrap_or(0.0)
}

/// The share of some time in which this server took calls and gave no answer.
pub(super) fn still_share(evidence: &Evidence, replica: &str, span: Span) -> f64 {
    let incidents = evidence.incidents.iter();
    let own = incidents.filter(|one| one.replica == replica && keeps_calls(one));
    share(own, span)
}

/// Whether a server of this class did so for a considerable part of it.
pub(super) fn has_stood_still(evidence: &Evidence, class: &str, span: Span) -> bool {
    let mut classes = evidence.classes.iter();
    let class = classes.find(|one| one.name == class);
    class.is_some_and(|class| {
        let incidents = evidence.incidents.iter();
        let own = incidents.filter(|one| is_of(class, &one.replica) && keeps_calls(one));
        share(own, span) >= HUNG
    })
}

/// Those times of its servers in which calls stayed where they were.
fn still(evidence: &Evidence, span: Span) -> impl Iterator<Item = &Incident> + Clone {
    let incidents = evidence.incidents.iter();
    incidents.filter(move |one| {
        let mut classes = evidence.classes.iter();
        keeps_calls(one)
            && within(one, span).is_some()
            && classes.any(|class| is_of(class, &one.replica))
    })
}

/// Servers of which some of that time is to be named: questions were there, and at no client.
pub(super) fn stood_still(evidence: &Evidence, span: Span) -> Vec<String> {
    let all = still(evidence, span);
    if share(all.clone(), span) < NAMED {
        return Vec::new();
    }
    let mut names: Vec<String> = all.map(|one| one.replica.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Why nothing can be said where servers were not there for much of the judged time.
pub(super) fn disturbed(evidence: &Evidence, span: Span) -> Option<String> {
    let lost = share(still(evidence, span), span);
    let down = evidence
        .classes
        .iter()
        .find_map(|class| down(evidence, class, span));
    if lost < HUNG {
        return down;
    }
    let mut kinds = still(evidence, span).map(|one| one.trouble);
    let first = kinds.next()?;
    let what = match first {
        _ if kinds.any(|kind| kind != first) => "did not work",
        Trouble::OutOfReach => "could not be reached",
        _ => "stood still",
    };
    Some(format!(
        "{} {what} for {:.0} % of the judged time, and questions that had asked there did not go on",
        listed(&stood_still(evidence, span)),
        lost * 100.0
    ))
}

fn down(evidence: &Evidence, class: &Class, span: Span) -> Option<String> {
    let mut own: Vec<&str> = evidence
        .incidents
        .iter()
        .map(|one| one.replica.as_str())
        .filter(|replica| is_of(class, replica))
        .collect();
    own.sort_unstable();
    own.dedup();
    let of_one = |replica: &&str| {
        let incidents = evidence.incidents.iter();
        share(incidents.filter(|one| one.replica == *replica), span)
    };
    let lost: f64 = own.iter().map(of_one).sum();
    let lost = ratio(lost, float(class.replicas)).filter(|lost| *lost >= DISTURBED)?;
    Some(format!(
        "the servers of {} did not work for {:.0} % of the judged time",
        class.name,
        lost * 100.0
    ))
}

fn listed(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}
