//! How long requests take, predicted: a run in virtual time, with nothing but its seed left to chance. Pure.

use super::batch::Micros;
use super::closed_loop::{ClosedLoop, Setting};
use crate::base::float;

/// What a run brings; times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Prediction {
    /// The mean latency, from sending a request to its last token.
    pub(super) mean: f64,
    /// Half of the requests take longer.
    pub(super) p50: f64,
    /// One in ten takes longer.
    pub(super) p90: f64,
    /// One in a hundred takes longer.
    pub(super) p99: f64,
    /// Requests answered per second.
    pub(super) throughput: f64,
    /// Preemptions.
    pub(super) preemptions: u64,
    /// Tokens computed once more after them.
    pub(super) recomputed: u64,
}

/// Runs it to the end.
pub(super) fn predict(setting: Setting) -> Prediction {
    let mut run = ClosedLoop::new(setting);
    let answered = run.advance(Micros::MAX);
    let mut times: Vec<Micros> = answered
        .iter()
        .map(|request| request.finished - request.sent)
        .collect();
    times.sort_unstable();
    let count = float(answered.len()).max(1.0);
    let end = answered.last().map_or(0, |request| request.finished);
    let sum: Micros = times.iter().sum();
    let work = |of: fn(&super::work::Work) -> u64| -> u64 {
        run.engines().iter().map(|engine| of(engine.work())).sum()
    };
    Prediction {
        mean: seconds(sum) / count,
        p50: percentile(&times, 50),
        p90: percentile(&times, 90),
        p99: percentile(&times, 99),
        throughput: count / seconds(end).max(1e-6),
        preemptions: work(|work| work.preemptions),
        recomputed: work(|work| work.recomputed),
    }
}

/// The smallest of these sorted times that so many in a hundred do not exceed.
fn percentile(sorted: &[Micros], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, |time| seconds(*time))
}

fn seconds(time: Micros) -> f64 {
    float(time) / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::batch::Rates;
    use crate::sim::closed_loop::Lengths;

    fn setting(concurrency: usize) -> Setting {
        Setting {
            rates: Rates {
                sequences: 256,
                cache: 1_000_000,
                ..Rates::of(10_000.0, 100.0, 0.01)
            },
            replicas: 1,
            concurrency,
            requests: 200,
            prompt: Lengths {
                mean: 1000,
                spread: 0.0,
            },
            answer: Lengths {
                mean: 101,
                spread: 0.0,
            },
            seed: 7,
        }
    }

    #[test]
    fn one_client_waits_for_its_own_tokens_alone() {
        let seen = predict(setting(1));
        // 100 ms for the prompt and 101 steps of 10 ms.
        assert!((seen.mean - 1.11).abs() < 1e-9, "{seen:?}");
        assert_eq!((seen.p50, seen.p99), (seen.p90, seen.p90));
        assert!((seen.throughput * seen.mean - 1.0).abs() < 1e-9);
    }

    #[test]
    fn latency_rises_with_load_and_falls_with_replicas() {
        let alone = predict(setting(1));
        let many = predict(setting(32));
        let spread = predict(Setting {
            replicas: 4,
            ..setting(32)
        });
        assert!(alone.mean < spread.mean && spread.mean < many.mean);
        assert!(many.throughput > alone.throughput);
    }

    #[test]
    fn the_same_seed_predicts_the_same_and_faster_engines_only_shrink_time() {
        assert_eq!(predict(setting(16)), predict(setting(16)));
        let slow = Setting {
            rates: Rates {
                sequences: 256,
                cache: 1_000_000,
                ..Rates::of(5_000.0, 50.0, 0.01)
            },
            ..setting(16)
        };
        let ratio = predict(slow).mean / predict(setting(16)).mean;
        assert!((ratio - 2.0).abs() < 1e-3, "{ratio}");
    }
}
