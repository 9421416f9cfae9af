//! What runs, since when, how far: one reading of plan and state, as text and as JSON.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

use super::pace::Pace;
use super::wall;
use super::watcher::{IdleStop, Seen, Watcher};
use super::words::{self, Mood};
use crate::base::clean;
use crate::base::{
    ClusterName, EvalName, ExitStatus, Generation, Millis, Name, NodeName, Port, RunId, Timestamp,
    UnitId,
};
use crate::plan::{EvalPlan, Group, Plan, Unit};
use crate::run::{Phase, RunState, UnitPhase};

/// A cluster at one moment. Its JSON form is versioned by `format`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The version of this form: 1.
    pub format: u32,
    /// The cluster.
    pub cluster: ClusterName,
    /// The run, once it has a name.
    pub run: Option<RunId>,
    /// `new`, `running` or `ended`.
    pub phase: &'static str,
    /// The exit code of a run that ended.
    pub code: Option<u8>,
    /// `toolorch down` ended it, or has begun to.
    pub taken_down: bool,
    /// When the run began.
    pub since: Iso,
    /// The moment of this reading.
    pub at: Iso,
    /// Who watches.
    pub watcher: Watcher,
    /// Units that run, or may.
    pub living: usize,
    /// Where nobody watches: the unit that stops itself next, if nothing moves.
    pub idle_stop: Option<IdleStop>,
    /// The host on which its units live or lived, where they cannot be seen from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_on: Option<String>,
    /// Other machines with units that may live, where nobody watches them: of these the journal's last word is shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unwatched: Vec<NodeName>,
    /// Models and services, in the order of the plan.
    pub groups: Vec<GroupStatus>,
    /// Evaluations, in the order of the plan.
    pub evals: Vec<EvalStatus>,
    /// Alarms, oldest first.
    pub alarms: Vec<AlarmStatus>,
}

/// A moment that JSON shows as RFC 3339, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iso(pub Timestamp);

impl Serialize for Iso {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A model or service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupStatus {
    /// Its name in the YAML.
    pub name: Name,
    /// How many of its units are ready.
    pub ready: usize,
    /// How many it has.
    pub total: usize,
    /// How many an evaluation needs; drained ones are not missed as long as another is left.
    pub min_ready: usize,
    /// An evaluation that is not over needs them.
    pub needed: bool,
    /// Each of them.
    pub units: Vec<UnitStatus>,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnitStatus {
    /// Its name.
    pub unit: UnitId,
    /// Where it runs.
    pub node: NodeName,
    /// Its port.
    pub port: Option<Port>,
    /// `not started`, `starting`, `loading`, `ready`, `stopping`, `ended`, `stopped`, `given up` or `drained`.
    pub phase: &'static str,
    /// When its last start was intended; none if it was never started.
    pub since: Option<Iso>,
    /// The n-th start.
    pub generation: Generation,
    /// The highest rung proved in this start.
    pub rung: Option<String>,
    /// How it lives, where it is ready and that is not as it should be.
    pub liveness: Option<&'static str>,
    /// All of this in words.
    pub text: String,
    /// How it is going.
    pub mood: Mood,
}

/// An evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvalStatus {
    /// Its name.
    pub name: EvalName,
    /// Ids with a complete result.
    pub done: usize,
    /// All ids; 0 before they were counted.
    pub total: usize,
    /// Of those done, in error.
    pub errors: usize,
    /// Of those done, right, where results say so.
    pub correct: Option<usize>,
    /// Torn results that were set aside.
    pub torn: usize,
    /// Ids finished per minute, of late.
    pub per_minute: Option<f64>,
    /// Milliseconds left at that pace; none if unknown.
    pub left_ms: Option<Millis>,
    /// Milliseconds without a finished id, if that is longer than usual.
    pub still_ms: Option<Millis>,
    /// It is over.
    pub ended: bool,
    /// All of this in words.
    pub text: String,
    /// The same without the time left.
    #[serde(skip)]
    text_now: String,
    /// The same without counts and pace.
    pub says: String,
    /// How it is going.
    pub mood: Mood,
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlarmStatus {
    /// When.
    pub at: Iso,
    /// Its stable word, which `toolorch explain` knows.
    pub alarm: String,
    /// What, in words.
    pub text: String,
    /// Since when it is over, where something that happened shows it.
    pub over: Option<Iso>,
}

impl Status {
    /// Reads plan and state at `now`.
    pub fn new(plan: &Plan, run: &RunState, now: Timestamp) -> Self {
        let (phase, code) = match run.phase {
            Phase::New => ("new", None),
            Phase::Running => ("running", None),
            Phase::Ended(code) => ("ended", Some(code)),
        };
        Self {
            format: 1,
            cluster: plan.cluster.clone(),
            run: run.run.clone(),
            phase,
            code,
            taken_down: run.down.is_some(),
            since: Iso(run.since),
            at: Iso(now),
            watcher: Watcher::of(run),
            living: run
                .units
                .values()
                .filter(|unit| unit.phase.may_live())
                .count(),
            idle_stop: None,
            units_on: None,
            unwatched: Vec::new(),
            groups: plan
                .groups
                .iter()
                .map(|group| group_status(group, plan, run, now))
                .collect(),
            evals: plan
                .evals
                .iter()
                .map(|eval| eval_status(eval, plan, run, now))
                .collect(),
            alarms: run
                .alarms
                .iter()
                .map(|told| AlarmStatus {
                    at: Iso(told.at),
                    alarm: clean(&told.alarm),
                    text: clean(&told.text),
                    over: told.over.map(Iso),
                })
                .collect(),
        }
    }

