//! A run of known engines, of which only the times are told.
#![expect(clippy::print_stdout, reason = "figures for whoever asks for them")]

use super::*;
use crate::sim::batch::{Micros, Rates};
use crate::sim::closed_loop::{ClosedLoop, Setting};

/// What one run took, at so many clients.
fn truth(concurrency: usize) -> Setting {
    Setting {
        rates: Rates {
            sequences: 256,
            cache: 10_000_000,
            ..Rates::of(6_000.0, 45.0, 0.01)
        },
        replicas: 2,
        concurrency,
        requests: 1000,
        prompt: Lengths {
            mean: 1500,
            spread: 0.5,
        },
        answer: Lengths {
            mean: 550,
            spread: 0.8,
        },
        seed: 77,
    }
}

fn calls(told: bool) -> Calls {
    let mut run = ClosedLoop::new(truth(64));
    let mut calls = Calls::default();
    for request in run.advance(Micros::MAX) {
        let at = |time: Micros| float(time) / 1e6;
        let took = at(request.finished - request.sent);
        calls.seconds.push(took);
        calls.spans.push((at(request.sent), took));
        calls.servers.insert(request.replica.to_string());
        if told {
            let pair = (float(request.prompt), float(request.answer));
            calls.tokens.push(pair);
        }
    }
    calls
}

#[test]
fn times_alone_predict_other_loads_roughly() {
    for told in [false, true] {
        let fitted = fit(&calls(told), Load::default(), &Prior::default()).unwrap();
        assert_eq!(fitted.load.0, 2);
        assert!((fitted.check.predicted.mean / fitted.check.mean - 1.0).abs() < 0.01);
        for concurrency in [32, 16] {
            let real = predict(truth(concurrency));
            let guess = predict(fitted.setting(2, concurrency, 1000, &Prior::default()));
            let off = [guess.mean / real.mean, guess.p90 / real.p90];
            println!("tokens told: {told}, at {concurrency}: {off:.3?} of mean and P90");
            assert!(off.iter().all(|off| (off - 1.0).abs() < 0.25), "{off:?}");
        }
    }
}

#[test]
fn what_is_missing_is_said() {
    let few = Calls {
        seconds: vec![1.0; 3],
        ..Calls::default()
    };
    let timeless = Calls {
        seconds: vec![1.0; 30],
        ..Calls::default()
    };
    let said =
        [few, timeless].map(|calls| fit(&calls, Load::default(), &Prior::default()).unwrap_err());
    insta::assert_snapshot!(said.join("\n"), @r"
    calls that succeeded: 3; at least 20 are needed
    the calls do not say when they began: give the requests under way at once with `--concurrency N`
    ");
}
