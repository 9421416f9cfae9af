//! Runs whose truth is known, of four kinds: is the verdict right, is advice given where it belongs, and does it come true?

use std::collections::BTreeSet;

use insta::assert_snapshot;

use super::simulated::{Run, Servers, Setting};
use super::*;
use crate::base::Timestamp;

const SEEDS: u64 = 10;

fn servers(name: &'static str, replicas: usize, seats: usize, tokens: f64) -> Servers {
    Servers {
        name,
        replicas,
        seats,
        tokens,
        spread: 0.6,
        gap: 0.02,
        slowdown: 0.02,
    }
}

fn setting(seed: u64) -> Setting {
    Setting {
        classes: vec![
            servers("orchestrator", 4, 8, 1500.0),
            servers("answer", 8, 64, 800.0),
            servers("coder", 8, 64, 300.0),
        ],
        concurrency: 64,
        questions: 600,
        rounds: 2.8,
        asks: vec![0.3, 0.15],
        delay: 1.0,
        seed,
        until: None,
    }
}

pub(super) fn queue(seed: u64) -> Setting {
    setting(seed)
}

pub(super) fn decode(seed: u64) -> Setting {
    let mut setting = setting(seed);
    setting.classes[0].seats = 256;
    setting
}

pub(super) fn client(seed: u64) -> Setting {
    Setting {
        delay: 120.0,
        ..decode(seed)
    }
}

pub(super) fn balanced(seed: u64) -> Setting {
    let mut setting = decode(seed);
    setting.classes[0].tokens = 700.0;
    setting.classes[1] = servers("answer", 4, 256, 1400.0);
    setting.classes[2] = servers("coder", 4, 256, 1400.0);
    setting.asks = vec![0.4, 0.4];
    setting
}

/// All classes wait, and none has anything to give.
fn crowded(seed: u64) -> Setting {
    let mut setting = balanced(seed);
    for class in &mut setting.classes {
        class.seats = 4;
    }
    setting
}

