//! A story: news fed to a brain, time that passes, and a log of all that it says.

use std::fmt::Write;

use crate::base::{Epoch, EvalName, Generation, LaunchId, Millis, RunId, Timestamp, UnitId};
use crate::facts::{
    Exit, Facts, Known, Observation, ProbeFailure, ProbeOutcome, RunningUnit, Served, Signal,
};
use crate::plan::{Plan, plan};
use crate::run::{Event, Handle, Record, RunState};
use crate::spec::ClusterSpec;
use crate::spec::model::LauncherKind;
use crate::supervise::{Again, Brain, Counts, Effect, Goal, Input, LaunchFailure, Signs, Wishes};

/// Some time after the epoch.
pub(super) const DAWN: Timestamp = Timestamp(1_000_000_000);

/// A service with two rungs.
pub(super) const ONE: &str = "
services:
  a: { node: n, port: 9001, command: [a], ready: { http: /health, timeout: 10m } }
";

/// One service and an evaluation on it.
pub(super) const EVAL: &str = "
services:
  a: { node: n, port: 9001, command: [a], ready: { http: /health, timeout: 10m } }
evals:
  e: { command: [client], results: out, requires: [a], limits: { stall: 30m, first_result: 10m } }
when_done: down
";

/// The plan of these servers and evaluations on one node.
pub(super) fn plan_of(yaml: &str) -> Plan {
    plan_on("n: { gpus: 0, transport: local, address: 127.0.0.1 }", yaml)
}

/// The plan of these servers and evaluations on these nodes.
pub(super) fn plan_on(nodes: &str, yaml: &str) -> Plan {
    let head = format!("version: 1\nname: t\nlauncher: process\nnodes: {{ {nodes} }}\n");
    let spec: ClusterSpec = serde_yaml::from_str(&format!("{head}{yaml}")).unwrap();
    let facts = Facts {
        exe: "/usr/bin/toolorch".to_owned(),
        yaml_dir: "/clusters".to_owned(),
        home: Known::Known("/home/ada".to_owned()),
        own_names: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        ..Facts::default()
    };
    let (mut plan, _) = plan(&spec, &facts);
    for unit in &mut plan.units {
        unit.ready.rungs.truncate(2);
    }
    plan
}

/// `done` of ten ids, so many of them in error.
pub(super) fn ten(done: usize, errors: usize) -> Counts {
    Counts {
        done,
        errors,
        total: 10,
        finished: done == 10,
        ..Counts::default()
    }
}

/// The unit's own words about its end.
#[derive(Clone, Copy, Default)]
pub(super) struct End {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<&'static str>,
    pub(super) requested: bool,
    pub(super) reason: Option<&'static str>,
    pub(super) tail: &'static [&'static str],
}

pub(super) fn code(code: i32) -> End {
    End {
        code: Some(code),
        ..End::default()
    }
}

pub(super) fn signal(name: &'static str, number: i32) -> End {
    End {
        code: Some(128 + number),
        signal: Some(name),
        ..End::default()
    }
}

/// A brain and all that was said since the last [`Story::told`].
pub(super) struct Story {
    pub(super) brain: Brain,
    pub(super) now: Timestamp,
    pub(super) records: Vec<Record>,
    /// Pulses that are asked for are told.
    pub(super) pulses: bool,
    plan: Plan,
    text: String,
}

impl Story {
    /// A new run, with all evaluations of the plan as its goal.
    pub(super) fn new(yaml: &str) -> Self {
        let plan = plan_of(yaml);
        let evals = plan.evals.iter().map(|eval| eval.name.clone()).collect();
        let goal = Goal {
            start_servers: true,
            evals,
        };
        Self::with(plan, goal)
    }

    pub(super) fn with(plan: Plan, goal: Goal) -> Self {
        let mut story = Self {
            brain: Brain::new(plan.clone(), goal.clone(), RunState::default(), Epoch(0)),
            now: DAWN,
            records: Vec::new(),
            pulses: false,
            plan,
            text: String::new(),
        };
        let first = Event::RunStarted {
            run: RunId::new("t-1-0000"),
            cluster: story.plan.cluster.clone(),
            plan_sha256: String::new(),
            version: "0".to_owned(),
            rebuilt: false,
        };
        story.note(1, first);
        story.owner(goal);
        story
    }

