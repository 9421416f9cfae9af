//! What is about to happen to servers, clients and results, case by case.

use std::collections::BTreeMap;

use insta::assert_snapshot;

use super::*;
use crate::base::{
    ConfigName, Epoch, EvalName, Generation, LaunchId, Millis, Place, Timestamp, UnitId,
};
use crate::facts::{Exit, Facts, Observation, RunningUnit};
use crate::plan::{Plan, plan};
use crate::run::Handle;
use crate::spec::model::LauncherKind;

/// What `up` asks of an owner.
pub(super) const UP: Asked = Asked {
    start_servers: true,
    restart_evals: false,
};

const YAML: &str = "
version: 1
name: t
launcher: process
nodes: { n: { gpus: 0, transport: local, address: 127.0.0.1 } }
services:
  a: { node: n, port: 9001, command: [a] }
  b: { node: n, port: 9002, command: [b] }
client_config: { format: toolorchestra, path: c.json }
evals:
  e: { command: [client, '{config}'], results: out, requires: [a, b] }
when_done: keep
";

fn plan_of(yaml: &str) -> Plan {
    let facts = Facts {
        own_names: vec!["127.0.0.1".to_owned()],
        ..Default::default()
    };
    plan(&serde_yaml::from_str(yaml).unwrap(), &facts).0
}

/// A unit that lives since this launch.
pub(super) fn running(launch: &str) -> Observation {
    Observation::Running(RunningUnit {
        generation: Generation(1),
        launch: LaunchId::new(launch),
        pid: 7,
        start: 7,
        supervisor: 6,
        supervised: true,
        listening: Vec::new(),
        place: None,
        until: None,
    })
}

fn exit(code: Option<i32>, signal: Option<&str>) -> Exit {
    Exit {
        code,
        signal: signal.map(str::to_owned),
        ..Exit::of(Generation(1), LaunchId::new("l"))
    }
}

/// A run in which `a`, `b` and the client of `e` are at work.
struct Case {
    plan: Plan,
    before: Plan,
    state: RunState,
    changes: Changes,
    seen: BTreeMap<UnitId, Observation>,
    results: BTreeMap<EvalName, ResultsSeen>,
    asked: Asked,
}

impl Case {
    fn new() -> Self {
        let mut case = Self {
            plan: plan_of(YAML),
            before: plan_of(YAML),
            state: RunState::default(),
            changes: Changes::default(),
            seen: BTreeMap::new(),
            results: BTreeMap::new(),
            asked: UP,
        };
        for unit in ["a", "b", "eval-e"] {
            case = case
                .event(intended(unit))
                .event(ready(unit))
                .sees(unit, running("l"));
        }
        let named = places(&case.plan);
        case.event(Event::ConfigWritten {
            config: ConfigName::new("default"),
            path: "c.json".to_owned(),
            sha256: String::new(),
            endpoints: 2,
            named,
        })
        .missing(4)
    }

    fn event(mut self, event: Event) -> Self {
        self.state.apply(&Record {
            v: Record::FORMAT,
            seq: self.state.seq + 1,
            at: Timestamp(1),
            epoch: Epoch(1),
            event,
        });
        self
    }

    fn sees(mut self, unit: &str, seen: Observation) -> Self {
        self.seen.insert(UnitId::new(unit), seen);
        self
    }

    fn replaced(mut self, unit: &str, what: &str) -> Self {
        let replaced = &mut self.changes.replaced;
        replaced.insert(UnitId::new(unit), what.to_owned());
        self
    }

    fn planned(mut self, from: &str, to: &str) -> Self {
        assert!(YAML.contains(from), "{from}");
        self.plan = plan_of(&YAML.replace(from, to));
        self
    }

    fn results(mut self, seen: ResultsSeen) -> Self {
        self.results.insert(EvalName::new("e"), seen);
        self
    }

    fn missing(self, missing: usize) -> Self {
        self.results(ResultsSeen {
            missing,
            total: 10,
            finished: missing == 0,
            ..ResultsSeen::default()
        })
    }

