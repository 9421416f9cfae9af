//! What is said of a run, in lines that fit a terminal.

use std::fmt::Write as _;

use super::advice::Advice;
use super::analysis::Analysis;
use super::eta::Eta;
use super::evidence::SeatsBy;
use super::judge::{Judged, Limit, Verdict, at_servers};
use super::moves::{counted, plural};
use super::numbers::millis;
use super::text_findings::findings;
use super::text_moves::{estimate, patch, said};
use super::words::{GpuTime, Pace, few, lasting, percent};
use crate::base::clean;

/// Time at no server is named from this share on.
const ELSEWHERE: f64 = 0.1;
/// A bound is named if there is so much room below it.
const ROOM: f64 = 1.02;

/// What a run is limited by, class by class, what stands out, and what to change.
pub fn verdict_text(analysis: &Analysis) -> String {
    let mut lines = vec![format!("limited by: {}", limit(analysis))];
    lines.extend(classes(analysis));
    lines.extend(seats(analysis));
    lines.extend(looks(analysis));
    lines.extend(known_times(analysis));
    lines.extend(elsewhere(analysis));
    lines.extend(bounds(analysis));
    lines.extend(findings(analysis));
    lines.extend(advice(analysis));
    lines.extend(left(analysis));
    lines.extend(cost(analysis));
    clean_lines(&lines)
}

/// The same in parts, each under its title: the limit and the classes, what stands out, advice, time and cost.
pub fn verdict_sections(analysis: &Analysis) -> Vec<(&'static str, Vec<String>)> {
    let limit = format!("limited by: {}", limit(analysis));
    let laws = std::iter::once(limit)
        .chain(classes(analysis))
        .chain(seats(analysis))
        .chain(looks(analysis))
        .chain(known_times(analysis))
        .chain(elsewhere(analysis))
        .chain(bounds(analysis));
    let parts = [
        ("what limits it", laws.collect()),
        ("what stands out", findings(analysis)),
        ("advice", advice(analysis)),
        (
            "time and cost",
            left(analysis).into_iter().chain(cost(analysis)).collect(),
        ),
    ];
    let cleaned = parts.map(|(title, lines): (_, Vec<String>)| {
        let lines = lines.iter().map(|line| clean(line)).collect();
        (title, lines)
    });
    cleaned
        .into_iter()
        .filter(|(_, lines): &(_, Vec<String>)| !lines.is_empty())
        .collect()
}

/// The same in few lines, for a display that goes on: the limit, the advice without its reason, and the time that is left.
pub fn short_text(analysis: &Analysis) -> String {
    let mut lines = vec![format!("limited by: {}", limit(analysis))];
    if let Advice::Change { prediction, .. } = &analysis.advice {
        let moves: Vec<String> = prediction.moves.iter().map(said).collect();
        lines.push(format!(
            "advice: {}: {}",
            moves.join(", "),
            estimate(prediction.estimate)
        ));
    }
    lines.extend(left(analysis));
    clean_lines(&lines)
}

/// What it is limited by, in a sentence.
fn limit(analysis: &Analysis) -> String {
    match &analysis.limit {
        Limit::Class { class, verdict } => format!("{class}, {}", verdict.word()),
        Limit::Client => {
            let share = at_servers(&analysis.questions).unwrap_or_default();
            format!(
                "the client, {:.0} % of whose questions are at servers, where nobody waits: more at once cost nothing until calls wait",
                share * 100.0
            )
        }
        Limit::Tail => format!(
            "its end: {} with fewer than half of the questions at once; the longest first, or a cap on rounds, shortens that",
            analysis.tail_share.map_or_else(String::new, percent)
        ),
        Limit::Balanced => "nothing more than anything else".to_owned(),
        Limit::Unknown { why } => format!("unknown: {why}"),
    }
}

fn classes(analysis: &Analysis) -> Vec<String> {
    let width = |text: fn(&Judged) -> usize| analysis.classes.iter().map(text).max().unwrap_or(0);
    let names = width(|one| one.measured.class.chars().count());
    let words = width(|one| one.verdict.word().len());
    let line = |one: &Judged| {
        format!(
            "  {:names$}  {:words$}  {}",
            one.measured.class,
            one.verdict.word(),
            evidence(one)
        )
    };
    analysis.classes.iter().map(line).collect()
}

