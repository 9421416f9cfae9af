//! The counters of one simulated server, and their text in vLLM's names and labels.
//!
//! Atomics, so that 1,000 servers in one process stay small and need no lock.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::chat::Parsed;
use super::config::MEASURED;
use super::engine::Load;
use super::histogram::Histograms;
use crate::knowledge::metrics as names;
use crate::knowledge::release::Release;

/// The last two came between 0.16 and 0.32, and never count here.
const REASONS: [&str; 5] = ["stop", "length", "abort", "error", "repetition"];
/// Paths and methods of which requests are counted apart; the last stands for all that the server does not know.
const HANDLERS: [(&str, &str); 6] = [
    ("/v1/chat/completions", "POST"),
    ("/v1/completions", "POST"),
    ("/tokenize", "POST"),
    ("/detokenize", "POST"),
    ("/v1/models", "GET"),
    ("none", "GET"),
];
/// How a request that the tool parser read was answered.
const MODES: [&str; 2] = ["streaming", "non_streaming"];
const OUTCOMES: [&str; 2] = ["tool_call", "no_tool_call"];

/// The counters of one server.
#[derive(Debug)]
pub(super) struct Metrics {
    running: AtomicU64,
    waiting: AtomicU64,
    prompt_tokens: AtomicU64,
    generation_tokens: AtomicU64,
    finished: [AtomicU64; REASONS.len()],
    /// By mode, then outcome.
    parsed: [[AtomicU64; 2]; 2],
    http: [[AtomicU64; 3]; HANDLERS.len()],
    histograms: Histograms,
}

/// How one request went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finished {
    /// `stop`, `length`, `tool_calls` or `abort`.
    pub(super) reason: &'static str,
    /// Tokens of the prompt.
    pub(super) prompt_tokens: usize,
    /// Tokens generated.
    pub(super) completion_tokens: usize,
    /// Of these, how many were counted while it was computed.
    pub(super) counted: usize,
    /// From arrival to the last token.
    pub(super) total: Duration,
    /// From arrival to the computation's start.
    pub(super) queued: Duration,
    /// From arrival to the first token.
    pub(super) first_token: Duration,
    /// What the tool parser found, where it was asked.
    pub(super) parsed: Option<Parsed>,
    /// It was answered as a stream.
    pub(super) streamed: bool,
}

impl Metrics {
    /// All zero; `context` is the context length.
    pub(super) fn new(context: u32) -> Self {
        Self {
            running: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            prompt_tokens: AtomicU64::new(0),
            generation_tokens: AtomicU64::new(0),
            finished: std::array::from_fn(|_| AtomicU64::new(0)),
            parsed: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            http: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            histograms: Histograms::new(context),
        }
    }

