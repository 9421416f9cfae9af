//! Evidence that looks alone would misread: few of them when nothing was under way, servers that stood still, and other evaluations.

use insta::assert_snapshot;

use super::simulated::{BEGAN, Run, Setting};
use super::truth_tests::{balanced, client, decode, expected, queue};
use super::*;
use crate::base::{Millis, Timestamp};

fn plus(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.map(|one| one + other.unwrap_or(0.0))
}

/// The same run with a look where its client was killed, when it began again, and when it ended: nothing ran then, and all that was
/// counted was counted in between.
fn seldom(mut evidence: Evidence) -> Evidence {
    let wall = evidence.until.since(evidence.began).as_secs_f64();
    let looks =
        [0.3, 0.32, 1.0].map(|share| Timestamp(BEGAN.0 + Millis::from_secs_f64(share * wall).0));
    for series in evidence.classes.iter_mut().flat_map(|one| &mut one.series) {
        let all = std::mem::take(&mut series.windows);
        let mut from = evidence.began;
        for at in looks {
            let within = all.iter().filter(|one| one.at > from && one.at <= at);
            let sum = within.fold(None, |sum: Option<Window>, one| {
                let sum = sum.unwrap_or(Window {
                    finished: Some(0.0),
                    queue_seconds: Some(0.0),
                    inference_seconds: Some(0.0),
                    computed_seconds: Some(0.0),
                    generated: Some(0.0),
                    preemptions: Some(0.0),
                    ..*one
                });
                Some(Window {
                    finished: plus(sum.finished, one.finished),
                    queue_seconds: plus(sum.queue_seconds, one.queue_seconds),
                    inference_seconds: plus(sum.inference_seconds, one.inference_seconds),
                    computed_seconds: plus(sum.computed_seconds, one.computed_seconds),
                    generated: plus(sum.generated, one.generated),
                    preemptions: plus(sum.preemptions, one.preemptions),
                    ..sum
                })
            });
            series.windows.extend(sum.map(|sum| Window {
                at,
                length: at.since(from),
                running: Some(0.0),
                waiting: Some(0.0),
                kv: Some(0.0),
                ..sum
            }));
            from = at;
        }
    }
    evidence
}

fn limits(kind: fn(u64) -> Setting) -> Vec<String> {
    let limit = |seed| expected(&analyse(&seldom(Run::evidence(&kind(seed)))).limit);
    let mut all: Vec<String> = (1..=5).map(limit).collect();
    all.dedup();
    all
}

