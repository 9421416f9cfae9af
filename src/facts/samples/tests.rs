//! Pages, lines and series, from one end to the other.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::busy::Busy;
use super::*;
use crate::base::{Epoch, Generation, Millis, RunId, Timestamp, UnitId};
use crate::knowledge::series::{Counter, Distribution, Gauge};

const PAGE: &str = r#"# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
process_start_time_seconds 1.7e9
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 4.0
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 1.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.25
vllm:generation_tokens_total{engine="0",model_name="m"} 500.0
vllm:generation_tokens_total{engine="1",model_name="m"} 20.0
vllm:generation_tokens_created{engine="0",model_name="m"} 1.7e9
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 7.0
vllm:request_success_total{engine="1",finished_reason="stop",model_name="m"} 2.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 1.0
vllm:request_success_total{engine="0",finished_reason="repetition",model_name="m"} 3.0
vllm:e2e_request_latency_seconds_bucket{engine="0",le="1.0",model_name="m"} 2.0
vllm:e2e_request_latency_seconds_bucket{engine="0",le="+Inf",model_name="m"} 3.0
vllm:e2e_request_latency_seconds_count{engine="0",model_name="m"} 3.0
vllm:e2e_request_latency_seconds_sum{engine="0",model_name="m"} 5.5
vllm:e2e_request_latency_seconds_bucket{engine="1",le="1.0",model_name="m"} 1.0
vllm:e2e_request_latency_seconds_bucket{engine="1",le="+Inf",model_name="m"} 1.0
vllm:e2e_request_latency_seconds_count{engine="1",model_name="m"} 1.0
vllm:e2e_request_latency_seconds_sum{engine="1",model_name="m"} 0.5
vllm:time_per_output_token_seconds_count{engine="0",model_name="m"} 9.0
vllm:time_per_output_token_seconds_sum{engine="0",model_name="m"} 0.9
"#;

#[test]
fn a_page_is_summed_over_its_engines() {
    let read = ServerSample::read(PAGE).unwrap();
    assert_eq!(read.born, Some(1.7e9));
    let gauges = BTreeMap::from([
        (Gauge::Running, 7.0),
        (Gauge::Waiting, 1.0),
        (Gauge::KvCache, 0.375),
    ]);
    assert_eq!(read.gauges, gauges);
    let counters = BTreeMap::from([
        (Counter::GenerationTokens, 520.0),
        (Counter::Stopped, 9.0),
        (Counter::CutOff, 1.0),
        (Counter::Otherwise, 3.0),
    ]);
    assert_eq!(read.counters, counters, "what is not on the page is absent");
    let latency = &read.distributions[&Distribution::Latency];
    assert_eq!(latency.below, [(1.0, 3.0), (f64::INFINITY, 4.0)]);
    assert_eq!((latency.count, latency.sum), (4.0, 6.0));
    let gaps = &read.distributions[&Distribution::BetweenTokens];
    assert_eq!(gaps.count.total_cmp(&9.0), std::cmp::Ordering::Equal);
}

#[test]
fn of_two_names_for_the_same_the_new_one_counts() {
    let both = format!(
        "{PAGE}vllm:inter_token_latency_seconds_count{{engine=\"0\"}} 8.0\nvllm:gpu_cache_usage_perc 0.3\n"
    );
    let read = ServerSample::read(&both).unwrap();
    let gaps = &read.distributions[&Distribution::BetweenTokens];
    assert!((gaps.count - 8.0).abs() < 1e-9);
    let old = "vllm:gpu_cache_usage_perc{model_name=\"m\"} 0.75\n";
    let read = ServerSample::read(old).unwrap();
    assert_eq!(read.gauges, BTreeMap::from([(Gauge::KvCache, 0.75)]));
}