    /// Corrects the journal by what one look at the watcher found.
    #[must_use]
    pub fn watcher_seen(mut self, seen: Seen) -> Self {
        self.watcher = self.watcher.seen(seen);
        self
    }

    /// Adds which unit stops itself next, if one does.
    #[must_use]
    pub fn with_idle_stop(mut self, stop: Option<IdleStop>) -> Self {
        self.idle_stop = stop;
        self
    }

    /// Adds on which host its units live or lived that cannot be seen from here.
    #[must_use]
    pub fn with_units_on(mut self, host: &str) -> Self {
        self.units_on = Some(clean(host));
        self
    }

    /// Adds the other machines with units that may live and that nobody watches.
    #[must_use]
    pub fn with_unwatched(mut self, nodes: impl IntoIterator<Item = NodeName>) -> Self {
        self.unwatched = nodes.into_iter().collect();
        self
    }

    /// The same without the time left of these evaluations: it is told elsewhere, and better.
    #[must_use]
    pub fn without_time_left_of(mut self, foretold: &[EvalName]) -> Self {
        let evals = self.evals.iter_mut();
        for eval in evals.filter(|eval| foretold.contains(&eval.name)) {
            eval.text.clone_from(&eval.text_now);
        }
        self
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(self)
            .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }))
    }

    /// For people, with times in this zone; lines end with a line feed.
    pub fn text(&self, zone: &TimeZone) -> String {
        let mut out = self.head(zone);
        let names = self.groups.iter().map(|group| group.name.as_str());
        let evals = self.evals.iter().map(|eval| eval.name.as_str());
        let width = names.chain(evals).map(str::len).max().unwrap_or(0);
        if !self.groups.is_empty() {
            out.push_str("\nservers\n");
        }
        for group in &self.groups {
            group_text(group, width, &mut out);
        }
        if !self.evals.is_empty() {
            out.push_str("\nevaluations\n");
        }
        for eval in &self.evals {
            let _ = writeln!(out, "  {:width$}  {}", eval.name.as_str(), eval.text);
        }
        if !self.alarms.is_empty() {
            out.push_str("\nalarms\n");
        }
        for alarm in &self.alarms {
            let at = wall::moment(alarm.at.0, self.at.0, zone);
            let over = alarm.over.map_or_else(String::new, |over| {
                let over = wall::moment(over.0, self.at.0, zone);
                format!(", over since {over}")
            });
            let _ = writeln!(out, "  {at}  {}{over}: {}", alarm.alarm, alarm.text);
        }
        out
    }

    fn head(&self, zone: &TimeZone) -> String {
        let mut out = format!("{}: {}\n", self.name(), self.headline(zone));
        for line in self.remarks(zone) {
            let _ = writeln!(out, "{line}");
        }
        out
    }

    /// The run's name, or the cluster's while there is none.
    pub(super) fn name(&self) -> String {
        let run = self.run.as_ref();
        run.map_or_else(|| self.cluster.to_string(), ToString::to_string)
    }

    /// Whether it runs, and since when.
    pub(super) fn headline(&self, zone: &TimeZone) -> String {
        let age = self.at.0.since(self.since.0);
        let began = wall::moment(self.since.0, self.at.0, zone);
        match self.code {
            None if self.phase == "new" => "nothing was started yet".to_owned(),
            None if self.living == 0 && self.watcher.is_gone() => {
                format!("nothing of it runs, begun at {began}")
            }
            None => format!("running for {age}, since {began}"),
            Some(_) if self.taken_down => format!("taken down, begun at {began}"),
            Some(code) => {
                let meaning = ExitStatus::from_code(code)
                    .map_or_else(|| code.to_string(), |status| status.to_string());
                format!("ended with exit code {meaning}, begun at {began}")
            }
        }
    }

    /// While it runs: who watches, and what cannot be seen.
    pub(super) fn remarks(&self, zone: &TimeZone) -> Vec<String> {
        if self.phase != "running" {
            return Vec::new();
        }
        let mut lines = vec![self.watcher.text(self.living, self.at.0, zone)];
        if let Some(host) = &self.units_on {
            lines.push(format!(
                "units of it live on `{host}`: from here only what was recorded last can be told"
            ));
        }
        if !self.unwatched.is_empty() {
            let nodes = self.unwatched.iter().map(|node| format!("`{node}`"));
            let nodes: Vec<String> = nodes.collect();
            lines.push(format!(
                "nobody looks at {}: of servers there only what was recorded last can be told",
                nodes.join(", ")
            ));
        }
        if let Some(IdleStop { unit, left_ms }) = &self.idle_stop {
            lines.push(format!(
                "`{unit}` stops itself in {left_ms} if nothing moves until then"
            ));
        }
        lines
    }
}