    fn forecast(&self) -> Forecast {
        Forecast::of(&Outlook {
            plan: &self.plan,
            before: Some(&self.before),
            state: &self.state,
            changes: &self.changes,
            seen: &self.seen,
            results: &self.results,
            asked: self.asked,
            lives: true,
        })
    }

    fn lines(&self) -> String {
        let forecast = self.forecast();
        let nothing = forecast.changes_nothing();
        let nothing = nothing.then(|| "nothing changes".to_owned());
        let lines = forecast.lines("t.yaml").into_iter().chain(nothing);
        lines.collect::<Vec<_>>().join("\n  ")
    }
}

/// What is said of each case, by its name.
fn told<'a>(cases: impl IntoIterator<Item = (&'a str, Case)>) -> String {
    let told = cases.into_iter();
    let told = told.map(|(name, case)| format!("{name}\n  {}", case.lines()));
    told.collect::<Vec<_>>().join("\n")
}

fn intended(unit: &str) -> Event {
    Event::LaunchIntended {
        unit: UnitId::new(unit),
        generation: Generation(1),
        launch: LaunchId::new("l"),
        script: None,
    }
}

fn ready(unit: &str) -> Event {
    Event::Ready {
        unit: UnitId::new(unit),
        generation: Generation(1),
        after: Millis(1),
    }
}

fn stopping(unit: &str) -> Event {
    Event::StopIntended {
        unit: UnitId::new(unit),
        generation: Generation(1),
        why: StopWhy::Down,
    }
}

fn stopped(unit: &str) -> Event {
    Event::Stopped {
        unit: UnitId::new(unit),
        generation: Generation(1),
    }
}

fn gave_up(unit: &str) -> Event {
    Event::GaveUp {
        unit: UnitId::new(unit),
        why: GaveUp::Budget { starts: 1 },
    }
}

fn drained(unit: &str) -> Event {
    Event::Drained {
        unit: UnitId::new(unit),
    }
}

fn down() -> Event {
    Event::DownBegan {
        host: "here".to_owned(),
        pid: 8,
    }
}

#[test]
fn where_all_lives_nothing_changes() {
    assert_snapshot!(Case::new().lines(), @"nothing changes");
}

