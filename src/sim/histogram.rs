//! Histograms of finished requests: vLLM's names, buckets and meaning.
//!
//! Buckets as recorded from 0.32 (`tests/recordings/vllm-0.32.0/metrics.json`). Times between tokens and the tokens of a
//! step are counted as they come, where an engine does it; see `work`.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::config::MEASURED;
use super::metrics::Finished;
use super::work::{Counted, Work};
use crate::base::{float, nearest};
use crate::knowledge::metrics as names;
use crate::knowledge::release::Release;

/// Seconds of a request.
const REQUEST: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
];
/// Seconds to the first token.
const FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];
/// Seconds between tokens.
const TOKEN: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
];

/// What is counted of each finished request.
struct Series {
    name: fn(Release) -> &'static str,
    /// None for 1, 2, 5, 10, … up to the context length.
    buckets: Option<&'static [f64]>,
    /// The first release that is known to have it; none for all.
    since: Option<Release>,
    /// The value, and how often it is counted.
    value: fn(&Finished) -> (f64, u64),
}

const ALL: &[Series] = &[
    Series {
        name: |_| names::TIME_TO_FIRST_TOKEN,
        buckets: Some(FIRST_TOKEN),
        since: None,
        value: |request| once(request.first_token),
    },
    Series {
        name: names::inter_token_latency,
        buckets: Some(TOKEN),
        since: None,
        value: |request| (gap(request), gaps(request)),
    },
    Series {
        name: |_| names::TIME_PER_OUTPUT_TOKEN,
        buckets: Some(TOKEN),
        since: Some(MEASURED),
        value: |request| (gap(request), 1),
    },
    Series {
        name: |_| names::E2E_LATENCY,
        buckets: Some(REQUEST),
        since: None,
        value: |request| once(request.total),
    },
    Series {
        name: |_| names::QUEUE_TIME,
        buckets: Some(REQUEST),
        since: None,
        value: |request| once(request.queued),
    },
    Series {
        name: |_| names::INFERENCE_TIME,
        buckets: Some(REQUEST),
        since: None,
        value: |request| once(request.total.saturating_sub(request.queued)),
    },
    Series {
        name: |_| names::PREFILL_TIME,
        buckets: Some(REQUEST),
        since: None,
        value: |request| once(request.first_token.saturating_sub(request.queued)),
    },
    Series {
        name: |_| names::DECODE_TIME,
        buckets: Some(REQUEST),
        since: None,
        value: |request| once(decoding(request)),
    },
    Series {
        name: |_| names::REQUEST_PROMPT_TOKENS,
        buckets: None,
        since: None,
        value: |request| (float(request.prompt_tokens), 1),
    },
    Series {
        name: |_| names::REQUEST_GENERATION_TOKENS,
        buckets: None,
        since: None,
        value: |request| (float(request.completion_tokens), 1),
    },
];

fn once(time: Duration) -> (f64, u64) {
    (time.as_secs_f64(), 1)
}

fn decoding(request: &Finished) -> Duration {
    request.total.saturating_sub(request.first_token)
}

fn gaps(request: &Finished) -> u64 {
    u64::try_from(request.completion_tokens.saturating_sub(1)).unwrap_or(u64::MAX)
}

/// Seconds between two tokens, on average.
fn gap(request: &Finished) -> f64 {
    decoding(request).as_secs_f64() / float(request.completion_tokens.saturating_sub(1)).max(1.0)
}

/// The histograms of one server.
#[derive(Debug)]
pub(super) struct Histograms(Vec<Histogram>);

impl Histograms {
    /// All empty; `context` bounds the buckets of token counts.
    pub(super) fn new(context: u32) -> Self {
        Self(
            ALL.iter()
                .map(|series| Histogram::new(series, context))
                .collect(),
        )
    }

    /// Counts a finished request.
    pub(super) fn observe(&self, request: &Finished) {
        for (series, histogram) in ALL.iter().zip(&self.0) {
            let (value, times) = (series.value)(request);
            histogram.observe(value, times);
        }
    }

