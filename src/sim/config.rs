//! What one simulated server is: the settings that its command line, its model directory and its environment give it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::conduct::Conduct;
use super::faults::Fault;
use crate::knowledge::families::{self, Family};
use crate::knowledge::release::Release;

/// The release that a simulated server claims unless told otherwise.
pub const DEFAULT_RELEASE: Release = Release::new(0, 12, 0);

/// The release whose answers were recorded (`tests/recordings`). What they taught holds from there on: nothing is known
/// of the releases between it and the sample before.
pub(super) const MEASURED: Release = Release::new(0, 32, 0);
/// Requests of full length that the KV cache holds.
pub(super) const FULL_REQUESTS: u64 = 8;
/// Prompt tokens that an engine reads per second where only its other rate is said: an 8B model on a large GPU, roughly.
pub(super) const PREFILL_RATE: f64 = 20_000.0;
/// Tokens that it writes per second for one request, likewise.
pub(super) const DECODE_RATE: f64 = 100.0;
/// What each further sequence adds to a step, as a share of the step of one: small beside the weights that each reads.
pub(super) const BATCH_SLOWDOWN: f64 = 1.0 / 150.0;
/// The standard deviation of the logarithm of answers' lengths: those of reasoning models differ by a factor of two either way.
pub(super) const ANSWER_SPREAD: f64 = 0.6;
/// vLLM's default for servers on GPUs (`--max-num-batched-tokens`).
pub(super) const MAX_NUM_BATCHED_TOKENS: u64 = 8192;

/// The context length in tokens of a model about which nothing is known.
pub const DEFAULT_CONTEXT: u32 = 32_768;

/// One simulated server.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// The vLLM release that it behaves like.
    pub release: Release,
    /// The model argument; `root` in `/v1/models`.
    pub model: String,
    /// The ids that it answers to, at least one.
    pub served: Vec<String>,
    /// The address to bind, a literal or a name; empty for all addresses.
    pub host: String,
    /// The port to bind; 0 lets the system choose.
    pub port: u16,
    /// The context length in tokens.
    pub max_model_len: u32,
    /// `--enable-auto-tool-choice`.
    pub auto_tool_choice: bool,
    /// `--tool-call-parser`.
    pub tool_parser: Option<String>,
    /// `--reasoning-parser`.
    pub reasoning_parser: Option<String>,
    /// `--default-chat-template-kwargs`, an object.
    pub template_kwargs: Map<String, Value>,
    /// `model_type` of the model's `config.json`, where there is one.
    pub model_type: Option<String>,
    /// Keys of which one must be shown; empty for none.
    pub api_keys: Vec<String>,
    /// Requests computed at once; the others wait.
    pub max_num_seqs: usize,
    /// How long answers take.
    pub timing: Timing,
    /// Tokens of an answer on average, with what is thought; none for those of its text.
    pub answer_tokens: Option<u64>,
    /// The standard deviation of the logarithm of their number.
    pub answer_spread: f64,
    /// Goes into every choice that is made by chance.
    pub seed: u64,
    /// What goes wrong once it is ready.
    pub faults: Vec<Fault>,
    /// Which log lines are written to this process's stdout and stderr.
    pub log: Logging,
    /// How its model behaves.
    pub conduct: Conduct,
}

/// How long answers take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Timing {
    /// Each the same time from its first token's computation to its last.
    Fixed(Duration),
    /// As long as a batching engine of these rates needs, see `batch`.
    Batching {
        /// Prompt tokens read per second.
        prefill_rate: f64,
        /// Tokens written per second for a request that is alone.
        decode_rate: f64,
        /// What each further request adds to a step, as a share of the step of one that is alone: 0 to 1.
        batch_slowdown: f64,
        /// Tokens that the KV cache holds; none for so many requests of full length.
        cache_tokens: Option<u64>,
        /// Virtual seconds in a second.
        speed: f64,
    },
}

/// Which log lines a server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Logging {
    /// vLLM's own and uvicorn's.
    pub lines: bool,
    /// One per request.
    pub access: bool,
    /// One every ten seconds while something moves.
    pub statistics: bool,
}

impl SimConfig {
    /// A quiet server of `model` on `host:port` with everything else at its default.
    pub fn new(model: &str, host: &str, port: u16) -> Self {
        Self {
            release: DEFAULT_RELEASE,
            model: model.to_owned(),
            served: vec![model.to_owned()],
            host: host.to_owned(),
            port,
            max_model_len: DEFAULT_CONTEXT,
            auto_tool_choice: false,
            tool_parser: None,
            reasoning_parser: None,
            template_kwargs: Map::new(),
            model_type: None,
            api_keys: Vec::new(),
            max_num_seqs: crate::knowledge::seats::SIMULATED,
            timing: Timing::Fixed(Duration::from_millis(20)),
            answer_tokens: None,
            answer_spread: ANSWER_SPREAD,
            seed: 0,
            faults: Vec::new(),
            log: Logging::default(),
            conduct: Conduct::default(),
        }
    }

    /// The model's family by its name.
    pub fn family(&self) -> Option<&'static Family> {
        families::family_of(&self.model)
    }

    /// Whether vLLM treats the model as gpt-oss: by `model_type`, else by name.
    pub fn is_gpt_oss(&self) -> bool {
        match self.model_type.as_deref() {
            Some(model_type) => model_type == "gpt_oss",
            None => self.family().is_some_and(|family| family.name == "gpt-oss"),
        }
    }
}
