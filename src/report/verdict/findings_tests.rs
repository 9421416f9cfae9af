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
            computed_seconds: None,
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
            ..Client::default()
        },
        classes,
        ..Evidence::default()
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
        0..20 => (8.0, 0.0, 4.0, 120.0),
        _ => (8.0, 0.0, 60.0, 8.0),
    };
    let cold = evidence(vec![class("retrieval", vec![series("retrieval-0", cold)])]);
    let found = phases(&cold).cold;
    assert_eq!(found.len(), 1);
    // The median of five minutes comes down within two of the change.
    let minutes = found[0].length.as_secs() / 60;
    assert!((18..=22).contains(&minutes), "{minutes}");
    // 4 calls in each of 19 minutes took 112 s longer.
    let cost = found[0].cost.as_secs();
    assert!((8200..=8700).contains(&cost), "{cost}");
    assert!((found[0].first - 120.0).abs() < 1e-9 && (found[0].settled - 8.0).abs() < 1e-9);
    assert!(
        phases(&evidence(vec![class("answer", vec![steady("answer-0")])]))
            .cold
            .is_empty()
    );
}

#[test]
fn a_question_that_takes_long_is_named() {
    let mut long = evidence(vec![class("answer", vec![steady("answer-0")])]);
    let found = |evidence: &Evidence| findings(evidence, &Questions::default()).late;
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
        findings(&evidence, &Questions::default()).uneven
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
    for 27m 00s in 2 stretches (the longest: its first 20m 00s) 1.5 calls waited at orchestrator, while 2 GPUs of others were idle
    for 11m 00s (1h 39m to 1h 50m of the run) questions were left and no server had a call: 3 GPUs idle
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
    the slowest questions: `q81` 1h 11m, `q91` 41m 00s; the median is 10m 00s
    times are known of 115 of 120 questions
    "#);
    for task in &mut slow.client.tasks {
        task.began = None;
    }
    assert_snapshot!(what_stands_out(&analyse(&slow)), @"how long single questions took is not known: nothing tells when each began");
}

fn what_stands_out(analysis: &Analysis) -> String {
    Sentences::of(analysis).stands_out.join("\n")
}