fn group_status(group: &Group, plan: &Plan, run: &RunState, now: Timestamp) -> GroupStatus {
    let units: Vec<UnitStatus> = group
        .endpoints
        .iter()
        .filter_map(|endpoint| plan.unit(&endpoint.unit))
        .map(|unit| unit_status(unit, run, now))
        .collect();
    GroupStatus {
        name: group.name.clone(),
        ready: units.iter().filter(|unit| unit.phase == "ready").count(),
        total: units.len(),
        min_ready: run.wanted_of(group),
        needed: is_needed(group, plan, run),
        units,
    }
}

/// Whether an evaluation that is not over requires the group.
fn is_needed(group: &Group, plan: &Plan, run: &RunState) -> bool {
    let over = |eval: &EvalName| {
        let state = run.evals.get(eval);
        state.is_some_and(|eval| eval.verdict.is_some())
    };
    let ends = run.down.is_some() || matches!(run.phase, Phase::Ended(_));
    let mut evals = plan.evals.iter().filter(|eval| !over(&eval.name));
    !ends && evals.any(|eval| eval.requires.is_empty() || eval.requires.contains(&group.name))
}

fn unit_status(unit: &Unit, run: &RunState, now: Timestamp) -> UnitStatus {
    let state = run.unit(&unit.id);
    UnitStatus {
        unit: unit.id.clone(),
        node: unit.node.clone(),
        port: unit.port,
        phase: if words::is_drained(&state) {
            "drained"
        } else {
            words::phase(&state.phase)
        },
        since: (state.generation.0 > 0).then_some(Iso(state.since)),
        generation: state.generation,
        rung: state.rung.as_ref().map(|rung| clean(&rung.name)),
        liveness: (state.liveness.as_ref())
            .filter(|_| matches!(state.phase, UnitPhase::Ready(_)))
            .map(|(how, _)| words::liveness(*how)),
        text: words::server(unit, run, now),
        mood: words::mood(&state),
    }
}

