//! Sentences about units and evaluations that several views share.

use std::fmt::Write as _;

use serde::Serialize;

use super::pace::Pace;
use crate::base::{EvalName, Millis, Timestamp, UnitId};
use crate::base::{clean, cut};
use crate::facts::{Degraded, Exit, Liveness};
use crate::knowledge::failures::is_chatter;
use crate::plan::{EvalPlan, Plan, Start, Unit};
use crate::run::{
    EvalState, GaveUp, InQueue, Phase, RunState, Slowed, StopWhy, UnitPhase, UnitState, Verdict,
    Waits,
};
use crate::supervise;

/// How something is going: what colours it, and what is shown first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mood {
    /// A person should look.
    Bad,
    /// On its way.
    Busy,
    /// As it should be.
    Good,
    /// Not now.
    Idle,
}

/// The phase in a word.
pub(super) fn phase(phase: &UnitPhase) -> &'static str {
    match phase {
        UnitPhase::Planned => "not started",
        UnitPhase::Intended | UnitPhase::Launched => "starting",
        UnitPhase::Started => "loading",
        UnitPhase::Ready(_) => "ready",
        UnitPhase::Stopping => "stopping",
        UnitPhase::Exited => "ended",
        UnitPhase::Stopped => "stopped",
        UnitPhase::GaveUp(_) => "given up",
    }
}

/// How a server lives, in a word.
pub(super) fn liveness(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Well => "well",
        Liveness::Slow => "slow",
        Liveness::Stalled => "stalled",
        Liveness::Closed => "not listening",
        Liveness::Estranged => "without its model",
        Liveness::Unreached => "out of reach",
    }
}

/// Nothing of it runs, because somebody drained it.
pub(super) fn is_drained(state: &UnitState) -> bool {
    state.drained && !state.phase.may_live()
}

/// How a unit in this phase is going.
pub(super) fn mood(state: &UnitState) -> Mood {
    match state.phase {
        UnitPhase::Ready(_) if state.liveness.is_some() => Mood::Bad,
        UnitPhase::Ready(_) => Mood::Good,
        _ if is_drained(state) => Mood::Idle,
        UnitPhase::GaveUp(_) | UnitPhase::Exited => Mood::Bad,
        UnitPhase::Started if state.refuted.is_some() => Mood::Bad,
        UnitPhase::Planned | UnitPhase::Stopped => Mood::Idle,
        _ => Mood::Busy,
    }
}

/// What is to be said of a server: `health 2/6 for 12.0s: 503`.
pub(super) fn server(unit: &Unit, run: &RunState, now: Timestamp) -> String {
    let state = run.unit(&unit.id);
    let age = now.since(state.since);
    if is_drained(&state) {
        return "drained".to_owned();
    }
    let text = match &state.phase {
        UnitPhase::Planned => not_started(&unit.start, run),
        UnitPhase::Intended | UnitPhase::Launched
            if state.queued.is_none() && of_an_earlier_owner(&state, run) =>
        {
            format!(
                "an earlier controller meant to start it {} ago: it is waited for",
                whole(age)
            )
        }
        UnitPhase::Intended | UnitPhase::Launched => match &state.queued {
            Some(queued) => format!("waits for {}: {}", whole(age), in_queue(queued)),
            None => format!("starting for {}", whole(age)),
        },
        UnitPhase::Started => climbing(unit, &state, age),
        UnitPhase::Ready(after) => match &state.liveness {
            Some((how, why)) => format!("{}: {}", liveness(*how), clean(why)),
            None => format!("ready after {after}"),
        },
        UnitPhase::Stopping => match &state.liveness {
            Some((how, _)) => format!("stopping, it was {}", liveness(*how)),
            None => "stopping".to_owned(),
        },
        UnitPhase::Stopped => format!("stopped{}", next_start(unit, &state, run, now)),
        UnitPhase::Exited => {
            let exit = state.exit.as_ref();
            let how = exit.map_or_else(String::new, |exit| format!(" {}", ended(exit)));
            format!("ended{how}{}", next_start(unit, &state, run, now))
        }
        UnitPhase::GaveUp(why) => format!("given up: {}{}", gave_up(why), last_end(why, &state)),
    };
    if state.generation.0 > 1 && state.phase.may_live() {
        format!("{text} (start {})", state.generation)
    } else {
        text
    }
}