    fn note(&mut self, epoch: u64, event: Event) {
        let seq = self.records.len() as u64 + 1;
        self.records.push(Record {
            v: Record::FORMAT,
            seq,
            at: self.now,
            epoch: Epoch(epoch),
            event,
        });
    }

    /// Another controller takes the run; what the one before knew beside the journal is gone.
    pub(super) fn owner(&mut self, goal: Goal) {
        let epoch = RunState::fold(&self.records).epoch.0.max(1);
        let taken = self
            .records
            .iter()
            .any(|r| matches!(r.event, Event::OwnerTook { .. }));
        let epoch = epoch + u64::from(taken);
        let took = Event::OwnerTook {
            host: "here".to_owned(),
            pid: 1,
            yaml: None,
        };
        self.note(epoch, took);
        let state = RunState::fold(&self.records);
        self.brain = Brain::new(self.plan.clone(), goal, state, Epoch(epoch));
    }

    /// Lets so many starts be under way at once.
    /// The next owner follows this plan.
    pub(super) fn replan(&mut self, yaml: &str) -> &mut Self {
        self.plan = plan_of(yaml);
        self
    }

    /// What the owner is to do about what runs.
    pub(super) fn wish(&mut self, wishes: Wishes) -> &mut Self {
        let nobody = Goal {
            start_servers: false,
            evals: Vec::new(),
        };
        let blank = Brain::new(self.plan.clone(), nobody, RunState::default(), Epoch(0));
        self.brain = std::mem::replace(&mut self.brain, blank).wishing(wishes);
        self
    }

    pub(super) fn at_once(&mut self, starts: usize) -> &mut Self {
        self.brain.starts_at_once = starts;
        self
    }

    /// The goal of all evaluations.
    pub(super) fn all(&self) -> Goal {
        Goal {
            start_servers: true,
            evals: self
                .plan
                .evals
                .iter()
                .map(|eval| eval.name.clone())
                .collect(),
        }
    }

