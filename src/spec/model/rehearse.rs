//! What a rehearsal replaces, and the parameters of simulated servers.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Env;
use super::oneof::{Duration, ScalarText};

/// What `toolorch rehearse` replaces on a machine that lacks the site's files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rehearse {
    /// The environment of the client instead of the evaluation's.
    pub env: Option<Env>,
    /// Paths of the site and what stands for them here.
    #[serde(default)]
    pub paths: IndexMap<String, ScalarText>,
    /// Use only the first N questions.
    #[schemars(range(min = 1))]
    pub dataset_head: Option<u64>,
    /// What goes wrong with which unit, counted from the first client's start: `answer-3: 90s hang 30s, 2m crash`.
    /// `toolorch sim fault` lists what there is.
    #[serde(default)]
    pub faults: IndexMap<String, ScalarText>,
}

/// Parameters of a simulated server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sim {
    /// The time from its start until it listens, at `speed`. Default: 200ms.
    pub startup: Option<Duration>,
    /// The time that an answer takes, unless rates say it. Default: 20ms.
    pub latency: Option<Duration>,
    /// Prompt tokens read per second. With this, `decode_rate`, `batch_slowdown`, `cache_tokens` or `speed` requests are
    /// batched as vLLM does it, and latency follows from tokens and load. Default then: 20000.
    #[schemars(range(min = 1.0))]
    pub prefill_rate: Option<f64>,
    /// Tokens written per second for a request that is alone. Default then: 100.
    #[schemars(range(min = 0.1))]
    pub decode_rate: Option<f64>,
    /// How much each further request in the batch slows a step, as a share of the step of one that is alone.
    /// Default then: 1/150.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub batch_slowdown: Option<f64>,
    /// Tokens that the KV cache holds. Default: eight requests of full length.
    #[schemars(range(min = 1))]
    pub cache_tokens: Option<u64>,
    /// Tokens of an answer on average, with what is thought and not sent. Default: those of its text.
    #[schemars(range(min = 1))]
    pub answer_tokens: Option<u64>,
    /// How much the lengths of answers differ around `answer_tokens`: the standard deviation of their logarithm. At 0.6
    /// one in six has more than 1.8 times the median, at 0 all have the same. Default: 0.6.
    #[schemars(range(min = 0.0, max = 3.0))]
    pub answer_spread: Option<f64>,
    /// Virtual seconds in a second: a night in an hour. A start passes as fast. Default: 1.
    #[schemars(range(min = 0.01))]
    pub speed: Option<f64>,
    /// The share of answers that are right, where the right one is known: from `dataset`, or as a sum. Which questions they
    /// are depends on question and `seed` alone, and what a less accurate model gets right a more accurate one does too.
    /// Default: 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub accuracy: Option<f64>,
    /// Makes every random choice repeatable.
    pub seed: Option<u64>,
    /// The share of questions that are refused in a sentence, without a tool. Verdicts and forced calls are given all the
    /// same, here and with `run_long`. Default: 0.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub refuse: Option<f64>,
    /// The share of questions, of those not refused, at which the model goes on until `max_tokens` or the end of its
    /// context. Default: 0.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub run_long: Option<f64>,
    /// A JSONL file with `question` and `answer` in each line, from the YAML's folder: the model knows the answer to a prompt
    /// in which one of the questions stands.
    pub dataset: Option<String>,
}