/// `job 12: the nodes are busy (Resources), may begin at 2026-01-05T14:00:00`.
pub(super) fn in_queue(queued: &InQueue) -> String {
    let why = clean(&queued.why);
    match &queued.starts {
        Some(starts) => format!("{why}, may begin at {}", clean(starts)),
        None => why,
    }
}

/// Whether a start was meant by a controller before the one that watches now.
fn of_an_earlier_owner(state: &UnitState, run: &RunState) -> bool {
    let owner = run.owner.as_ref().filter(|owner| owner.left.is_none());
    owner.is_some_and(|owner| owner.since > state.since)
}

/// How the last start of a server ended whose budget is spent: that is why it was given up.
fn last_end(why: &GaveUp, state: &UnitState) -> String {
    let last =
        (state.exit.as_ref()).filter(|exit| exit.generation == state.generation && !exit.requested);
    match (why, &state.liveness, last) {
        (GaveUp::Budget { .. }, Some((how, why)), _) => {
            format!("; the last was {}: {}", liveness(*how), clean(why))
        }
        (GaveUp::Budget { .. }, None, Some(exit)) => format!("; the last ended {}", ended(exit)),
        _ => String::new(),
    }
}

/// When a server that died is started again: `; start 2 of 4 in 12s`. Empty where nobody would start it.
fn next_start(unit: &Unit, state: &UnitState, run: &RunState, now: Timestamp) -> String {
    let watched = run.owner.as_ref().is_some_and(|owner| owner.left.is_none());
    let (true, Phase::Running, Some(died)) = (watched, &run.phase, state.died) else {
        return String::new();
    };
    let Some(next) = supervise::next_start(unit.restart, &state.starts, died) else {
        return String::new();
    };
    let when = match next.at.since(now) {
        Millis(0) => "is due".to_owned(),
        left => format!("in {}", whole(left)),
    };
    format!("; start {} of {} {when}", next.nth, next.of)
}

fn not_started(start: &Start, run: &RunState) -> String {
    let waits: Vec<&str> = start
        .after_ready
        .iter()
        .filter(|id| !matches!(run.unit(id).phase, UnitPhase::Ready(_)))
        .map(UnitId::as_str)
        .collect();
    if waits.is_empty() {
        "not started".to_owned()
    } else {
        format!("waits for {}", waits.join(", "))
    }
}

fn climbing(unit: &Unit, state: &UnitState, age: Millis) -> String {
    let rungs = &unit.ready.rungs;
    let proved = state.rung.as_ref().map_or(0, |rung| {
        1 + rungs
            .iter()
            .position(|known| known.name() == rung.name)
            .unwrap_or(0)
    });
    if let Some((rung, failure)) = &state.refuted {
        return format!(
            "{} refuted: {}; {}",
            clean(rung),
            clean(&failure.why),
            clean(&failure.fix)
        );
    }
    let next = rungs.get(proved).map_or("ready", |rung| rung.name());
    format!(
        "waits for {next} ({proved}/{}) for {}",
        rungs.len(),
        whole(age)
    )
}

/// A length of time that goes on: whole seconds, so that a display changes once in a second.
fn whole(length: Millis) -> String {
    if length < Millis::from_secs(60) {
        format!("{}s", length.as_secs())
    } else {
        length.to_string()
    }
}

/// Columns of a log's last line that are worth showing.
const LONGEST: usize = 300;

/// How a unit ended: `with code 139 (SIGSEGV inferred): the last line of its log`.
pub fn ended(exit: &Exit) -> String {
    let mut text = match exit.code {
        Some(code) => format!("with code {code}"),
        None => "without a recorded exit code".to_owned(),
    };
    if let Some(signal) = &exit.signal {
        let _ = write!(text, " ({} inferred)", clean(signal));
    }
    let cause = exit.cause.as_deref();
    let last = exit.tail.last().filter(|line| !is_chatter(line));
    let line = cause.map(|cause| &cause.line).or(last);
    let because = exit.reason.as_ref().or(line);
    if let Some(because) = because.map(|line| clean(line)) {
        let because = because.trim();
        if !because.is_empty() {
            text.push_str(": ");
            text.push_str(&cut(because, LONGEST));
        }
    }
    if let Some(cause) = cause {
        let _ = write!(text, " ({}; {})", clean(&cause.cause), clean(&cause.fix));
    }
    text
}

