//! A small plan and invented nights, for the tests of the views.

use indexmap::IndexMap;

use crate::base::{
    ClusterName, Epoch, EvalName, FieldPath, Generation, GpuIndex, LaunchId, Millis, Name,
    NodeName, Port, RunId, Timestamp, UnitId,
};
use crate::facts::{Exit, ProbeFailure};
use crate::plan::{
    Endpoint, EvalPlan, Group, Plan, PlanNode, ReadyRule, RestartRule, ResultsPlan, Rung, Start,
    Unit, UnitEnv, UnitKind,
};
use crate::run::{Event, GaveUp, Handle, Record, RunState, Verdict};
use crate::spec::model::{Finished, LauncherKind, OnMove, RetryErrors, TransportKind, WhenDone};

/// The moment at which invented runs begin: 2025-12-31 00:00:00 UTC.
pub(crate) const DAWN: Timestamp = Timestamp(1_767_139_200_000);

/// `orchestrator` with `replicas` replicas, `retrieval`, and the evaluations `hle` and `frames`.
pub(crate) fn plan(replicas: usize) -> Plan {
    let orchestrator = Name::new("orchestrator");
    let mut units: Vec<Unit> = (0..replicas)
        .map(|index| {
            let kind = UnitKind::Replica {
                model: orchestrator.clone(),
                index,
            };
            unit(UnitId::replica(&orchestrator, index), kind, 1800 + index)
        })
        .collect();
    let retrieval = Name::new("retrieval");
    units.push(unit(
        UnitId::service(&retrieval),
        UnitKind::Service {
            name: retrieval.clone(),
        },
        8765,
    ));
    let group = |name: &Name| Group {
        name: name.clone(),
        key: name.to_string(),
        endpoints: units
            .iter()
            .filter(|unit| match &unit.kind {
                UnitKind::Replica { model, .. } => model == name,
                UnitKind::Service { name: service } => service == name,
                UnitKind::Tunnel { .. } | UnitKind::Eval { .. } => false,
            })
            .map(|unit| Endpoint {
                unit: unit.id.clone(),
                host: unit.address.clone(),
                port: unit.port.unwrap(),
            })
            .collect(),
        min_ready: 1,
        hidden: false,
    };
    let groups = vec![group(&orchestrator), group(&retrieval)];
    let evals = vec![eval("hle", &[]), eval("frames", &["hle"])];
    for eval in &evals {
        let kind = UnitKind::Eval {
            name: eval.name.clone(),
        };
        units.push(Unit {
            port: None,
            ..unit(eval.unit.clone(), kind, 1)
        });
    }
    Plan {
        format: 1,
        cluster: ClusterName::new("night"),
        nodes: vec![PlanNode {
            name: NodeName::new("node-a"),
            address: "127.0.5.1".to_owned(),
            transport: TransportKind::Local,
            ssh: None,
            gpus: vec![GpuIndex(0)],
            gpu: None,
        }],
        units,
        groups,
        externals: Vec::new(),
        configs: Vec::new(),
        evals,
        jobs: Vec::new(),
        when_done: WhenDone::Keep,
        jobs_go: false,
        idle: None,
        notify: None,
        shares: crate::plan::Shares::default(),
    }
}

fn unit(id: UnitId, kind: UnitKind, port: usize) -> Unit {
    Unit {
        id,
        kind,
        node: NodeName::new("node-a"),
        address: "127.0.5.1".to_owned(),
        launcher: LauncherKind::Process,
        gpu_share: None,
        stage: None,
        gpus: Vec::new(),
        port: Some(Port(u16::try_from(port).unwrap())),
        more_ports: Vec::new(),
        through: None,
        port_auto: false,
        argv: vec!["true".to_owned()],
        env: UnitEnv::default(),
        slower: Vec::new(),
        cwd: None,
        cache_dir: None,
        open_files: 1024,
        grace: Millis::from_secs(10),
        start: Start::default(),
        ready: ReadyRule {
            rungs: vec![
                Rung::Listening,
                Rung::Health {
                    path: "/health".to_owned(),
                },
                Rung::Completion { id: "m".to_owned() },
            ],
            timeout: Millis::from_secs(600),
        },
        restart: RestartRule {
            attempts: 3,
            backoff: Millis::from_secs(5),
            window: Millis::from_secs(3600),
        },
        results_dir: None,
        origin: FieldPath::root(),
    }
}

fn eval(name: &str, after: &[&str]) -> EvalPlan {
    let name = EvalName::new(name);
    EvalPlan {
        unit: UnitId::eval(&name),
        adapter: "generic".to_owned(),
        dataset: None,
        id_fields: vec!["id".to_owned()],
        tasks: None,
        results: ResultsPlan::Jsonl {
            file: "/r.jsonl".to_owned(),
        },
        finished: Finished::Ids,
        marker: None,
        requires: Vec::new(),
        config: None,
        concurrency: None,
        max_rounds: None,
        after: after
            .iter()
            .map(|other| (EvalName::new(*other), crate::spec::model::AfterState::Ended))
            .collect(),
        retry_errors: RetryErrors::Infra,
        on_move: OnMove::Restart,
        stall: Millis::from_secs(3600),
        first_result: Millis::from_secs(600),
        egress: None,
        call_log: None,
        identity: IndexMap::new(),
        origin: FieldPath::root(),
        name,
    }
}

