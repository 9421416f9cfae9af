//! Charts of a whole run, from its journal and its samples.

use std::fmt::Write as _;

use crate::base::{
    Chance, ClusterName, Epoch, EvalName, Generation, LaunchId, Millis, RunId, Timestamp, UnitId,
    float,
};
use crate::facts::samples::{Amount, Head, Line, Samples, ServerLine, Spread};
use crate::facts::{Exit, Liveness};
use crate::knowledge::series::{Counter, Distribution, Gauge};
use crate::plan::Plan;
use crate::plan::plan_tests::clean;
use crate::report::charts::{Charts, Classes, Course, MarkKind, Recorded, Words};
use crate::report::happened::Happened;
use crate::report::routing::Routed;
use crate::run::{Event, GaveUp, Record, RunState, StopWhy, Verdict};

const WORDS: Words = Words {
    ended: |exit: &Exit| format!("with code {:?}", exit.code),
    gave_up: |_: &GaveUp| "budget".to_owned(),
    stop: |_: &StopWhy| "the run is over",
    verdict: |_: &Verdict| "complete".to_owned(),
};

const YAML: &str = "version: 1
name: a
vllm: { version: \"0.12.0\" }
nodes: { n: { gpus: 4, gpu: H100-80GB, transport: local, address: 10.0.0.5 } }
models: { m: { model: org/m, node: n, replicas: 2, port: 8000 } }
evals:
  hle: { command: [/bin/true], results: out, finished: { count: 9 } }
";

fn at(seconds: u64) -> Timestamp {
    Timestamp(1_000_000) + Millis::from_secs(seconds)
}

fn start(unit: &str, generation: u64) -> Event {
    Event::LaunchIntended {
        unit: UnitId::new(unit),
        generation: Generation(generation),
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

fn exit(unit: &str, code: i32) -> Event {
    Event::Exited {
        unit: UnitId::new(unit),
        exit: Exit {
            code: Some(code),
            ..Exit::of(Generation(1), LaunchId::new("l"))
        },
    }
}

fn progress(done: usize) -> Event {
    Event::EvalProgress {
        eval: EvalName::new("hle"),
        done,
        errors: 0,
        correct: None,
        torn: 0,
        total: 9,
    }
}

fn took() -> Event {
    Event::OwnerTook {
        host: "h".to_owned(),
        pid: 1,
        yaml: None,
    }
}

fn alarm(word: &str, unit: &str) -> Event {
    Event::Alarm {
        alarm: word.to_owned(),
        unit: Some(UnitId::new(unit)),
        text: String::new(),
    }
}

/// A journal of these events; the epoch rises with each owner, and `late` is of the first one, long after.
fn records(events: Vec<(u64, Event)>) -> Vec<Record> {
    let begun = Event::RunStarted {
        run: RunId::new("a-1-0000"),
        cluster: ClusterName::new("a"),
        plan_sha256: String::new(),
        version: "0".to_owned(),
        rebuilt: false,
    };
    let mut epoch = 0;
    let events = std::iter::once((0, begun)).chain(events).zip(1..);
    events
        .map(|((seconds, event), seq)| {
            epoch += u64::from(matches!(event, Event::OwnerTook { .. }));
            Record {
                v: Record::FORMAT,
                seq,
                at: at(seconds),
                epoch: Epoch(epoch),
                event,
            }
        })
        .collect()
}

fn course(plan: &Plan, records: &[Record], samples: &Samples) -> Course {
    let state = RunState::fold(records);
    let recorded = Recorded {
        plan,
        records,
        state: &state,
        samples: Ok(samples),
    };
    Course::of(recorded, &Classes::of(plan), &WORDS).unwrap()
}

/// A server dies, another is slow for a while, and the evaluation is held while its owner changes.
fn eventful() -> Vec<Record> {
    let held = Event::EvalHeld {
        eval: EvalName::new("hle"),
        unit: UnitId::new("eval-hle"),
        since: at(60),
        why: "no replica of `m`".to_owned(),
    };
    let judged = |liveness| Event::Judged {
        unit: UnitId::new("m-1"),
        generation: Generation(1),
        liveness,
        why: "31 tokens/s".to_owned(),
    };
    let runs = Event::Started {
        unit: UnitId::new("eval-hle"),
        generation: Generation(1),
        pid: 1,
        start: 1,
        adopted: false,
    };
    let eval = EvalName::new("hle");
    records(vec![
        (0, took()),
        (1, start("m-0", 1)),
        (1, start("m-1", 1)),
        (1, start("gone", 1)),
        (20, ready("m-0")),
        (20, ready("m-1")),
        (21, start("eval-hle", 1)),
        (22, runs),
        (30, judged(Liveness::Slow)),
        (40, judged(Liveness::Well)),
        (50, exit("m-0", 1)),
        (51, start("m-0", 2)),
        (60, held),
        (61, exit("eval-hle", 143)),
        (100, took()),
        (110, ready("m-0")),
        (
            111,
            Event::EvalResumed {
                eval: eval.clone(),
                set_aside: 0,
            },
        ),
        (112, start("eval-hle", 2)),
        (
            120,
            Event::EvalEnded {
                eval,
                verdict: Verdict::Complete,
            },
        ),
        (
            130,
            Event::StopIntended {
                unit: UnitId::new("m-1"),
                generation: Generation(1),
                why: StopWhy::Done,
            },
        ),
        (
            132,
            Event::Stopped {
                unit: UnitId::new("m-1"),
                generation: Generation(1),
            },
        ),
    ])
}

#[test]
fn lanes_tell_attempts_trouble_and_ends() {
    let mut records = eventful();
    // The first owner wakes up, and writes what no longer counts.
    records.push(Record {
        epoch: Epoch(1),
        at: at(500),
        event: exit("m-1", 9),
        ..records[3].clone()
    });
    let course = course(&clean(YAML), &records, &Samples::default());
    let mut said = String::new();
    for group in &course.groups {
        let _ = writeln!(said, "{} {:?} {:?}", group.name, group.key, group.class);
        for lane in &group.lanes {
            let _ = writeln!(
                said,
                "  {} `{}`, {} starts",
                lane.unit, lane.label, lane.starts
            );
            let seconds = |moment: Timestamp| moment.since(at(0)).as_secs();
            for span in &lane.spans {
                let (from, to) = (seconds(span.from), seconds(span.to));
                let _ = writeln!(said, "    {from}-{to} {:?}: {}", span.doing, span.words);
            }
            for mark in &lane.marks {
                let _ = writeln!(
                    said,
                    "    {} {:?}: {}",
                    seconds(mark.at),
                    mark.kind,
                    mark.words
                );
            }
        }
    }
    insta::assert_snapshot!(said, @r#"
    hle, its client None None
      eval-hle ``, 2 starts
        21-22 Starting: start 1: starting
        22-60 Ready: start 1: runs
        60-111 Held: hle is held: no replica of `m`
        112-132 Starting: start 2: starting
        120 Over: complete
    m Some("org/m") Some(0)
      m-0 `0`, 2 starts
        1-20 Starting: start 1: starting
        20-50 Ready: start 1: ready
        51-110 Starting: start 2: starting
        110-132 Ready: start 2: ready
        50 Died: start 1 ended with code Some(1)
      m-1 `1`, 1 starts
        1-20 Starting: start 1: starting
        20-30 Ready: start 1: ready
        30-40 Troubled: start 1: 31 tokens/s
        40-130 Ready: start 1: ready
        130-132 Stopping: start 1: stopped: the run is over
    no longer in the plan None None
      gone `gone`, 1 starts
        1-132 Starting: start 1: starting
    "#);
    assert_eq!(course.unwatched, [(at(61), at(100))]);
    assert_eq!(course.frame.to, at(132));
    assert_eq!(course.restarts(), 2);
    let died = |kind: MarkKind| kind == MarkKind::Died;
    let lanes = course.groups.iter().flat_map(|group| &group.lanes);
    assert_eq!(
        lanes
            .flat_map(|lane| &lane.marks)
            .filter(|mark| died(mark.kind))
            .count(),
        1
    );
}

#[test]
fn alarms_of_all_owners_are_told_with_their_ends() {
    let records = records(vec![
        (0, took()),
        (1, alarm("slow-server", "m-0")),
        (2, alarm("held", "eval-hle")),
        (5, ready("m-0")),
        (10, took()),
        (11, alarm("slow-server", "m-1")),
        (12, ready("m-1")),
    ]);
    let course = course(&clean(YAML), &records, &Samples::default());
    let told = course.alarms.iter();
    let told: Vec<_> = told
        .map(|told| (told.alarm.as_str(), told.at, told.over))
        .collect();
    assert_eq!(
        told,
        [
            ("slow-server", at(1), Some(at(5))),
            ("held", at(2), None),
            ("slow-server", at(11), Some(at(12))),
        ]
    );
    assert_eq!(course.unsampled.len(), 1);
}

#[test]
fn questions_are_counted_from_the_clients_start_on() {
    let records = records(vec![
        (0, took()),
        (5, progress(3)),
        (60, start("eval-hle", 1)),
        (120, progress(5)),
        // Two were set aside, and asked again.
        (130, progress(3)),
        (180, progress(9)),
    ]);
    let course = course(&clean(YAML), &records, &Samples::default());
    let pace = &course.paces[0];
    assert_eq!(pace.finished, 8);
    assert!((pace.mean - 4.0).abs() < 1e-9, "{}", pace.mean);
    assert_eq!(pace.per_minute[0], None);
    let width = float(course.bars.width.0) / 60_000.0;
    let sum: f64 = pace.per_minute.iter().flatten().sum();
    assert!((sum * width - 8.0).abs() < 1e-6, "{sum}");
}

/// Two servers whose counters and gauges are told every 15 s: the class has the sum of both, piece by piece, whatever the pieces are.
#[test]
fn servers_of_a_class_are_added() {
    let plan = clean(YAML);
    let mut samples = Samples::default();
    samples.take(Line::Head(Head {
        v: Head::FORMAT,
        run: RunId::new("a-1-0000"),
        epoch: Epoch(1),
        began: at(0),
        every: Millis(15_000),
    }));
    let mut luck = Chance::new(5);
    let mut tokens = 0.0;
    for step in 0..40_u64 {
        for (unit, running) in [("m-0", 4.0), ("m-1", 2.0)] {
            let more = float(luck.between(0, 900));
            tokens += if step == 0 { 0.0 } else { more };
            // What had been counted before the first look came at no known time.
            samples.take(Line::Server(ServerLine {
                at: at(10 + 15 * step),
                unit: UnitId::new(unit),
                generation: Generation(1),
                all: step == 0,
                born: None,
                now: [
                    (Gauge::Running, Amount(running)),
                    (Gauge::KvCache, Amount(running / 10.0)),
                ]
                .into(),
                more: [(Counter::GenerationTokens, Amount(more))].into(),
                spread: std::collections::BTreeMap::new(),
            }));
        }
    }
    let records = records(vec![(0, took()), (610, alarm("x", "m-0"))]);
    let course = course(&plan, &records, &samples);
    let one = &course.servers[0];
    assert_eq!((one.servers, one.class, course.servers.len()), (2, 0, 1));
    let near = |value: Option<f64>, to: f64| value.is_none_or(|value| (value - to).abs() < 1e-6);
    assert!(
        one.running.iter().all(|value| near(*value, 6.0)),
        "{:?}",
        one.running
    );
    assert!(one.kv.iter().all(|value| near(*value, 0.3)), "{:?}", one.kv);
    assert!(one.kv_most.iter().all(|value| near(*value, 0.4)));
    assert!(one.waiting.iter().all(Option::is_none));
    let width = course.frame.width.as_secs_f64();
    let sum: f64 = one.tokens.iter().flatten().sum::<f64>() * width;
    assert!((sum - tokens).abs() < 0.01 * tokens, "{sum} of {tokens}");
}

/// What one look at `m-0` saw: requests, and what came into its counters since the one before.
struct Look {
    second: u64,
    generation: u64,
    running: f64,
    tokens: f64,
    /// Calls that ended, and the seconds of all of them.
    calls: (f64, f64),
}

fn looks(all: &[Look]) -> Samples {
    let mut samples = Samples::default();
    samples.take(Line::Head(Head {
        v: Head::FORMAT,
        run: RunId::new("a-1-0000"),
        epoch: Epoch(1),
        began: at(0),
        every: Millis(5_000),
    }));
    let mut last = 0;
    for look in all {
        let spread = |(n, sum): (f64, f64)| Spread {
            n: Amount(n),
            sum: Amount(sum),
            per: vec![(None, Amount(n))],
        };
        samples.take(Line::Server(ServerLine {
            at: at(look.second),
            unit: UnitId::new("m-0"),
            generation: Generation(look.generation),
            all: look.generation != last,
            born: None,
            now: [
                (Gauge::Running, Amount(look.running)),
                (Gauge::Waiting, Amount(0.0)),
            ]
            .into(),
            more: [(Counter::GenerationTokens, Amount(look.tokens))].into(),
            spread: [
                (Distribution::Latency, spread(look.calls)),
                (Distribution::Inference, spread(look.calls)),
            ]
            .into(),
        }));
        last = look.generation;
    }
    samples
}

fn look(second: u64, running: f64, tokens: f64) -> Look {
    Look {
        second,
        generation: 1,
        running,
        tokens,
        calls: (0.0, 0.0),
    }
}

/// Values by the second.
fn by_second(course: &Course, series: &[Option<f64>]) -> String {
    let pieces = usize::try_from(1000 / course.frame.width.0).unwrap();
    let values = series.chunks(pieces).map(|second| {
        let known: Vec<f64> = second.iter().flatten().copied().collect();
        match known.len() {
            0 => "-".to_owned(),
            count => format!("{:.1}", known.iter().sum::<f64>() / float(count)),
        }
    });
    values.collect::<Vec<_>>().join(" ")
}

fn ready_at(unit: &str, generation: u64, second: u64) -> (u64, Event) {
    let unit = UnitId::new(unit);
    let (generation, after) = (Generation(generation), Millis(1));
    let ready = Event::Ready {
        unit,
        generation,
        after,
    };
    (second, ready)
}

/// Requests go from look to look; before a server was ready and after its last look there is nothing, and no zero.
#[test]
fn gauges_go_from_look_to_look_and_no_further() {
    let samples = looks(&[
        look(7, 4.0, 400.0),
        look(12, 8.0, 500.0),
        look(17, 0.0, 250.0),
    ]);
    let records = records(vec![
        (0, took()),
        ready_at("m-0", 1, 3),
        (22, alarm("x", "m-0")),
    ]);
    let course = course(&clean(YAML), &records, &samples);
    let one = &course.servers[0];
    insta::assert_snapshot!(by_second(&course, &one.running), @"- - - 0.5 1.5 2.5 3.5 4.4 5.2 6.0 6.8 7.6 7.2 5.6 4.0 2.4 0.8 - - - - -");
    // What was counted by the first look came since the server was ready.
    insta::assert_snapshot!(by_second(&course, &one.tokens), @"- - - 100.0 100.0 100.0 100.0 100.0 100.0 100.0 100.0 100.0 50.0 50.0 50.0 50.0 50.0 - - - - -");
    assert_eq!(one.looks, [at(7), at(12), at(17)]);
}

/// Where no look found a request, the seconds of those that came and went in between tell how many there were.
#[test]
fn calls_that_no_look_saw_are_drawn() {
    let between = |second, calls| Look {
        calls,
        ..look(second, 0.0, 0.0)
    };
    let samples = looks(&[
        between(5, (0.0, 0.0)),
        between(10, (10.0, 15.0)),
        // Calls that take longer than the pause tell nothing of it.
        between(15, (1.0, 14.0)),
    ]);
    let records = records(vec![(0, took()), (15, alarm("x", "m-0"))]);
    let course = course(&clean(YAML), &records, &samples);
    insta::assert_snapshot!(by_second(&course, &course.servers[0].running), @"0.0 0.0 0.0 0.0 0.0 3.0 3.0 3.0 3.0 3.0 0.0 0.0 0.0 0.0 0.0");
}

/// A server that was found to hang did so since the last look that saw it move; what it counts as being computed is not.
#[test]
fn a_hang_begins_with_the_last_sign_of_life() {
    let mut all = vec![look(5, 3.0, 400.0), look(10, 3.0, 400.0)];
    all.extend([15, 20, 25].map(|second| look(second, 3.0, 0.0)));
    all.push(Look {
        generation: 2,
        ..look(40, 2.0, 100.0)
    });
    let stalled = Event::Judged {
        unit: UnitId::new("m-0"),
        generation: Generation(1),
        liveness: Liveness::Stalled,
        why: "no counter moved".to_owned(),
    };
    let stop = Event::StopIntended {
        unit: UnitId::new("m-0"),
        generation: Generation(1),
        why: StopWhy::Lifeless,
    };
    let stopped = Event::Stopped {
        unit: UnitId::new("m-0"),
        generation: Generation(1),
    };
    let records = records(vec![
        (0, took()),
        (1, start("m-0", 1)),
        ready_at("m-0", 1, 2),
        (26, stalled),
        (26, stop),
        (27, stopped),
        (28, start("m-0", 2)),
        ready_at("m-0", 2, 35),
        (40, alarm("x", "m-0")),
    ]);
    let course = course(&clean(YAML), &records, &looks(&all));
    let spans = course.groups[0].lanes[0].spans.iter();
    let spans: Vec<String> = spans
        .map(|span| {
            let second = |moment: Timestamp| moment.since(at(0)).as_secs();
            let (from, to) = (second(span.from), second(span.to));
            format!("{from}-{to} {:?}: {}", span.doing, span.words)
        })
        .collect();
    insta::assert_snapshot!(spans.join("\n"), @r"
    1-2 Starting: start 1: starting
    2-10 Ready: start 1: ready
    10-26 Hung: start 1: hangs: no counter moved
    26-27 Stopping: start 1: stopped: the run is over
    28-35 Starting: start 2: starting
    35-40 Ready: start 2: ready
    ");
    let one = &course.servers[0];
    insta::assert_snapshot!(by_second(&course, &one.running), @"- - 0.5 1.5 2.5 3.0 3.0 3.0 3.0 3.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 - - - - - - - - - - 0.2 0.6 1.0 1.4 1.8");
    insta::assert_snapshot!(by_second(&course, &one.stuck), @"- - 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 3.0 3.0 3.0 3.0 3.0 3.0 3.0 3.0 3.0 3.0 3.0 3.0 3.0 3.0 3.0 - - - - - - - - - - 0.0 0.0 0.0 0.0 0.0");
}

/// One that stood still before the first look at it shows nothing; its standstill is no less one, and of its requests nobody knows.
#[test]
fn a_hang_before_the_first_look_is_seen_by_its_still_counters() {
    let all = [
        look(5, 0.0, 0.0),
        look(10, 0.0, 400.0),
        look(15, 0.0, 0.0),
        look(20, 0.0, 0.0),
        look(25, 0.0, 0.0),
    ];
    let stalled = Event::Judged {
        unit: UnitId::new("m-0"),
        generation: Generation(1),
        liveness: Liveness::Stalled,
        why: "no counter moved".to_owned(),
    };
    let records = records(vec![
        (0, took()),
        (1, start("m-0", 1)),
        ready_at("m-0", 1, 2),
        (26, stalled),
        (30, alarm("x", "m-0")),
    ]);
    let course = course(&clean(YAML), &records, &looks(&all));
    let hung = course.groups[0].lanes[0].spans.iter();
    let mut hung = hung.filter(|span| format!("{:?}", span.doing) == "Hung");
    let second = |moment: Timestamp| moment.since(at(0)).as_secs();
    let hung = hung.next().map(|span| (second(span.from), second(span.to)));
    assert_eq!(hung, Some((10, 30)));
    let one = &course.servers[0];
    insta::assert_snapshot!(by_second(&course, &one.running), @"- - 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 - - - - - - - - - - - - - - - - - - - -");
    insta::assert_snapshot!(by_second(&course, &one.stuck), @"- - 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 - - - - - - - - - - - - - - - - - - - -");
    let frozen: Vec<Option<f64>> = one
        .frozen
        .iter()
        .map(|frozen| Some(f64::from(u8::from(*frozen))))
        .collect();
    insta::assert_snapshot!(by_second(&course, &frozen), @"0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 1.0 0.0 0.0 0.0 0.0 0.0");
}

/// In a rehearsal all is told by the cluster's clock, and the kill that belongs to it is no death.
#[test]
fn a_rehearsal_is_told_by_the_clusters_clock() {
    let mut plan = clean(YAML);
    plan.shares.speed = Some(60.0);
    let events = || {
        vec![
            (0, took()),
            (1, start("m-0", 1)),
            ready_at("m-0", 1, 2),
            (10, start("eval-hle", 1)),
            (20, progress(5)),
            (21, exit("eval-hle", 137)),
            (22, start("eval-hle", 2)),
            (29, alarm("slow-server", "m-0")),
            (30, progress(9)),
            (31, exit("eval-hle", 137)),
        ]
    };
    let samples = looks(&[look(5, 2.0, 1200.0), look(10, 2.0, 3000.0)]);
    let played = course(&plan, &records(events()), &samples);
    assert_eq!(played.frame.span(), Millis::from_secs(31 * 60));
    assert_eq!(played.here, (at(0), at(31)));
    assert!(
        (played.paces[0].mean - 0.5).abs() < 1e-9,
        "{}",
        played.paces[0].mean
    );
    let most = played.servers[0].tokens.iter().flatten();
    let most = most.copied().fold(0.0, f64::max);
    assert!((most - 10.0).abs() < 1e-9, "{most}");
    let marks = |course: &Course| {
        let lanes = course.groups.iter().flat_map(|group| &group.lanes);
        let marks = lanes.flat_map(|lane| &lane.marks);
        marks.map(|mark| mark.kind).collect::<Vec<_>>()
    };
    assert_eq!(marks(&played), [MarkKind::Tried, MarkKind::Died]);
    assert_eq!((played.restarts(), played.tries()), (0, 1));
    // Forms without charts have moments of the clock here, and lengths of the cluster's time.
    let told = records(events());
    let state = RunState::fold(&told);
    let found = Happened::of(&plan, &state, &played, &Routed::default());
    let alarm = &found.alarms[0];
    assert_eq!(
        (&alarm.at, alarm.after),
        (&at(29).to_string(), Some(Millis::from_secs(29 * 60)))
    );
    let client = &found.restarts[0];
    assert_eq!((client.unit.as_str(), client.again), ("eval-hle", 0));
    assert_eq!(
        (&client.ends[0].at, client.ends[0].after),
        (&at(31).to_string(), Some(Millis::from_secs(31 * 60)))
    );
    // Without a rehearsal nobody kills clients to try something.
    plan.shares.speed = None;
    let real = course(&plan, &records(events()), &samples);
    assert_eq!(marks(&real), [MarkKind::Died, MarkKind::Died]);
    assert_eq!((real.restarts(), real.tries()), (1, 0));
    assert!((real.paces[0].mean - 30.0).abs() < 1e-9);
}

#[test]
fn nothing_recorded_is_nothing_to_draw() {
    let plan = clean(YAML);
    let recorded = Recorded {
        plan: &plan,
        records: &[],
        state: &RunState::default(),
        samples: Err("no such file".to_owned()),
    };
    let classes = Classes::of(&plan);
    assert_eq!(Course::of(recorded, &classes, &WORDS), None);
    assert_eq!(Charts::default().course, None);
}