/// Why a unit is not started again.
pub fn gave_up(why: &GaveUp) -> String {
    match why {
        GaveUp::Permanent { why } => clean(why),
        GaveUp::Budget { starts: 0 | 1 } => {
            "its one start ended, and `restart` allows no more".to_owned()
        }
        GaveUp::Budget { starts } => {
            format!("each of its {starts} starts ended, and `restart` allows no more")
        }
        GaveUp::NotReady { why } => format!("not ready in time: {}", clean(why)),
    }
}

/// Why a unit is stopped.
pub fn stop_why(why: &StopWhy) -> &'static str {
    match why {
        StopWhy::Done => "the run is over",
        StopWhy::Down => "asked for with `toolorch down`",
        StopWhy::Drained => "asked for with `toolorch drain`",
        StopWhy::NotReady => "it was not ready in time",
        StopWhy::NoProgress => "it shows no sign of work",
        StopWhy::OpenFiles => "its open files are nearly as many as may be",
        StopWhy::Lifeless => "it shows no sign of life",
        StopWhy::Held => "what it requires is not there",
        StopWhy::Needless => "what it needs is gone",
        StopWhy::Changed => "the plan has another in its place, or none",
        StopWhy::NewEndpoints => "its configuration is to name other endpoints",
        StopWhy::Remnants => "what may be left of an earlier start is cleared away",
    }
}

/// `, 12 missing`; nothing if none is.
fn missing_words(missing: usize) -> String {
    if missing == 0 {
        String::new()
    } else {
        format!(", {missing} missing")
    }
}

/// What a log tells of answers that are worse than they look: `searches without results 3, calls to Nebius 2`.
pub(super) fn degraded(degraded: &Degraded) -> String {
    let searches = (degraded.retrieval_failed > 0)
        .then(|| format!("searches without results {}", degraded.retrieval_failed));
    let elsewhere = degraded.elsewhere.iter();
    let elsewhere = elsewhere.map(|(name, count)| format!("calls to {} {count}", clean(name)));
    let parts: Vec<String> = searches.into_iter().chain(elsewhere).collect();
    parts.join(", ")
}

/// What a client waits for: `waits for answer-1 with 9 calls; left: q-7`.
pub(super) fn waits(waits: &Waits) -> String {
    let mut parts = Vec::new();
    if let Some(server) = &waits.server {
        let calls = if waits.calls == 1 { "call" } else { "calls" };
        parts.push(format!(
            "waits for {} with {} {calls}",
            clean(server),
            waits.calls
        ));
    }
    if !waits.ids.is_empty() {
        let ids: Vec<String> = waits.ids.iter().map(|id| clean(id)).collect();
        parts.push(format!("left: {}", ids.join(", ")));
    }
    parts.join("; ")
}

/// How an evaluation ended.
pub fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Complete => "complete".to_owned(),
        Verdict::Incomplete { missing, why } => {
            format!("incomplete{}: {}", missing_words(*missing), clean(why))
        }
        Verdict::GaveUp { missing, why } => {
            format!("given up{}: {}", missing_words(*missing), clean(why))
        }
        Verdict::NotStarted { why, .. } => format!("not started: {}", clean(why)),
    }
}

/// What is to be said of an evaluation.
pub(super) struct EvalWords {
    /// All of it: `812/2158 (37 %) · 12 in error · about 5h 20m left`.
    pub(super) text: String,
    /// Without counts and pace: `running · attempt 2`.
    pub(super) says: String,
    /// How it is going.
    pub(super) mood: Mood,
}