fn eval_status(eval: &EvalPlan, plan: &Plan, run: &RunState, now: Timestamp) -> EvalStatus {
    let state = run.evals.get(&eval.name).cloned().unwrap_or_default();
    let pace = Pace::of_working(&state, &run.unit(&eval.unit), now);
    let words::EvalWords { text, says, mood } = words::eval(eval, plan, run, &pace);
    let now_alone = Pace { left: None, ..pace };
    EvalStatus {
        name: eval.name.clone(),
        done: state.done,
        total: state.total,
        errors: state.errors,
        correct: state.correct,
        torn: state.torn,
        per_minute: pace.per_minute,
        left_ms: pace.left,
        still_ms: pace.still,
        ended: state.verdict.is_some(),
        text,
        text_now: words::eval(eval, plan, run, &now_alone).text,
        says,
        mood,
    }
}

/// The most units of one group that are shown one by one.
const SHOWN: usize = 8;

/// The group's line, and one for each unit that is on its way or went wrong.
fn group_text(group: &GroupStatus, width: usize, out: &mut String) {
    let name = group.name.as_str();
    let _ = write!(out, "  {name:width$}  ");
    if let [only] = group.units.as_slice() {
        let _ = writeln!(out, "{}", only.text);
        return;
    }
    let _ = write!(out, "{}/{} ready", group.ready, group.total);
    for phase in ["not started", "stopping", "stopped", "drained"] {
        let count = group
            .units
            .iter()
            .filter(|unit| unit.phase == phase)
            .count();
        if count > 0 {
            let _ = write!(out, ", {count} {phase}");
        }
    }
    if group.needed && group.ready < group.min_ready {
        let _ = write!(out, " (evaluations need {})", group.min_ready);
    }
    out.push('\n');
    let mut shown: Vec<&UnitStatus> = group
        .units
        .iter()
        .filter(|unit| matches!(unit.mood, Mood::Bad | Mood::Busy) && unit.phase != "stopping")
        .collect();
    // Stable: what went wrong comes first, each in the order of the plan.
    shown.sort_by_key(|unit| unit.mood);
    for unit in shown.iter().take(SHOWN) {
        let _ = writeln!(out, "    {:width$}  {}", unit.unit.as_str(), unit.text);
    }
    if shown.len() > SHOWN {
        let _ = writeln!(out, "    … and {} more", shown.len() - SHOWN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::LaunchId;
    use crate::facts::Liveness;
    use crate::run::{Event, GaveUp, Verdict};
    use crate::view::testing::{Story, plan};

    fn text(story: &Story) -> String {
        Status::new(&plan(4), &story.state, story.now()).text(&TimeZone::UTC)
    }

    /// A night in which everything happens.
    fn night() -> Story {
        let mut story = Story::begun();
        for unit in ["orchestrator-0", "orchestrator-1", "orchestrator-2"] {
            story.wait(100).start(unit);
        }
        story
            .wait(20_000)
            .start("retrieval")
            .ready("orchestrator-0");
        story
            .climb("orchestrator-1", "listening")
            .climb("orchestrator-1", "health");
        story.die(
            "orchestrator-2",
            139,
            "\u{1b}[31mCUDA out of memory\u{1b}[0m",
        );
        story.wait(5000).start("orchestrator-2").wait(2000);
        story.refute(
            "orchestrator-2",
            "models",
            "it serves `m2`",
            "start the model `m`",
        );
        story
    }

    #[test]
    fn before_anything_happened() {
        insta::assert_snapshot!(text(&Story::new()), @r"
        night: nothing was started yet

        servers
          orchestrator  0/4 ready, 4 not started (evaluations need 1)
          retrieval     not started

        evaluations
          hle           waits for servers
          frames        waits for hle
        ");
    }

    #[test]
    fn while_servers_start() {
        insta::assert_snapshot!(text(&night()), @r"
        night-1-abcd: running for 27.3s, since 00:00:00
        watched by pid 4242 on desk since 00:00:00

        servers
          orchestrator  1/4 ready, 1 not started
            orchestrator-2  models refuted: it serves `m2`; start the model `m` (start 2)
            orchestrator-1  waits for completion (2/3) for 27s
          retrieval     waits for listening (0/3) for 7s

        evaluations
          hle           waits for servers
          frames        waits for hle
        ");
    }

    #[test]
    fn while_evaluations_run() {
        let mut story = Story::begun();
        for unit in [
            "orchestrator-0",
            "orchestrator-1",
            "orchestrator-2",
            "orchestrator-3",
        ] {
            story.start(unit).ready(unit);
        }
        story
            .start("retrieval")
            .ready("retrieval")
            .start("eval-hle");
        for step in 1..=10 {
            story.wait(60_000).progress("hle", step * 5, 2158);
        }
        story.alarm("slow", "answer-1 answers ten times slower than the others");
        story.wait(90_000_000);
        insta::assert_snapshot!(text(&story), @r"
        night-1-abcd: running for 1d 01h, since Dec 31 00:00
        watched by pid 4242 on desk since Dec 31 00:00

        servers
          orchestrator  4/4 ready
          retrieval     ready after 0ms

        evaluations
          hle           50/2158 (2 %) · 2 in error · 25 correct · 1.8/h · nothing finished for 1d 01h, time left unknown
          frames        waits for hle

        alarms
          Dec 31 00:10  slow: answer-1 answers ten times slower than the others
        ");
    }

    /// A verdict has the time left with its interval.
    #[test]
    fn the_time_left_is_told_once() {
        let mut story = Story::begun();
        story.start("eval-hle");
        for second in 0..30 {
            story.progress("hle", second * 20, 2158).wait(1000);
        }
        let status = Status::new(&plan(1), &story.state, story.now());
        let row = |status: &Status| {
            let text = status.text(&TimeZone::UTC);
            text.lines()
                .find(|line| line.starts_with("  hle"))
                .unwrap()
                .to_owned()
        };
        insta::assert_snapshot!(row(&status), @"  hle           580/2158 (26 %) · 29 in error · 290 correct · 19/s · about 1m 21s left");
        let json = status.json();
        let foretold = status.without_time_left_of(&[EvalName::new("hle")]);
        insta::assert_snapshot!(row(&foretold), @"  hle           580/2158 (26 %) · 29 in error · 290 correct · 19/s");
        assert_eq!(
            foretold.json()["evals"][0]["left_ms"],
            json["evals"][0]["left_ms"]
        );
    }

    #[test]
    fn while_it_is_held_and_a_server_is_slow() {
        let mut story = Story::begun();
        for unit in ["orchestrator-0", "orchestrator-1", "retrieval", "eval-hle"] {
            story.start(unit).ready(unit);
        }
        story.progress("hle", 40, 2158).wait(60_000);
        story.tell(Event::Judged {
            unit: UnitId::new("orchestrator-1"),
            generation: Generation(1),
            liveness: Liveness::Slow,
            why: "it writes 20.0 tokens a second for each request, its peers 50.0, for ten minutes"
                .to_owned(),
        });
        story.die("retrieval", 139, "Segmentation fault");
        story.tell(Event::EvalHeld {
            eval: EvalName::new("hle"),
            unit: UnitId::new("eval-hle"),
            since: story.now(),
            why: "`retrieval` has no server that is ready".to_owned(),
        });
        insta::assert_snapshot!(text(&story), @r"
        night-1-abcd: running for 1m 00s, since 00:00:00
        watched by pid 4242 on desk since 00:00:00

        servers
          orchestrator  2/4 ready, 2 not started
            orchestrator-1  slow: it writes 20.0 tokens a second for each request, its peers 50.0, for ten minutes
          retrieval     ended with code 139 (SIGSEGV inferred): Segmentation fault; start 2 of 4 in 5s

        evaluations
          hle           held: `retrieval` has no server that is ready · 40/2158 (1 %) · 2 in error · 20 correct
          frames        waits for hle
        ");
    }

    #[test]
    fn after_a_bad_end() {
        let mut story = night();
        story.give_up("orchestrator-2", GaveUp::Budget { starts: 3 });
        let why = "the client ended with code 1".to_owned();
        story.progress("hle", 40, 2158);
        story.end("hle", Verdict::Incomplete { missing: 2118, why });
        let why = "`hle` is incomplete".to_owned();
        story.end("frames", Verdict::NotStarted { why, code: 5 });
        story.tell(Event::RunEnded {
            code: 6,
            summary: String::new(),
        });
        insta::assert_snapshot!(text(&story), @r"
        night-1-abcd: ended with exit code 6 (gave up: restart budget spent, or stalled), begun at 00:00:00

        servers
          orchestrator  1/4 ready, 1 not started
            orchestrator-2  given up: each of its 3 starts ended, and `restart` allows no more
            orchestrator-1  waits for completion (2/3) for 27s
          retrieval     waits for listening (0/3) for 7s

        evaluations
          hle           incomplete, 2118 missing: the client ended with code 1 · 40/2158 (1 %) · 2 in error · 20 correct
          frames        not started: `hle` is incomplete
        ");
    }

    #[test]
    fn nothing_is_forecast_while_no_client_works() {
        let mut story = Story::begun();
        for unit in ["orchestrator-0", "retrieval", "eval-hle"] {
            story.start(unit).ready(unit);
        }
        for step in 1..=5 {
            story.wait(60_000).progress("hle", step * 5, 100);
        }
        assert!(text(&story).contains("left"), "{}", text(&story));
        let held = Event::EvalHeld {
            eval: EvalName::new("hle"),
            unit: UnitId::new("eval-hle"),
            since: story.now(),
            why: "`retrieval` has no server that is ready".to_owned(),
        };
        story.tell(held);
        let row = |story: &Story| {
            let text = text(story);
            let row = text.lines().find(|line| line.starts_with("  hle "));
            row.unwrap().to_owned()
        };
        insta::assert_snapshot!(row(&story), @"  hle           held: `retrieval` has no server that is ready · 25/100 (25 %) · 1 in error · 12 correct");
        let mut ended = Story::begun();
        ended.start("eval-hle");
        for step in 1..=5 {
            ended.wait(60_000).progress("hle", step * 5, 100);
        }
        ended.die("eval-hle", 1, "Errno 24");
        insta::assert_snapshot!(row(&ended), @"  hle           25/100 (25 %) · 1 in error · 12 correct · the client ended with code 1: Errno 24");
    }

    #[test]
    fn a_server_that_died_says_when_it_is_started_again() {
        let mut story = Story::begun();
        let access = "INFO:     127.0.0.1:54092 - \"POST /v1/chat/completions HTTP/1.1\" 200 OK";
        story.start("retrieval").ready("retrieval").wait(60_000);
        story.die("retrieval", 137, access);
        let row = |story: &Story| {
            let text = text(story);
            let row = text.lines().find(|line| line.starts_with("  retrieval "));
            row.unwrap().to_owned()
        };
        insta::assert_snapshot!(row(&story), @"  retrieval     ended with code 137; start 2 of 4 in 5s");
        story.wait(5_000);
        insta::assert_snapshot!(row(&story), @"  retrieval     ended with code 137; start 2 of 4 is due");
        story.tell(Event::OwnerLeft {
            why: "SIGINT".to_owned(),
            to_down: false,
        });
        insta::assert_snapshot!(row(&story), @"  retrieval     ended with code 137");
    }

    #[test]
    fn a_server_that_was_given_up_says_how_its_last_start_ended() {
        let row = |starts: u32| {
            let mut story = Story::begun();
            story
                .start("retrieval")
                .die("retrieval", 139, "Segmentation fault");
            story.give_up("retrieval", GaveUp::Budget { starts });
            let text = text(&story);
            let row = text.lines().find(|line| line.starts_with("  retrieval "));
            row.unwrap().to_owned()
        };
        insta::assert_snapshot!(row(1), @"  retrieval     given up: its one start ended, and `restart` allows no more; the last ended with code 139 (SIGSEGV inferred): Segmentation fault");
        insta::assert_snapshot!(row(4), @"  retrieval     given up: each of its 4 starts ended, and `restart` allows no more; the last ended with code 139 (SIGSEGV inferred): Segmentation fault");
    }

    #[test]
    fn a_start_that_an_earlier_controller_meant_is_told_from_one_s_own() {
        let mut story = Story::begun();
        let unit = UnitId::new("retrieval");
        story.tell(Event::LaunchIntended {
            unit,
            generation: Generation(1),
            launch: LaunchId::new("l"),
            script: None,
        });
        story.wait(9_000);
        let row = |story: &Story| {
            let text = text(story);
            let row = text.lines().find(|line| line.starts_with("  retrieval "));
            row.unwrap().to_owned()
        };
        insta::assert_snapshot!(row(&story), @"  retrieval     starting for 9s");
        story.tell(Event::OwnerTook {
            host: "desk".to_owned(),
            pid: 5,
            yaml: None,
        });
        insta::assert_snapshot!(row(&story), @"  retrieval     an earlier controller meant to start it 9s ago: it is waited for");
        // Whoever meant it, SLURM says why it waits.
        story.tell(Event::Queued {
            unit: UnitId::new("retrieval"),
            generation: Generation(1),
            why: "job 7: the nodes are busy (Resources)".to_owned(),
            starts: None,
        });
        insta::assert_snapshot!(row(&story), @"  retrieval     waits for 9s: job 7: the nodes are busy (Resources)");
    }

    #[test]
    fn drained_servers_are_not_missed_and_an_evaluation_that_is_over_needs_none() {
        let mut plan = plan(2);
        plan.groups[0].min_ready = 2;
        let mut story = Story::begun();
        for unit in ["orchestrator-0", "orchestrator-1", "retrieval"] {
            story.start(unit);
        }
        let row = |story: &Story| {
            let text = Status::new(&plan, &story.state, story.now()).text(&TimeZone::UTC);
            let row = text.lines().find(|line| line.contains("/2 ready"));
            row.unwrap().to_owned()
        };
        story.ready("orchestrator-0");
        insta::assert_snapshot!(row(&story), @"  orchestrator  1/2 ready (evaluations need 2)");
        let unit = UnitId::new("orchestrator-1");
        story.tell(Event::Drained { unit: unit.clone() });
        story.tell(Event::Stopped {
            unit: unit.clone(),
            generation: Generation(1),
        });
        insta::assert_snapshot!(row(&story), @"  orchestrator  1/2 ready, 1 drained");
        story.tell(Event::Undrained { unit });
        insta::assert_snapshot!(row(&story), @"  orchestrator  1/2 ready, 1 not started (evaluations need 2)");
        story.tell(Event::DownBegan {
            host: "desk".to_owned(),
            pid: 6,
        });
        insta::assert_snapshot!(row(&story), @"  orchestrator  1/2 ready, 1 not started");
    }

    #[test]
    fn an_alarm_that_is_over_says_since_when() {
        let mut story = Story::begun();
        let hle = EvalName::new("hle");
        story.tell(Event::Alarm {
            alarm: "held".to_owned(),
            unit: Some(UnitId::eval(&hle)),
            text: "`hle` is held: `retrieval` has no server that is ready".to_owned(),
        });
        story.wait(120_000).tell(Event::EvalResumed {
            eval: hle,
            set_aside: 3,
        });
        let text = text(&story);
        let (_, alarms) = text.split_once("alarms").unwrap();
        insta::assert_snapshot!(alarms, @"00:00:00  held, over since 00:02:00: `hle` is held: `retrieval` has no server that is ready");
    }

    #[test]
    fn a_down_that_did_not_come_to_its_end_is_told() {
        let mut story = Story::begun();
        story.start("retrieval").tell(Event::DownBegan {
            host: "desk".to_owned(),
            pid: 6,
        });
        let head = |story: &Story, seen: Option<Seen>| {
            let status = Status::new(&plan(1), &story.state, story.now());
            seen.into_iter()
                .fold(status, Status::watcher_seen)
                .head(&TimeZone::UTC)
        };
        insta::assert_snapshot!(head(&story, None), @r"
        night-1-abcd: running for 0ms, since 00:00:00
        `toolorch down` stops it, pid 6 on desk since 00:00:00
        ");
        let heard = story.now();
        insta::assert_snapshot!(head(&story, Some(Seen::Gone { heard })), @r"
        night-1-abcd: running for 0ms, since 00:00:00
        `toolorch down` did not come to its end: pid 6 on desk is gone since about 00:00:00; `toolorch down` once more stops what is left, `toolorch up` goes on with it
        ");
        story.die("retrieval", 143, "bye");
        insta::assert_snapshot!(head(&story, Some(Seen::Gone { heard })), @r"
        night-1-abcd: nothing of it runs, begun at 00:00:00
        `toolorch down` did not come to its end: pid 6 on desk is gone since about 00:00:00; `toolorch down` once more stops what is left, `toolorch up` goes on with it
        ");
    }

    #[test]
    fn where_nothing_runs_nothing_is_said_to_go_on() {
        let mut story = Story::begun();
        story.start("retrieval").die("retrieval", 143, "bye");
        let heard = story.now();
        let status = Status::new(&plan(1), &story.state, heard);
        let status = status.watcher_seen(Seen::Gone { heard });
        insta::assert_snapshot!(status.head(&TimeZone::UTC), @r"
        night-1-abcd: nothing of it runs, begun at 00:00:00
        nobody watches since about 00:00:00: pid 4242 on desk is gone; `toolorch up` goes on with it, `toolorch down` ends the run
        ");
    }

    #[test]
    fn who_watches_is_said() {
        let mut story = Story::begun();
        story.start("retrieval");
        let head = |story: &Story, seen: Option<Seen>| {
            let status = Status::new(&plan(1), &story.state, story.now());
            let status = seen.into_iter().fold(status, Status::watcher_seen);
            let head = status.head(&TimeZone::UTC);
            head.lines().skip(1).collect::<Vec<_>>().join("\n")
        };
        let heard = story.now();
        insta::assert_snapshot!(head(&story, Some(Seen::Gone { heard })), @"nobody watches since about 00:00:00: pid 4242 on desk is gone; what was started goes on; watch again: `toolorch up`");
        let silent_ms = Millis::from_secs(95);
        insta::assert_snapshot!(head(&story, Some(Seen::Silent { silent_ms })), @"pid 4242 on desk should watch, but has said nothing for 1m 35s: does it hang, or is it on another machine?");
        insta::assert_snapshot!(head(&story, Some(Seen::Unrecorded { since: heard })), @"watched by pid 4242 on desk, which cannot write its journal since 00:00:00: its disk is full or fails; this is what can be seen without it");
        let left_ms = Millis::from_secs(42);
        insta::assert_snapshot!(head(&story, Some(Seen::Stopped { heard, left_ms })), @"its controller, pid 4242 on desk, is stopped since about 00:00:00: let it go on (kill -CONT 4242), or `toolorch up` takes over in 42.0s");
        let left_ms = Millis(0);
        insta::assert_snapshot!(head(&story, Some(Seen::Stopped { heard, left_ms })), @"its controller, pid 4242 on desk, is stopped since about 00:00:00: let it go on (kill -CONT 4242), or `toolorch up` takes over");
        story.tell(Event::OwnerLeft {
            why: "SIGINT".to_owned(),
            to_down: false,
        });
        insta::assert_snapshot!(head(&story, None), @"nobody watches since 00:00:00: pid 4242 on desk left (SIGINT); what was started goes on; watch again: `toolorch up`");
    }

    #[test]
    fn the_json_form_is_fixed() {
        let status = Status::new(&plan(3), &night().state, night().now());
        insta::assert_json_snapshot!(status.json());
    }
}