    /// A request entered the queue.
    pub(super) fn queued(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    /// A request left the queue.
    pub(super) fn unqueued(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// A request's computation began.
    pub(super) fn started(&self) {
        self.running.fetch_add(1, Relaxed);
    }

    /// A request's computation ended.
    pub(super) fn stopped(&self) {
        self.running.fetch_sub(1, Relaxed);
    }

    /// A request was answered, or its client left.
    pub(super) fn finished(&self, request: &Finished) {
        let reason = REASONS
            .iter()
            .position(|reason| *reason == request.reason)
            .unwrap_or(0);
        self.finished[reason].fetch_add(1, Relaxed);
        self.prompt_tokens
            .fetch_add(whole(request.prompt_tokens), Relaxed);
        let more = request.completion_tokens.saturating_sub(request.counted);
        self.generation_tokens.fetch_add(whole(more), Relaxed);
        self.histograms.observe(request);
        if let Some(parsed) = request.parsed {
            let mode = usize::from(!request.streamed);
            let outcome = usize::from(parsed == Parsed::NoToolCall);
            self.parsed[mode][outcome].fetch_add(1, Relaxed);
        }
    }

    /// So many tokens came out of a request that is being computed.
    pub(super) fn wrote(&self, tokens: usize) {
        self.generation_tokens.fetch_add(whole(tokens), Relaxed);
    }

    /// An HTTP request to `path` was answered with `status`.
    pub(super) fn http(&self, path: &str, status: u16) {
        let handler = HANDLERS
            .iter()
            .position(|(handler, _)| *handler == path)
            .unwrap_or(HANDLERS.len() - 1);
        let class = usize::from(status / 100).clamp(2, 5);
        let class = [0, 0, 0, 0, 1, 2][class];
        self.http[handler][class].fetch_add(1, Relaxed);
    }

    /// Tokens read and written so far, and requests running and waiting.
    pub(super) fn totals(&self) -> [u64; 4] {
        [
            &self.prompt_tokens,
            &self.generation_tokens,
            &self.running,
            &self.waiting,
        ]
        .map(|counter| counter.load(Relaxed))
    }

    /// The text of `/metrics`.
    pub(super) fn text(&self, model: &str, release: Release, load: &Load) -> String {
        let escaped = model
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let labels = &format!("engine=\"0\",model_name=\"{escaped}\"");
        let [mut prompt, mut generated, _, _] = self.totals();
        let mut preemptions = 0;
        // An engine counts its tokens as they come.
        if let Some((_, work)) = &load.engine {
            (prompt, generated) = (work.prompt, work.generated);
            preemptions = work.preemptions;
        }
        let mut out = String::with_capacity(12_000);
        let mut one = |name: &str, kind: &str, value: u64| {
            head(&mut out, name, kind);
            line(&mut out, name, labels, value);
        };
        one(names::RUNNING, "gauge", load.running);
        one(names::WAITING, "gauge", load.waiting);
        one(names::PREEMPTIONS, "counter", preemptions);
        one(names::PROMPT_TOKENS, "counter", prompt);
        one(names::GENERATION_TOKENS, "counter", generated);
        let usage = names::kv_cache_usage(release);
        head(&mut out, usage, "gauge");
        let (whole, thousandths) = (load.cache / 1000, load.cache % 1000);
        push(
            &mut out,
            format_args!("{usage}{{{labels}}} {whole}.{thousandths:03}\n"),
        );
        if release >= MEASURED {
            write_measured(&mut out, &escaped, labels, prompt, load.waiting);
        }
        head(&mut out, names::SUCCESS, "counter");
        let reasons = names::finished_reasons(release);
        for (reason, counter) in REASONS.iter().zip(&self.finished).take(reasons) {
            line(
                &mut out,
                names::SUCCESS,
                &format!("engine=\"0\",finished_reason=\"{reason}\",model_name=\"{escaped}\""),
                counter.load(Relaxed),
            );
        }
        if names::counts_tool_parser(release) {
            head(&mut out, names::TOOL_PARSER_INVOCATIONS, "counter");
            for (mode, outcomes) in MODES.iter().zip(&self.parsed) {
                for (outcome, counter) in OUTCOMES.iter().zip(outcomes) {
                    let labels = format!(
                        "mode=\"{mode}\",model_name=\"{escaped}\",outcome=\"{outcome}\",request_type=\"chat_completions\""
                    );
                    line(
                        &mut out,
                        names::TOOL_PARSER_INVOCATIONS,
                        &labels,
                        counter.load(Relaxed),
                    );
                }
            }
        }
        let work = load.engine.as_ref().map(|(_, work)| work);
        self.histograms.write(&mut out, release, labels, work);
        if let Some((cache, _)) = load.engine {
            write_cache(&mut out, cache);
        }
        self.write_http(&mut out);
        out
    }

    fn write_http(&self, out: &mut String) {
        head(out, names::HTTP_REQUESTS, "counter");
        for ((handler, method), classes) in HANDLERS.iter().zip(&self.http) {
            for (class, counter) in ["2xx", "4xx", "5xx"].iter().zip(classes) {
                let count = counter.load(Relaxed);
                if count > 0 {
                    let labels =
                        format!("handler=\"{handler}\",method=\"{method}\",status=\"{class}\"");
                    line(out, names::HTTP_REQUESTS, &labels, count);
                }
            }
        }
    }
}

/// What 0.32 says beside: no prompt is found in a cache here, nobody sleeps, and who waits waits for a place.
fn write_measured(out: &mut String, model: &str, labels: &str, prompt: u64, waiting: u64) {
    for (name, value) in [
        (names::PREFIX_CACHE_QUERIES, prompt),
        (names::PREFIX_CACHE_HITS, 0),
    ] {
        head(out, name, "counter");
        line(out, name, labels, value);
    }
    head(out, names::SLEEP_STATE, "gauge");
    for (state, value) in [("awake", 1), ("weights_offloaded", 0), ("discard_all", 0)] {
        let labels = format!("engine=\"0\",model_name=\"{model}\",sleep_state=\"{state}\"");
        line(out, names::SLEEP_STATE, &labels, value);
    }
    head(out, names::WAITING_BY_REASON, "gauge");
    for (reason, value) in [("capacity", waiting), ("deferred", 0)] {
        let labels = format!("engine=\"0\",model_name=\"{model}\",reason=\"{reason}\"");
        line(out, names::WAITING_BY_REASON, &labels, value);
    }
}

/// The KV cache in vLLM's words: blocks, of a size that does not leave a token out.
fn write_cache(out: &mut String, tokens: u64) {
    let size = if tokens.is_multiple_of(16) { 16 } else { 1 };
    let blocks = tokens / size;
    let labels = format!("block_size=\"{size}\",engine=\"0\",num_gpu_blocks=\"{blocks}\"");
    head(out, names::CACHE_CONFIG, "gauge");
    line(out, names::CACHE_CONFIG, &labels, 1);
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn head(out: &mut String, name: &str, kind: &str) {
    push(
        out,
        format_args!("# HELP {name} Simulated.\n# TYPE {name} {kind}\n"),
    );
}

fn line(out: &mut String, name: &str, labels: &str, value: u64) {
    push(out, format_args!("{name}{{{labels}}} {value}.0\n"));
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Finished {
        let ms = Duration::from_millis;
        Finished {
            reason: "tool_calls",
            prompt_tokens: 10,
            completion_tokens: 3,
            counted: 0,
            total: ms(900),
            queued: ms(0),
            first_token: ms(500),
            parsed: Some(Parsed::ToolCall),
            streamed: false,
        }
    }

    #[test]
    fn counters_follow_the_traffic() {
        let metrics = Metrics::new(4096);
        metrics.finished(&request());
        metrics.http("/v1/chat/completions", 200);
        metrics.queued();
        let load = Load {
            running: 0,
            waiting: 1,
            cache: 250,
            engine: None,
        };
        let text = metrics.text("a\"b", Release::new(0, 12, 0), &load);
        for line in [
            "vllm:generation_tokens_total{engine=\"0\",model_name=\"a\\\"b\"} 3.0",
            "vllm:num_requests_waiting{engine=\"0\",model_name=\"a\\\"b\"} 1.0",
            "vllm:request_success_total{engine=\"0\",finished_reason=\"stop\",model_name=\"a\\\"b\"} 1.0",
            "vllm:e2e_request_latency_seconds_bucket{engine=\"0\",model_name=\"a\\\"b\",le=\"1.0\"} 1.0",
            "vllm:e2e_request_latency_seconds_bucket{engine=\"0\",model_name=\"a\\\"b\",le=\"0.8\"} 0.0",
            "vllm:inter_token_latency_seconds_count{engine=\"0\",model_name=\"a\\\"b\"} 2.0",
            "http_requests_total{handler=\"/v1/chat/completions\",method=\"POST\",status=\"2xx\"} 1.0",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
        assert!(!text.contains(names::TOOL_PARSER_INVOCATIONS));
        assert!(
            metrics
                .text("m", Release::new(0, 32, 0), &load)
                .contains("outcome=\"tool_call\",request_type=\"chat_completions\"} 1.0")
        );
    }
}
