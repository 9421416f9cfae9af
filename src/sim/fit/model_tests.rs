//! Fitted on a run at concurrency 64, engines of hidden parameters are predicted at 32 and 16: from nothing but the text
//! of `/metrics`, taken every ten virtual seconds.
#![expect(clippy::print_stdout, reason = "figures for whoever asks for them")]

use std::time::Duration;

use super::*;
use crate::base::Chance;
use crate::knowledge::release::Release;
use crate::sim::batch::{Batch, Micros};
use crate::sim::closed_loop::{Answered, ClosedLoop};
use crate::sim::engine::Load;
use crate::sim::fit::sample;
use crate::sim::metrics::{Finished, Metrics};

/// Time between two looks.
const EVERY: Micros = 10_000_000;
const REQUESTS: u64 = 1500;

/// What a server would have counted.
struct Server {
    metrics: Metrics,
    series: Series,
}

impl Server {
    fn new() -> Self {
        Self {
            metrics: Metrics::new(131_072),
            series: Series::default(),
        }
    }

    fn count(&self, request: &Answered) {
        let since = |time: Micros| Duration::from_micros(time - request.sent);
        let tokens = |number: u64| usize::try_from(number).unwrap();
        self.metrics.finished(&Finished {
            reason: "stop",
            prompt_tokens: tokens(request.prompt),
            completion_tokens: tokens(request.answer),
            counted: 0,
            total: since(request.finished),
            queued: since(request.started),
            first_token: since(request.first),
            parsed: None,
            streamed: false,
        });
    }

    fn look(&mut self, now: Micros, engine: &Batch, steps: Steps) {
        let (running, waiting) = engine.sequences();
        let load = Load {
            running: u64::try_from(running).unwrap(),
            waiting: u64::try_from(waiting).unwrap(),
            cache: engine.cache_used(),
            engine: Some((engine.cache(), *engine.work())),
        };
        let mut text = self.metrics.text("m", Release::new(0, 12, 0), &load);
        if steps == Steps::Hidden {
            let shown = text
                .lines()
                .filter(|line| !line.contains("iteration_tokens"));
            text = shown.collect::<Vec<_>>().join("\n");
        }
        let at = float(now) / 1e6;
        let mut samples = sample::read(at, &text);
        let key = ("m".to_owned(), "0".to_owned());
        self.series.0.push(samples.remove(&key).unwrap());
    }
}

/// Whether the number of steps is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Steps {
    Shown,
    Hidden,
}

/// What is seen of a run from outside.
fn watched(setting: Setting, steps: Steps) -> Vec<Series> {
    let mut run = ClosedLoop::new(setting);
    let mut servers: Vec<Server> = run.engines().iter().map(|_| Server::new()).collect();
    let mut now = 0;
    loop {
        for (server, engine) in servers.iter_mut().zip(run.engines()) {
            server.look(now, engine, steps);
        }
        if run.is_over() {
            return servers.into_iter().map(|server| server.series).collect();
        }
        now += EVERY;
        for request in run.advance(now) {
            servers[request.replica].count(&request);
        }
    }
}

/// What nature does to engines.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Case {
    Plain,
    TightCache,
    LongPrompts,
    FewSeats,
}

/// Hidden parameters, each away from its default.
fn hidden(case: Case, seed: u64) -> Setting {
    let mut row = Chance::new(seed.wrapping_mul(977) + 13);
    let mut between = |low: f64, high: f64| low + (high - low) * row.uniform();
    let mut rates = batch::Rates::of(
        between(4_000.0, 16_000.0),
        between(25.0, 90.0),
        between(0.001, 0.03),
    );
    rates.cache = 3_000_000;
    rates.sequences = 128;
    let mut setting = Setting {
        replicas: nearest(between(1.0, 4.9).floor()),
        rates,
        concurrency: 64,
        requests: REQUESTS,
        prompt: Lengths {
            mean: nearest(between(300.0, 2500.0)),
            spread: between(0.2, 0.8),
        },
        answer: Lengths {
            mean: nearest(between(150.0, 700.0)),
            spread: between(0.3, 0.9),
        },
        seed: seed + 1000,
    };
    match case {
        Case::Plain => {}
        Case::TightCache => {
            let tokens = setting.prompt.mean + setting.answer.mean;
            // A quarter of the places that would be needed at 64.
            let needed = 64 / u64::try_from(setting.replicas).unwrap();
            setting.rates.cache = tokens * needed * 3 / 5;
        }
        Case::LongPrompts => setting.prompt.mean = nearest(between(6_000.0, 14_000.0)),
        Case::FewSeats => {
            setting.rates.sequences = nearest(between(20.0, 50.0));
            setting.replicas = 1;
        }
    }
    setting
}

