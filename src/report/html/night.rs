//! A made-up night of many servers, for tests: its plan, its journal, its samples, its report.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::too_many_lines,
    reason = "small numbers, and a long night told in a row"
)]

use std::fmt::Write as _;

use crate::base::{
    Chance, ClusterName, Epoch, EvalName, Generation, GpuIndex, LaunchId, Millis, NodeName, RunId,
    Timestamp, UnitId, ceil, float, floor,
};
use crate::eval::{Answer, Names, Written};
use crate::facts::samples::{Amount, GpuLoad, Head, Line, NodeLine, Samples, ServerLine};
use crate::facts::{Exit, Liveness};
use crate::knowledge::series::{Counter, Gauge};
use crate::plan::plan_tests::clean;
use crate::plan::{Plan, UnitKind};
use crate::report::charts::{BINS, Charts, Classes, Course, Recorded, Words, spreads};
use crate::report::happened::{Book, Happened};
use crate::report::routing::Watched;
use crate::report::tables::{Found, Whose, evaluation, times};
use crate::report::{Report, Subject};
use crate::run::{Event, GaveUp, Record, RunState, StopWhy, Verdict};

/// 2025-12-31T20:07:00Z.
pub(super) const BEGAN: Timestamp = Timestamp(1_767_211_620_000);

/// Names and numbers of models: how many replicas for each eight of the plan, and how busy.
const MODELS: [(&str, &str, usize, f64); 4] = [
    (
        "orchestrator",
        "/ckpt/nvidia/Nemotron-Orchestrator-8B/",
        4,
        15.0,
    ),
    ("coder", "Qwen/Qwen2.5-Coder-14B-Instruct", 8, 0.4),
    ("answer", "Qwen/Qwen3-32B-FP8", 8, 2.8),
    ("search", "openai/gpt-oss-20b", 4, 0.3),
];

/// Words that are told apart in tests.
pub(super) const WORDS: Words = Words {
    ended: |exit: &Exit| format!("with code {:?}", exit.code),
    gave_up: |_: &GaveUp| "its budget is spent".to_owned(),
    stop: |_: &StopWhy| "the run is over",
    verdict: |_: &Verdict| "complete".to_owned(),
};

/// How long a night, and of how many servers.
pub(super) struct Night {
    /// How often the usual number of replicas.
    pub(super) times: usize,
    /// For how long.
    pub(super) length: Millis,
    /// How often samples are taken.
    pub(super) every: Millis,
    /// As a rehearsal: hours of the cluster in an hour.
    pub(super) speed: Option<f64>,
}

impl Night {
    pub(super) fn plan(&self) -> Plan {
        let mut yaml =
            "version: 1\nname: hle-oss\nvllm: { version: \"0.12.0\" }\nlauncher: process\nnodes:\n"
                .to_owned();
        let mut models = "models:\n".to_owned();
        for (index, (name, key, replicas, _)) in MODELS.iter().enumerate() {
            let count = replicas * self.times;
            let _ = writeln!(
                yaml,
                "  node-{index}: {{ gpus: {count}, gpu: H100-80GB, transport: local, address: 10.0.0.{} }}",
                index + 1
            );
            let _ = writeln!(
                models,
                "  {name}: {{ model: {key}, node: node-{index}, replicas: {count}, port: {} }}",
                20_000 + 1000 * index
            );
        }
        let evals = "evals:\n  hle: { command: [/bin/true], results: out, finished: { count: 1900 }, node: node-0 }\n";
        let mut plan = clean(&(yaml + &models + evals));
        plan.shares.speed = self.speed;
        plan
    }

