//! What one look at a ready server brought: its counters, its canary, its processes. Pure.

use serde::{Deserialize, Serialize};

use super::exposition::lines;
use super::served::is_abort;
use crate::base::floor;
use crate::knowledge::metrics as names;

/// One sign of life, or its absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulse {
    /// It was looked at.
    Look(Look),
    /// A completion of one token was asked for.
    Canary(Canary),
}

/// What a look brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// How it met us.
    pub door: Door,
    /// What its page of counters says; none where it has none, or did not answer.
    pub counters: Option<Counters>,
    /// What its processes do; only where it was asked for, and they could be seen.
    pub body: Option<Body>,
}

/// How a server met a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// It answered, whatever it said.
    Answers,
    /// It took the connection, or seemed to, and said nothing in time.
    Silent,
    /// Nobody listens.
    Closed,
    /// It could not be asked, for this reason: nothing follows from that.
    Unknown(String),
    /// It said nothing, and its node could not be asked either, for this reason.
    Unreached(String),
}

/// What became of a canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canary {
    /// It came back, with this HTTP status.
    Back(u16),
    /// It did not come back in time.
    Lost,
    /// It could not be sent, for this reason: nothing follows from that.
    Unknown(String),
}

/// What a tree of processes has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    /// Processor time of all its processes, in milliseconds.
    pub computed: u64,
    /// The size of its log.
    pub log_bytes: u64,
    /// One of its processes was stopped by a signal.
    pub stopped: Option<u32>,
}

/// What a page of metrics says of requests, summed over its label sets. While an engine works, something here moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests being computed.
    pub running: u64,
    /// Requests in the queue.
    pub waiting: u64,
    /// Tokens generated.
    pub generated: u64,
    /// Prompt tokens computed.
    pub prompt: u64,
    /// Requests finished by the engine; aborts are their clients' doing.
    pub finished: u64,
    /// Requests preempted.
    pub preempted: u64,
    /// Steps of the engine.
    pub steps: u64,
    /// The share of the KV cache that is used, in millionths.
    pub cache: u64,
}

/// The samples that matter, without the engine's prefix.
const STEPS: &str = "vllm:iteration_tokens_total_count";

impl Counters {
    /// Reads a page; none if it counts no requests.
    pub fn read(page: &str) -> Option<Self> {
        let mut found = Self::default();
        let mut any = false;
        for line in lines(page) {
            // Nine of ten lines are buckets.
            let (counter, unit) = match line.name {
                names::RUNNING => (&mut found.running, 1.0),
                names::WAITING => (&mut found.waiting, 1.0),
                names::GENERATION_TOKENS => (&mut found.generated, 1.0),
                names::PROMPT_TOKENS => (&mut found.prompt, 1.0),
                names::PREEMPTIONS => (&mut found.preempted, 1.0),
                names::SUCCESS if !is_abort(&line) => (&mut found.finished, 1.0),
                STEPS => (&mut found.steps, 1.0),
                name if names::KV_CACHE_USAGE.contains(&name) => (&mut found.cache, 1e6),
                _ => continue,
            };
            if let Some(value) = line.value() {
                any = true;
                *counter = counter.saturating_add(floor(value * unit));
            }
        }
        any.then_some(found)
    }

    /// Requests that are computed or wait.
    pub fn in_flight(&self) -> u64 {
        self.running.saturating_add(self.waiting)
    }
}

/// How a ready server is, beyond being busy or idle, which changes too often to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Liveness {
    /// As it should be, or within reach, again.
    Well,
    /// It works, at under half the pace of its peers.
    Slow,
    /// It takes requests and does nothing.
    Stalled,
    /// Its process lives and its port is closed.
    Closed,
    /// It answers, and no longer knows the model that it proved to serve.
    Estranged,
    /// Neither it nor its node answers: nobody knows.
    Unreached,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_summed_over_its_label_sets() {
        let page = "# TYPE vllm:num_requests_running gauge\n\
            vllm:num_requests_running{engine=\"0\",model_name=\"a}b\"} 3.0\n\
            vllm:num_requests_running{engine=\"1\",model_name=\"a}b\"} 4.0 1700000000\n\
            vllm:num_requests_waiting{engine=\"0\"} 2.0\n\
            vllm:num_requests_waiting_by_reason{reason=\"capacity\"} 2.0\n\
            vllm:generation_tokens_total{engine=\"0\"} 1.5e3\n\
            vllm:request_success_total{finished_reason=\"stop\"} 5.0\n\
            vllm:request_success_total{finished_reason=\"abort\"} 9.0\n\
            vllm:iteration_tokens_total_bucket{le=\"1.0\"} 7.0\n\
            vllm:iteration_tokens_total_count{engine=\"0\"} 8.0\n\
            vllm:gpu_cache_usage_perc{engine=\"0\"} 0.25\n\
            process_cpu_seconds_total 99.0\n";
        let read = Counters::read(page).unwrap();
        let expected = Counters {
            running: 7,
            waiting: 2,
            generated: 1500,
            finished: 5,
            steps: 8,
            cache: 250_000,
            ..Counters::default()
        };
        assert_eq!(read, expected);
        assert_eq!(read.in_flight(), 9);
    }

    #[test]
    fn a_page_that_counts_no_requests_is_none() {
        assert_eq!(Counters::read("python_gc_total 3\nup 1\n"), None);
        assert_eq!(Counters::read(""), None);
    }
}