/// From SGLang's own documentation.
#[test]
fn sglang_has_names_of_its_own() {
    let page = r#"
sglang:prompt_tokens_total{model_name="meta-llama/Llama-3.1-8B-Instruct"} 8.128902e+06
sglang:generation_tokens_total{model_name="meta-llama/Llama-3.1-8B-Instruct"} 7.557572e+06
sglang:token_usage{model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.28
sglang:time_to_first_token_seconds_bucket{le="1.0",model_name="meta-llama/Llama-3.1-8B-Instruct"} 27.0
sglang:time_to_first_token_seconds_bucket{le="+Inf",model_name="meta-llama/Llama-3.1-8B-Instruct"} 11008.0
sglang:time_to_first_token_seconds_count{model_name="meta-llama/Llama-3.1-8B-Instruct"} 11008.0
sglang:time_per_output_token_seconds_count{model_name="meta-llama/Llama-3.1-8B-Instruct"} 7.400757e+06
sglang:num_running_reqs{model_name="meta-llama/Llama-3.1-8B-Instruct"} 162.0
sglang:num_queue_reqs{model_name="meta-llama/Llama-3.1-8B-Instruct"} 2826.0
sglang:num_requests_total{model_name="meta-llama/Llama-3.1-8B-Instruct"} 11228.0
"#;
    let read = ServerSample::read(page).unwrap();
    assert_eq!(
        read.gauges.values().copied().collect::<Vec<_>>(),
        [162.0, 2826.0, 0.28]
    );
    let count = |counter| read.counters.get(&counter).copied();
    assert_eq!(count(Counter::PromptTokens), Some(8_128_902.0));
    assert_eq!(count(Counter::Otherwise), Some(11_228.0));
    assert_eq!(count(Counter::Preemptions), None);
    let first = &read.distributions[&Distribution::FirstToken];
    assert_eq!(first.below, [(1.0, 27.0), (f64::INFINITY, 11_008.0)]);
    assert!(
        read.distributions
            .contains_key(&Distribution::BetweenTokens)
    );
}

#[test]
fn a_page_of_anything_else_is_none() {
    assert_eq!(
        ServerSample::read("process_start_time_seconds 1.7e9\nup 1\n"),
        None
    );
    assert_eq!(ServerSample::read("vllm:num_requests_running NaN\n"), None);
    assert_eq!(ServerSample::read(""), None);
}

const UNIT: &str = "chat-0";

fn at(second: u64) -> Timestamp {
    Timestamp(1_767_225_600_000 + second * 1000)
}

/// What is written is what is read.
fn through_text(line: super::ServerLine) -> Line {
    let text = serde_json::to_string(&Line::Server(line)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-3 * (1.0 + other.abs()).sqrt()
}

/// Each counter and histogram of these processes, added up.
fn assert_adds_up(work: &Work, ends: &[ServerSample]) {
    for counter in Counter::ALL {
        let wanted: f64 = ends.iter().map(|end| end.counters[&counter]).sum();
        let found = work.count(counter).unwrap();
        assert!(near(found, wanted), "{counter:?}: {found} of {wanted}");
    }
    for of in Distribution::ALL {
        let mut wanted = crate::facts::Histogram::default();
        for end in ends {
            wanted.add(&end.distributions[&of]);
        }
        let found = work.distribution(of).unwrap();
        assert!(near(found.count, wanted.count), "{of:?}");
        assert!(
            near(found.sum, wanted.sum),
            "{of:?}: {} of {}",
            found.sum,
            wanted.sum
        );
        assert_eq!(found.below.len(), wanted.below.len(), "{of:?}");
        for (found, wanted) in found.below.iter().zip(&wanted.below) {
            assert!(
                found.0.total_cmp(&wanted.0).is_eq() && near(found.1, wanted.1),
                "{of:?}"
            );
        }
    }
}

/// What happens between two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Turn {
    Work,
    /// It is killed and started again; what it did since the last sample is lost with it.
    Restart,
    /// Its process alone is another one.
    Reset,
    /// Another owner goes on.
    Owner,
    /// A line is lost.
    Lost,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        12 => Just(Turn::Work),
        1 => Just(Turn::Restart),
        1 => Just(Turn::Reset),
        1 => Just(Turn::Owner),
    ];
    prop::collection::vec(turn, 1..60)
}

