//! What becomes evidence, and that patches can be applied.

use std::collections::BTreeMap;

use super::*;
use crate::base::{Epoch, Generation, Millis, Timestamp, UnitId};
use crate::check::check_all;
use crate::diag::Severity;
use crate::facts::samples::{Line, Samples, ServerLine};
use crate::knowledge::series::{Counter, Distribution, Gauge};
use crate::plan::Plan;
use crate::plan::plan_tests::facts;
use crate::report::verdict::{Evidence, Move, Outcome, Patch, analyse, short_text, what_if};
use crate::run::{Event, Record, RunState};
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
    // One look in between is worth more than what was counted.
    let judged = analyse(&found(&samples(&[9, 24, 31])));
    assert_eq!(judged.looks, Some(1));
    near(judged.classes[0].measured.running, 4.0 * 8.0);
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
    limited by: unknown: nothing was finished for 57m 20s
    time left: unknown
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