/// Records that follow one another, and their fold.
pub(crate) struct Story {
    /// What happened.
    pub(crate) records: Vec<Record>,
    /// Their fold.
    pub(crate) state: RunState,
    now: Timestamp,
}

impl Story {
    /// Nothing happened yet; it is [`DAWN`].
    pub(crate) fn new() -> Self {
        Self {
            records: Vec::new(),
            state: RunState::default(),
            now: DAWN,
        }
    }

    /// A run that began at [`DAWN`].
    pub(crate) fn begun() -> Self {
        let mut story = Self::new();
        story.tell(Event::RunStarted {
            run: RunId::new("night-1-abcd"),
            cluster: ClusterName::new("night"),
            plan_sha256: "00".to_owned(),
            version: "0.1.0".to_owned(),
            rebuilt: false,
        });
        story.tell(Event::OwnerTook {
            host: "desk".to_owned(),
            pid: 4242,
            yaml: None,
        });
        story
    }

    /// The present moment of the story.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Lets milliseconds pass.
    pub(crate) fn wait(&mut self, millis: u64) -> &mut Self {
        self.now = self.now + Millis(millis);
        self
    }

    /// Adds an event.
    pub(crate) fn tell(&mut self, event: Event) -> &mut Self {
        let record = Record {
            v: Record::FORMAT,
            seq: self.records.len() as u64 + 1,
            at: self.now,
            epoch: Epoch(1),
            event,
        };
        self.state.apply(&record);
        self.records.push(record);
        self
    }

    /// A unit is launched and its process seen.
    pub(crate) fn start(&mut self, unit: &str) -> &mut Self {
        let unit = UnitId::new(unit);
        let generation = self.state.unit(&unit).generation.next();
        self.tell(Event::LaunchIntended {
            unit: unit.clone(),
            generation,
            launch: LaunchId::new("l"),
            script: None,
        });
        self.tell(Event::Launched {
            unit: unit.clone(),
            generation,
            handle: Handle {
                submitted: None,
                launcher: LauncherKind::Process,
                native: "pid 77".to_owned(),
                address: None,
                port: Some(Port(1800)),
                log: "/log".to_owned(),
            },
        });
        self.tell(Event::Started {
            unit,
            generation,
            pid: 77,
            start: 1,
            adopted: false,
        })
    }

    /// A rung is proved.
    pub(crate) fn climb(&mut self, unit: &str, rung: &str) -> &mut Self {
        let (unit, generation, after) = self.of(unit);
        self.tell(Event::Climbed {
            unit,
            generation,
            rung: rung.to_owned(),
            detail: String::new(),
            after,
        })
    }

    /// A rung is disproved for good.
    pub(crate) fn refute(&mut self, unit: &str, rung: &str, why: &str, fix: &str) -> &mut Self {
        let (unit, generation, _) = self.of(unit);
        self.tell(Event::Refuted {
            unit,
            generation,
            rung: rung.to_owned(),
            failure: ProbeFailure {
                why: why.to_owned(),
                fix: fix.to_owned(),
                permanent: true,
            },
        })
    }

    /// A unit is ready.
    pub(crate) fn ready(&mut self, unit: &str) -> &mut Self {
        let (unit, generation, after) = self.of(unit);
        self.tell(Event::Ready {
            unit,
            generation,
            after,
        })
    }

    /// A unit dies.
    pub(crate) fn die(&mut self, unit: &str, code: i32, tail: &str) -> &mut Self {
        let (unit, generation, _) = self.of(unit);
        self.tell(Event::Exited {
            unit,
            exit: Exit {
                code: Some(code),
                signal: (code == 139).then(|| "SIGSEGV".to_owned()),
                tail: vec![tail.to_owned()],
                ..Exit::of(generation, LaunchId::new("l"))
            },
        })
    }

    /// A unit is given up.
    pub(crate) fn give_up(&mut self, unit: &str, why: GaveUp) -> &mut Self {
        self.tell(Event::GaveUp {
            unit: UnitId::new(unit),
            why,
        })
    }

    /// An evaluation's results are counted.
    pub(crate) fn progress(&mut self, eval: &str, done: usize, total: usize) -> &mut Self {
        self.tell(Event::EvalProgress {
            eval: EvalName::new(eval),
            done,
            errors: done / 20,
            correct: Some(done / 2),
            torn: 0,
            total,
        })
    }

    /// An evaluation is over.
    pub(crate) fn end(&mut self, eval: &str, verdict: Verdict) -> &mut Self {
        self.tell(Event::EvalEnded {
            eval: EvalName::new(eval),
            verdict,
        })
    }

    /// A person should know something.
    pub(crate) fn alarm(&mut self, alarm: &str, text: &str) -> &mut Self {
        self.tell(Event::Alarm {
            alarm: alarm.to_owned(),
            unit: None,
            text: text.to_owned(),
        })
    }

    fn of(&self, unit: &str) -> (UnitId, Generation, Millis) {
        let unit = UnitId::new(unit);
        let state = self.state.unit(&unit);
        (unit, state.generation, self.now.since(state.since))
    }
}
