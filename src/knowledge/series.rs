//! The series that are sampled while a run goes on, and the names that vLLM and SGLang have had for them.
//!
//! Sources: vllm.md §B8, a recorded page of 0.32 (`tests/recordings/vllm-0.32.0/metrics.json`), SGLang's
//! `docs/references/production_metrics.md` and `srt/metrics/collector.py`. SGLang shows a page with `--enable-metrics` alone.

use serde::{Deserialize, Serialize};

use super::metrics as names;

/// What a server is doing at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gauge {
    /// Requests being computed.
    Running,
    /// Requests in the queue.
    Waiting,
    /// The share of the KV cache that is used, 0 to 1; the mean of a server's engines.
    KvCache,
}

/// What a server has counted since its process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counter {
    /// Requests put back into the queue for lack of KV cache.
    Preemptions,
    /// Prompt tokens, those found in the prefix cache among them.
    PromptTokens,
    /// Tokens generated.
    GenerationTokens,
    /// Requests that ended by themselves.
    Stopped,
    /// Requests that ended at their limit of tokens: their answer is cut off.
    CutOff,
    /// Requests whose client left.
    Aborted,
    /// Requests that ended in an error of the server.
    Failed,
    /// Requests that ended otherwise, or without a reason said, as all of SGLang's that were not aborted.
    Otherwise,
    /// Prompt tokens that were looked up in the prefix cache; SGLang looks all of them up and does not count that.
    CacheQueries,
    /// Of these, those that were found.
    CacheHits,
}

/// What a server has spread over buckets since its process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Seconds from arrival to the last token.
    Latency,
    /// Seconds from arrival to the first token.
    FirstToken,
    /// Seconds between a request's tokens.
    BetweenTokens,
    /// Seconds in the queue.
    Queue,
    /// Seconds from the computation's start to the last token.
    Inference,
    /// Seconds from the computation's start to the first token.
    Prefill,
    /// Seconds from the first token to the last.
    Decode,
    /// Tokens of a request's prompt.
    PromptLength,
    /// Tokens of a request's answer.
    AnswerLength,
}

impl Gauge {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Running, Self::Waiting, Self::KvCache];
}

impl Counter {
    /// All of them, in their order.
    pub const ALL: [Self; 10] = [
        Self::Preemptions,
        Self::PromptTokens,
        Self::GenerationTokens,
        Self::Stopped,
        Self::CutOff,
        Self::Aborted,
        Self::Failed,
        Self::Otherwise,
        Self::CacheQueries,
        Self::CacheHits,
    ];

    /// Requests that ended, by how; together they are all.
    pub const FINISHED: [Self; 5] = [
        Self::Stopped,
        Self::CutOff,
        Self::Aborted,
        Self::Failed,
        Self::Otherwise,
    ];

    /// What vLLM's `finished_reason` says.
    pub fn finished(reason: &str) -> Self {
        match reason {
            "stop" => Self::Stopped,
            "length" => Self::CutOff,
            "abort" => Self::Aborted,
            "error" => Self::Failed,
            _ => Self::Otherwise,
        }
    }
}

impl Distribution {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::Latency,
        Self::FirstToken,
        Self::BetweenTokens,
        Self::Queue,
        Self::Inference,
        Self::Prefill,
        Self::Decode,
        Self::PromptLength,
        Self::AnswerLength,
    ];
}

/// What a name on the page stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// One value of a gauge.
    Gauge(Gauge),
    /// One value of a counter.
    Counter(Counter),
    /// Finished requests, whose label says which counter.
    Finished,
    /// A histogram, by its name without `_bucket`, `_sum` or `_count`.
    Distribution(Distribution),
    /// The same under an earlier name, which later releases show beside the new one: it counts where that is absent.
    Earlier(Distribution),
}

