//! What a reader wants to know first: what limits a run, and what to change.

use super::advice::Advice;
use super::analysis::Analysis;
use super::judge::{Judged, Limit, Verdict, said_at_servers, waiting};
use super::model::Estimate;
use super::moves::{Move, UNUSED, plural};
use super::numbers::ratio;
use super::words::{percent, who_waits};
use crate::base::{clean, float, nearest};

/// Calls wait now and then before all seats are taken, for they come by chance. Up to this share hardly any does.
const TAKEN: f64 = 0.8;
/// Nobody can tell from a run what becomes of so many times as many questions at once.
const FAR: f64 = 10.0;

/// In two plain sentences: what limits a run, and what to change.
#[derive(Debug, Clone, PartialEq)]
pub struct Headline {
    /// What kind of answer it is.
    pub tone: Tone,
    /// What limits it.
    pub limit: String,
    /// What to change, or why nothing.
    pub change: String,
    /// What that brings, where the evidence carries it.
    pub gain: Option<Estimate>,
}

/// What kind of answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// There is something to change, and what it brings is known.
    Change,
    /// There is something to try, and nobody knows what it brings.
    Try,
    /// Nothing needs to be changed.
    Fine,
    /// Nobody can tell.
    Unknown,
}

/// Of one judged evaluation.
pub fn headline(analysis: &Analysis) -> Headline {
    let (tone, change, gain) = change(analysis);
    Headline {
        tone,
        limit: clean(&limit(analysis)),
        change: clean(&change),
        gain,
    }
}

fn limit(analysis: &Analysis) -> String {
    match &analysis.limit {
        Limit::Class { class, verdict } => of_class(class, *verdict, analysis),
        Limit::Client => {
            let share = said_at_servers(&analysis.questions);
            format!(
                "The client limits it: {share} of its questions are at servers, and {} there.",
                nobody_waits(waiting(&analysis.classes))
            )
        }
        Limit::Tail => format!(
            "The last questions limit it: for {} of the time fewer than half as many were under way as could be.",
            percent(analysis.tail_share.unwrap_or_default())
        ),
        Limit::Balanced if waits(analysis).len() > 1 => {
            format!("Calls wait for {} alike.", names(&waits(analysis)))
        }
        Limit::Balanced => "Nothing limits it more than anything else.".to_owned(),
        Limit::Unknown { why } => format!("What limits it cannot be told: {why}."),
    }
}

fn of_class(class: &str, verdict: Verdict, analysis: &Analysis) -> String {
    let judged = measured(class, analysis);
    match verdict {
        Verdict::QueueLimited => {
            let share = judged.and_then(|one| one.measured.queue_share());
            let share = share.map_or_else(String::new, |share| {
                format!(
                    ": a call spends {:.0} % of its time in the queue",
                    100.0 * share
                )
            });
            format!("Calls wait for `{class}`{share}.")
        }
        Verdict::KvLimited => format!("The KV cache of `{class}` is full."),
        _ => format!(
            "Questions spend their time with the tokens of `{class}`, and {} for a place there.",
            nobody_waits(waiting(judged))
        ),
    }
}

fn nobody_waits(calls: f64) -> &'static str {
    if calls <= 0.0 {
        "nobody waits"
    } else {
        who_waits(calls)
    }
}

fn measured<'a>(class: &str, analysis: &'a Analysis) -> Option<&'a Judged> {
    let mut classes = analysis.classes.iter();
    classes.find(|one| one.measured.class == class)
}

/// Classes for which calls wait.
fn waits(analysis: &Analysis) -> Vec<&str> {
    let classes = analysis.classes.iter();
    let waits = classes.filter(|one| one.verdict == Verdict::QueueLimited);
    waits.map(|one| one.measured.class.as_str()).collect()
}

fn names(all: &[&str]) -> String {
    let all: Vec<String> = all.iter().map(|name| format!("`{name}`")).collect();
    match all.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        all => all.concat(),
    }
}

fn change(analysis: &Analysis) -> (Tone, String, Option<Estimate>) {
    match &analysis.advice {
        Advice::Change { prediction, .. } => {
            let moves: Vec<String> = prediction.moves.iter().map(said).collect();
            let change = format!("{}.", capital(&moves.join(", ")));
            (Tone::Change, change, Some(prediction.estimate))
        }
        Advice::Nothing { why } => {
            let (tone, change) = without_gain(analysis, why);
            (tone, change, None)
        }
    }
}

fn said(step: &Move) -> String {
    let (gpus, s) = (step.gpus, plural(step.gpus));
    if step.from == UNUSED {
        format!("give {gpus} unused GPU{s} to `{}`", step.to)
    } else {
        format!("move {gpus} GPU{s} from `{}` to `{}`", step.from, step.to)
    }
}

fn without_gain(analysis: &Analysis, why: &str) -> (Tone, String) {
    match &analysis.limit {
        Limit::Client => (Tone::Try, more_at_once(analysis)),
        Limit::Class {
            class,
            verdict: Verdict::DecodeLimited,
        } => {
            let at_once = analysis.concurrency.map_or_else(String::new, |now| {
                format!(" (`concurrency`, now {now})")
            });
            let change = format!(
                "Shorter answers of `{class}`, fewer rounds or more questions at once{at_once} would help; more replicas would find little to do."
            );
            (Tone::Try, change)
        }
        Limit::Tail => (
            Tone::Try,
            "Ask the longest questions first, or cap the rounds: servers have places free at the end."
                .to_owned(),
        ),
        Limit::Balanced if waits(analysis).len() > 1 => (
            Tone::Try,
            "No model has GPUs to give to another: only more GPUs, shorter answers or fewer rounds would help."
                .to_owned(),
        ),
        Limit::Balanced => (Tone::Fine, format!("Nothing needs to be moved: {why}.")),
        Limit::Class { .. } => (Tone::Try, format!("{}.", capital(why))),
        Limit::Unknown { .. } => (
            Tone::Unknown,
            "So nothing is advised.".to_owned(),
        ),
    }
}

/// How many questions at once the servers have places for, as far as that is known.
fn more_at_once(analysis: &Analysis) -> String {
    let now = analysis.concurrency.map_or_else(
        || "Raise `concurrency`".to_owned(),
        |now| format!("Raise `concurrency` from {now}"),
    );
    let taken = |one: &Judged| Some((one.measured.class.clone(), one.measured.utilisation?));
    let fullest = analysis.classes.iter().filter_map(taken);
    let fullest = fullest.max_by(|one, other| one.1.total_cmp(&other.1));
    let at_once = analysis.concurrency.map(float);
    let at_once = at_once.or(analysis.questions.under_way);
    let room = fullest
        .zip(at_once)
        .and_then(|((class, taken), at_once)| Some((class, ratio(TAKEN, taken)?, at_once)));
    let room = match room {
        Some((_, times, _)) if times > FAR => {
            ": servers have places for more than ten times as many".to_owned()
        }
        Some((class, times, at_once)) if times > 1.0 => format!(
            ": up to about {} at once hardly any call waits, then the places of `{class}` run out",
            nearest::<usize>(times * at_once)
        ),
        _ => ", step by step, until calls wait".to_owned(),
    };
    format!("{now}{room}. What it brings depends on the client, and cannot be told from this run.")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