/// Plays this; answers with what was read and with what each process had counted at the last look at it.
fn played(turns: &[Turn], seed: u64, most: usize) -> (Samples, Vec<ServerSample>) {
    let (mut busy, mut encoder) = (Busy::new(seed), Encoder::default());
    let mut generation = Generation(1);
    let mut samples = Samples::at_most(most);
    samples.take(Line::Head(Head {
        v: Head::FORMAT,
        run: RunId::new("r-1-abcd"),
        epoch: Epoch(1),
        began: at(0),
        every: Millis::from_secs(15),
    }));
    let mut ends: Vec<ServerSample> = Vec::new();
    let mut last: Option<ServerSample> = None;
    for (number, turn) in turns.iter().enumerate() {
        match turn {
            Turn::Work | Turn::Lost => {}
            Turn::Restart => {
                generation = generation.next();
                ends.extend(last.take());
                busy.restart();
            }
            Turn::Reset => {
                ends.extend(last.take());
                busy.restart();
            }
            Turn::Owner => encoder = Encoder::default(),
        }
        busy.work();
        let line = encoder.line(
            at(15 * (number as u64 + 1)),
            &UNIT.into(),
            generation,
            &busy.sample,
        );
        last = Some(busy.sample.clone());
        if *turn == Turn::Lost {
            encoder.forget();
        } else {
            samples.take(through_text(line));
        }
    }
    ends.extend(last);
    (samples, ends)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn samples_add_up_to_what_was_counted(turns in turns(), seed: u64, most in prop::option::of(1_usize..20)) {
        let (samples, ends) = played(&turns, seed, most.unwrap_or(1000));
        let series = &samples.servers[&UnitId::new(UNIT)];
        assert_adds_up(&series.all(), &ends);
        for point in series.points() {
            for counter in Counter::ALL {
                prop_assert!(point.count(counter).unwrap() >= 0.0);
            }
        }
        let looks: u32 = series.points().map(Point::looks).sum();
        prop_assert_eq!(looks as usize, turns.len());
        let begins = series.points().filter(|point| point.begins()).count();
        prop_assert_eq!(begins, ends.len());
    }

    #[test]
    fn a_lost_line_is_made_up_for(before in 0_usize..5, after in 1_usize..5, seed: u64) {
        let mut turns = vec![Turn::Work; before];
        turns.push(Turn::Lost);
        turns.extend(vec![Turn::Work; after]);
        let (samples, ends) = played(&turns, seed, 1000);
        let series = &samples.servers[&UnitId::new(UNIT)];
        assert_adds_up(&series.all(), &ends);
        prop_assert_eq!(series.points().count(), turns.len() - 1);
    }
}

#[test]
fn a_point_covers_the_time_since_the_one_before_or_since_its_process_began() {
    let mut encoder = Encoder::default();
    let mut samples = Samples::default();
    let mut busy = Busy::new(1);
    let mut take = |second: u64, generation: u64, busy: &Busy| {
        let line = encoder.line(
            at(second),
            &UNIT.into(),
            Generation(generation),
            &busy.sample,
        );
        samples.take(through_text(line));
    };
    busy.sample.born = None;
    busy.work();
    take(100, 1, &busy);
    busy.work();
    take(115, 1, &busy);
    busy.restart();
    busy.sample.born = Some(1_767_225_800.0);
    busy.work();
    take(230, 2, &busy);
    let series = &samples.servers[&UnitId::new(UNIT)];
    let spans: Vec<u64> = series
        .points()
        .map(|point| point.span().as_secs())
        .collect();
    assert_eq!(spans, [0, 15, 30], "when the first one began is not known");
    let rates: Vec<bool> = (series.points())
        .map(|point| point.rate(Counter::GenerationTokens).is_some())
        .collect();
    assert_eq!(rates, [false, true, true]);
    let work = series.over(at(100), at(115));
    assert_eq!((work.looks, work.span), (1, Millis::from_secs(15)));
    let rate = work.rate(Counter::GenerationTokens).unwrap();
    let count = work.count(Counter::GenerationTokens).unwrap();
    assert!(near(rate * 15.0, count));
    assert_eq!(samples.span(), Some((at(100), at(230))));
}

#[test]
fn what_a_server_does_not_tell_is_unknown_and_what_it_tells_is_weighed() {
    let page = |running: u32, waiting: u32| {
        let text =
            format!("vllm:num_requests_running {running}\nvllm:num_requests_waiting {waiting}\n");
        ServerSample::read(&text).unwrap()
    };
    let mut encoder = Encoder::default();
    let mut samples = Samples::default();
    for (number, (running, waiting)) in [(4, 0), (8, 2), (8, 2), (0, 0)].into_iter().enumerate() {
        let at = at(15 * number as u64);
        let line = encoder.line(at, &UNIT.into(), Generation(1), &page(running, waiting));
        samples.take(through_text(line));
    }
    let work = samples.servers[&UnitId::new(UNIT)].all();
    assert_eq!(work.mean(Gauge::Running), Some(5.0));
    assert_eq!(work.most(Gauge::Running), Some(8.0));
    assert_eq!(work.queued_share(), Some(0.5));
    assert_eq!(work.mean(Gauge::KvCache), None);
    assert_eq!(work.count(Counter::GenerationTokens), None);
    assert_eq!(work.finished(), None);
    assert_eq!(work.distribution(Distribution::Queue), None);
    let mut both = work.clone();
    both.merge(&work);
    assert_eq!((both.looks, both.mean(Gauge::Running)), (8, Some(5.0)));
    assert_eq!(both.span.0, 2 * work.span.0);
}