/// What is to be said of an evaluation.
pub(super) fn eval(eval: &EvalPlan, plan: &Plan, run: &RunState, pace: &Pace) -> EvalWords {
    let state = run.evals.get(&eval.name).cloned().unwrap_or_default();
    let client = run.unit(&eval.unit);
    let mut parts = counts(&state);
    let waits = (state.waits.as_ref().zip(pace.waits))
        .map(|(what, length)| format!("{} for {}", waits(what), whole(length)));
    parts.extend(waits.clone());
    let pace_words = pace.words();
    if !pace_words.is_empty() {
        parts.push(pace_words);
    }
    let join = |parts: Vec<String>| parts.join(" · ");
    if let Some(held) = &state.held {
        let held = format!("held: {}", clean(&held.why));
        parts.insert(0, held.clone());
        return EvalWords {
            text: join(parts),
            says: held,
            mood: Mood::Bad,
        };
    }
    let mood = match (&state.verdict, &client.phase) {
        (Some(Verdict::Complete), _) => Mood::Good,
        (None, UnitPhase::Planned) if is_complete(&state) => Mood::Good,
        (None, UnitPhase::Planned) => Mood::Idle,
        (None, phase) if phase.may_live() && pace.still.is_none() => Mood::Busy,
        _ => Mood::Bad,
    };
    let says = match (&state.verdict, &client.phase) {
        (Some(end), _) => verdict(end),
        (None, UnitPhase::Planned) if is_complete(&state) => "complete".to_owned(),
        (None, UnitPhase::Planned) => eval_waits(eval, plan, run),
        (None, phase) if phase.may_live() => {
            let more = at_work(eval, &state, &client);
            let says = ["running".to_owned()].into_iter();
            let says = says.chain(more.clone()).chain(waits).collect();
            parts.extend(more);
            if parts.is_empty() {
                parts.push("running".to_owned());
            }
            let (text, says) = (join(parts), join(says));
            return EvalWords { text, says, mood };
        }
        (None, _) => client.exit.as_ref().map_or_else(
            || "the client ended".to_owned(),
            |exit| format!("the client ended {}", ended(exit)),
        ),
    };
    let over = state.verdict.is_some() || says == "complete";
    parts.insert(if over { 0 } else { parts.len() }, says.clone());
    EvalWords {
        text: join(parts),
        says,
        mood,
    }
}

/// `812/2158 (37 %)`, `12 in error`, `301 correct`.
fn counts(state: &EvalState) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(percent) = (state.done * 100).checked_div(state.total) {
        parts.push(format!("{}/{} ({percent} %)", state.done, state.total));
    }
    for (count, what) in [
        (state.errors, "in error"),
        (state.correct.unwrap_or(0), "correct"),
        (state.torn, "torn set aside"),
        (state.retry.ids(), "asked again"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts
}

/// What is unusual about a client at work.
fn at_work(eval: &EvalPlan, state: &EvalState, client: &UnitState) -> Vec<String> {
    let mut parts = Vec::new();
    if client.generation.0 > 1 {
        parts.push(format!("attempt {}", client.generation));
    }
    let slowed = state
        .slowed
        .filter(|slowed| slowed.instead_of == eval.concurrency);
    if let Some(Slowed { concurrency, .. }) = slowed {
        parts.push(format!(
            "{concurrency} in flight, it died or stalled with more"
        ));
    }
    parts
}

/// An earlier owner brought it to its end, or its results were there before.
fn is_complete(state: &EvalState) -> bool {
    state.total > 0 && state.done >= state.total && state.errors == 0
}

/// What an evaluation that was not started waits for.
pub(super) fn eval_waits(eval: &EvalPlan, plan: &Plan, run: &RunState) -> String {
    let first: Vec<&str> = eval
        .after
        .keys()
        .filter(|name| {
            run.evals
                .get(*name)
                .is_none_or(|other| other.verdict.is_none())
        })
        .map(EvalName::as_str)
        .collect();
    if !first.is_empty() {
        format!("waits for {}", first.join(", "))
    } else if servers_ready(eval, plan, run) {
        "not started".to_owned()
    } else {
        "waits for servers".to_owned()
    }
}

/// Whether every server that an evaluation needs is ready.
fn servers_ready(eval: &EvalPlan, plan: &Plan, run: &RunState) -> bool {
    plan.groups
        .iter()
        .filter(|group| eval.requires.is_empty() || eval.requires.contains(&group.name))
        .all(|group| {
            let ready = group
                .endpoints
                .iter()
                .filter(|at| matches!(run.unit(&at.unit).phase, UnitPhase::Ready(_)))
                .count();
            ready >= run.wanted_of(group)
        })
}