pub(super) fn expected(limit: &Limit) -> String {
    match limit {
        Limit::Class { class, verdict } => format!("{class}, {}", verdict.word()),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_answer_is_two_plain_sentences() {
    let said = |kind: fn(u64) -> Setting| {
        let found = headline(&analyse(&Run::evidence(&kind(1))));
        let gain = found.gain.map_or_else(String::new, |gain| {
            format!(
                "\n  {:.2} ({:.2} to {:.2})",
                gain.factor, gain.low, gain.high
            )
        });
        format!(
            "{:?}: {}\n  {}{gain}",
            found.tone, found.limit, found.change
        )
    };
    let all = [queue, decode, client, balanced, crowded].map(said);
    assert_snapshot!(all.join("\n"), @r#"
    Change: Calls wait for `orchestrator`: a call spends 48 % of its time in the queue.
      Move 5 GPUs from `coder` to `orchestrator`.
      1.71 (1.47 to 1.97)
    Try: Questions spend their time with the tokens of `orchestrator`, and nobody waits for a place there.
      Shorter answers of `orchestrator`, fewer rounds or more questions at once (`concurrency`, now 64) would help; more replicas would find little to do.
    Try: The client limits it: 24 % of its questions are at servers, and nobody waits there.
      Raise `concurrency` from 64: servers have places for more than ten times as many. What it brings depends on the client, and cannot be told from this run.
    Fine: Nothing limits it more than anything else.
      Nothing needs to be moved: no class has GPUs to spare for one that lacks them.
    Try: Calls wait for `orchestrator` and `answer` alike.
      No model has GPUs to give to another: only more GPUs, shorter answers or fewer rounds would help.
    "#);
}

/// The limit of each seed, and the advice's reason not to advise.
fn judged(kind: fn(u64) -> Setting) -> BTreeSet<(String, bool)> {
    (1..=SEEDS)
        .map(|seed| {
            let found = analyse(&Run::evidence(&kind(seed)));
            let advised = matches!(found.advice, Advice::Change { .. });
            (expected(&found.limit), advised)
        })
        .collect()
}

fn only(limit: &str, advised: bool) -> BTreeSet<(String, bool)> {
    BTreeSet::from([(limit.to_owned(), advised)])
}

/// How often what was measured after a change lies in the interval that was predicted for it.
fn held(
    seeds: u64,
    kind: fn(u64) -> Setting,
    predicted: impl Fn(&Evidence) -> Prediction,
) -> usize {
    let within = |seed| {
        let before = kind(seed);
        let prediction = predicted(&Run::evidence(&before));
        // The record is kept in between, and the next run has other luck.
        let kept = serde_json::to_string(&prediction).unwrap();
        let kept: Prediction = serde_json::from_str(&kept).unwrap();
        let mut after = kind(seed + 1000);
        for class in &mut after.classes {
            class.replicas = kept.after[class.name];
        }
        let compared = compare(&kept, &Run::evidence(&after));
        matches!(compared, Compared::Measured { within: true, .. })
    };
    (1..=seeds).filter(|seed| within(*seed)).count()
}

fn moving(text: &str) -> impl Fn(&Evidence) -> Prediction {
    let step: Move = text.parse().unwrap();
    move |evidence| match what_if(evidence, std::slice::from_ref(&step)) {
        Outcome::Predicted { prediction, .. } => prediction,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_waits_for_one_class_is_told_so_and_what_helps() {
    assert_eq!(judged(queue), only("orchestrator, queue-limited", true));
}

#[test]
fn what_is_advised_comes_true() {
    let advised = |evidence: &Evidence| match analyse(evidence).advice {
        Advice::Change { prediction, .. } => *prediction,
        Advice::Nothing { why } => panic!("{why}"),
    };
    let held = held(SEEDS, queue, advised);
    assert!(held >= 9, "{held} of {SEEDS}");
}

#[test]
fn who_waits_for_tokens_is_told_so_and_nothing_is_advised() {
    assert_eq!(judged(decode), only("orchestrator, decode-limited", false));
}

#[test]
fn who_waits_for_the_client_is_told_so_and_nothing_is_advised() {
    assert_eq!(judged(client), only("Client", false));
}

#[test]
fn where_nothing_stands_out_nothing_is_advised() {
    assert_eq!(judged(balanced), only("Balanced", false));
    assert_eq!(judged(crowded), only("Balanced", false));
}

#[test]
fn what_if_comes_true_whatever_the_run_is_limited_by() {
    // One replica more for a queue, one less, and replicas for those whom nobody waits for.
    for (kind, moves) in [
        (queue as fn(u64) -> Setting, "1 coder:orchestrator"),
        (queue, "2 orchestrator:coder"),
        (decode, "4 coder:orchestrator"),
        (client, "4 coder:orchestrator"),
    ] {
        let held = held(4, kind, moving(moves));
        assert!(held >= 3, "{moves}: {held} of 4");
    }
}

#[test]
fn too_little_evidence_carries_no_advice() {
    let early = |until| {
        let setting = Setting {
            until: Some(until),
            ..queue(3)
        };
        match analyse(&Run::evidence(&setting)).advice {
            Advice::Nothing { why } => why,
            Advice::Change { prediction, .. } => panic!("{:?}", prediction.estimate),
        }
    };
    assert_snapshot!(early(200.0), @"the best one, to move 4 GPUs from answer to orchestrator, would bring 1.54× (1.05–2.19), which may be nothing");
    assert_snapshot!(early(100.0), @"only 23 questions were finished in the steady time");
}

#[test]
fn gpus_that_nobody_has_are_given_before_any_model_gives_some() {
    let mut evidence = Run::evidence(&queue(1));
    evidence.nodes[0].gpus += 2;
    let text = verdict_text(&analyse(&evidence));
    let advice = text
        .lines()
        .skip_while(|line| !line.starts_with("advice: "));
    let advice: Vec<&str> = advice.take(2).collect();
    assert_snapshot!(advice.join("\n"), @r"
    advice: give 2 unused GPUs to orchestrator: 1.38× (1.20–1.58) as many questions an hour, because calls to orchestrator wait 48 % of their time and those GPUs are not used
      models.orchestrator.replicas: 4 → 6
    ");
}

#[test]
fn without_counters_of_the_queue_nobody_advises() {
    let mut evidence = Run::evidence(&queue(1));
    for series in &mut evidence.classes[0].series {
        for window in &mut series.windows {
            window.waiting = None;
            window.queue_seconds = None;
        }
    }
    let found = analyse(&evidence);
    assert_snapshot!(verdict_text(&found), @r"
    limited by: not known, because whether calls wait at orchestrator was not measured, and 91 % of the questions' time is with it
      orchestrator  not known     57.4 calls under way on 4 replicas, by the client's times
      answer        not limiting  4.4 calls running on 8 replicas, 0 waiting
      coder         idle          0.8 calls running on 8 replicas, 0 waiting
    calls that one server runs at once, at most: orchestrator 8 (`--max-num-seqs`), answer 64 (`--max-num-seqs`), coder 64 (`--max-num-seqs`)
    1190 questions an hour in its steady time, 26 min of 35 min; 1290 at most at the capacity of orchestrator
    for the last 18 % of the run fewer than half as many questions were under way as could be
    the slowest questions: `q334` 22m 15s, `q239` 18m 15s, `q352` 16m 01s; the median is 2m 19s
    no move of GPUs is advised, because it is not known whether more replicas would help
      5, 6, 8 replicas of orchestrator would bring at most 1.22×, 1.44×, 1.84×, if all of its time were waiting; if none is, nothing
    11.6 GPU hours, 7.4 of them idle (63 %); 1m 09s of GPU time per question
    ");
    let asked = what_if(&evidence, &["2 coder:orchestrator".parse().unwrap()]);
    assert_snapshot!(what_if_text(&asked), @r#"
    at most 1.44× as many questions an hour, and maybe no more than now: whether calls wait at orchestrator was not measured
      models.orchestrator.replicas: 4 → 6
      models.coder.replicas: 8 → 6
    "#);
}

#[test]
fn the_kinds_read_so() {
    let text = |kind: fn(u64) -> Setting| verdict_text(&analyse(&Run::evidence(&kind(1))));
    assert_snapshot!(text(queue), @r"
    limited by: orchestrator, queue-limited
      orchestrator  queue-limited  29.6 calls running on 4 replicas, 27.7 waiting, 48 % of a call's time
      answer        not limiting   4.4 calls running on 8 replicas, 0 waiting
      coder         idle           0.8 calls running on 8 replicas, 0 waiting
    calls that one server runs at once, at most: orchestrator 8 (`--max-num-seqs`), answer 64 (`--max-num-seqs`), coder 64 (`--max-num-seqs`)
    1190 questions an hour in its steady time, 26 min of 35 min; 1290 at most at the capacity of orchestrator
    for 29m 00s from the beginning 26.7 calls waited at orchestrator, while 10 GPUs of others were idle
    for the last 18 % of the run fewer than half as many questions were under way as could be
    the slowest questions: `q334` 22m 15s, `q239` 18m 15s, `q352` 16m 01s; the median is 2m 19s
    advice: move 5 GPUs from coder to orchestrator: 1.71× (1.47–1.97) as many questions an hour, because calls to orchestrator wait 48 % of their time and each replica of coder has 0.1 calls at a time
      models.orchestrator.replicas: 4 → 9
      models.coder.replicas: 8 → 3
    11.6 GPU hours, 7.4 of them idle (63 %); 1m 09s of GPU time per question
    ");
    assert_snapshot!(text(decode), @r"
    limited by: orchestrator, decode-limited
      orchestrator  decode-limited  53.0 calls running on 4 replicas, 0 waiting
      answer        not limiting    6.9 calls running on 8 replicas, 0 waiting
      coder         idle            1.3 calls running on 8 replicas, 0 waiting
    calls that one server runs at once, at most: orchestrator 256 (`--max-num-seqs`), answer 64 (`--max-num-seqs`), coder 64 (`--max-num-seqs`)
    1770 questions an hour in its steady time, 17 min of 23 min
    for the last 17 % of the run fewer than half as many questions were under way as could be
    the slowest questions: `q234` 13m 35s, `q291` 9m 30s, `q325` 8m 51s; the median is 1m 34s
    no move of GPUs is advised, because no call waits at orchestrator; shorter answers or fewer rounds make questions faster, and a higher `concurrency` makes more of them at once
    7.7 GPU hours, 4.4 of them idle (56 %); 46 s of GPU time per question
    ");
    assert_snapshot!(text(client), @r"
    limited by: the client: 24 % of the questions' time is at servers, and no call waits there
      orchestrator  not limiting  12.7 calls running on 4 replicas, 0 waiting
      answer        idle          2.0 calls running on 8 replicas, 0 waiting
      coder         idle          0.3 calls running on 8 replicas, 0 waiting
    calls that one server runs at once, at most: orchestrator 256 (`--max-num-seqs`), answer 64 (`--max-num-seqs`), coder 64 (`--max-num-seqs`)
    76 % of the questions' time is at no server that was measured: the client itself, its tools, the judge
    526 questions an hour in its steady time, 58 min of 1.40 h
    for the last 23 % of the run fewer than half as many questions were under way as could be
    the slowest questions: `q335` 47m 44s, `q227` 37m 08s, `q166` 36m 08s; the median is 5m 37s
    no move of GPUs is advised, because servers have room for more calls; a higher `concurrency` of the evaluation uses it
    28.1 GPU hours, 21.1 of them idle (75 %); 2m 48s of GPU time per question
    ");
    assert_snapshot!(text(balanced), @r"
    limited by: no single class of servers
      orchestrator  not limiting  22.3 calls running on 4 replicas, 0 waiting
      answer        not limiting  19.3 calls running on 4 replicas, 0 waiting
      coder         not limiting  18.9 calls running on 4 replicas, 0 waiting
    calls that one server runs at once, at most: orchestrator 256 (`--max-num-seqs`), answer 256 (`--max-num-seqs`), coder 256 (`--max-num-seqs`)
    2070 questions an hour in its steady time, 15 min of 23 min
    for the last 26 % of the run fewer than half as many questions were under way as could be
    the slowest questions: `q327` 13m 01s, `q288` 8m 47s, `q203` 8m 29s; the median is 1m 18s
    no move of GPUs is advised, because no class has GPUs to spare for one that lacks them
    4.5 GPU hours, 0.7 of them idle (15 %); 27 s of GPU time per question
    ");
    assert_snapshot!(text(crowded), @r"
    limited by: no single class of servers
      orchestrator  queue-limited  14.5 calls running on 4 replicas, 18.1 waiting, 56 % of a call's time
      answer        queue-limited  11.9 calls running on 4 replicas, 4.6 waiting, 28 % of a call's time
      coder         not limiting   11.5 calls running on 4 replicas, 1.5 waiting
    calls that one server runs at once, at most: orchestrator 4 (`--max-num-seqs`), answer 4 (`--max-num-seqs`), coder 4 (`--max-num-seqs`)
    1310 questions an hour in its steady time, 24 min of 29 min; 1440 at most at the capacity of orchestrator
    for the last 10 % of the run fewer than half as many questions were under way as could be
    the slowest questions: `q275` 17m 56s, `q186` 15m 13s, `q125` 12m 03s; the median is 2m 15s
    no move of GPUs is advised, because no class has GPUs to spare for one that lacks them
    5.9 GPU hours, 0.5 of them idle (9 %); 35 s of GPU time per question
    ");
}

#[test]
fn the_same_evidence_gives_the_same_analysis() {
    let evidence = Run::evidence(&queue(2));
    assert_eq!(analyse(&evidence), analyse(&evidence));
}

#[test]
fn what_is_measured_later_stands_beside_what_was_predicted() {
    let evidence = Run::evidence(&queue(1));
    let prediction = moving("2 coder:orchestrator")(&evidence);
    assert_snapshot!(compared_text(&compare(&prediction, &evidence)), @"the last prediction cannot be compared: coder has 8 replicas, and was to have 6");
    let mut setting = queue(1001);
    for class in &mut setting.classes {
        class.replicas = prediction.after[class.name];
    }
    let after = Run::evidence(&setting);
    assert_snapshot!(compared_text(&compare(&prediction, &after)), @"measured 1.33×, predicted 1.38× (1.20–1.58): within that interval");
    let early = Run::evidence(&Setting {
        until: Some(120.0),
        ..setting.clone()
    });
    assert_snapshot!(compared_text(&compare(&prediction, &early)), @"the last prediction cannot be compared yet: 38 questions finished in the steady time");
    setting.concurrency = 32;
    assert_snapshot!(compared_text(&compare(&prediction, &Run::evidence(&setting))), @"the last prediction cannot be compared: concurrency was 64, and is 32");
}

#[test]
fn the_end_of_a_run_is_foretold() {
    for kind in [queue as fn(u64) -> Setting, decode, client] {
        let (mut within, mut blindly) = (0, 0);
        for seed in 1..=SEEDS {
            let whole = Run::evidence(&kind(seed));
            assert_eq!(eta(&whole), Eta::Done);
            let ends = whole.client.tasks.iter().filter_map(|task| task.ended);
            let mut ends: Vec<Timestamp> = ends.collect();
            ends.sort_unstable();
            let mut half = Run::evidence(&Setting {
                until: Some(ends[ends.len() / 2].since(whole.began).as_secs_f64()),
                ..kind(seed)
            });
            let left = whole.until.since(half.until);
            let holds = |half: &Evidence| match eta(half) {
                Eta::Left { low, high, .. } => (low..=high).contains(&left),
                other => panic!("{other:?}"),
            };
            within += usize::from(holds(&half));
            // And where nobody knows when they were begun.
            half.client.tasks.retain(|task| task.ended.is_some());
            for task in &mut half.client.tasks {
                task.began = None;
            }
            blindly += usize::from(holds(&half));
        }
        assert!(within >= 9, "{within} of {SEEDS}");
        assert!(blindly >= 9, "{blindly} of {SEEDS}");
    }
}