    /// Its journal: two servers have trouble, the evaluation is held once, and for half an hour nobody watches.
    pub(super) fn records(&self, plan: &Plan) -> Vec<Record> {
        let at = |share: f64| BEGAN + Millis(floor(float(self.length.0) * share));
        let eval = EvalName::new("hle");
        let client = UnitId::eval(&eval);
        let start = |unit: &UnitId, generation| Event::LaunchIntended {
            unit: unit.clone(),
            generation: Generation(generation),
            launch: LaunchId::new(format!("{unit}-{generation}")),
            script: None,
        };
        let took = || Event::OwnerTook {
            host: "login-1".to_owned(),
            pid: 4711,
            yaml: None,
        };
        let ready = |unit: &UnitId, generation| Event::Ready {
            unit: unit.clone(),
            generation: Generation(generation),
            after: Millis(300_000),
        };
        let died = |unit: &UnitId, generation, code| Event::Exited {
            unit: unit.clone(),
            exit: Exit {
                code: Some(code),
                ..Exit::of(
                    Generation(generation),
                    LaunchId::new(format!("{unit}-{generation}")),
                )
            },
        };
        let alarm = |word: &str, unit: &UnitId, text: &str| Event::Alarm {
            alarm: word.to_owned(),
            unit: Some(unit.clone()),
            text: text.to_owned(),
        };
        let mut told = vec![
            (
                at(0.0),
                Event::RunStarted {
                    run: RunId::new("hle-oss-3-7f2e"),
                    cluster: ClusterName::new("hle-oss"),
                    plan_sha256: String::new(),
                    version: "0".to_owned(),
                    rebuilt: false,
                },
            ),
            (at(0.0), took()),
        ];
        for (index, unit) in plan.servers().enumerate() {
            told.push((at(0.0005), start(&unit.id, 1)));
            told.push((at(0.006 + 0.0002 * float(index % 20)), ready(&unit.id, 1)));
        }
        told.push((at(0.011), start(&client, 1)));
        told.push((
            at(0.0112),
            Event::Started {
                unit: client.clone(),
                generation: Generation(1),
                pid: 1,
                start: 1,
                adopted: false,
            },
        ));
        let (broken, slow) = (UnitId::new("answer-3"), UnitId::new("coder-2"));
        told.extend([
            (at(0.31), died(&broken, 1, 1)),
            (at(0.3101), start(&broken, 2)),
            (at(0.317), ready(&broken, 2)),
            (
                at(0.52),
                Event::Judged {
                    unit: slow.clone(),
                    generation: Generation(1),
                    liveness: Liveness::Slow,
                    why: "31 tokens/s, and its peers 88".to_owned(),
                },
            ),
            (
                at(0.52),
                alarm(
                    "slow-server",
                    &slow,
                    "`coder-2` generates 31 tokens/s, and its peers 88",
                ),
            ),
            (
                at(0.57),
                Event::Judged {
                    unit: slow.clone(),
                    generation: Generation(1),
                    liveness: Liveness::Well,
                    why: String::new(),
                },
            ),
            (
                at(0.70),
                Event::EvalHeld {
                    eval: eval.clone(),
                    unit: client.clone(),
                    since: at(0.70),
                    why: "no replica of `search` is ready".to_owned(),
                },
            ),
            (
                at(0.70),
                alarm(
                    "held",
                    &client,
                    "`hle` is held: no replica of `search` is ready",
                ),
            ),
            (
                at(0.715),
                Event::EvalResumed {
                    eval: eval.clone(),
                    set_aside: 3,
                },
            ),
            (at(0.7151), start(&client, 2)),
            (
                at(0.7152),
                Event::Started {
                    unit: client.clone(),
                    generation: Generation(2),
                    pid: 2,
                    start: 2,
                    adopted: false,
                },
            ),
            (
                at(0.85),
                Event::OwnerAway {
                    length: Millis(self.length.0 / 48),
                },
            ),
            (at(0.985), died(&client, 2, 0)),
            (
                at(0.9851),
                Event::EvalEnded {
                    eval: eval.clone(),
                    verdict: Verdict::Complete,
                },
            ),
        ]);
        for unit in plan.servers() {
            told.push((
                at(0.986),
                Event::StopIntended {
                    unit: unit.id.clone(),
                    generation: Generation(1),
                    why: StopWhy::Done,
                },
            ));
            told.push((
                at(0.9875),
                Event::Stopped {
                    unit: unit.id.clone(),
                    generation: Generation(1),
                },
            ));
        }
        let mut luck = Chance::new(7);
        let mut done = 0.0;
        for step in 0..400_u32 {
            let share = 0.012 + 0.973 * f64::from(step) / 400.0;
            let held = (0.70..0.716).contains(&share);
            done += if held {
                0.0
            } else {
                4.75 * (0.4 + 1.2 * luck.uniform())
            };
            told.push((
                at(share),
                Event::EvalProgress {
                    eval: eval.clone(),
                    done: done as usize,
                    errors: 0,
                    correct: None,
                    torn: 0,
                    total: 1900,
                },
            ));
        }
        told.push((
            at(1.0),
            Event::RunEnded {
                code: 0,
                summary: String::new(),
            },
        ));
        told.sort_by_key(|(at, _)| *at);
        let records = told.into_iter().zip(1..);
        records
            .map(|((at, event), seq)| Record {
                v: Record::FORMAT,
                seq,
                at,
                epoch: Epoch(1),
                event,
            })
            .collect()
    }