/// The names, by engine and kind. A name that an engine has dropped stays: older releases are served, too.
const NAMES: [(&str, Series); 36] = {
    use Counter as C;
    use Distribution as D;
    use {Gauge as G, Series as S};
    [
        (names::RUNNING, S::Gauge(G::Running)),
        (names::WAITING, S::Gauge(G::Waiting)),
        (names::KV_CACHE_USAGE[0], S::Gauge(G::KvCache)),
        (names::KV_CACHE_USAGE[1], S::Gauge(G::KvCache)),
        (names::PREEMPTIONS, S::Counter(C::Preemptions)),
        (names::PROMPT_TOKENS, S::Counter(C::PromptTokens)),
        (names::GENERATION_TOKENS, S::Counter(C::GenerationTokens)),
        (names::SUCCESS, S::Finished),
        (names::PREFIX_CACHE_QUERIES, S::Counter(C::CacheQueries)),
        (names::PREFIX_CACHE_HITS, S::Counter(C::CacheHits)),
        (names::E2E_LATENCY, S::Distribution(D::Latency)),
        (names::TIME_TO_FIRST_TOKEN, S::Distribution(D::FirstToken)),
        (names::TOKEN_GAPS[0], S::Earlier(D::BetweenTokens)),
        (names::TOKEN_GAPS[1], S::Distribution(D::BetweenTokens)),
        (names::QUEUE_TIME, S::Distribution(D::Queue)),
        (names::INFERENCE_TIME, S::Distribution(D::Inference)),
        (names::PREFILL_TIME, S::Distribution(D::Prefill)),
        (names::DECODE_TIME, S::Distribution(D::Decode)),
        (
            names::REQUEST_PROMPT_TOKENS,
            S::Distribution(D::PromptLength),
        ),
        (
            names::REQUEST_GENERATION_TOKENS,
            S::Distribution(D::AnswerLength),
        ),
        ("sglang:num_running_reqs", S::Gauge(G::Running)),
        ("sglang:num_queue_reqs", S::Gauge(G::Waiting)),
        ("sglang:token_usage", S::Gauge(G::KvCache)),
        (
            "sglang:num_retracted_requests_total",
            S::Counter(C::Preemptions),
        ),
        ("sglang:prompt_tokens_total", S::Counter(C::PromptTokens)),
        (
            "sglang:generation_tokens_total",
            S::Counter(C::GenerationTokens),
        ),
        ("sglang:num_requests_total", S::Counter(C::Otherwise)),
        ("sglang:num_aborted_requests_total", S::Counter(C::Aborted)),
        ("sglang:cached_tokens_total", S::Counter(C::CacheHits)),
        (
            "sglang:e2e_request_latency_seconds",
            S::Distribution(D::Latency),
        ),
        (
            "sglang:time_to_first_token_seconds",
            S::Distribution(D::FirstToken),
        ),
        (
            "sglang:time_per_output_token_seconds",
            S::Earlier(D::BetweenTokens),
        ),
        (
            "sglang:inter_token_latency_seconds",
            S::Distribution(D::BetweenTokens),
        ),
        ("sglang:queue_time_seconds", S::Distribution(D::Queue)),
        (
            "sglang:prompt_tokens_histogram",
            S::Distribution(D::PromptLength),
        ),
        (
            "sglang:generation_tokens_histogram",
            S::Distribution(D::AnswerLength),
        ),
    ]
};

/// When the server's process began, in seconds since 1970; absent where several processes serve one page.
pub const PROCESS_START: &str = "process_start_time_seconds";

/// What this name stands for; none if it is not sampled.
pub fn series(name: &str) -> Option<Series> {
    let engine = |prefix: &str| name.starts_with(prefix);
    if !engine("vllm:") && !engine("sglang:") {
        return None;
    }
    let found = NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, series)| *series)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_name_stands_for_one_series_and_all_are_named() {
        let known: BTreeSet<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(known.len(), NAMES.len());
        for distribution in Distribution::ALL {
            let stands =
                |(_, series): &&(&str, Series)| *series == Series::Distribution(distribution);
            assert!(NAMES.iter().any(|entry| stands(&entry)), "{distribution:?}");
        }
        for gauge in Gauge::ALL {
            assert_eq!(
                NAMES
                    .iter()
                    .filter(|(_, of)| *of == Series::Gauge(gauge))
                    .count()
                    / 2,
                1
            );
        }
        assert_eq!(series("go_gc_duration_seconds"), None);
        assert_eq!(series("vllm:nothing"), None);
    }

    #[test]
    fn orders_are_those_of_the_lists() {
        assert!(
            Gauge::ALL
                .into_iter()
                .enumerate()
                .all(|(at, one)| one as usize == at)
        );
        assert!(
            Counter::ALL
                .into_iter()
                .enumerate()
                .all(|(at, one)| one as usize == at)
        );
        assert!(
            Distribution::ALL
                .into_iter()
                .enumerate()
                .all(|(at, one)| one as usize == at)
        );
    }
}
