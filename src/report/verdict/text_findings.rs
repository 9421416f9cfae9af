//! What stands out, in sentences.

use std::collections::BTreeMap;

use super::analysis::Analysis;
use super::evidence::{Incident, Trouble};
use super::findings::Findings;
use super::judge::Limit;
use super::moves::{counted, plural};
use super::phases::Span;
use super::starvation::Starved;
use super::uneven::Uneven;
use super::words::{few, lasting, percent};
use crate::base::{Millis, nearest};

/// An end is named from this share of the run on.
const TAIL: f64 = 0.1;
/// Nine of ten of the questions.
const MOST: f64 = 0.9;
/// From so many finished questions on it is said if nobody knows how long they took.
const ENOUGH_TIMED: usize = 20;
/// A time without a client is named from this share of the run on: between two tries it is short.
const ABSENT: f64 = 0.02;
/// Of what there can be many, so many are shown.
const SHOWN: usize = 3;

/// What stands out, a sentence each.
pub(super) fn findings(analysis: &Analysis) -> Vec<String> {
    let mut lines = Vec::new();
    for cold in &analysis.phases.cold {
        lines.push(format!(
            "{} was slow for its first {}: a call of usual length took {} at first and {} later; in all, calls took {} longer",
            cold.class,
            cold.length,
            lasting(cold.first),
            lasting(cold.settled),
            cold.cost
        ));
    }
    let found = &analysis.findings;
    lines.extend(troubles(found, analysis.phases.whole));
    lines.extend(starved(found, analysis.phases.whole));
    let told = matches!(analysis.limit, Limit::Tail);
    if let Some(share) = analysis.tail_share.filter(|share| *share >= TAIL && !told) {
        lines.push(format!(
            "for the last {} of the run fewer than half as many questions were under way as could be",
            percent(share)
        ));
    }
    lines.extend(long_ones(found));
    for uneven in found.uneven.iter().take(SHOWN) {
        lines.push(unlike(uneven));
    }
    lines
}

/// Times in which GPUs had nothing to do, those of each class together.
fn starved(found: &Findings, run: Span) -> Vec<String> {
    let mut by_class: BTreeMap<&str, Vec<&Starved>> = BTreeMap::new();
    for one in &found.starved {
        by_class.entry(&one.class).or_default().push(one);
    }
    let line = |(class, all): (&str, Vec<&Starved>)| {
        let total: f64 = all.iter().map(|one| one.span.length().as_secs_f64()).sum();
        let mean = |of: fn(&Starved) -> f64| {
            let sum: f64 = all
                .iter()
                .map(|one| of(one) * one.span.length().as_secs_f64())
                .sum();
            sum / total.max(1.0)
        };
        let what = if mean(|one| one.share.unwrap_or(0.0)) >= MOST {
            format!("nine of ten questions were at {class}")
        } else {
            format!("{} calls waited at {class}", few(mean(|one| one.waiting)))
        };
        let spans: Vec<Span> = all.iter().map(|one| one.span).collect();
        format!(
            "for {} {what}, while {:.0} GPUs of others were idle",
            when(&spans, run),
            mean(|one| one.idle_gpus)
        )
    };
    let mut lines: Vec<String> = by_class.into_iter().map(line).collect();
    let spans: Vec<Span> = found.silent.iter().map(|one| one.span).collect();
    if let Some(first) = found.silent.first() {
        lines.push(format!(
            "for {} questions were left and no server had a call: {} idle",
            when(&spans, run),
            counted(first.gpus, "GPU")
        ));
    }
    lines
}

/// How long these times are together, and when the longest of them was.
fn when(spans: &[Span], run: Span) -> String {
    let total = Millis(spans.iter().map(|span| span.length().0).sum());
    let Some(longest) = spans.iter().max_by_key(|span| span.length()) else {
        return total.to_string();
    };
    let until = longest.until.since(run.from);
    let place = if longest.from <= run.from {
        format!("its first {until}")
    } else {
        format!("{} to {until} of the run", longest.from.since(run.from))
    };
    match spans.len() {
        1 if longest.from <= run.from => format!("{total} from the beginning"),
        1 => format!("{total} ({place})"),
        many => format!("{total} in {many} stretches (the longest: {place})"),
    }
}