/// The deviations of mean and P90 at 32 and 16, as shares.
fn deviations(case: Case, seed: u64, steps: Steps) -> [[f64; 2]; 2] {
    let truth = hidden(case, seed);
    let series = watched(truth, steps);
    let fitted = fit(&series, &Prior::default()).unwrap();
    let found = [32, 16].map(|concurrency| {
        let real = predict(Setting {
            concurrency,
            seed: truth.seed + 1,
            ..truth
        });
        let guess =
            predict(fitted.setting(truth.replicas, concurrency, REQUESTS, &Prior::default()));
        [guess.mean / real.mean - 1.0, guess.p90 / real.p90 - 1.0]
    });
    println!("{case:?} {seed} {steps:?}: {}", percent(found));
    found
}

fn percent(shares: [[f64; 2]; 2]) -> String {
    let [[mean, p90], [other, p90_too]] = shares.map(|pair| pair.map(|share| 100.0 * share));
    format!(
        "{mean:+.1} % and {p90:+.1} % of mean and P90 at 32, {other:+.1} % and {p90_too:+.1} % at 16"
    )
}

/// The largest deviations over some seeds of each case.
fn most(cases: &[Case], seeds: u64, steps: Steps) -> [[f64; 2]; 2] {
    let mut most = [[0.0_f64; 2]; 2];
    for case in cases {
        for seed in 0..seeds {
            let found = deviations(*case, seed, steps);
            for (most, found) in most.iter_mut().flatten().zip(found.iter().flatten()) {
                *most = most.max(found.abs());
            }
        }
    }
    println!("at most {}", percent(most));
    most
}

const CASES: [Case; 4] = [
    Case::Plain,
    Case::TightCache,
    Case::LongPrompts,
    Case::FewSeats,
];

#[test]
fn a_fit_at_64_predicts_32_and_16() {
    let most = most(&CASES, 2, Steps::Shown);
    assert!(most.iter().flatten().all(|share| *share < 0.15), "{most:?}");
}

/// A server that does not count its steps, as vLLM's V1 engine does: the gaps between tokens tell less.
#[test]
fn without_the_number_of_steps_it_predicts_worse() {
    let most = most(&[Case::Plain], 2, Steps::Hidden);
    assert!(most.iter().flatten().all(|share| *share < 0.15), "{most:?}");
}

/// The same for many hidden parameters: minutes.
#[test]
#[ignore = "minutes; prints the figures of docs/REHEARSAL-fit.md"]
fn a_fit_at_64_predicts_32_and_16_for_many() {
    let shown = most(&CASES, 12, Steps::Shown);
    let hidden = most(&CASES, 6, Steps::Hidden);
    assert!(
        shown.iter().flatten().all(|share| *share < 0.15),
        "{shown:?}"
    );
    assert!(
        hidden.iter().flatten().all(|share| *share < 0.30),
        "{hidden:?}"
    );
}

#[test]
fn a_model_that_answered_nothing_is_refused_with_what_to_do() {
    let idle = Series(vec![
        sample::read(0.0, "")
            .into_values()
            .next()
            .unwrap_or_default(),
    ]);
    insta::assert_snapshot!(fit([&idle], &Prior::default()).unwrap_err(), @"no request ended between the first moment and the last: capture while requests are answered, every 10 s or so");
}
