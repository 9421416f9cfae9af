//! What stands out: planted in evidence, and found; and not found where it was not planted.

use insta::assert_snapshot;

use super::findings::findings;
use super::phases::phases;
use super::*;
use crate::base::{Millis, Timestamp};

const MINUTES: u64 = 120;

fn at(minute: u64) -> Timestamp {
    Timestamp(1_000_000) + Millis::from_secs(60 * minute)
}

/// What a replica does in each minute: calls computed and waiting, calls answered, seconds of each.
fn series(name: &str, each: impl Fn(u64) -> (f64, f64, f64, f64)) -> Series {
    let window = |minute| {
        let (running, waiting, finished, time) = each(minute);
        Window {
            at: at(minute),
            length: Millis::from_secs(60),
            running: Some(running),
            waiting: Some(waiting),
            kv: Some(0.2),
            preemptions: Some(0.0),
            finished: Some(finished),
            queue_seconds: Some(0.0),
            inference_seconds: Some(finished * time),
            generated: Some(finished * 100.0),
            prompt: None,
        }
    };
    Series {
        replica: name.to_owned(),
        windows: (1..=MINUTES).map(window).collect(),
    }
}

fn class(name: &str, series: Vec<Series>) -> Class {
    Class {
        name: name.to_owned(),
        replicas: series.len(),
        gpus_per_replica: 1,
        series,
        ..Class::default()
    }
}

/// Ten workers; one question ends in each minute, after ten.
fn evidence(classes: Vec<Class>) -> Evidence {
    let task = |minute: u64| Task {
        id: format!("q{minute}"),
        began: Some(at(minute.saturating_sub(10))),
        ended: (minute <= MINUTES).then(|| at(minute)),
    };
    Evidence {
        began: at(0),
        until: at(MINUTES),
        client: Client {
            concurrency: Some(10),
            total: Some(200),
            done: 120,
            tasks: (1..=MINUTES + 10).map(task).collect(),
            steps: Vec::new(),
        },
        classes,
        nodes: Vec::new(),
    }
}

fn steady(name: &str) -> Series {
    series(name, |_| (4.0, 0.0, 6.0, 40.0))
}

fn text(evidence: &Evidence) -> String {
    verdict_text(&analyse(evidence))
}

#[test]
fn a_cold_start_has_a_length_and_a_cost() {
    let cold = |minute| match minute {
        0..20 => (1.0, 0.0, 4.0, 8.0),
        _ => (1.0, 0.0, 60.0, 0.2),
    };
    let cold = evidence(vec![class("retrieval", vec![series("retrieval-0", cold)])]);
    let found = phases(&cold).cold;
    assert_eq!(found.len(), 1);
    // The median of five minutes comes down within two of the change.
    let minutes = found[0].length.as_secs() / 60;
    assert!((18..=22).contains(&minutes), "{minutes}");
    // 4 calls in each of 19 minutes took 7.8 s longer.
    let cost = found[0].cost.as_secs();
    assert!((560..=600).contains(&cost), "{cost}");
    assert!((found[0].first - 8.0).abs() < 1e-9 && (found[0].settled - 0.2).abs() < 1e-9);
    assert!(
        phases(&evidence(vec![class("answer", vec![steady("answer-0")])]))
            .cold
            .is_empty()
    );
}

#[test]
fn a_question_that_takes_long_is_named() {
    let mut long = evidence(vec![class("answer", vec![steady("answer-0")])]);
    let found = |evidence: &Evidence| {
        let parts = phases(evidence);
        findings(evidence, &parts, &Questions::default()).late
    };
    assert_eq!(found(&long), []);
    let open = long
        .client
        .tasks
        .iter_mut()
        .find(|task| task.ended.is_none());
    let open = open.unwrap();
    open.began = Some(at(60));
    let (late, id) = (found(&long), long.client.tasks[120].id.clone());
    assert_eq!(late.len(), 1);
    assert_eq!((&late[0].id, late[0].age), (&id, Millis::from_secs(3600)));
}

#[test]
fn a_replica_unlike_its_neighbours_is_named() {
    let found = |other: Series| {
        let all = vec![steady("a-0"), steady("a-1"), steady("a-2"), other];
        let evidence = evidence(vec![class("a", all)]);
        findings(&evidence, &phases(&evidence), &Questions::default()).uneven
    };
    assert_eq!(found(steady("a-3")), []);
    // Some more calls are chance.
    assert_eq!(found(series("a-3", |_| (4.0, 0.0, 6.5, 40.0))), []);
    let idle = found(series("a-3", |_| (0.0, 0.0, 0.0, 0.0)));
    assert_eq!((idle.len(), idle[0].calls), (1, 0.0));
    let slow = found(series("a-3", |_| (4.0, 0.0, 6.0, 90.0)));
    assert_eq!((slow.len(), slow[0].time), (1, Some(2.25)));
}

