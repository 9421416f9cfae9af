//! What is said of a run, in lines that fit a terminal.

use std::fmt::Write as _;

use super::advice::Advice;
use super::analysis::Analysis;
use super::counted::ENOUGH;
use super::eta::Eta;
use super::evidence::SeatsBy;
use super::judge::{Judged, Limit, Verdict, said_at_servers, waiting};
use super::moves::{counted, plural};
use super::text_findings::findings;
use super::text_moves::{estimate, moves_text, patch};
use super::words::{GpuTime, Pace, about, few, lasting, percent, who_waits};
use crate::base::{Millis, clean, float};

/// Time at no server is named from this share on.
const ELSEWHERE: f64 = 0.1;
/// A bound is named if there is so much room below it.
const ROOM: f64 = 1.02;

/// What is said of a run, in parts; each line may stand in a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentences {
    /// What it is limited by.
    pub limit: String,
    /// Each class of servers: its name, its verdict, and what that rests on.
    pub classes: Vec<[String; 3]>,
    /// What the limit rests on beside that.
    pub notes: Vec<String>,
    /// What stands out.
    pub stands_out: Vec<String>,
    /// What to change, or why nothing is advised.
    pub advice: Vec<String>,
    /// The time that is left, and the cost.
    pub time_and_cost: Vec<String>,
}

impl Sentences {
    /// What is said of this analysis. Names come from the YAML and from results: they are cleaned.
    pub fn of(analysis: &Analysis) -> Self {
        let cleaned = |lines: Vec<String>| lines.iter().map(|line| clean(line)).collect();
        let notes = seats(analysis).into_iter().chain(looks(analysis));
        let notes = notes
            .chain(known_times(analysis))
            .chain(elsewhere(analysis))
            .chain(bounds(analysis));
        let class = |one: &Judged| {
            let name = clean(&one.measured.class);
            [name, one.verdict.word().to_owned(), clean(&evidence(one))]
        };
        Self {
            limit: clean(&limit(analysis)),
            classes: analysis.classes.iter().map(class).collect(),
            notes: cleaned(notes.collect()),
            stands_out: cleaned(findings(analysis)),
            advice: cleaned(advice(analysis)),
            time_and_cost: cleaned(left(analysis).into_iter().chain(cost(analysis)).collect()),
        }
    }