    /// What was said since the last call.
    pub(super) fn told(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Forgets what was said.
    pub(super) fn skip(&mut self) -> &mut Self {
        self.text.clear();
        self
    }

    /// Feeds one input.
    pub(super) fn feed(&mut self, input: Input) -> &mut Self {
        let effects = self.brain.step(input, self.now);
        for effect in &effects {
            // Every client is looked at all the time.
            if matches!(effect, Effect::LookAtFiles { .. }) {
                continue;
            }
            if let Effect::Record(record) = effect {
                self.records.push(record.clone());
            }
            // A thousand lines of pulses would bury what follows from them.
            if matches!(effect, Effect::Pulse { .. }) && !self.pulses {
                continue;
            }
            let line = line(effect);
            let since = self.now.since(DAWN);
            writeln!(self.text, "{:>7} {line}", format!("{since}")).unwrap();
        }
        assert_eq!(
            &RunState::fold(&self.records),
            self.brain.state(),
            "the state is the fold of the records"
        );
        let wake = self.brain.next_wake();
        assert!(
            wake.is_none_or(|at| at > self.now),
            "it would spin: {wake:?}"
        );
        self
    }

    /// The first look; units that are not named were never there.
    pub(super) fn begin(
        &mut self,
        seen: &[(&str, Observation)],
        counted: &[(&str, Counts)],
    ) -> &mut Self {
        let look = |unit: &UnitId| {
            seen.iter()
                .find(|(name, _)| *name == unit.as_str())
                .map_or(Observation::Never, |(_, seen)| seen.clone())
        };
        let seen = (self.plan.units.iter())
            .map(|unit| (unit.id.clone(), look(&unit.id)))
            .collect();
        let counted = (counted.iter())
            .map(|(eval, counts)| (EvalName::new(*eval), *counts))
            .collect();
        self.feed(Input::Begin { seen, counted })
    }

    /// Time passes; the brain is woken when it wants to be.
    pub(super) fn pass(&mut self, length: Millis) -> &mut Self {
        let end = self.now + length;
        while let Some(at) = self.brain.next_wake().filter(|at| *at <= end) {
            self.now = at;
            self.feed(Input::Tick);
        }
        self.now = end;
        self
    }

    pub(super) fn secs(&mut self, seconds: u64) -> &mut Self {
        self.pass(Millis::from_secs(seconds))
    }

    pub(super) fn generation(&self, unit: &str) -> Generation {
        self.brain.state().unit(&unit.into()).generation
    }

    fn launch(&self, unit: &str) -> LaunchId {
        let state = self.brain.state().unit(&unit.into());
        state.launch.unwrap_or_else(|| LaunchId::new("none"))
    }

    pub(super) fn launched(&mut self, unit: &str) -> &mut Self {
        let handle = Handle {
            submitted: None,
            launcher: LauncherKind::Process,
            native: "7".to_owned(),
            address: None,
            port: None,
            log: format!("/logs/{unit}.log"),
        };
        self.launch_done(unit, self.generation(unit), Ok(handle))
    }

    pub(super) fn launch_done(
        &mut self,
        unit: &str,
        generation: Generation,
        result: Result<Handle, String>,
    ) -> &mut Self {
        let unit = unit.into();
        self.feed(Input::LaunchDone {
            unit,
            generation,
            result: result.map_err(LaunchFailure::Passing),
        })
    }

    pub(super) fn see(&mut self, unit: &str, observation: Observation) -> &mut Self {
        let unit = unit.into();
        self.feed(Input::Seen { unit, observation })
    }

    /// The unit as it runs now, or would if the last intended start had happened.
    pub(super) fn running(&self, unit: &str, listening: bool) -> Observation {
        let port = self.plan.unit(&unit.into()).unwrap().port;
        Observation::Running(RunningUnit {
            generation: self.generation(unit),
            launch: self.launch(unit),
            pid: 40,
            start: 4,
            supervisor: 39,
            supervised: true,
            listening: port.filter(|_| listening).into_iter().collect(),
            place: None,
            until: None,
        })
    }

    pub(super) fn ended(&self, unit: &str, end: End) -> Observation {
        Observation::Exited(Exit {
            code: end.code,
            signal: end.signal.map(str::to_owned),
            requested: end.requested,
            reason: end.reason.map(str::to_owned),
            tail: end.tail.iter().map(|&line| line.to_owned()).collect(),
            ..Exit::of(self.generation(unit), self.launch(unit))
        })
    }

    pub(super) fn lost(&self, unit: &str) -> Observation {
        Observation::Lost {
            generation: self.generation(unit),
            launch: self.launch(unit),
        }
    }

    pub(super) fn dies(&mut self, unit: &str, end: End) -> &mut Self {
        let seen = self.ended(unit, end);
        self.see(unit, seen)
    }

    pub(super) fn probed(&mut self, unit: &str, rung: usize, outcome: ProbeOutcome) -> &mut Self {
        let generation = self.generation(unit);
        let unit = unit.into();
        self.feed(Input::Probed {
            unit,
            generation,
            rung,
            outcome,
        })
    }

    pub(super) fn passes(&mut self, unit: &str) -> &mut Self {
        let detail = String::new();
        self.probed(unit, 1, ProbeOutcome::Passed { detail })
    }

    /// Started, listening, and healthy at once.
    pub(super) fn comes_up(&mut self, unit: &str) -> &mut Self {
        self.launched(unit);
        let seen = self.running(unit, true);
        self.see(unit, seen).passes(unit)
    }

    pub(super) fn prepared(&mut self, eval: &str, counts: Counts) -> &mut Self {
        let eval = eval.into();
        self.feed(Input::Prepared {
            eval,
            result: Ok(counts),
        })
    }

    /// The client was launched and its process seen.
    pub(super) fn client_runs(&mut self, eval: &str) -> &mut Self {
        let unit = format!("eval-{eval}");
        self.launched(&unit);
        let seen = self.running(&unit, false);
        self.see(&unit, seen)
    }

    pub(super) fn counted(&mut self, eval: &str, counts: Counts) -> &mut Self {
        self.counted_with(eval, counts, Signs::default())
    }

    pub(super) fn counted_with(&mut self, eval: &str, counts: Counts, signs: Signs) -> &mut Self {
        let eval = eval.into();
        self.feed(Input::Counted {
            eval,
            counts: Ok(counts),
            signs,
        })
    }

    pub(super) fn stopped(&mut self, unit: &str) -> &mut Self {
        self.stop_done(unit, Ok(()))
    }

    pub(super) fn stop_done(&mut self, unit: &str, result: Result<(), &str>) -> &mut Self {
        let generation = self.generation(unit);
        let unit = unit.into();
        self.feed(Input::StopDone {
            unit,
            generation,
            result: result.map_err(str::to_owned),
        })
    }

    pub(super) fn interrupted(&mut self) -> &mut Self {
        self.feed(Input::Leave(Signal::Interrupt))
    }
}

pub(super) fn not_yet(why: &str) -> ProbeOutcome {
    let why = why.to_owned();
    ProbeOutcome::NotYet { why }
}

pub(super) fn failed(why: &str, permanent: bool) -> ProbeOutcome {
    ProbeOutcome::Failed(ProbeFailure {
        why: why.to_owned(),
        fix: "mend it".to_owned(),
        permanent,
    })
}

pub(super) fn unknown() -> Observation {
    let why = "no route".to_owned();
    Observation::Unknown { why }
}

/// One effect in one line; an arrow asks, the others are records.
fn line(effect: &Effect) -> String {
    match effect {
        Effect::Record(record) => fact(&record.event),
        Effect::Launch {
            unit,
            generation,
            concurrency: Some(number),
            ..
        } => format!("-> launch {unit} #{generation} with {number} in flight"),
        Effect::Launch {
            unit, generation, ..
        } => format!("-> launch {unit} #{generation}"),
        Effect::Watch { unit } => format!("-> watch {unit}"),
        Effect::Stop { unit, generation } => format!("-> stop {unit} #{generation}"),
        Effect::Probe {
            unit,
            generation,
            rung,
        } => format!("-> probe {unit} #{generation} rung {rung}"),
        Effect::WriteConfig { config, ready } => {
            let ready: Vec<&str> = ready.iter().map(UnitId::as_str).collect();
            format!("-> write config {config} with {}", ready.join(" "))
        }
        Effect::Prepare {
            eval,
            again: Again::Nothing,
        } => format!("-> prepare {eval}"),
        Effect::Prepare {
            eval,
            again: Again::Errors,
        } => format!("-> prepare {eval} and its errors"),
        Effect::BringBack { eval } => format!("-> bring back {eval}"),
        Effect::LookAtFiles { unit, .. } => format!("-> look at {unit}"),
        Effect::RaiseFiles { unit, seen, to, .. } => {
            format!("-> raise files of {unit}, process {}, to {to}", seen.pid)
        }
        Effect::Pulse { unit, what, .. } => format!("-> pulse {unit} {what:?}"),
        Effect::LookAtGpus { unit } => format!("-> look at the GPUs of {unit}"),
        Effect::Reach { external } => format!("-> reach {external}"),
        Effect::Requeue { eval, since } => {
            format!("-> requeue {eval} since {}", since.since(DAWN))
        }
        Effect::Count { eval } => format!("-> count {eval}"),
        Effect::Finish(end) => format!(
            "-> finish {}: {}{}",
            end.code.code(),
            end.summary,
            if end.kept { " (kept)" } else { "" }
        ),
    }
}

fn fact(event: &Event) -> String {
    match event {
        Event::LaunchIntended {
            unit, generation, ..
        } => format!("{unit} #{generation} start intended"),
        Event::StartAwaited {
            unit,
            generation,
            length,
        } => format!("{unit} #{generation} start awaited for {length}"),
        Event::Launched {
            unit, generation, ..
        } => format!("{unit} #{generation} launched"),
        Event::Queued {
            unit,
            generation,
            why,
            ..
        } => format!("{unit} #{generation} queued: {why}"),
        Event::Placed {
            unit,
            generation,
            place,
        } => format!("{unit} #{generation} placed at {place}"),
        Event::LaunchFailed {
            unit,
            generation,
            why,
        } => format!("{unit} #{generation} launch failed: {why}"),
        Event::Started {
            unit,
            generation,
            adopted,
            ..
        } => {
            let how = if *adopted { "adopted" } else { "started" };
            format!("{unit} #{generation} {how}")
        }
        Event::Climbed {
            unit,
            generation,
            rung,
            ..
        } => format!("{unit} #{generation} climbed {rung}"),
        Event::Refuted {
            unit,
            generation,
            rung,
            failure,
        } => format!("{unit} #{generation} refuted {rung}: {}", failure.why),
        Event::Ready {
            unit,
            generation,
            after,
        } => format!("{unit} #{generation} ready after {after}"),
        Event::Exited { unit, exit } => format!(
            "{unit} #{} exited: code {:?}, signal {:?}, reason {:?}",
            exit.generation, exit.code, exit.signal, exit.reason
        ),
        Event::GaveUp { unit, why } => format!("{unit} given up: {why:?}"),
        event => fact_of_run(event),
    }
}

fn fact_of_run(event: &Event) -> String {
    match event {
        Event::ConfigWritten {
            config, endpoints, ..
        } => format!("config {config} written, {endpoints} endpoints"),
        Event::EvalProgress {
            eval,
            done,
            errors,
            total,
            ..
        } => format!("{eval} {done}/{total}, {errors} errors"),
        Event::FilesRaised {
            eval,
            open,
            from,
            to,
            ..
        } => format!("{eval} has {open} of {from} files open, raised to {to}"),
        Event::EvalWaits { eval, waits } => match waits {
            None => format!("{eval} goes on"),
            Some(waits) => format!(
                "{eval} waits since {} for {:?}, {} calls, {:?} left",
                waits.since.since(DAWN),
                waits.server,
                waits.calls,
                waits.ids
            ),
        },
        Event::EvalDegraded { eval, degraded, .. } => format!("{eval}: {degraded:?}"),
        Event::RetryIntended { eval, ids } => format!("{eval} retry of {ids} intended"),
        Event::EvalSlowed {
            eval, concurrency, ..
        } => format!("{eval} slowed to {concurrency}"),
        Event::EvalHeld { eval, why, .. } => format!("{eval} held: {why}"),
        Event::EvalResumed { eval, set_aside } => {
            format!("{eval} resumed, {set_aside} set aside")
        }
        Event::Judged {
            unit,
            generation,
            liveness,
            why,
        } => format!("{unit} #{generation} {liveness:?}: {why}"),
        Event::EvalEnded { eval, verdict } => format!("{eval} ended: {verdict:?}"),
        Event::StopIntended {
            unit,
            generation,
            why,
        } => format!("{unit} #{generation} stop intended: {why:?}"),
        Event::Stopped { unit, generation } => format!("{unit} #{generation} stopped"),
        Event::Drained { unit } => format!("{unit} drained"),
        Event::Undrained { unit } => format!("{unit} undrained"),
        Event::Alarm { alarm, text, .. } => format!("alarm {alarm}: {text}"),
        Event::OwnerAway { length } => format!("owner away for {length}"),
        Event::OutsideCall {
            eval,
            place,
            seen,
            times,
        } => format!("{eval} outside {place} {seen:?} {times}"),
        Event::Routed {
            eval,
            looks,
            dropped,
            ..
        } => format!("{eval} watched, {looks} looks, dropped {dropped:?}"),
        Event::BooksOpened {
            eval,
            servers,
            unread,
            ..
        } => format!(
            "books opened for {eval}: {}, unread {unread:?}",
            counts(servers)
        ),
        Event::ServerCounted { served } => {
            format!(
                "counted by its end: {}",
                counts(std::slice::from_ref(served))
            )
        }
        Event::BooksClosed { servers, unread } => {
            format!("books closed: {}, unread {unread:?}", counts(servers))
        }
        Event::OwnerLeft { why, .. } => format!("owner left: {why}"),
        Event::RunEnded { code, summary } => format!("run ended {code}: {summary}"),
        event => format!("{event:?}"),
    }
}

/// `a#1 7-2` for a server that finished 7 requests, 2 of them ours.
fn counts(servers: &[Served]) -> String {
    let of = |served: &Served| {
        let Served {
            unit,
            generation,
            finished,
            ours,
            ..
        } = served;
        format!("{unit}#{generation} {finished}-{ours}")
    };
    servers.iter().map(of).collect::<Vec<_>>().join(" ")
}