    pub(super) fn samples(&self, plan: &Plan) -> Samples {
        let mut samples = Samples::default();
        samples.take(Line::Head(Head {
            v: Head::FORMAT,
            run: RunId::new("hle-oss-3-7f2e"),
            epoch: Epoch(1),
            began: BEGAN,
            every: self.every,
        }));
        let mut luck = Chance::new(11);
        let units: Vec<(UnitId, f64, NodeName, u16)> = plan
            .servers()
            .filter_map(|unit| {
                let UnitKind::Replica { model, index } = &unit.kind else {
                    return None;
                };
                let busy = MODELS.iter().find(|known| known.0 == model.as_str())?.3;
                let index = u16::try_from(*index).ok()?;
                Some((unit.id.clone(), busy, unit.node.clone(), index))
            })
            .collect();
        for step in 0..self.length.0 / self.every.0 {
            let share = float(step) * float(self.every.0) / float(self.length.0);
            if !(0.008..0.986).contains(&share) {
                continue;
            }
            let moment = BEGAN + Millis(step * self.every.0);
            let swing = 0.75 + 0.25 * (share * 40.0).sin();
            let held = (0.70..0.716).contains(&share);
            for (unit, busy, ..) in &units {
                let load = if held {
                    0.0
                } else {
                    busy * swing * (0.5 + luck.uniform())
                };
                let waiting = if *busy > 10.0 {
                    (load - 14.0).max(0.0)
                } else {
                    0.0
                };
                let first = step == ceil::<u64>(0.008 * float(self.length.0) / float(self.every.0));
                samples.take(Line::Server(ServerLine {
                    at: moment,
                    unit: unit.clone(),
                    generation: Generation(1),
                    all: first,
                    born: None,
                    now: [
                        (Gauge::Running, Amount(load.min(16.0).round())),
                        (Gauge::Waiting, Amount(waiting.round())),
                        (Gauge::KvCache, Amount((load / 20.0).min(1.0))),
                    ]
                    .into(),
                    more: [(
                        Counter::GenerationTokens,
                        Amount((load * 85.0 * self.every.as_secs_f64()).round()),
                    )]
                    .into(),
                    spread: std::collections::BTreeMap::new(),
                }));
            }
            for node in &plan.nodes {
                let gpus = units.iter().filter(|(_, _, own, _)| *own == node.name);
                let gpus = gpus.map(|(_, busy, _, index)| GpuLoad {
                    index: GpuIndex(*index),
                    busy: Some(if held {
                        0
                    } else {
                        (100.0 * (1.0 - (-busy * luck.uniform()).exp())) as u32
                    }),
                    used: Some(71_000),
                    total: Some(81_559),
                });
                samples.take(Line::Node(NodeLine {
                    at: moment,
                    node: node.name.clone(),
                    load: None,
                    cores: None,
                    memory: None,
                    gpus: gpus.collect(),
                }));
            }
        }
        samples
    }