/// What a server counted in a minute, written with these clocks.
fn counted_at(seconds: &[u64]) -> (Samples, Work) {
    let mut encoder = Encoder::default();
    let mut samples = Samples::default();
    let mut busy = Busy::new(7);
    for second in seconds {
        busy.work();
        let line = encoder.line(at(*second), &UNIT.into(), Generation(1), &busy.sample);
        samples.take(through_text(line));
    }
    let work = samples.servers[&UnitId::new(UNIT)].all();
    (samples, work)
}

#[test]
fn a_clock_that_is_set_back_loses_nothing_that_was_counted() {
    let (straight, all) = counted_at(&[15, 30, 45, 60, 75, 90, 105, 120]);
    assert_eq!(straight.doubts, Doubts::default());
    assert_eq!(straight.doubted(), [""; 0]);
    let (samples, work) = counted_at(&[15, 30, 115, 130, 145, 90, 105, 120]);
    for counter in Counter::ALL {
        assert_eq!(work.count(counter), all.count(counter), "{counter:?}");
    }
    assert_eq!(work.looks, all.looks);
    let points = samples.servers[&UnitId::new(UNIT)].points();
    let points: Vec<_> = points.map(|one| (one.at(), one.span().as_secs())).collect();
    let [.., third, fourth, last] = points[..] else {
        panic!("{points:?}")
    };
    assert_eq!(
        (third, fourth, last),
        ((at(90), 60), (at(105), 15), (at(120), 15))
    );
    insta::assert_snapshot!(samples.doubted().join("\n"), @"the clock of the run's host was set back 1 time, by 55.0s at most: what was sampled in that time is one piece");
}

#[test]
fn what_says_how_things_were_follows_the_later_clock() {
    let node = |second: u64, load: f64| {
        Line::Node(super::NodeLine {
            at: at(second),
            node: "n".into(),
            load: Some(load),
            cores: None,
            memory: None,
            gpus: Vec::new(),
        })
    };
    let mut samples = Samples::at_most(100);
    for (second, load) in [(15, 1.0), (90, 2.0), (105, 3.0), (60, 4.0), (75, 5.0)] {
        samples.take(node(second, load));
    }
    // Another series of the same time is no further news.
    for second in [70, 95, 72] {
        samples.take(Line::Node(super::NodeLine {
            at: at(second),
            node: "m".into(),
            load: None,
            cores: None,
            memory: None,
            gpus: Vec::new(),
        }));
    }
    let lines = &samples.nodes["n"];
    let loads: Vec<_> = lines.iter().filter_map(|line| line.load).collect();
    assert_eq!(loads, [1.0, 4.0, 5.0]);
    assert_eq!(samples.doubts.set_back, 1);
}

#[test]
fn numbers_that_cannot_be_are_left_out_and_counted() {
    let lines = [
        r#"{"server":{"at":15000,"unit":"a-0","gen":1,"all":true,"born":10,"now":{"running":3,"waiting":0,"kv-cache":0.5},"more":{"stopped":1,"generation-tokens":5}}}"#,
        r#"{"server":{"at":30000,"unit":"a-0","gen":1,"now":{"running":-5,"kv-cache":7.5},"more":{"stopped":-100,"generation-tokens":1e308},"spread":{"latency":{"n":1,"sum":1e308,"per":[[2,1]]},"queue":{"n":1,"sum":1,"per":[[2,-1]]}}}}"#,
        r#"{"server":{"at":45000,"unit":"a-0","gen":1,"now":{"running":4},"more":{"stopped":2}}}"#,
        r#"{"node":{"at":45000,"node":"n","load":-1.0,"memory":[1,18446744073709551615],"gpus":[{"index":0,"busy":101,"used":5,"total":6}]}}"#,
        r#"{"eval":{"at":45000,"eval":"e","gen":1,"runs":true,"done":18446744073709551615,"errors":0,"total":5}}"#,
        r#"{"eval":{"at":45000,"eval":"e","gen":1,"runs":true,"done":3,"errors":0,"total":5,"files":[7,18446744073709551615]}}"#,
    ];
    let mut samples = Samples::default();
    for line in lines {
        let (line, unknown) = Line::read(line.as_bytes()).unwrap();
        assert_eq!(unknown, [""; 0]);
        samples.take(line.unwrap());
    }
    let series = &samples.servers[&UnitId::new("a-0")];
    let running: Vec<_> = series
        .points()
        .map(|one| one.mean(Gauge::Running))
        .collect();
    assert_eq!(running, [Some(3.0), None, Some(4.0)]);
    let caches: Vec<_> = series
        .points()
        .map(|one| one.mean(Gauge::KvCache))
        .collect();
    assert_eq!(caches, [Some(0.5), None, None]);
    let work = series.all();
    assert_eq!(work.count(Counter::Stopped), Some(3.0));
    assert_eq!(work.count(Counter::GenerationTokens), Some(5.0));
    assert_eq!(work.distribution(Distribution::Latency), None);
    let node = &samples.nodes["n"][0];
    assert_eq!(
        (node.load, node.memory, node.gpus[0].busy),
        (None, None, None)
    );
    assert_eq!(node.gpus[0].used, Some(5));
    assert_eq!(samples.evals["e"].len(), 1);
    insta::assert_snapshot!(samples.doubted().join("\n"), @"10 numbers that cannot be: left out");
}

