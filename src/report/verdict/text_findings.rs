//! What stands out, in sentences.

use std::collections::BTreeMap;

use super::analysis::Analysis;
use super::findings::Findings;
use super::judge::Limit;
use super::moves::{counted, plural};
use super::numbers::seconds;
use super::phases::Span;
use super::starvation::Starved;
use super::words::{few, percent};
use crate::base::Millis;

/// An end is named from this share of the run on.
const TAIL: f64 = 0.1;
/// Nine of ten of the questions.
const MOST: f64 = 0.9;
/// From so many finished questions on it is said if nobody knows how long they took.
const ENOUGH_TIMED: usize = 20;
/// Of what there can be many, so many are shown.
const SHOWN: usize = 3;

/// What stands out, a sentence each.
pub(super) fn findings(analysis: &Analysis) -> Vec<String> {
    let mut lines = Vec::new();
    for cold in &analysis.phases.cold {
        lines.push(format!(
            "{} was cold for {}: {:.1} s a call at first, {:.1} s later; that cost {} of calls",
            cold.class, cold.length, cold.first, cold.settled, cold.cost
        ));
    }
    let found = &analysis.findings;
    lines.extend(starved(found, analysis.phases.whole));
    let told = matches!(analysis.limit, Limit::Tail);
    if let Some(share) = analysis.tail_share.filter(|share| *share >= TAIL && !told) {
        lines.push(format!(
            "its end, with fewer than half of the questions at once, was {}",
            percent(share)
        ));
    }
    lines.extend(long_ones(found));
    for uneven in found.uneven.iter().take(SHOWN) {
        let time = uneven.time.map_or_else(String::new, |time| {
            format!(", and computes one {time:.1} times as long")
        });
        lines.push(format!(
            "{} gets {:.1} times the calls of its neighbours{time}",
            uneven.replica, uneven.calls
        ));
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
        let total: f64 = all.iter().map(|one| seconds(one.span.length())).sum();
        let mean = |of: fn(&Starved) -> f64| {
            let sum: f64 = all
                .iter()
                .map(|one| of(one) * seconds(one.span.length()))
                .sum();
            sum / total.max(1.0)
        };
        let what = if mean(|one| one.share.unwrap_or(0.0)) >= MOST {
            format!("nine of ten questions were with {class}")
        } else {
            format!("{} calls waited for {class}", few(mean(|one| one.waiting)))
        };
        let spans: Vec<Span> = all.iter().map(|one| one.span).collect();
        format!(
            "for {} {what}, while {:.0} GPUs of others had nothing to do",
            when(&spans, run),
            mean(|one| one.idle_gpus)
        )
    };
    let mut lines: Vec<String> = by_class.into_iter().map(line).collect();
    let spans: Vec<Span> = found.silent.iter().map(|one| one.span).collect();
    if let Some(first) = found.silent.first() {
        lines.push(format!(
            "for {} questions were left and the client asked no server: {} had nothing to do",
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
            "question `{}` takes {} already; half take no more than {}",
            late.id, late.age, late.median
        ));
    }
    if found.late.len() > SHOWN {
        lines.push(format!("{} more take as long", found.late.len() - SHOWN));
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
            "the slowest question{s} took {}; half took no more than {}",
            slow.join(", "),
            first.median
        ));
    }
    if found.timed == 0 && found.finished >= ENOUGH_TIMED {
        lines.push(
            "how long single questions took is not known: when they began was not seen, and the order of their ends does not tell"
                .to_owned(),
        );
    } else if found.timed < found.finished && !lines.is_empty() {
        lines.push(format!(
            "how long they took is known of {} of {} questions",
            found.timed, found.finished
        ));
    }
    lines
}