#[test]
fn a_server_that_does_not_run_is_started_again_and_what_became_of_it_is_said() {
    // The client can do without it.
    let case = || Case::new().planned("[a, b]", "[b]");
    let ended = |exit| case().sees("a", Observation::Exited(exit));
    let never = || case().sees("a", Observation::Never);
    let lost = Observation::Lost {
        generation: Generation(1),
        launch: LaunchId::new("l"),
    };
    let stop = || Exit {
        requested: true,
        ..exit(Some(143), None)
    };
    let noticed = Event::Exited {
        unit: UnitId::new("a"),
        exit: exit(Some(3), None),
    };
    let downed = || ended(stop()).event(down()).event(stopping("a"));
    let unseen = Observation::Unknown {
        why: "no /proc".to_owned(),
    };
    let mut back = ended(stop()).event(stopping("a")).event(stopped("a"));
    let without = "  a: { node: n, port: 9001, command: [a] }\n";
    back.before = plan_of(&YAML.replace(without, "").replace("[a, b]", "[b]"));
    let mut alone = never();
    alone.asked.start_servers = false;
    let said = told(vec![
        ("killed", ended(exit(Some(137), Some("SIGKILL")))),
        ("ended", ended(exit(Some(1), None))),
        ("ended, with its script", case().sees("a", lost)),
        ("ended, and its state is gone", never()),
        ("ended, as its owner saw", never().event(noticed)),
        ("not yet started", never().event(intended("a"))),
        ("given up", ended(exit(Some(1), None)).event(gave_up("a"))),
        ("stopped by hand", ended(stop())),
        ("stopped by a `down`", downed()),
        ("the same, recorded", downed().event(stopped("a"))),
        ("being stopped", case().event(stopping("a"))),
        ("taken out of the plan, and back", back),
        ("no servers are to be started", alone),
        ("drained", never().event(drained("a"))),
        ("drained, and it lives", case().event(drained("a"))),
        ("started by nobody", case().sees("a", running("other"))),
        ("not seen", case().sees("a", unseen.clone())),
        (
            "not seen while it is stopped",
            case().event(stopping("a")).sees("a", unseen),
        ),
    ]);
    assert_snapshot!(said, @r"
    killed
      started again: a (SIGKILL ended it)
    ended
      started again: a (exit code 1)
    ended, with its script
      started again: a (its process is gone)
    ended, and its state is gone
      started again: a (its process is gone)
    ended, as its owner saw
      started again: a (exit code 3)
    not yet started
      started again: a (start cut short)
    given up
      started again: a (given up)
    stopped by hand
      started again: a (it was stopped)
    stopped by a `down`
      started again: a (`down` cut short)
    the same, recorded
      started again: a (`down` cut short)
    being stopped
      restarted: a (stop cut short)
    taken out of the plan, and back
      started in addition: a
    no servers are to be started
      not there, and not started: a
      nothing changes
    drained
      stays drained: a; back again: toolorch drain --undo
      nothing changes
    drained, and it lives
      stopped: a
    started by nobody
      left alone, since the journal does not know it: a (toolorch down ends it)
      nothing changes
    not seen
      left as it is until it can be looked at: a (no /proc)
      nothing changes
    not seen while it is stopped
      started again: a (stop cut short)
    ");
}

#[test]
fn the_first_start_of_a_run_is_no_addition() {
    let mut case = Case::new();
    case.state = RunState::default();
    case.seen.clear();
    assert_snapshot!(told([("nothing ran", case)]), @r"
    nothing ran
      started: a, b
      client started: eval-e (4 of 10 results missing)
    ");
}

#[test]
fn a_client_is_restarted_for_what_it_knows_and_for_what_it_is() {
    let moved = ("port: 9001", "port: 9101");
    let more = "  b: { node: n, port: 9002, command: [b] }\n";
    let added = format!("{more}  c: {{ node: n, port: 9003, command: [c] }}\n");
    let with_c = || {
        let mut case = Case::new();
        case.plan = plan_of(&YAML.replace(more, &added).replace("[a, b]", "[a, b, c]"));
        case
    };
    let mut renewed = with_c();
    renewed.asked.restart_evals = true;
    let ignoring = "results: out, on_move: ignore";
    let stays = YAML
        .replace(moved.0, moved.1)
        .replace("results: out", ignoring);
    let mut ignores = Case::new().replaced("a", "command, port");
    ignores.plan = plan_of(&stays);
    let mut unwanted = Case::new().replaced("eval-e", "command");
    unwanted.results.clear();
    let both = Case::new().replaced("a", "command, port");
    let own = Case::new().replaced("eval-e", "command");
    let held = Event::EvalHeld {
        eval: EvalName::new("e"),
        unit: UnitId::new("eval-e"),
        since: Timestamp(1),
        why: String::new(),
    };
    let whole = Case::new().replaced("a", "variables").results(ResultsSeen {
        due: 1,
        finished: true,
        ..ResultsSeen::default()
    });
    let said = told(vec![
        ("a server moves", both.planned(moved.0, moved.1)),
        ("and its own settings", own.planned(moved.0, moved.1)),
        (
            "a server is replaced in its place",
            Case::new().replaced("a", "variables"),
        ),
        ("the same, with an answer to every question", whole),
        ("it does not heed a move", ignores),
        ("a server is new", with_c()),
        ("the same, with --restart-eval", renewed),
        ("it is being stopped", Case::new().event(stopping("eval-e"))),
        ("it is held", Case::new().event(held)),
        (
            "started by nobody",
            Case::new().sees("eval-e", running("other")),
        ),
        ("nobody wants it", unwanted),
    ]);
    assert_snapshot!(said, @r"
    a server moves
      restarted: a (command, port)
      client restarted: eval-e (a moves); questions in flight are asked again
    and its own settings
      client restarted: eval-e (command, a moves); questions in flight are asked again
    a server is replaced in its place
      restarted: a (variables)
      client held if `a` is without a server for 10s: eval-e; questions in flight are asked again
    the same, with an answer to every question
      restarted: a (variables)
      asked again when nothing else is left: 1 result of `e` in error (`retry_errors: infra`)
    it does not heed a move
      restarted: a (command, port)
      client held if `a` is without a server for 10s: eval-e; questions in flight are asked again
    a server is new
      started in addition: c
      client held if `c` is without a server for 10s: eval-e; questions in flight are asked again
      unused by the running client of `e`: c; to make it use them: toolorch up --restart-eval
    the same, with --restart-eval
      started in addition: c
      client restarted: eval-e (c is new); questions in flight are asked again
    it is being stopped
      client restarted: eval-e (stop cut short); questions in flight are asked again
    it is held
      client restarted: eval-e (it was held); questions in flight are asked again
    started by nobody
      left alone, since the journal does not know it: eval-e (toolorch down ends it)
      nothing changes
    nobody wants it
      stopped: eval-e
    ");
}

#[test]
fn a_client_that_does_not_run_is_started_for_what_is_missing_or_in_error() {
    let gone = || Case::new().sees("eval-e", Observation::Exited(exit(Some(0), None)));
    let due = |missing| ResultsSeen {
        missing,
        total: 10,
        due: 3,
        finished: missing == 0,
        held: false,
    };
    let by_file = ResultsSeen::default();
    let retried = |ids: usize| Event::RetryIntended {
        eval: EvalName::new("e"),
        ids,
    };
    let begun = gone().event(retried(3)).event(intended("eval-e"));
    let said = told(vec![
        ("missing", gone()),
        ("missing and in error", gone().results(due(4))),
        ("in error", gone().results(due(0))),
        (
            "to be asked again already",
            gone().results(due(0)).event(retried(3)),
        ),
        ("asked again already", begun.results(due(0))),
        ("in error, and its client runs", Case::new().results(due(4))),
        ("nobody knows how many", gone().results(by_file)),
    ]);
    assert_snapshot!(said, @r"
    missing
      client started: eval-e (4 of 10 results missing)
    missing and in error
      client started: eval-e (4 of 10 results missing)
      asked again when nothing else is left: 3 results of `e` in error (`retry_errors: infra`)
    in error
      asked again: 3 results of `e` in error (`retry_errors: infra`)
    to be asked again already
      asked again: 3 results of `e` in error (`retry_errors: infra`)
    asked again already
      nothing is started: every question has its result already
    in error, and its client runs
      asked again when nothing else is left: 3 results of `e` in error (`retry_errors: infra`)
      nothing changes
    nobody knows how many
      client started: eval-e
    ");
}

#[test]
fn complete_results_keep_everything_from_happening() {
    let moved = || {
        Case::new()
            .replaced("a", "port")
            .event(drained("b"))
            .missing(0)
    };
    let held = ResultsSeen {
        held: true,
        ..moved().results.into_values().next().unwrap()
    };
    let down = YAML.replace("when_done: keep", "when_done: down");
    let mut ends = moved();
    ends.plan = plan_of(&down);
    let said = told(vec![
        ("much is changed", moved()),
        ("calls are held against them", moved().results(held.clone())),
        ("nothing is kept", ends),
        ("nothing is changed", Case::new().missing(0)),
    ]);
    assert_snapshot!(said, @r"
    much is changed
      nothing is started: every question has its result already
      only with `toolorch up t.yaml --no-eval`: restarted: a (port)
      only with `toolorch up t.yaml --no-eval`: stopped: b
    calls are held against them
      nothing is started: every question has its result already
      ends with exit code 7: calls to undeclared places are held against the results of `e`
      only with `toolorch up t.yaml --no-eval`: restarted: a (port)
      only with `toolorch up t.yaml --no-eval`: stopped: b
    nothing is kept
      nothing is started: every question has its result already
      taken down: all that runs, since `when_done` says so
    nothing is changed
      nothing is started: every question has its result already
    ");
    let json = serde_json::to_string(&moved().results(held).forecast()).unwrap();
    assert_snapshot!(json, @r#"{"complete":true,"acts":[{"is":"held-against","eval":"e"}],"without_evals":[{"is":"restarted","unit":"a","why":"port"},{"is":"stopped","unit":"b"}]}"#);
}

#[test]
fn a_job_that_waits_and_gets_another_server_waits_anew() {
    let yaml = "
version: 1
name: t
slurm: { time: '01:00:00' }
nodes: { n: { gpus: 2, launcher: slurm } }
services:
  a: { node: n, port: 9001, command: [a] }
";
    let more = format!("{yaml}  b: {{ node: n, port: 9002, command: [b] }}\n");
    let queued = Event::Queued {
        unit: UnitId::new("a"),
        generation: Generation(1),
        why: "job 7: the nodes are busy".to_owned(),
        starts: None,
    };
    let mut case = Case {
        plan: plan_of(&more),
        before: plan_of(yaml),
        state: RunState::default(),
        changes: Changes::default(),
        seen: BTreeMap::new(),
        results: BTreeMap::new(),
        asked: UP,
    }
    .event(intended("a"))
    .event(queued)
    .sees(
        "a",
        Observation::Unknown {
            why: "it is on node `n`".to_owned(),
        },
    )
    .sees("b", Observation::Never);
    case.changes.added.insert(UnitId::new("b"));
    assert_snapshot!(case.lines(), @r"
    started in addition: b
      waits anew: a; its job is submitted again, and its place in the queue is lost
    ");
}

/// A unit of a pool whose job was submitted with an hour, and that listens where SLURM chose.
fn in_pool(waits: bool) -> Case {
    let yaml = "
version: 1
name: t
slurm: { time: '00:10:00' }
pools: { h: { nodes: 1, gpus: 0 } }
services:
  a: { node: h, port: 9001, command: [a] }
client_config: { format: toolorchestra, path: c.json }
evals:
  e: { command: [client, '{config}'], results: out, requires: [a] }
when_done: keep
";
    let (unit, generation) = (UnitId::new("a"), Generation(1));
    let mut case = Case {
        plan: plan_of(yaml),
        before: plan_of(yaml),
        state: RunState::default(),
        changes: Changes::default(),
        seen: BTreeMap::new(),
        results: BTreeMap::new(),
        asked: UP,
    }
    .event(intended("a"))
    .event(Event::Launched {
        unit: unit.clone(),
        generation,
        handle: Handle {
            launcher: LauncherKind::Slurm,
            native: "58".to_owned(),
            address: None,
            port: None,
            log: String::new(),
            submitted: Some("--nodes=1\n--time=01:00:00".to_owned()),
        },
    });
    case = if waits {
        case.event(Event::Queued {
            unit,
            generation,
            why: "job 58: the nodes are busy".to_owned(),
            starts: None,
        })
    } else {
        let place = Place::new("gpu31", 9001);
        let named = [(unit.clone(), "gpu31:9001".to_owned())].into();
        case.event(ready("a"))
            .event(Event::Placed {
                unit,
                generation,
                place,
            })
            .event(intended("eval-e"))
            .event(Event::ConfigWritten {
                config: ConfigName::new("default"),
                path: "c.json".to_owned(),
                sha256: String::new(),
                endpoints: 1,
                named,
            })
            .sees("a", running("l"))
            .sees("eval-e", running("l"))
            .missing(4)
    };
    let job = case.plan.jobs[0].name.clone();
    let now = "--nodes=1\n--time=00:10:00".to_owned();
    case.changes.submits.insert(job, now);
    case
}

#[test]
fn a_job_that_waits_is_submitted_anew_with_what_is_asked_for_now_and_one_that_runs_keeps_it() {
    assert_snapshot!(in_pool(true).lines(), @"waits anew: a; its job is submitted again, and its place in the queue is lost");
    let runs = in_pool(false);
    assert!(runs.forecast().changes_nothing());
    assert_snapshot!(runs.lines(), @r"
    kept until they end, since a job that runs cannot be changed: job 58 (time 01:00:00, not 00:10:00)
      nothing changes
    ");
}

#[test]
fn a_server_that_listens_where_slurm_chose_does_not_move() {
    let mut same = in_pool(false);
    same.changes.submits.clear();
    assert_snapshot!(same.lines(), @"nothing changes");
    let mut replaced = in_pool(false).replaced("a", "command");
    replaced.changes.submits.clear();
    assert_snapshot!(replaced.lines(), @r"
    restarted: a (command)
      client restarted: eval-e (a moves); questions in flight are asked again
    ");
}