    /// Writes those that the release has.
    pub(super) fn write(
        &self,
        out: &mut String,
        release: Release,
        labels: &str,
        work: Option<&Work>,
    ) {
        let token = names::inter_token_latency(release);
        for (series, histogram) in ALL.iter().zip(&self.0) {
            let name = (series.name)(release);
            match work {
                Some(work) if name == token => write_work(out, name, labels, &work.gaps, 1e-6),
                _ if series.since.is_none_or(|since| release >= since) => {
                    histogram.write(out, name, labels);
                }
                _ => {}
            }
        }
        if let Some(work) = work {
            write_work(out, names::ITERATION_TOKENS, labels, &work.steps, 1.0);
        }
    }
}

#[derive(Debug)]
struct Histogram {
    limits: Vec<f64>,
    counts: Vec<AtomicU64>,
    count: AtomicU64,
    /// In millionths: an atomic holds no fraction.
    sum: AtomicU64,
}

impl Histogram {
    fn new(series: &Series, context: u32) -> Self {
        let limits = series
            .buckets
            .map_or_else(|| tokens(context), <[f64]>::to_vec);
        Self {
            counts: limits.iter().map(|_| AtomicU64::new(0)).collect(),
            limits,
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    fn observe(&self, value: f64, times: u64) {
        let bucket = self.limits.iter().position(|limit| value <= *limit);
        if let Some(count) = bucket.and_then(|at| self.counts.get(at)) {
            count.fetch_add(times, Relaxed);
        }
        self.count.fetch_add(times, Relaxed);
        let millionths = nearest::<u64>(value * 1e6);
        self.sum
            .fetch_add(millionths.saturating_mul(times), Relaxed);
    }

    fn write(&self, out: &mut String, name: &str, labels: &str) {
        let mut text = format!("# HELP {name} Simulated.\n# TYPE {name} histogram\n");
        let mut below = 0;
        for (limit, count) in self.limits.iter().zip(&self.counts) {
            below += count.load(Relaxed);
            put(
                &mut text,
                format_args!("{name}_bucket{{{labels},le=\"{limit:?}\"}} {below}.0\n"),
            );
        }
        let count = self.count.load(Relaxed);
        put(
            &mut text,
            format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}.0\n"),
        );
        put(
            &mut text,
            format_args!("{name}_count{{{labels}}} {count}.0\n"),
        );
        let sum = Duration::from_micros(self.sum.load(Relaxed)).as_secs_f64();
        put(&mut text, format_args!("{name}_sum{{{labels}}} {sum}\n"));
        out.push_str(&text);
    }
}

/// Writes what an engine counted, in units of `unit`.
fn write_work<const N: usize>(
    out: &mut String,
    name: &str,
    labels: &str,
    counted: &Counted<N>,
    unit: f64,
) {
    let scaled = |value: u64| float(value) * unit;
    let mut text = format!("# HELP {name} Simulated.\n# TYPE {name} histogram\n");
    let mut bucket = |limit: &str, below: u64| {
        let bucket = format_args!("{name}_bucket{{{labels},le=\"{limit}\"}} {below}.0\n");
        put(&mut text, bucket);
    };
    for (limit, below) in counted.cumulative() {
        // Rounded, so that 75,000 millionths read 0.075.
        let limit = (scaled(limit) * 1e6).round() / 1e6;
        bucket(&format!("{limit:?}"), below);
    }
    let (count, sum) = (counted.count(), scaled(counted.sum()));
    bucket("+Inf", count);
    put(
        &mut text,
        format_args!("{name}_count{{{labels}}} {count}.0\n{name}_sum{{{labels}}} {sum}\n"),
    );
    out.push_str(&text);
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).unwrap_or_default();
}

/// 1, 2, 5, 10, 20, 50, … up to the context length, as vLLM builds them.
fn tokens(context: u32) -> Vec<f64> {
    let steps = (0..10_u32).flat_map(|power| [1, 2, 5].map(|step| step * 10_u64.pow(power)));
    let within = steps.take_while(|limit| *limit <= u64::from(context));
    within.map(float).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_buckets_end_with_the_context() {
        assert_eq!(tokens(4096).last(), Some(&2000.0));
        assert_eq!(tokens(32_768).len(), 14);
    }
}