/// Why this verdict, with its numbers.
fn evidence(one: &Judged) -> String {
    let class = &one.measured;
    let servers = format!(
        "{} on {}",
        counted(class.replicas, "replica"),
        counted(class.gpus, "GPU")
    );
    let servers = if class.gpus == 0 || class.gpus == class.replicas {
        counted(class.replicas, "replica")
    } else {
        servers
    };
    let (Some(running), Some(waiting)) = (class.running, class.waiting) else {
        return match class.in_flight {
            Some(calls) => format!(
                "{} calls under way on {servers}, by the client's times",
                few(calls)
            ),
            None => format!("nothing was seen of its {servers}"),
        };
    };
    let waits = class.queue_share().map_or_else(String::new, |share| {
        format!(", {:.0} % of a call's time", share * 100.0)
    });
    match one.verdict {
        Verdict::QueueLimited => format!(
            "{} calls computed on {servers}, {} wait{waits}",
            few(running),
            few(waiting)
        ),
        Verdict::KvLimited => {
            let full = class.cache_full.unwrap_or_default() * 100.0;
            let preempted = class.preempted.unwrap_or_default() * 100.0;
            format!(
                "cache full in {full:.0} % of looks, {preempted:.0} of 100 calls preempted, {} wait",
                few(waiting)
            )
        }
        Verdict::DecodeLimited => {
            let tokens = class.answer_tokens.map_or_else(String::new, |tokens| {
                format!(", 9 of 10 answers within {tokens:.0} tokens")
            });
            format!(
                "{} calls computed on {servers}, {} wait{tokens}: shorter answers, fewer rounds, or more at once",
                few(running),
                few(waiting)
            )
        }
        _ => format!(
            "{} calls computed on {servers}, {} wait",
            few(running),
            few(waiting)
        ),
    }
}

/// How many calls a server computes at once, and who says so, of those that were sampled.
fn seats(analysis: &Analysis) -> Option<String> {
    let of = |one: &Judged| {
        let class = &one.measured;
        class.running.filter(|_| class.gpus > 0)?;
        let known = class.seats.zip(class.seats_by);
        Some(known.map_or_else(
            || format!("{} not known", class.class),
            |(count, by)| format!("{} {count} ({})", class.class, seats_by(by)),
        ))
    };
    let all: Vec<String> = analysis.classes.iter().filter_map(of).collect();
    (!all.is_empty()).then(|| format!("seats of a server: {}", all.join(", ")))
}

fn seats_by(by: SeatsBy) -> &'static str {
    match by {
        SeatsBy::Argument => "`max-num-seqs`",
        SeatsBy::Default => "the engine's default",
        SeatsBy::FullServers => "more waited",
    }
}

/// From so many looks on numbers rest on enough of them.
const ENOUGH_LOOKS: usize = 6;

/// What numbers rest on, where that is little.
fn looks(analysis: &Analysis) -> Option<String> {
    match analysis.looks? {
        0 => Some(
            "its servers were looked at before and after it alone: this is what they counted in between"
                .to_owned(),
        ),
        few if few < ENOUGH_LOOKS => Some(format!(
            "its servers were looked at {few} time{} only: these numbers are rough",
            plural(few)
        )),
        _ => None,
    }
}

/// What the client's own times say, where counters do not say it.
fn known_times(analysis: &Analysis) -> Vec<String> {
    let mut lines = Vec::new();
    let shares = analysis.classes.iter();
    let most = shares
        .filter_map(|one| Some((one.measured.time_share?, &one.measured)))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let Some((share, class)) = most.filter(|(_, class)| class.running.is_none()) else {
        return lines;
    };
    let rounds = class.visits.map_or_else(String::new, |visits| {
        format!(", {visits:.1} calls a question")
    });
    let floor = analysis.floor_hours.map_or_else(String::new, |hours| {
        format!("; all of it takes {} at least", lasting(hours * 3600.0))
    });
    lines.push(format!(
        "{} is {:.1} % of the time that is accounted for{rounds}{floor}",
        class.class,
        share * 100.0
    ));
    let idle = analysis
        .classes
        .iter()
        .filter(|one| one.verdict == Verdict::Idle);
    let gpus: usize = idle.clone().map(|one| one.measured.gpus).sum();
    let all: usize = analysis.classes.iter().map(|one| one.measured.gpus).sum();
    let calls: f64 = idle.filter_map(|one| one.measured.in_flight).sum();
    if gpus > 0 {
        lines.push(format!(
            "{gpus} of {all} GPUs serve {calls:.1} calls at a time"
        ));
    }
    lines
}

fn elsewhere(analysis: &Analysis) -> Option<String> {
    let share = analysis
        .questions
        .elsewhere
        .filter(|share| *share > ELSEWHERE)?;
    Some(format!(
        "{:.0} % of the questions' time is at no server that was sampled: the client itself, its tools, the judge",
        share * 100.0
    ))
}