#[test]
fn few_looks_at_nothing_do_not_hide_what_was_counted() {
    assert_eq!(limits(queue), ["orchestrator, queue-limited"]);
    assert_eq!(limits(decode), ["orchestrator, decode-limited"]);
    assert_eq!(limits(client), ["Client"]);
    assert_eq!(limits(balanced), ["Balanced"]);
    let text = verdict_text(&analyse(&seldom(Run::evidence(&decode(1)))));
    assert_snapshot!(text, @r#"
    limited by: orchestrator, decode-limited
      orchestrator  decode-limited  45.2 calls running on 4 replicas, 0 waiting
      answer        not limiting    6.1 calls running on 8 replicas, 0 waiting
      coder         idle            1.0 calls running on 8 replicas, 0 waiting
    calls that one server runs at once, at most: orchestrator 256 (`--max-num-seqs`), answer 64 (`--max-num-seqs`), coder 64 (`--max-num-seqs`)
    its servers were sampled only 3 times: these are averages of what they counted from its begin to its end
    1550 questions an hour
    for 6m 00s (1m 00s to 7m 00s of the run) nine of ten questions were at orchestrator, while 8 GPUs of others were idle
    for the last 17 % of the run fewer than half as many questions were under way as could be
    the slowest questions: `q234` 13m 35s, `q291` 9m 30s, `q325` 8m 51s; the median is 1m 34s
    no move of GPUs is advised, because no call waits at orchestrator; shorter answers or fewer rounds make questions faster, and a higher `concurrency` makes more of them at once
    7.7 GPU hours, 4.2 of them idle (54 %); 46 s of GPU time per question
    "#);
    // Calls under way were counted: nobody can say that there were none.
    assert!(!text.contains("no server had a call"), "{text}");
}

#[test]
fn few_looks_alone_are_no_client_s_limit() {
    let mut blind = seldom(Run::evidence(&decode(1)));
    for window in (blind.classes.iter_mut())
        .flat_map(|one| &mut one.series)
        .flat_map(|series| &mut series.windows)
    {
        window.inference_seconds = None;
        window.computed_seconds = None;
        window.queue_seconds = None;
    }
    let found = analyse(&blind);
    let said = verdict_text(&found);
    assert_snapshot!(said, @r#"
    limited by: not known, because orchestrator does not count how long it computes and was sampled only 3 times, and 86 % of the questions' time is with it
      orchestrator  not known  46.2 calls under way on 4 replicas, by the client's times
      answer        not known  6.3 calls under way on 8 replicas, by the client's times
      coder         idle       1.1 calls under way on 8 replicas, by the client's times
    its servers were sampled only 3 times, and they do not count how long they compute
    orchestrator takes 86.3 % of the time that is accounted for, 2.8 calls a question; with this many questions at once the run takes 19 min at least
    8 of 20 GPUs serve 1.1 calls at a time
    1550 questions an hour
    for the last 17 % of the run fewer than half as many questions were under way as could be
    the slowest questions: `q234` 13m 35s, `q291` 9m 30s, `q325` 8m 51s; the median is 1m 34s
    no move of GPUs is advised, because it is not known whether more replicas would help
      5, 6, 8 replicas of orchestrator would bring at most 1.21×, 1.40×, 1.76×, if all of its time were waiting; if none is, nothing
    7.7 GPU hours; how many of them were idle was not measured; 46 s of GPU time per question
    "#);
    assert_eq!(headline(&found).tone, Tone::Unknown);
    // Nor where the client tells no times, either.
    for class in &mut blind.classes {
        class.calls = None;
    }
    assert!(matches!(analyse(&blind).limit, Limit::Unknown { .. }));
}

/// Two orchestrators, of which the second stands still for half of the time; looks find so many calls at it then.
fn halted(frozen: f64) -> Evidence {
    let mut run = Run::evidence(&Setting {
        delay: 60.0,
        ..client(1)
    });
    let wall = run.until.since(run.began).as_secs_f64();
    let moment = |share: f64| Timestamp(BEGAN.0 + Millis::from_secs_f64(share * wall).0);
    let (from, until) = (moment(0.2), moment(0.7));
    let class = &mut run.classes[0];
    class.series.truncate(2);
    class.replicas = 2;
    let windows = class.series[1].windows.iter_mut();
    for window in windows.filter(|one| one.at > from && one.at <= until) {
        *window = Window {
            running: Some(frozen),
            waiting: Some(0.0),
            finished: Some(0.0),
            queue_seconds: Some(0.0),
            inference_seconds: Some(0.0),
            computed_seconds: Some(0.0),
            generated: Some(0.0),
            ..*window
        };
    }
    run.incidents = vec![Incident {
        replica: "orchestrator-1".to_owned(),
        trouble: Trouble::StoodStill,
        span: Span { from, until },
        over: true,
        calls: Some(frozen),
    }];
    run
}

#[test]
fn time_at_a_server_that_stood_still_is_not_the_client_s() {
    for frozen in [0.0, 12.0] {
        let found = analyse(&halted(frozen));
        assert!(
            matches!(&found.limit, Limit::Unknown { why } if why.starts_with("orchestrator-1 stood still for ")),
            "{:?}",
            found.limit
        );
        assert_ne!(found.classes[0].verdict, Verdict::Idle);
        assert!(matches!(found.advice, Advice::Nothing { .. }));
    }
    assert_snapshot!(verdict_text(&analyse(&halted(0.0))), @r#"
    limited by: not known, because orchestrator-1 stood still for 75 % of the judged time, and questions that had asked there did not go on
      orchestrator  not known  5.9 calls running on 2 replicas, 0 waiting
      answer        idle       2.9 calls running on 8 replicas, 0 waiting
      coder         idle       0.6 calls running on 8 replicas, 0 waiting
    calls that one server runs at once, at most: orchestrator 256 (`--max-num-seqs`), answer 64 (`--max-num-seqs`), coder 64 (`--max-num-seqs`)
    85 % of the questions' time is at no server that was measured: orchestrator-1 while it stood still, the client itself, its tools, the judge
    825 questions an hour in its steady time, 37 min of 55 min
    orchestrator-1 stood still for 27m 35s (11m 02s to 38m 37s of the run)
    for the last 25 % of the run fewer than half as many questions were under way as could be
    the slowest questions: `q357` 27m 57s, `q185` 25m 58s, `q257` 25m 52s; the median is 3m 21s
    no move of GPUs is advised, because it is not known whether more replicas would help
    16.6 GPU hours, 12.9 of them idle (78 %); 1.8 more on GPUs that no server uses; 1m 39s of GPU time per question
    "#);
    // Nearly nothing runs at its neighbour, either: idle is not said of them.
    let mut quiet = halted(0.0);
    for window in &mut quiet.classes[0].series[0].windows {
        window.running = Some(0.0);
        window.inference_seconds = Some(0.0);
        window.computed_seconds = Some(0.0);
    }
    let judged = &analyse(&quiet).classes[0];
    assert!(judged.measured.running.is_some_and(|calls| calls < 1.0));
    assert_eq!(judged.verdict, Verdict::Unknown);
    // A short halt is told, and changes no verdict.
    let mut short = halted(0.0);
    let from = short.incidents[0].span.from;
    short.incidents[0].span.until = from + Millis::from_secs(60);
    assert_eq!(analyse(&short).limit, Limit::Client);
    // Nor does one of a server that nobody of this evaluation asks.
    let mut other = halted(0.0);
    other.incidents[0].replica = "wiki-0".to_owned();
    assert_eq!(analyse(&other).limit, Limit::Client);
}

#[test]
fn two_halts_at_once_are_counted_once() {
    let mut both = halted(0.0);
    let mut again = both.incidents[0].clone();
    again.replica = "answer-3".to_owned();
    both.incidents.push(again);
    let one = analyse(&halted(0.0)).limit;
    let (Limit::Unknown { why: one }, Limit::Unknown { why: two }) = (one, analyse(&both).limit)
    else {
        panic!("known");
    };
    assert_eq!(
        two,
        one.replacen("orchestrator-1", "answer-3 and orchestrator-1", 1)
    );
    for incident in &mut both.incidents {
        incident.trouble = Trouble::OutOfReach;
    }
    assert_snapshot!(expected(&analyse(&both).limit), @r#"Unknown { why: "answer-3 and orchestrator-1 could not be reached for 75 % of the judged time, and questions that had asked there did not go on" }"#);
    both.incidents[0].trouble = Trouble::StoodStill;
    assert_snapshot!(expected(&analyse(&both).limit), @r#"Unknown { why: "answer-3 and orchestrator-1 did not work for 75 % of the judged time, and questions that had asked there did not go on" }"#);
}

/// Another evaluation with as many questions at once doubles all that servers counted.
fn beside(mut evidence: Evidence, concurrency: Option<usize>) -> Evidence {
    evidence.beside = vec![Beside {
        evaluation: "other".to_owned(),
        length: evidence.until.since(evidence.began),
        concurrency,
    }];
    for window in (evidence.classes.iter_mut())
        .flat_map(|one| &mut one.series)
        .flat_map(|series| &mut series.windows)
    {
        for value in [
            &mut window.running,
            &mut window.waiting,
            &mut window.finished,
            &mut window.queue_seconds,
            &mut window.inference_seconds,
            &mut window.computed_seconds,
        ] {
            *value = value.map(|value| 2.0 * value);
        }
    }
    evidence
}

#[test]
fn calls_of_another_evaluation_are_not_this_one_s() {
    let untold = |mut evidence: Evidence| {
        for class in &mut evidence.classes {
            class.calls = None;
        }
        evidence
    };
    let limit = |evidence: &Evidence| expected(&analyse(evidence).limit);
    for concurrency in [None, Some(64)] {
        let both = |kind: fn(u64) -> Setting| beside(Run::evidence(&kind(1)), concurrency);
        // By the client's own times each is what it is alone.
        assert_eq!(limit(&both(decode)), "orchestrator, decode-limited");
        assert_eq!(limit(&both(balanced)), "Balanced");
        assert_eq!(limit(&both(client)), "Client");
        // Half of the questions can be at servers at most.
        assert_eq!(limit(&untold(both(client))), "Client");
    }
    // Without these times, those of both are taken together.
    let both = |kind: fn(u64) -> Setting| untold(beside(Run::evidence(&kind(1)), Some(64)));
    assert_eq!(limit(&both(decode)), "orchestrator, decode-limited");
    assert_eq!(limit(&both(balanced)), "Balanced");
    // Where that leaves room for a client's limit of one of them, nobody knows of which.
    let hidden = untold(beside(Run::evidence(&balanced(1)), Some(200)));
    assert_snapshot!(limit(&hidden), @r#"Unknown { why: "evaluation `other` used the same servers, and whose calls they computed is not known" }"#);
    let hidden = untold(beside(Run::evidence(&balanced(1)), None));
    assert_snapshot!(limit(&hidden), @r#"Unknown { why: "evaluation `other` used the same servers, and whose calls they computed is not known" }"#);
    // A moment beside each other is nothing.
    let mut moment = beside(Run::evidence(&balanced(1)), None);
    moment.beside[0].length = Millis::from_secs(5);
    assert_eq!(analyse(&moment).questions.shared, None);
}

#[test]
fn who_waits_is_said_as_it_is_counted() {
    let said = |waiting: f64| {
        let mut evidence = Run::evidence(&decode(1));
        for series in &mut evidence.classes[0].series {
            for window in &mut series.windows {
                window.queue_seconds = Some(waiting / 4.0 * window.length.as_secs_f64());
            }
        }
        let found = analyse(&evidence);
        let text = verdict_text(&found);
        let advised = text.lines().find(|line| line.starts_with("no move"));
        let advised = advised.unwrap().split(';').next().unwrap().to_owned();
        format!("{}\n{advised}", headline(&found).limit)
    };
    assert_snapshot!([0.0, 0.04, 2.4].map(said).join("\n"), @r#"
    Questions spend their time with the tokens of `orchestrator`, and nobody waits for a place there.
    no move of GPUs is advised, because no call waits at orchestrator
    Questions spend their time with the tokens of `orchestrator`, and hardly any call waits for a place there.
    no move of GPUs is advised, because hardly any call waits at orchestrator
    Questions spend their time with the tokens of `orchestrator`, and few calls wait for a place there.
    no move of GPUs is advised, because few calls wait at orchestrator
    "#);
    let mut limited = Run::evidence(&client(1));
    for series in &mut limited.classes[1].series {
        for window in &mut series.windows {
            window.queue_seconds = Some(0.1 * window.length.as_secs_f64());
        }
    }
    let found = analyse(&limited);
    assert_snapshot!(format!("{}\n{}", headline(&found).limit, verdict_text(&found).lines().next().unwrap()), @r#"
    Calls wait for `answer`: a call spends 28 % of its time in the queue.
    limited by: answer, queue-limited
    "#);
}
