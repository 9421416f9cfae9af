//! What becomes evidence, and that patches can be applied.

use std::collections::BTreeMap;

use super::*;
use crate::base::{Epoch, Generation, LaunchId, Millis, Timestamp, UnitId};
use crate::check::check_all;
use crate::diag::Severity;
use crate::eval::{Answer, Names, Written};
use crate::facts::samples::{Line, Samples, ServerLine};
use crate::facts::{Exit, Liveness};
use crate::knowledge::series::{Counter, Distribution, Gauge};
use crate::plan::Plan;
use crate::plan::plan_tests::facts;
use crate::report::tables::{Found, Whose, evaluation};
use crate::report::verdict::{Evidence, Move, Outcome, Patch, analyse, short_text, what_if};
use crate::run::{Event, Record, RunState, StopWhy};
use crate::spec::{Source, parse};

const HLE: &str = include_str!("../../../clusters/hle-oss.yaml");

fn at(seconds: u64, event: Event) -> Record {
    Record {
        v: Record::FORMAT,
        seq: seconds,
        at: Timestamp(1_000_000 + seconds * 1000),
        epoch: Epoch(1),
        event,
    }
}

fn planned(yaml: &str) -> (Plan, Vec<String>) {
    let parsed = parse(Source::new("cluster.yaml", yaml.as_bytes()), &[]);
    let spec = parsed
        .spec
        .unwrap_or_else(|| panic!("{:?}", parsed.diagnostics));
    let (plan, report) = check_all(&spec, &facts());
    let bad = report
        .iter()
        .filter(|found| found.severity != Severity::Note);
    (
        plan,
        bad.map(|found| format!("{} {}", found.code.0, found.title))
            .collect(),
    )
}

/// The first evaluation of this plan, an hour after its client began.
fn evidence_of(plan: &Plan, samples: &Samples, ends: Ends<'_>) -> Option<Evidence> {
    known_of(plan, samples, ends, evidence)?
}