#[test]
fn what_a_later_release_knows_more_is_passed_over_and_named() {
    let read = |text: &str| Line::read(text.as_bytes());
    let server = r#"{"server":{"at":15,"unit":"a-0","gen":1,"all":true,"new":{},"now":{"running":3,"heat":3},"more":{"stopped":1,"dreams":2},"spread":{"mood":5}}}"#;
    let (line, unknown) = read(server).unwrap();
    let Some(Line::Server(line)) = line else {
        panic!("{line:?}")
    };
    assert_eq!(line.now[&Gauge::Running], super::Amount(3.0));
    assert_eq!(line.more[&Counter::Stopped], super::Amount(1.0));
    assert_eq!(unknown, ["heat", "dreams", "mood"]);
    let (line, unknown) = read(r#"{"weather":{"at":1}}"#).unwrap();
    assert_eq!((line, unknown), (None, vec!["weather".to_owned()]));
    // Another form of something that is known is not known either.
    let (line, unknown) = read(r#"{"server":{"at":"noon"}}"#).unwrap();
    assert_eq!((line, unknown), (None, vec!["server".to_owned()]));
    for damaged in ["", "{", "7", "[]", "{}", "\u{0}\u{0}"] {
        assert!(read(damaged).is_err(), "{damaged:?}");
    }
    let mut doubts = Doubts::default();
    for number in 0..1000 {
        doubts.unknown(&[format!("\u{1b}[31mn{}{number:03}", "x".repeat(50))]);
    }
    assert!(doubts.unknown.len() <= 20);
    doubts = Doubts::default();
    doubts.unknown(&["heat".to_owned(), "mood".to_owned()]);
    doubts.ahead(Timestamp(1_767_139_200_123));
    doubts.early = 2;
    insta::assert_snapshot!(doubts.said().join("\n"), @"
    1 line has something of a later toolorch, which this one does not know: `heat`, `mood`
    1 line of a moment that had not come when this was made, up to 2025-12-31T00:00:00.123Z: left out; the clock of the run's host, or this one's, was wrong
    2 lines of moments before its owner began: left out; the clock of the run's host was set back
    ");
}

#[test]
fn only_what_is_new_is_told() {
    let mut encoder = Encoder::default();
    let mut busy = Busy::new(3);
    let mut line = |at: u64, busy: &Busy| {
        let line = encoder.line(Timestamp(at), &UNIT.into(), Generation(2), &busy.sample);
        serde_json::to_string(&Line::Server(line)).unwrap()
    };
    let first = line(15_000, &busy);
    assert!(
        first.contains(r#""all":true"#) && first.len() > 2000,
        "{first}"
    );
    insta::assert_snapshot!(line(30_000, &busy), @r#"{"server":{"at":30000,"unit":"chat-0","gen":2}}"#);
    busy.sample.counters.insert(Counter::Stopped, 2.0);
    busy.sample.gauges.insert(Gauge::KvCache, 0.123_456);
    let latency = busy
        .sample
        .distributions
        .get_mut(&Distribution::Latency)
        .unwrap();
    latency.take("count", &first_line("x 1"), 2.0);
    latency.take("sum", &first_line("x 1"), 7.000_049);
    for (limit, below) in &mut latency.below {
        *below += if *limit >= 5.0 {
            2.0
        } else if *limit >= 2.0 {
            1.0
        } else {
            0.0
        };
    }
    insta::assert_snapshot!(line(45_000, &busy), @r#"{"server":{"at":45000,"unit":"chat-0","gen":2,"now":{"kv-cache":0.1235},"more":{"stopped":2},"spread":{"latency":{"n":2,"sum":7,"per":[[2,1],[5,1]]}}}}"#);
}

fn first_line(text: &str) -> crate::facts::exposition::Line<'_> {
    crate::facts::exposition::lines(text).next().unwrap()
}