/// Questions that take or took much longer than others, and of how many that is known.
fn long_ones(found: &Findings) -> Vec<String> {
    let mut lines = Vec::new();
    for late in found.late.iter().take(SHOWN) {
        lines.push(format!(
            "question `{}` has taken {} so far; the median is {}",
            late.id, late.age, late.median
        ));
    }
    if found.late.len() > SHOWN {
        lines.push(format!(
            "{} more questions take as long",
            found.late.len() - SHOWN
        ));
    }
    let slow: Vec<String> = found
        .slow
        .iter()
        .take(SHOWN)
        .map(|slow| format!("`{}` {}", slow.id, slow.age))
        .collect();
    if let Some(first) = found.slow.first() {
        let s = plural(slow.len());
        lines.push(format!(
            "the slowest question{s}: {}; the median is {}",
            slow.join(", "),
            first.median
        ));
    }
    if found.timed == 0 && found.finished >= ENOUGH_TIMED {
        lines.push(
            "how long single questions took is not known: nothing tells when each began".to_owned(),
        );
    } else if found.timed < found.finished && !lines.is_empty() {
        lines.push(format!(
            "times are known of {} of {} questions",
            found.timed, found.finished
        ));
    }
    lines
}

/// Servers that did not work, calls and questions that failed, and times without a client.
fn troubles(found: &Findings, run: Span) -> Vec<String> {
    let mut lines: Vec<String> = found
        .incidents
        .iter()
        .take(SHOWN)
        .map(|incident| befell(incident, run))
        .collect();
    if found.incidents.len() > SHOWN {
        let more = found.incidents.len() - SHOWN;
        let s = if more == 1 { "was" } else { "were" };
        lines.push(format!(
            "there {s} {more} more times in which a server did not work"
        ));
    }
    if let Some(failed) = found.failed_calls.filter(|calls| calls.failed > 0) {
        lines.push(format!(
            "{} of {} failed",
            failed.failed,
            counted(failed.calls, "call")
        ));
    }
    if let Some(errors) = found.errors.filter(|errors| *errors > 0) {
        lines.push(format!("{} ended in an error", counted(errors, "question")));
    }
    let absent: f64 = found
        .absent
        .iter()
        .map(|one| one.length().as_secs_f64())
        .sum();
    if absent > ABSENT * run.length().as_secs_f64() {
        let what = "no client was running";
        lines.push(format!("for {} {what}", when(&found.absent, run)));
    }
    for beside in &found.beside {
        lines.push(format!(
            "evaluation `{}` used the same servers for {} of this time: what servers counted, and GPU hours, are of both",
            beside.evaluation, beside.length
        ));
    }
    lines
}

fn befell(incident: &Incident, run: Span) -> String {
    let what = match incident.trouble {
        Trouble::StoodStill => "stood still",
        Trouble::Ended => "had ended and was down",
        Trouble::Closed => "had its port closed",
        Trouble::OutOfReach => "could not be reached",
    };
    let calls = incident.calls.filter(|calls| *calls >= 1.0);
    let calls = calls.map_or_else(String::new, |calls| {
        let s = plural(nearest(calls));
        format!(", with up to {calls:.0} call{s} on it")
    });
    let over = if incident.over {
        ""
    } else {
        ", and did not work again"
    };
    let (from, until) = (
        incident.span.from.since(run.from),
        incident.span.until.since(run.from),
    );
    format!(
        "{} {what} for {} ({from} to {until} of the run){calls}{over}",
        incident.replica,
        incident.span.length()
    )
}

fn unlike(one: &Uneven) -> String {
    let mut said = Vec::new();
    if one.often {
        said.push(format!(
            "was called {} times as often as the others",
            factor(one.calls)
        ));
    }
    if let Some(time) = one.time {
        said.push(format!(
            "computes a call {} times as long as the others",
            factor(time)
        ));
    }
    if let Some((here, there)) = one.wait {
        said.push(format!(
            "has calls wait {}, and the others {}: the client does not spread its calls by load",
            lasting(here),
            lasting(there)
        ));
    }
    format!("{} {}", one.replica, said.join(" and "))
}

/// With two digits that count.
fn factor(factor: f64) -> String {
    if factor < 0.095 {
        format!("{factor:.2}")
    } else if factor < 9.95 {
        format!("{factor:.1}")
    } else {
        format!("{factor:.0}")
    }
}