    /// The whole of it.
    pub(super) fn report(&self) -> (Report, Charts) {
        let plan = self.plan();
        let (records, samples) = (self.records(&plan), self.samples(&plan));
        let state = RunState::fold(&records);
        let found = found();
        let mut classes = Classes::of(&plan);
        let spreads = vec![spreads(times(&found), BINS, &mut classes)];
        let recorded = Recorded {
            plan: &plan,
            records: &records,
            state: &state,
            samples: Ok(&samples),
        };
        let charts = Charts {
            bins: 20,
            course: Course::of(recorded, &classes, &WORDS),
            spreads,
            classes,
        };
        let report = Report {
            subject: Subject::Run {
                run: "hle-oss-3-7f2e".to_owned(),
                cluster: "hle-oss".to_owned(),
                ended: Some(0),
                until: Some("2026-01-01T20:07:00.000Z".to_owned()),
            },
            happened: Some(happened("org/Qwen3-32B-FP8")),
            evaluations: vec![evaluation(found)],
            judgements: Vec::new(),
        };
        (report, charts)
    }
}

/// Results of three tools, some of them wrong.
fn found() -> Found {
    let (mut names, mut luck) = (Names::default(), Chance::new(3));
    let mut drawn = |median: f64, spread: f64| {
        let normal: f64 = (0..12).map(|_| luck.uniform()).sum::<f64>() - 6.0;
        (1000.0 * median * (spread * normal).exp()).round()
    };
    let written = (0..300_u64).map(|n| {
        let text = format!(
            "{{\"correct\": {}, \"all_tool_responses\": {{\"turn_0_response\": [\
            {{\"tool\": \"search\", \"model\": \"openai/gpt-oss-20b\", \"_query_llm_ms\": {}, \"_retrieval_ms\": {}}},\
            {{\"tool\": \"answer\", \"model\": \"Qwen/Qwen3-32B-FP8\", \"_expert_ms\": {}, \"_judge_ms\": {}}},\
            {{\"tool\": \"enhance_reasoning\", \"model\": \"Qwen/Qwen2.5-Coder-14B-Instruct\", \"_llm_ms\": {}, \"_exec_ms\": 80}}]}}}}",
            n % 4 == 0,
            drawn(1.6, 0.8),
            drawn(0.2, 0.4),
            drawn(31.5, 0.5),
            drawn(1.8, 0.4),
            drawn(7.7, 0.4),
        );
        Written {
            id: n.to_string(),
            at: Some(BEGAN + Millis(240_000 * n)),
            answer: Answer::read(text.as_bytes(), &[], &mut names),
        }
    });
    Found {
        name: "hle".to_owned(),
        place: "/out/hle".to_owned(),
        expected: None,
        written: written.collect(),
        logged: None,
        orchestrator: None,
        server_times: Vec::new(),
        whose: Whose::Run,
        changed: None,
    }
}

/// Where calls went; books of one model.
pub(super) fn happened(model: &str) -> Happened {
    Happened {
        alarms: Vec::new(),
        restarts: Vec::new(),
        calls: vec![Watched {
            evaluation: "hle".to_owned(),
            level: "sampled: 118 looks at its sockets".to_owned(),
            undeclared: Vec::new(),
        }],
        books: vec![Book {
            model: model.to_owned(),
            served: Some(104),
            ours: Some(4),
            reported: 100,
            failed: 0,
            balanced: Some(true),
            balance: "balanced".to_owned(),
        }],
        books_since: "requests of this run",
        elsewhere: Vec::new(),
    }
}