fn bounds(analysis: &Analysis) -> Vec<String> {
    let questions = &analysis.questions;
    let mut lines = Vec::new();
    if let Some(gap) = questions.gap.filter(|gap| *gap > ELSEWHERE) {
        lines.push(format!(
            "questions under way and their times do not agree by {:.0} % (N = X·R): not all of them were seen, or the run was not steady",
            gap * 100.0
        ));
    }
    let Some(now) = questions.throughput else {
        return lines;
    };
    let free = questions.bound_by_questions;
    let free = free.map(|most| (most, "if nobody waited".to_owned()));
    let seats = questions.bound_by_seats.as_ref();
    let seats = seats.map(|(class, most)| (*most, format!("with the seats of {class}")));
    let most = free.into_iter().chain(seats);
    let most = most.min_by(|one, other| one.0.total_cmp(&other.0));
    let most = most.filter(|(most, _)| *most > ROOM * now);
    let pace = Pace::of(now);
    let most = most.map_or_else(String::new, |(most, why)| {
        format!("; {} at most {why}", pace.number(most))
    });
    lines.push(format!("{}{most}", pace.questions(now)));
    lines
}

fn advice(analysis: &Analysis) -> Vec<String> {
    match &analysis.advice {
        Advice::Change {
            prediction,
            because,
        } => {
            let mut lines: Vec<String> = prediction
                .moves
                .iter()
                .map(|step| {
                    format!(
                        "advice: {}: {} questions an hour, because {because}",
                        said(step),
                        estimate(prediction.estimate)
                    )
                })
                .collect();
            lines.extend(patch(&prediction.patch));
            let moves = prediction
                .moves
                .iter()
                .map(|step| format!(" --move {step}"));
            lines.push(format!(
                "  check with `toolorch what-if{}`",
                moves.collect::<String>()
            ));
            lines
        }
        Advice::Nothing { why } => {
            let mut lines = vec![format!("no advice: {why}")];
            if let Some(most) = &analysis.at_most {
                let list = |of: &dyn Fn(&(usize, f64)) -> String| {
                    most.factors.iter().map(of).collect::<Vec<_>>().join(", ")
                };
                lines.push(format!(
                    "  if all of {}'s time were waiting, {} replicas would bring {} at most; if none were, nothing",
                    most.class,
                    list(&|(count, _)| count.to_string()),
                    list(&|(_, factor)| format!("{factor:.2}×"))
                ));
            }
            lines
        }
    }
}

fn left(analysis: &Analysis) -> Option<String> {
    match &analysis.eta {
        Eta::Done => None,
        // It was said why.
        Eta::Unknown { why: same } if matches!(&analysis.limit, Limit::Unknown { why } if why == same) => {
            Some("time left: unknown".to_owned())
        }
        Eta::Unknown { why } => Some(format!("time left: unknown, {why}")),
        Eta::Left { low, likely, high } => {
            Some(format!("time left: about {likely} ({low} to {high})"))
        }
    }
}

fn cost(analysis: &Analysis) -> Option<String> {
    let cost = analysis.cost.as_ref()?;
    if cost.gpu_hours <= 0.0 {
        return None;
    }
    let time = GpuTime::of(cost.gpu_hours);
    let mut line = format!("{} GPU {}", time.number(cost.gpu_hours), time.unit());
    if cost.unseen_hours < cost.gpu_hours {
        let _ = write!(
            line,
            ", {} with nothing to do ({:.0} %)",
            time.number(cost.idle_hours),
            cost.idle_hours / cost.gpu_hours * 100.0
        );
    }
    if cost.unseen_hours >= cost.gpu_hours {
        line.push_str(", and how much of that with nothing to do was not seen");
    } else if cost.unseen_hours > 0.0 {
        let _ = write!(
            line,
            ", {} of servers that were not looked at",
            time.number(cost.unseen_hours)
        );
    }
    if cost.unused_hours > 0.0 {
        let _ = write!(
            line,
            ", {} more of GPUs without a server",
            time.number(cost.unused_hours)
        );
    }
    if let Some(each) = cost.per_question {
        let each = each * 3600.0;
        let each = if each < 60.0 {
            lasting(each)
        } else {
            millis(each).to_string()
        };
        let _ = write!(line, "; {each} of one GPU a question");
    }
    Some(line)
}

/// Names come from the YAML and from results, and these reach a terminal.
pub(super) fn clean_lines(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{}", clean(line));
    }
    text
}