#[test]
fn a_full_cache_and_a_long_end_are_told() {
    let mut full = series("answer-0", |_| (6.0, 3.0, 6.0, 60.0));
    for window in &mut full.windows {
        window.kv = Some(0.99);
        window.preemptions = Some(1.0);
    }
    assert_snapshot!(text(&evidence(vec![class("answer", vec![full])])), @r"
    limited by: answer, KV-limited
      answer  KV-limited  KV cache full in 100 % of samples, 17 preemptions per 100 calls, 3.0 calls waiting
    calls that one server runs at once, at most: answer 6 (seen: further calls waited)
    10 % of the questions' time is at no server that was measured: the client itself, its tools, the judge
    60 questions an hour in its steady time, 1.84 h of 2.00 h
    no move of GPUs is advised, because the KV cache of answer is full, and how much more replicas would bring cannot be told from that; fewer questions at once or shorter contexts relieve it
    time left: about 1h 19m (1h 12m to 2h 05m)
    2.0 GPU hours, 0.0 of them idle (0 %); 1m 00s of GPU time per question
    ");
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
    assert_snapshot!(text(&end), @r"
    limited by: the last questions, for 69 % of the time fewer than half as many were under way as could be
      answer  not limiting  4.0 calls running on 1 replica, 0 waiting
    calls that one server runs at once, at most: answer not known
    61 % of the questions' time is at no server that was measured: the client itself, its tools, the judge
    62 questions an hour in its steady time, 28 min of 2.00 h
    question `the last one` has taken 2h 00m so far; the median is 10m 00s
    no move of GPUs is advised, because few questions are left and servers have room; start the longest questions first, or cap their rounds
    time left: about 1h 11m (2m 23s to 6h 05m)
    2.0 GPU hours, 0.0 of them idle (0 %); 3m 00s of GPU time per question
    ");
}

#[test]
fn who_stands_still_has_no_time_left_to_tell() {
    let mut still = evidence(vec![class("answer", vec![steady("answer-0")])]);
    still.until = at(MINUTES + 9);
    assert!(matches!(eta(&still), Eta::Left { .. }));
    still.until = at(MINUTES + 60);
    assert_snapshot!(text(&still), @r"
    limited by: not known, because no question was finished for 1h 00m
      answer  not limiting  4.0 calls running on 1 replica, 0 waiting
    calls that one server runs at once, at most: answer not known
    60 % of the questions' time is at no server that was measured: the client itself, its tools, the judge
    questions under way and the times of questions disagree by 35 % (Little's law): not all of them were seen, or the run was not steady
    39 questions an hour in its steady time, 2.84 h of 3.00 h
    question `q121` has taken 1h 09m so far; the median is 10m 00s
    question `q122` has taken 1h 08m so far; the median is 10m 00s
    question `q123` has taken 1h 07m so far; the median is 10m 00s
    7 more questions take as long
    no move of GPUs is advised, because it is not known whether more replicas would help
    time left: not known
    3.0 GPU hours, 0.0 of them idle (0 %); 1m 30s of GPU time per question
    ");
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
    limited by: not known, because whether calls wait at its servers was not measured (results do not tell, and a run of `toolorch up` would)
    no move of GPUs is advised, because it is not known whether more replicas would help
    time left: not known, because how many questions there are is not known
    "#);
    assert_eq!(short_text(&analyse(&nothing)).lines().count(), 2);
    let asked = what_if(&nothing, &["1 a:b".parse().unwrap()]);
    assert_snapshot!(what_if_text(&asked), @"refused: none of its models has GPUs, so that there is nothing to move: ask of a run on GPUs, or of a rehearsal of a cluster that has them (toolorch rehearse CLUSTER.yaml)");
}

/// A model that decodes, a service of which nothing was seen, and a worker for each of so many calls.
fn with_unseen(running: f64) -> Evidence {
    let busy = series("orchestrator-0", move |_| {
        (running, 0.0, 6.0, 10.0 * running)
    });
    let unseen = Class {
        name: "retrieval".to_owned(),
        replicas: 1,
        gpus_per_replica: 1,
        fixed: true,
        ..Class::default()
    };
    evidence(vec![class("orchestrator", vec![busy]), unseen])
}

#[test]
fn what_was_not_seen_and_has_little_of_the_time_is_no_veto() {
    let found = analyse(&with_unseen(9.4));
    assert_snapshot!(text(&with_unseen(9.4)).lines().take(4).collect::<Vec<_>>().join("\n"), @r#"
    limited by: orchestrator, decode-limited
      orchestrator  decode-limited  9.4 calls running on 1 replica, 0 waiting
      retrieval     not known       not measured, 1 replica: 6 % of the questions' time at most
    calls that one server runs at once, at most: orchestrator not known
    "#);
    assert!(matches!(&found.limit, Limit::Class { class, .. } if class == "orchestrator"));
    assert!(
        found.classes[1]
            .measured
            .most_share
            .is_some_and(|share| share < 0.1)
    );
    // Half of the time may be anywhere.
    let found = analyse(&with_unseen(5.0));
    assert!(
        matches!(found.limit, Limit::Unknown { .. }),
        "{:?}",
        found.limit
    );
    assert_snapshot!(text(&with_unseen(5.0)), @r"
    limited by: not known, because whether calls wait at retrieval was not measured, and up to 50 % of the questions' time may be with it
      orchestrator  not limiting  5.0 calls running on 1 replica, 0 waiting
      retrieval     not known     not measured, 1 replica: 50 % of the questions' time at most
    calls that one server runs at once, at most: orchestrator not known
    50 % of the questions' time is at no server that was measured: the client itself, its tools, the judge, retrieval
    60 questions an hour in its steady time, 1.84 h of 2.00 h
    no move of GPUs is advised, because it is not known whether more replicas would help
    time left: about 1h 21m (1h 13m to 2h 24m)
    4.0 GPU hours, 0.0 of them idle (0 %), 2.0 of them not measured; 2m 00s of GPU time per question
    ");
    // How long calls wait at the orchestrator was measured.
    assert_eq!(found.at_most, None);
}

#[test]
fn a_service_is_known_by_the_client_s_times() {
    let calls = |count, mean| Calls { count, mean };
    let step = |name: &str, calls| Step {
        name: name.to_owned(),
        calls,
    };
    let mut known = with_unseen(5.0);
    known.client.steps = vec![
        step("orchestrator", calls(720, 50.0)),
        step("search", calls(100, 2.5)),
    ];
    known.classes[1].calls = Some(calls(100, 0.004));
    let idle = analyse(&known);
    assert_eq!(idle.classes[1].verdict, Verdict::Idle);
    assert!(
        !matches!(idle.limit, Limit::Unknown { .. }),
        "{:?}",
        idle.limit
    );
    known.classes[1].calls = Some(calls(0, 0.0));
    let never = analyse(&known);
    assert_eq!(never.classes[1].verdict, Verdict::Idle);
    assert_snapshot!(text(&known).lines().nth(2).unwrap_or_default(), @r"  retrieval     idle          no calls in the results on 1 replica");
}

#[test]
fn one_question_has_no_more_calls_under_way_than_there_are_questions() {
    let mut one = with_unseen(1.0);
    one.client.tasks.clear();
    one.client.concurrency = Some(32);
    one.client.total = Some(1);
    one.client.done = 1;
    one.client.steps = vec![Step {
        name: "answer".to_owned(),
        calls: Calls {
            count: 2,
            mean: 3.0,
        },
    }];
    one.classes[0].series.clear();
    one.classes[0].calls = Some(Calls {
        count: 2,
        mean: 3.0,
    });
    let found = analyse(&one);
    assert_eq!(found.classes[0].measured.in_flight, Some(1.0));
    assert!((found.floor_hours.unwrap() - 6.0 / 3600.0).abs() < 1e-12);
}

#[test]
fn a_stall_and_a_sorted_dataset_are_no_cold_start() {
    // It hangs for a while; the calls of that time come in long after, and when the client is done a canary asks for a token.
    let hung = |minute| match minute {
        10..=30 => (8.0, 0.0, 0.0, 0.0),
        31..=40 => (8.0, 0.0, 6.0, 1300.0),
        0..90 => (8.0, 0.0, 6.0, 80.0),
        _ => (0.0, 0.0, 1.0, 0.02),
    };
    let mut stalled = series("orchestrator-0", hung);
    for (window, minute) in stalled.windows.iter_mut().zip(1..) {
        window.generated = Some(match minute {
            10..=30 => 0.0,
            0..90 => 24_000.0,
            _ => 1.0,
        });
    }
    // Long questions come first, at the same pace of tokens.
    let mut sorted = series("orchestrator-0", |minute| match minute {
        0..50 => (8.0, 0.0, 2.0, 240.0),
        _ => (8.0, 0.0, 60.0, 8.0),
    });
    for window in &mut sorted.windows {
        window.generated = Some(24_000.0);
    }
    for series in [stalled, sorted] {
        let found = evidence(vec![class("orchestrator", vec![series])]);
        assert_eq!(phases(&found).cold, []);
    }
}

#[test]
fn imbalance_is_told_against_the_others_and_beyond_chance() {
    let calls = |name: &'static str, calls: f64| series(name, move |_| (4.0, 0.0, calls, 40.0));
    let said = |all: Vec<Series>| what_stands_out(&analyse(&evidence(vec![class("a", all)])));
    assert_snapshot!(said(vec![calls("a-0", 6.9), calls("a-1", 0.63)]), @"a-0 was called 11 times as often as the others");
    // A few calls say nothing, and so does a short time in which one had fewer of many.
    let mut short = evidence(vec![class(
        "a",
        vec![
            calls("a-0", 20.0),
            calls("a-1", 12.0),
            calls("a-2", 20.0),
            calls("a-3", 20.0),
        ],
    )]);
    for series in &mut short.classes[0].series {
        series.windows.truncate(2);
    }
    assert_eq!(findings(&short, &Questions::default()).uneven, []);
    // One has a queue all the time.
    let waits = |name: &'static str, waiting: f64, each: f64| {
        let mut series = series(name, move |_| (4.0, waiting, 6.0, 40.0));
        for window in &mut series.windows {
            window.queue_seconds = Some(6.0 * each);
        }
        series
    };
    assert_snapshot!(said(vec![waits("a-0", 0.7, 7.06), waits("a-1", 4.3, 43.53)]), @"a-1 has calls wait 44 s, and the others 7.1 s: the client does not spread its calls by load");
    assert_snapshot!(said(vec![waits("a-0", 4.2, 42.0), waits("a-1", 4.3, 43.53)]), @"");
    // Who did not work all the time is told for that.
    let mut down = evidence(vec![class(
        "a",
        vec![calls("a-0", 6.0), calls("a-1", 6.0), calls("a-2", 1.0)],
    )]);
    down.incidents = vec![Incident {
        replica: "a-2".to_owned(),
        trouble: Trouble::StoodStill,
        span: Span {
            from: at(20),
            until: at(110),
        },
        over: true,
        calls: Some(7.0),
    }];
    down.client.failed_calls = Some(FailedCalls {
        failed: 43,
        calls: 812,
    });
    let limit = |down: &Evidence| match analyse(down).limit {
        Limit::Unknown { why } => why,
        limit => panic!("{limit:?}"),
    };
    assert_snapshot!(limit(&down), @"a-2 stood still for 82 % of the judged time, and questions that had asked there did not go on");
    assert_snapshot!(what_stands_out(&analyse(&down)), @r#"
    a-2 stood still for 1h 30m (20m 00s to 1h 50m of the run), with up to 7 calls on it
    43 of 812 calls failed
    "#);
    // Nobody waits for an answer of a server that is gone; but a quarter of them is much.
    down.incidents[0].trouble = Trouble::Ended;
    assert_snapshot!(limit(&down), @"the servers of a did not work for 27 % of the judged time");
    down.incidents[0].span.until = at(90);
    assert!(!matches!(analyse(&down).limit, Limit::Unknown { .. }));
}

#[test]
fn errors_absence_and_others_are_told() {
    let mut bad = evidence(vec![class("answer", vec![steady("answer-0")])]);
    bad.client.errors = Some(60);
    bad.client.absent = vec![Span {
        from: at(30),
        until: at(50),
    }];
    bad.beside = vec![Beside {
        evaluation: "frames".to_owned(),
        length: Millis::from_secs(3600),
        concurrency: Some(10),
    }];
    bad.client.gone = true;
    assert_snapshot!(text(&bad), @r"
    limited by: the client: at most 49 % of the questions' time is at servers, and no call waits there
      answer  not limiting  4.0 calls running on 1 replica, 0 waiting
    calls that one server runs at once, at most: answer not known
    70 % of the questions' time is at no server that was measured: the client itself, its tools, the judge
    questions under way and the times of questions disagree by 23 % (Little's law): not all of them were seen, or the run was not steady
    60 questions an hour in its steady time, 1.84 h of 2.00 h, those that ended in an error included (60)
    60 questions ended in an error
    for 20m 00s (30m 00s to 50m 00s of the run) no client was running
    evaluation `frames` used the same servers for 1h 00m of this time: what servers counted, and GPU hours, are of both
    no move of GPUs is advised, because servers have room for more calls; a higher `concurrency` of the evaluation uses it
    time left: not known, because no client is running for the 80 questions that are left
    2.0 GPU hours, 0.0 of them idle (0 %); 2m 00s of GPU time per answered question
    ");
    // Half of the finished questions are answers, and each costs twice as much.
    let cost = cost(&bad).unwrap();
    assert!((cost.per_question.unwrap() - 2.0 / 60.0).abs() < 1e-9);
    assert!(matches!(eta(&bad), Eta::Unknown { .. }));
}