    /// What limits it, as lines: the limit, the classes below each other, the notes.
    pub fn limit_lines(&self) -> Vec<String> {
        let width = |column: usize| {
            let cells = self.classes.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let (names, words) = (width(0), width(1));
        let class = |[name, verdict, evidence]: &[String; 3]| {
            format!("  {name:names$}  {verdict:words$}  {evidence}")
        };
        let mut lines = vec![format!("limited by: {}", self.limit)];
        lines.extend(self.classes.iter().map(class));
        lines.extend(self.notes.iter().cloned());
        lines
    }
}

/// What a run is limited by, class by class, what stands out, and what to change.
#[cfg(test)]
pub(super) fn verdict_text(analysis: &Analysis) -> String {
    let said = Sentences::of(analysis);
    let mut lines = said.limit_lines();
    lines.extend(said.stands_out);
    lines.extend(said.advice);
    lines.extend(said.time_and_cost);
    clean_lines(&lines)
}

/// The same in few lines, for a display that goes on: the limit, the advice without its reason, and the time that is left.
pub fn short_text(analysis: &Analysis) -> String {
    let mut lines = vec![format!("limited by: {}", limit(analysis))];
    if let Advice::Change { prediction, .. } = &analysis.advice {
        lines.push(format!(
            "advice: {}: {} as many questions an hour",
            moves_text(&prediction.moves),
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
            let share = said_at_servers(&analysis.questions);
            format!(
                "the client: {share} of the questions' time is at servers, and {} there",
                who_waits(waiting(&analysis.classes))
            )
        }
        Limit::Tail => format!(
            "the last questions, for {} of the time fewer than half as many were under way as could be",
            analysis.tail_share.map_or_else(String::new, percent)
        ),
        Limit::Balanced => "no single class of servers".to_owned(),
        Limit::Unknown { why } => format!("not known, because {why}"),
    }
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
    // Nobody says how many servers results were made with.
    let on = if class.replicas == 0 {
        String::new()
    } else {
        format!(" on {servers}")
    };
    let (Some(running), Some(waiting)) = (class.running, class.waiting) else {
        return match class.in_flight {
            Some(0.0) => format!("no calls in the results{on}"),
            // A share of all known time, not of looks: two digits of it are sure.
            Some(calls) if (0.01..0.995).contains(&calls) => {
                format!("{calls:.2} calls under way{on}, by the client's times")
            }
            Some(calls) => format!("{} calls under way{on}, by the client's times", few(calls)),
            None => {
                let most = class.most_share.map_or_else(String::new, |most| {
                    format!(": {:.0} % of the questions' time at most", most * 100.0)
                });
                match class.time_share.filter(|_| most.is_empty()) {
                    Some(share) => format!("{:.1} % of the known time{on}", share * 100.0),
                    None => format!("not measured, {servers}{most}"),
                }
            }
        };
    };
    let waits = class.queue_share().map_or_else(String::new, |share| {
        format!(", {:.0} % of a call's time", share * 100.0)
    });
    match one.verdict {
        Verdict::QueueLimited => format!(
            "{} calls running on {servers}, {} waiting{waits}",
            few(running),
            few(waiting)
        ),
        Verdict::KvLimited => {
            let full = class.cache_full.unwrap_or_default() * 100.0;
            let preempted = class.preempted.unwrap_or_default() * 100.0;
            format!(
                "KV cache full in {full:.0} % of samples, {preempted:.0} preemptions per 100 calls, {} calls waiting",
                few(waiting)
            )
        }
        Verdict::DecodeLimited => {
            let tokens = class.answer_tokens.map_or_else(String::new, |tokens| {
                format!(", 90 % of answers within {} tokens", about(tokens))
            });
            format!(
                "{} calls running on {servers}, {} waiting{tokens}",
                few(running),
                few(waiting)
            )
        }
        _ => format!(
            "{} calls running on {servers}, {} waiting",
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
    (!all.is_empty()).then(|| {
        format!(
            "calls that one server runs at once, at most: {}",
            all.join(", ")
        )
    })
}

fn seats_by(by: SeatsBy) -> &'static str {
    match by {
        SeatsBy::Argument => "`--max-num-seqs`",
        SeatsBy::Default => "the engine's default",
        SeatsBy::FullServers => "seen: further calls waited",
    }
}

/// What numbers rest on, where that is little.
fn looks(analysis: &Analysis) -> Option<String> {
    let looks = analysis.looks.filter(|looks| float(*looks) < ENOUGH)?;
    let seldom = match looks {
        0 => "the run was too short for samples of its servers".to_owned(),
        few => format!("its servers were sampled only {few} time{}", plural(few)),
    };
    let counted = analysis.classes.iter();
    let counted = counted.filter(|one| one.measured.running.is_some()).count();
    Some(if counted > 0 {
        format!("{seldom}: these are averages of what they counted from its begin to its end")
    } else {
        format!("{seldom}, and they do not count how long they compute")
    })
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
        format!(
            "; with this many questions at once the run takes {} at least",
            lasting(hours * 3600.0)
        )
    });
    lines.push(format!(
        "{} takes {:.1} % of the time that is accounted for{rounds}{floor}",
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
    let own = ["the client itself", "its tools", "the judge"].map(str::to_owned);
    let questions = &analysis.questions;
    let still = questions.stood_still.iter();
    let still = still.map(|name| format!("{name} while it stood still"));
    let unseen = questions.unseen.iter().cloned();
    let who: Vec<String> = still.chain(own).chain(unseen).collect();
    Some(format!(
        "{:.0} % of the questions' time is at no server that was measured: {}",
        share * 100.0,
        who.join(", ")
    ))
}

fn bounds(analysis: &Analysis) -> Vec<String> {
    let questions = &analysis.questions;
    let mut lines = Vec::new();
    if let Some(gap) = questions.gap.filter(|gap| *gap > ELSEWHERE) {
        lines.push(format!(
            "questions under way and the times of questions disagree by {:.0} % (Little's law): not all of them were seen, or the run was not steady",
            gap * 100.0
        ));
    }
    let Some(now) = questions.throughput else {
        return lines;
    };
    let free = questions.bound_by_questions;
    let free = free.map(|most| (most, "if no call waited".to_owned()));
    let seats = questions.bound_by_seats.as_ref();
    let seats = seats.map(|(class, most)| (*most, format!("at the capacity of {class}")));
    let most = free.into_iter().chain(seats);
    let most = most.min_by(|one, other| one.0.total_cmp(&other.0));
    let most = most.filter(|(most, _)| *most > ROOM * now);
    let pace = Pace::of(now);
    let most = most.map_or_else(String::new, |(most, why)| {
        format!("; {} at most {why}", pace.number(most))
    });
    lines.push(format!(
        "{}{}{}{most}",
        pace.questions(now),
        steady(analysis),
        errors(analysis)
    ));
    lines
}

/// Which part of the run is judged, where that is not all of it.
fn steady(analysis: &Analysis) -> String {
    let (steady, whole) = (analysis.judged, analysis.phases.whole);
    if steady == whole {
        return String::new();
    }
    format!(
        " in its steady time, {} of {}",
        lasting(steady.length().as_secs_f64()),
        lasting(whole.length().as_secs_f64())
    )
}

/// Those of the finished questions that came out as an error.
fn errors(analysis: &Analysis) -> String {
    let errors = analysis.findings.errors.filter(|errors| *errors > 0);
    errors.map_or_else(String::new, |errors| {
        format!(", those that ended in an error included ({errors})")
    })
}

fn advice(analysis: &Analysis) -> Vec<String> {
    match &analysis.advice {
        Advice::Change {
            prediction,
            because,
        } => {
            let mut lines = vec![format!(
                "advice: {}: {} as many questions an hour, because {because}",
                moves_text(&prediction.moves),
                estimate(prediction.estimate)
            )];
            lines.extend(patch(&prediction.patch));
            lines
        }
        Advice::Nothing { why } => {
            let mut lines = vec![format!("no move of GPUs is advised, because {why}")];
            if let Some(most) = &analysis.at_most {
                let list = |of: &dyn Fn(&(usize, f64)) -> String| {
                    most.factors.iter().map(of).collect::<Vec<_>>().join(", ")
                };
                lines.push(format!(
                    "  {} replicas of {} would bring at most {}, if all of its time were waiting; if none is, nothing",
                    list(&|(count, _)| count.to_string()),
                    most.class,
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
            Some("time left: not known".to_owned())
        }
        Eta::Unknown { why } => Some(format!("time left: not known, because {why}")),
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
            ", {} of them idle ({:.0} %)",
            time.number(cost.idle_hours),
            cost.idle_hours / cost.gpu_hours * 100.0
        );
    }
    if cost.unseen_hours >= cost.gpu_hours {
        line.push_str("; how many of them were idle was not measured");
    } else if cost.unseen_hours > 0.0 {
        let _ = write!(
            line,
            ", {} of them not measured",
            time.number(cost.unseen_hours)
        );
    }
    if cost.unused_hours > 0.0 {
        let _ = write!(
            line,
            "; {} more on GPUs that no server uses",
            time.number(cost.unused_hours)
        );
    }
    if let Some(each) = cost.per_question {
        let each = each * 3600.0;
        let each = if each < 60.0 {
            lasting(each)
        } else {
            Millis::from_secs_f64(each).to_string()
        };
        let answered = analysis.findings.errors.is_some_and(|errors| errors > 0);
        let which = if answered {
            "answered question"
        } else {
            "question"
        };
        let _ = write!(line, "; {each} of GPU time per {which}");
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