/// What is made of what is known of it then.
fn known_of<T>(
    plan: &Plan,
    samples: &Samples,
    ends: Ends<'_>,
    of: impl Fn(&Known<'_>) -> T,
) -> Option<T> {
    let eval = plan.evals.first()?;
    let started = Event::Started {
        unit: eval.unit.clone(),
        generation: Generation(1),
        pid: 1,
        start: 1,
        adopted: false,
    };
    let counted = |done| Event::EvalProgress {
        eval: eval.name.clone(),
        done,
        errors: 0,
        correct: None,
        torn: 0,
        total: 500,
    };
    let records = [
        at(0, started),
        at(60, counted(100)),
        at(160, counted(110)),
        at(3600, counted(110)),
    ];
    Some(of(&Known {
        plan,
        eval,
        records: &records,
        state: &RunState::fold(&records),
        samples,
        ends,
        order: &[],
        tables: None,
    }))
}

fn sample(unit: &str, seconds: u64, all: bool) -> Line {
    let amount = |value: f64| crate::facts::samples::Amount(value);
    let spread = |sum: f64| crate::facts::samples::Spread {
        n: amount(10.0),
        sum: amount(sum),
        per: vec![(None, amount(10.0))],
    };
    Line::Server(ServerLine {
        at: Timestamp(1_000_000 + seconds * 1000),
        unit: UnitId::new(unit),
        generation: Generation(1),
        all,
        born: None,
        now: BTreeMap::from([(Gauge::Running, amount(8.0)), (Gauge::Waiting, amount(3.0))]),
        more: BTreeMap::from([
            (Counter::Stopped, amount(10.0)),
            (Counter::CutOff, amount(1.0)),
        ]),
        spread: BTreeMap::from([
            (Distribution::Latency, spread(250.0)),
            (Distribution::Queue, spread(50.0)),
            (Distribution::Inference, spread(200.0)),
        ]),
    })
}

#[test]
fn samples_become_windows_and_results_become_ends() {
    let (plan, _) = planned(HLE);
    let mut samples = Samples::default();
    for (seconds, all) in [(5, true), (20, false), (35, false)] {
        samples.take(sample("orchestrator-0", seconds, all));
    }
    let written = [
        ("before".to_owned(), Some(Timestamp(900_000))),
        ("a".to_owned(), Some(Timestamp(1_030_000))),
    ];
    let found = evidence_of(&plan, &samples, Ends::Written(&written)).unwrap();
    let classes: Vec<String> = found
        .classes
        .iter()
        .map(|class| {
            format!(
                "{} {}x{} {} {}",
                class.name,
                class.replicas,
                class.gpus_per_replica,
                class.nodes.join(","),
                if class.fixed { "fixed" } else { "free" }
            )
        })
        .collect();
    insta::assert_snapshot!(classes.join("\n"), @r"
    orchestrator 4x1 research-secure-05 free
    coder 8x1 research-secure-11 free
    answer 8x1 research-secure-12 free
    search 4x1 172.27.31.10 free
    retrieval 1x1 research-secure-13 fixed
    ");
    assert_eq!(found.client.concurrency, Some(64));
    assert_eq!(found.client.total, Some(500));
    let ids: Vec<&str> = found
        .client
        .tasks
        .iter()
        .map(|task| task.id.as_str())
        .collect();
    assert_eq!(ids, ["a"]);
    // The first sample of a process has no known length.
    let windows = &found.classes[0].series[0].windows;
    assert_eq!(windows.len(), 2);
    assert_eq!(windows[0].length, Millis(15_000));
    assert_eq!(windows[0].finished, Some(11.0));
    assert_eq!(windows[0].queue_seconds, Some(50.0));
    // The retrieval of the other evaluation keeps its GPU.
    let node = found
        .nodes
        .iter()
        .find(|node| node.name == "research-secure-13");
    assert_eq!(node.map(|node| node.gpus), Some(7));
}

#[test]
fn a_run_between_two_looks_is_known_by_what_was_counted_in_between() {
    let (plan, _) = planned(HLE);
    let eval = plan.evals.first().unwrap();
    let started = Event::Started {
        unit: eval.unit.clone(),
        generation: Generation(1),
        pid: 1,
        start: 1,
        adopted: false,
    };
    let ended = Event::Stopped {
        unit: eval.unit.clone(),
        generation: Generation(1),
    };
    let counted = |done| Event::EvalProgress {
        eval: eval.name.clone(),
        done,
        errors: 0,
        correct: None,
        torn: 0,
        total: 500,
    };
    let records = [at(10, started), at(30, ended), at(90, counted(2))];
    let samples = |seconds: &[u64]| {
        let mut samples = Samples::default();
        samples.take(Line::Head(crate::facts::samples::Head {
            v: crate::facts::samples::Head::FORMAT,
            run: "hle-1-abcd".into(),
            epoch: Epoch(1),
            began: Timestamp(0),
            every: Millis::from_secs(15),
        }));
        for (nth, seconds) in seconds.iter().enumerate() {
            samples.take(sample("orchestrator-0", *seconds, nth == 0));
        }
        samples
    };
    let found = |samples: &Samples| {
        evidence(&Known {
            plan: &plan,
            eval,
            records: &records,
            state: &RunState::fold(&records),
            samples,
            ends: Ends::Counted,
            order: &[],
            tables: None,
        })
        .unwrap()
    };
    // A look before the client began, one when it had ended, and one much later.
    let known = found(&samples(&[9, 31, 90]));
    let [window] = known.classes[0].series[0].windows[..] else {
        panic!("{:?}", known.classes[0].series);
    };
    assert_eq!(
        (window.at, window.length),
        (known.until, Millis::from_secs(20))
    );
    assert_eq!(
        (window.running, window.waiting, window.kv),
        (None, None, None)
    );
    let judged = analyse(&known);
    assert_eq!(judged.looks, Some(0));
    // 200 s of inference and 50 s of queue in 20 s.
    let class = &judged.classes[0].measured;
    near(class.running, 4.0 * 10.0);
    near(class.waiting, 4.0 * 2.5);
    // One look in between, which found 8, is worth less than what was counted: twice 200 s.
    let judged = analyse(&found(&samples(&[9, 24, 31])));
    assert_eq!(judged.looks, Some(1));
    near(judged.classes[0].measured.running, 4.0 * 20.0);
}

/// Of calls that were given up, or go on, no time of a finished call tells.
#[test]
fn what_was_between_tokens_is_known_of_all_calls() {
    let (plan, _) = planned(HLE);
    let mut samples = Samples::default();
    for (seconds, all) in [(5, true), (20, false)] {
        let Line::Server(mut line) = sample("orchestrator-0", seconds, all) else {
            panic!("no server");
        };
        let sum = |sum: f64| crate::facts::samples::Spread {
            sum: crate::facts::samples::Amount(sum),
            ..line.spread[&Distribution::Queue].clone()
        };
        let (tokens, prefill) = (sum(290.0), sum(6.0));
        line.spread.insert(Distribution::BetweenTokens, tokens);
        line.spread.insert(Distribution::Prefill, prefill);
        samples.take(Line::Server(line));
    }
    let found = evidence_of(&plan, &samples, Ends::Counted).unwrap();
    let window = found.classes[0].series[0].windows[0];
    assert_eq!(
        (window.inference_seconds, window.computed_seconds),
        (Some(200.0), Some(296.0))
    );
    near(
        analyse(&found).classes[0].measured.running,
        4.0 * 296.0 / 15.0,
    );
}

#[track_caller]
fn near(seen: Option<f64>, expected: f64) {
    assert!((seen.unwrap() - expected).abs() < 1e-9, "{seen:?}");
}

#[test]
fn the_order_of_the_dataset_tells_when_questions_were_begun() {
    let (mut plan, _) = planned(HLE);
    plan.evals[0].concurrency = Some(2);
    let order = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
    let ended =
        |id: &str, seconds: u64| (id.to_owned(), Some(Timestamp(1_000_000 + seconds * 1000)));
    let read = |ends: &[(String, Option<Timestamp>)]| {
        let eval = plan.evals.first().unwrap();
        let started = Event::Started {
            unit: eval.unit.clone(),
            generation: Generation(1),
            pid: 1,
            start: 1,
            adopted: false,
        };
        let records = [at(0, started)];
        let found = evidence(&Known {
            plan: &plan,
            eval,
            records: &records,
            state: &RunState::fold(&records),
            samples: &sampled_until(3000),
            ends: Ends::Written(ends),
            order: &order,
            tables: None,
        });
        let said = |at: Option<Timestamp>| {
            at.map_or_else(
                || "-".to_owned(),
                |at| ((at.0 - 1_000_000) / 1000).to_string(),
            )
        };
        let tasks = found.unwrap().client.tasks.into_iter();
        let tasks =
            tasks.map(|task| format!("{} {} {}", task.id, said(task.began), said(task.ended)));
        tasks.collect::<Vec<_>>().join(", ")
    };
    let ends = [ended("b", 100), ended("a", 300), ended("c", 200)];
    assert_eq!(read(&ends), "b 0 100, c 100 200, a 0 300, d 200 -, e 300 -");
    // Whoever asks for the last one first does not follow the dataset.
    let ends = [ended("f", 100), ended("a", 300)];
    assert_eq!(read(&ends), "f - 100, a - 300");
}

#[test]
fn a_service_s_calls_are_the_second_part_of_searches() {
    let (plan, _) = planned(HLE);
    let calls = |text: &str| {
        let eval = plan.evals.first().unwrap();
        let mut names = Names::default();
        let written = Written {
            id: "a".to_owned(),
            at: None,
            answer: Answer::read(text.as_bytes(), &[], &mut names),
        };
        let tables = evaluation(Found {
            name: "hle".to_owned(),
            place: "/out".to_owned(),
            expected: None,
            written: vec![written],
            logged: None,
            orchestrator: None,
            server_times: Vec::new(),
            whose: Whose::Run,
            changed: None,
        });
        let known = Known {
            plan: &plan,
            eval,
            records: &[],
            state: &RunState::default(),
            samples: &Samples::default(),
            ends: Ends::Counted,
            order: &[],
            tables: Some(&tables),
        };
        let groups = plan.groups.iter();
        let said = groups.map(|group| {
            let calls = super::asked::asked(&known, group);
            let calls = calls.map(|calls| format!("{} of {:.3} s", calls.count, calls.mean));
            format!(
                "{}: {}",
                group.name,
                calls.unwrap_or_else(|| "?".to_owned())
            )
        });
        said.collect::<Vec<_>>().join(", ")
    };
    let search = r#"{"tool": "search", "model": "openai/gpt-oss-20b", "_query_llm_ms": 2500, "_retrieval_ms": 4}"#;
    let answer = r#"{"tool": "answer", "model": "Qwen/Qwen3-32B-FP8", "_expert_ms": 33000, "_judge_ms": 9000}"#;
    let result = |all: &[&str]| {
        let all = all.join(", ");
        format!(r#"{{"all_tool_responses": {{"turn_0_response": [{all}]}}}}"#)
    };
    insta::assert_snapshot!(calls(&result(&[search, search, answer])), @"orchestrator: ?, coder: 0 of 0.000 s, answer: 1 of 33.000 s, search: 2 of 2.500 s, retrieval: 2 of 0.004 s, wiki_retrieval: ?");
    // A client that names the service itself is believed.
    let named = r#"{"calls": [{"model": "wiki_retrieval", "tool": "lookup", "endpoint": "wiki:1", "ms": 7}]}"#;
    insta::assert_snapshot!(calls(named), @"orchestrator: ?, coder: 0 of 0.000 s, answer: 0 of 0.000 s, search: 0 of 0.000 s, retrieval: 0 of 0.000 s, wiki_retrieval: 1 of 0.007 s");
    // No search, no call; what tells of no tools tells nothing.
    insta::assert_snapshot!(calls(&result(&[answer])), @"orchestrator: ?, coder: 0 of 0.000 s, answer: 1 of 33.000 s, search: 0 of 0.000 s, retrieval: 0 of 0.000 s, wiki_retrieval: ?");
    insta::assert_snapshot!(calls(&result(&[])), @"orchestrator: ?, coder: ?, answer: ?, search: ?, retrieval: ?, wiki_retrieval: ?");
}

/// What befell a run of the first evaluation, from this journal and these looks at a server: seconds, and whether it worked.
fn befell(events: &[(u64, Event)], looks: &[(u64, bool)]) -> Evidence {
    let (plan, _) = planned(HLE);
    let mut samples = Samples::default();
    for (nth, (seconds, works)) in looks.iter().enumerate() {
        let Line::Server(mut line) = sample("orchestrator-1", *seconds, nth == 0) else {
            panic!()
        };
        let tokens = if *works { 500.0 } else { 0.0 };
        line.more.insert(
            Counter::GenerationTokens,
            crate::facts::samples::Amount(tokens),
        );
        samples.take(Line::Server(line));
    }
    let records: Vec<Record> = (events
        .iter()
        .cloned()
        .map(|(seconds, event)| at(seconds, event)))
    .collect();
    evidence(&Known {
        plan: &plan,
        eval: plan.evals.first().unwrap(),
        records: &records,
        state: &RunState::fold(&records),
        samples: &samples,
        ends: Ends::Counted,
        order: &[],
        tables: None,
    })
    .unwrap()
}

fn started(unit: &str, adopted: bool) -> Event {
    Event::Started {
        unit: UnitId::new(unit),
        generation: Generation(1),
        pid: 1,
        start: 1,
        adopted,
    }
}

fn exited() -> Exit {
    Exit {
        code: Some(1),
        ..Exit::of(Generation(1), LaunchId::new("1-1-0"))
    }
}

fn took() -> Event {
    Event::OwnerTook {
        host: "h".to_owned(),
        pid: 1,
        yaml: None,
    }
}

#[test]
fn a_server_that_stood_still_is_known_with_its_times() {
    let unit = UnitId::new("orchestrator-1");
    let judged = Event::Judged {
        unit: unit.clone(),
        generation: Generation(1),
        liveness: Liveness::Stalled,
        why: String::new(),
    };
    let stop = |why| Event::StopIntended {
        unit: unit.clone(),
        generation: Generation(1),
        why,
    };
    let ready = Event::Ready {
        unit: unit.clone(),
        generation: Generation(2),
        after: Millis(0),
    };
    let exit = Event::Exited {
        unit: unit.clone(),
        exit: exited(),
    };
    let events = [
        (0, started("eval-hle", false)),
        (100, judged),
        (101, stop(StopWhy::Lifeless)),
        (130, ready),
        (200, exit.clone()),
        (300, started("eval-frames", false)),
        (400, stop(StopWhy::Done)),
        (401, exit),
    ];
    let looks = [(10, true), (40, true), (55, true), (70, false), (85, false)];
    let found = befell(&events[..7], &looks);
    let said = found.incidents.iter().map(|one| {
        let second = |at: Timestamp| (at.0 - 1_000_000) / 1000;
        format!(
            "{} {:?} {}-{} {} {:?}",
            one.replica,
            one.trouble,
            second(one.span.from),
            second(one.span.until),
            one.over,
            one.calls
        )
    });
    insta::assert_snapshot!(said.collect::<Vec<_>>().join("\n"), @r#"
    orchestrator-1 StoodStill 55-130 true Some(11.0)
    orchestrator-1 Ended 200-400 true None
    "#);
    let beside = found
        .beside
        .iter()
        .map(|one| format!("{} {}", one.evaluation, one.length));
    assert_eq!(beside.collect::<Vec<_>>(), ["frames 1m 40s"]);
}

#[test]
fn time_without_a_client_is_known() {
    let gone = |from: usize| {
        let events = [
            (0, started("eval-hle", false)),
            (50, took()),
            (51, started("eval-hle", true)),
            (100, Event::OwnerAway { length: Millis(1) }),
            // Owner and client were killed; the next one starts it again.
            (160, took()),
            (165, started("eval-hle", false)),
            (
                200,
                Event::Exited {
                    unit: UnitId::new("eval-hle"),
                    exit: exited(),
                },
            ),
            (230, started("eval-hle", false)),
        ];
        let found = befell(&events[..from], &[(5, true), (240, true)]);
        let spans = found.client.absent.iter();
        let second = |at: Timestamp| (at.0 - 1_000_000) / 1000;
        let spans = spans.map(|span| (second(span.from), second(span.until)));
        (spans.collect::<Vec<_>>(), found.client.gone)
    };
    assert_eq!(gone(3), (vec![], false));
    assert_eq!(gone(6), (vec![(100, 165)], false));
    assert_eq!(gone(7), (vec![(100, 165)], true));
    assert_eq!(gone(8), (vec![(100, 165), (200, 230)], false));
}

#[test]
fn results_that_are_newer_than_the_client_are_those_of_another_run() {
    let (plan, _) = planned(HLE);
    let eval = plan.evals.first().unwrap();
    let counted = |done| Event::EvalProgress {
        eval: eval.name.clone(),
        done,
        errors: 0,
        correct: None,
        torn: 0,
        total: 500,
    };
    let ended = Event::Stopped {
        unit: eval.unit.clone(),
        generation: Generation(1),
    };
    let records = [
        at(0, started("eval-hle", false)),
        at(10, counted(0)),
        at(90, counted(2)),
        at(100, ended),
    ];
    let ids = |seconds: u64| {
        let written = [("a".to_owned(), Some(Timestamp(1_000_000 + 1000 * seconds)))];
        let found = evidence(&Known {
            plan: &plan,
            eval,
            records: &records,
            state: &RunState::fold(&records),
            samples: &sampled_until(110),
            ends: Ends::Written(&written),
            order: &[],
            tables: None,
        });
        let tasks = found.unwrap().client.tasks.into_iter();
        tasks.map(|task| task.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(101), ["a"]);
    // Counts of the journal tell what this run did.
    assert_eq!(ids(110), ["", ""]);
}

fn sampled_until(seconds: u64) -> Samples {
    let mut samples = Samples::default();
    for (at, all) in [(5, true), (seconds, false)] {
        samples.take(sample("orchestrator-0", at, all));
    }
    samples
}

#[test]
fn without_files_the_journal_counts() {
    let (plan, _) = planned(HLE);
    let found = evidence_of(&plan, &Samples::default(), Ends::Counted).unwrap();
    let ends: Vec<u64> = (found.client.tasks.iter())
        .map(|task| (task.ended.unwrap().0 - 1_000_000) / 1000)
        .collect();
    // Ten in a hundred seconds, after a hundred that were there before.
    assert_eq!(ends, [70, 80, 90, 100, 110, 120, 130, 140, 150, 160]);
    insta::assert_snapshot!(short_text(&analyse(&found)), @r#"
    limited by: not known, because no question was finished for 57m 20s
    time left: not known
    "#);
}

#[test]
fn a_copy_tells_no_ends() {
    let (plan, _) = planned(HLE);
    let copied = [("a".to_owned(), Some(Timestamp(9_000_000_000)))];
    let found = evidence_of(&plan, &Samples::default(), Ends::Written(&copied)).unwrap();
    assert_eq!(found.client.tasks.len(), 10);
}

#[test]
fn samples_that_end_too_early_say_how_much_was_seen() {
    let (plan, _) = planned(HLE);
    let mut samples = Samples::default();
    for (seconds, all) in [(5, true), (20, false), (1445, false)] {
        samples.take(sample("orchestrator-0", seconds, all));
    }
    let said = |samples: &Samples| known_of(&plan, samples, Ends::Counted, doubts).unwrap();
    assert_eq!(said(&samples), [""; 0]);
    samples
        .torn
        .push("samples.1.jsonl.gz: it is cut off: corrupt deflate stream".to_owned());
    insta::assert_snapshot!(said(&samples).join("\n"), @"
    not read to the end: samples.1.jsonl.gz: it is cut off: corrupt deflate stream
    servers were seen in 40 % of the time: what is said of them is from that
    ");
}

#[test]
fn a_clock_that_is_years_off_is_named_and_fills_no_memory() {
    let (plan, _) = planned(HLE);
    let mut samples = Samples::default();
    for (seconds, all) in [(5, true), (20, false), (1_577_836_800, false)] {
        samples.take(sample("orchestrator-0", seconds, all));
    }
    let said = known_of(&plan, &samples, Ends::Counted, doubts).unwrap();
    insta::assert_snapshot!(said.join("\n"), @"the run seems to take more than a year: a clock was wrong, and what is later than 1971-01-02T00:16:40.000Z is left out");
    let found = evidence_of(&plan, &samples, Ends::Counted).unwrap();
    analyse(&found);
}

#[test]
fn a_rehearsal_s_time_is_the_cluster_s() {
    let (mut plan, _) = planned(HLE);
    plan.shares.speed = Some(60.0);
    let mut samples = Samples::default();
    for (seconds, all) in [(5, true), (10, false)] {
        samples.take(sample("orchestrator-0", seconds, all));
    }
    let found = evidence_of(&plan, &samples, Ends::Counted).unwrap();
    assert_eq!(found.until.since(found.began), Millis::from_secs(3600 * 60));
    let window = found.classes[0].series[0].windows[0];
    assert_eq!(window.length, Millis::from_secs(300));
    assert_eq!(window.at.since(found.began), Millis::from_secs(600));
    // Servers that are played count in that time already.
    assert_eq!(window.inference_seconds, Some(200.0));
}

/// The YAML with the patch in it; none where a key that it changes has its default and does not stand there.
fn applied_to(yaml: &str, patch: &Patch) -> Option<String> {
    let mut text = yaml.to_owned();
    for change in &patch.changes {
        let parsed = parse(Source::new("cluster.yaml", text.as_bytes()), &[]);
        let span = parsed.document.tree().node(&change.path)?.span;
        text.replace_range(span.start..span.end, &change.to);
    }
    Some(text)
}

/// Every move of one replica's GPUs between two models of a cluster with free placement.
#[test]
fn patches_can_be_applied() {
    let clusters = [
        HLE,
        include_str!("../../../clusters/toolorchestra-hle.yaml"),
        include_str!("../../../clusters/toolorchestra-frames.yaml"),
        include_str!("../../../clusters/toolorchestra-tau2.yaml"),
        include_str!("../../../clusters/slurm.yaml"),
        include_str!("../../../clusters/slurm-only.yaml"),
    ];
    let mut applied = 0;
    for yaml in clusters {
        let (plan, before) = planned(yaml);
        let Some(found) = evidence_of(&plan, &Samples::default(), Ends::Counted) else {
            continue;
        };
        for from in &found.classes {
            for to in &found.classes {
                let step = Move {
                    gpus: from.gpus_per_replica.max(to.gpus_per_replica),
                    from: from.name.clone(),
                    to: to.name.clone(),
                };
                let Outcome::Bounded { patch, .. } = what_if(&found, std::slice::from_ref(&step))
                else {
                    continue;
                };
                if patch.by_hand.is_some() {
                    continue;
                }
                let Some(changed) = applied_to(yaml, &patch) else {
                    continue;
                };
                let (after, bad) = planned(&changed);
                let fresh: Vec<&String> = bad.iter().filter(|one| !before.contains(one)).collect();
                assert!(
                    fresh.is_empty(),
                    "{} {step}: {patch:?}: {fresh:#?}",
                    plan.cluster
                );
                let gpus =
                    |plan: &Plan| plan.units.iter().map(|unit| unit.gpus.len()).sum::<usize>();
                assert_eq!(gpus(&plan), gpus(&after), "{step}");
                applied += 1;
            }
        }
    }
    assert!(applied > 10, "{applied}");
}

/// What two evaluations had answered by each of two replicas, where the second began and ended at these times.
fn answered_of_two(second: (u64, u64)) -> Vec<String> {
    let (plan, _) = planned(HLE);
    let mut samples = Samples::default();
    samples.every = Millis(15_000);
    // Each sample has ten calls more; the ones at 100 and 101 are of the end of a client and of the begin of the next.
    for (index, seconds) in [2, 50, 100, 101, 110, 150, 200, 201]
        .into_iter()
        .enumerate()
    {
        samples.take(sample("orchestrator-0", seconds, index == 0));
    }
    let started = |index: usize| Event::Started {
        unit: plan.evals[index].unit.clone(),
        generation: Generation(1),
        pid: 1,
        start: 1,
        adopted: false,
    };
    let ended = |index: usize| Event::EvalEnded {
        eval: plan.evals[index].name.clone(),
        verdict: crate::run::Verdict::Complete,
    };
    let mut records = vec![
        at(3, started(0)),
        at(second.0, started(1)),
        at(99, ended(0)),
        at(second.1, ended(1)),
    ];
    records.sort_by_key(|record| record.at);
    let state = RunState::fold(&records);
    let of = |index: usize| {
        let rows = server_times(&Known {
            plan: &plan,
            eval: &plan.evals[index],
            records: &records,
            state: &state,
            samples: &samples,
            ends: Ends::Counted,
            order: &[],
            tables: None,
        });
        let rows = rows.iter().filter(|row| row.replica.is_none());
        let rows = rows.map(|row| {
            format!(
                "{} {} {:?}",
                plan.evals[index].name, row.calls, row.shared_with
            )
        });
        rows.collect::<Vec<_>>()
    };
    [of(0), of(1)].concat()
}

#[test]
fn each_evaluation_has_the_calls_that_servers_counted_while_it_ran() {
    insta::assert_snapshot!(answered_of_two((102, 199)).join("\n"), @r"
    hle 30 []
    frames 40 []
    ");
    // At the same time nobody can tell.
    insta::assert_snapshot!(answered_of_two((50, 199)).join("\n"), @r#"
    hle 40 ["frames"]
    frames 60 ["hle"]
    "#);
}