#[test]
fn workers_that_starve_are_told_with_who_could_have_helped() {
    let busy = |minute| match minute {
        30..60 => (4.0, 5.5, 6.0, 40.0),
        _ => (4.0, 0.0, 6.0, 40.0),
    };
    let idle = || series("coder-0", |_| (0.0, 0.0, 0.0, 0.0));
    let starved = |other: Series| {
        let classes = vec![
            class("orchestrator", vec![series("orchestrator-0", busy)]),
            class("coder", vec![other]),
        ];
        let evidence = evidence(classes);
        analyse(&evidence).findings.starved
    };
    let found = starved(idle());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].span.length(), Millis::from_secs(30 * 60));
    assert!((found[0].idle_gpus - 1.0).abs() < 1e-9);
    assert_eq!(starved(steady("coder-0")), []);
}

#[test]
fn calls_that_wait_while_others_are_idle_are_told() {
    let waits = |minute| match minute {
        1..=20 | 50..=56 => (2.0, 1.5, 6.0, 40.0),
        // Too short.
        80..=82 => (2.0, 4.0, 6.0, 40.0),
        _ => (2.0, 0.0, 6.0, 40.0),
    };
    let classes = |seconds: u64| {
        let idle = |minute| match minute {
            // Nobody asks anybody.
            100..=110 => (0.0, 0.0, 0.0, 0.0),
            _ => (0.2, 0.0, 1.0, 10.0),
        };
        let both = |minute| match minute {
            100..=110 => (0.0, 0.0, 0.0, 0.0),
            _ => waits(minute),
        };
        let mut all = vec![
            class("orchestrator", vec![series("orchestrator-0", both)]),
            class(
                "coder",
                vec![series("coder-0", idle), series("coder-1", idle)],
            ),
        ];
        // The same, looked at less often.
        for series in all.iter_mut().flat_map(|class| &mut class.series) {
            let every = seconds / 60;
            series
                .windows
                .retain(|window| ((window.at.0 - at(0).0) / 60_000).is_multiple_of(every));
            for window in &mut series.windows {
                window.length = Millis::from_secs(seconds);
            }
        }
        analyse(&evidence(all))
    };
    let found = classes(60);
    assert_snapshot!(what_stands_out(&found), @r#"
    for 27m 00s in 2 stretches (the longest: its first 20m 00s) 1.5 calls waited for orchestrator, while 2 GPUs of others had nothing to do
    for 11m 00s (1h 39m to 1h 50m of the run) questions were left and the client asked no server: 3 GPUs had nothing to do
    "#);
    let spans = |found: &Analysis| -> Vec<(u64, u64)> {
        let all = found.findings.starved.iter().map(|one| one.span);
        let all = all.chain(found.findings.silent.iter().map(|one| one.span));
        all.map(|span| {
            let minute = |at: Timestamp| (at.0 - self::at(0).0) / 60_000;
            (minute(span.from), minute(span.until))
        })
        .collect()
    };
    assert_eq!(spans(&found), [(0, 20), (49, 56), (99, 110)]);
    assert_eq!(spans(&classes(120)).len(), 3);
}

#[test]
fn the_slowest_questions_are_named_and_of_how_many_that_is_known() {
    let mut slow = evidence(vec![class("answer", vec![steady("answer-0")])]);
    slow.client.tasks[80].began = Some(at(10));
    slow.client.tasks[90].began = Some(at(50));
    for task in &mut slow.client.tasks[100..105] {
        task.began = None;
    }
    assert_snapshot!(what_stands_out(&analyse(&slow)), @r#"
    the slowest questions took `q81` 1h 11m, `q91` 41m 00s; half took no more than 10m 00s
    how long they took is known of 115 of 120 questions
    "#);
    for task in &mut slow.client.tasks {
        task.began = None;
    }
    assert_snapshot!(what_stands_out(&analyse(&slow)), @"how long single questions took is not known: when they began was not seen, and the order of their ends does not tell");
}

fn what_stands_out(analysis: &Analysis) -> String {
    let mut all = verdict_sections(analysis).into_iter();
    let found = all.find(|(title, _)| *title == "what stands out");
    found.map_or_else(String::new, |(_, lines)| lines.join("\n"))
}

#[test]
fn a_full_cache_and_a_long_end_are_told() {
    let mut full = series("answer-0", |_| (6.0, 3.0, 6.0, 60.0));
    for window in &mut full.windows {
        window.kv = Some(0.99);
        window.preemptions = Some(1.0);
    }
    assert_snapshot!(text(&evidence(vec![class("answer", vec![full])])), @r#"
    limited by: answer, KV-limited
      answer  KV-limited  cache full in 100 % of looks, 17 of 100 calls preempted, 3.0 wait
    seats of a server: answer 6 (more waited)
    10 % of the questions' time is at no server that was sampled: the client itself, its tools, the judge
    60 questions an hour
    no advice: the cache of answer is full, and how much more replicas would bring is not to be told from that
    time left: about 1h 19m (1h 12m to 2h 05m)
    2.0 GPU hours, 0.0 with nothing to do (0 %); 1m 00s of one GPU a question
    "#);
    let mut end = evidence(vec![class("answer", vec![steady("answer-0")])]);
    // One question was begun at the start and is still there; all others are over.
    end.client.total = Some(41);
    end.client.done = 40;
    end.client.tasks.truncate(40);
    end.client.tasks.push(Task {
        id: "the last one".to_owned(),
        began: Some(at(0)),
        ended: None,
    });
    assert_snapshot!(text(&end), @r#"
    limited by: its end: 69 % of the time with fewer than half of the questions at once; the longest first, or a cap on rounds, shortens that
      answer  keeps up  4.0 calls computed on 1 replica, 0.0 wait
    seats of a server: answer not known
    61 % of the questions' time is at no server that was sampled: the client itself, its tools, the judge
    62 questions an hour
    question `the last one` takes 2h 00m already; half take no more than 10m 00s
    no advice: its end is what takes long: few questions are left, and servers have places free
    time left: about 1h 11m (2m 23s to 6h 05m)
    2.0 GPU hours, 0.0 with nothing to do (0 %); 3m 00s of one GPU a question
    "#);
}

#[test]
fn who_stands_still_has_no_time_left_to_tell() {
    let mut still = evidence(vec![class("answer", vec![steady("answer-0")])]);
    still.until = at(MINUTES + 9);
    assert!(matches!(eta(&still), Eta::Left { .. }));
    still.until = at(MINUTES + 60);
    assert_snapshot!(text(&still), @r#"
    limited by: unknown: nothing was finished for 1h 00m
      answer  keeps up  4.0 calls computed on 1 replica, 0.0 wait
    seats of a server: answer not known
    60 % of the questions' time is at no server that was sampled: the client itself, its tools, the judge
    questions under way and their times do not agree by 35 % (N = X·R): not all of them were seen, or the run was not steady
    39 questions an hour
    question `q121` takes 1h 09m already; half take no more than 10m 00s
    question `q122` takes 1h 08m already; half take no more than 10m 00s
    question `q123` takes 1h 07m already; half take no more than 10m 00s
    7 more take as long
    no advice: nobody can tell whether more replicas help
    time left: unknown
    3.0 GPU hours, 0.0 with nothing to do (0 %); 1m 30s of one GPU a question
    "#);
    still.client.tasks.clear();
    assert!(matches!(eta(&still), Eta::Unknown { .. }));
}

#[test]
fn hours_are_counted_by_what_gpus_did() {
    let half = series("coder-0", |minute| {
        (f64::from(u8::from(minute % 2 == 0)), 0.0, 1.0, 30.0)
    });
    let unseen = Class {
        name: "search".to_owned(),
        replicas: 2,
        gpus_per_replica: 2,
        ..Class::default()
    };
    let mut evidence = evidence(vec![class("coder", vec![half]), unseen]);
    evidence.nodes = vec![Node {
        name: "n1".to_owned(),
        gpus: 8,
        ..Node::default()
    }];
    let cost = cost(&evidence).unwrap();
    let near = |seen: f64, expected: f64| assert!((seen - expected).abs() < 1e-9, "{cost:?}");
    near(cost.gpu_hours, 10.0);
    near(cost.idle_hours, 1.0);
    near(cost.unseen_hours, 8.0);
    near(cost.unused_hours, 6.0);
    near(cost.per_question.unwrap(), 10.0 / 120.0);
}

#[test]
fn nothing_is_made_of_nothing() {
    let nothing = Evidence::default();
    assert_snapshot!(text(&nothing), @r#"
    limited by: unknown: nothing is known of the queues of its servers: results do not tell, and a run of `toolorch up` would
    no advice: nobody can tell whether more replicas help
    time left: unknown, how many questions there are is not known
    "#);
    assert_eq!(short_text(&analyse(&nothing)).lines().count(), 2);
    let asked = what_if(&nothing, &["1 a:b".parse().unwrap()]);
    assert_snapshot!(what_if_text(&asked), @"refused: none of its models has GPUs, so that there is nothing to move: ask of a run on GPUs, or of a rehearsal of a cluster that has them (toolorch rehearse CLUSTER.yaml)");
}
