//! One line of samples. [`crate::run::store`] writes them, JSON and compressed; docs/SAMPLES.md describes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::base::{
    Epoch, EvalName, Generation, GpuIndex, Millis, NodeName, RunId, Timestamp, UnitId,
};
use crate::knowledge::series::{Counter, Distribution, Gauge};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// The first line of a file.
    Head(Head),
    /// A server.
    Server(ServerLine),
    /// A machine.
    Node(NodeLine),
    /// An evaluation and its client.
    Eval(EvalLine),
}

/// What a file of samples is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The version of this form.
    pub v: u32,
    /// The run.
    pub run: RunId,
    /// The owner that writes it; each has a file of its own.
    pub epoch: Epoch,
    /// When it began: what an earlier owner wrote for later moments does not count.
    pub began: Timestamp,
    /// The pause between two samples.
    pub every: Millis,
}

impl Head {
    /// The version that is written.
    pub const FORMAT: u32 = 1;
}

/// What a server did since its line before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerLine {
    /// When its page was read.
    pub at: Timestamp,
    /// Which server.
    pub unit: UnitId,
    /// Its n-th start.
    #[serde(rename = "gen")]
    pub generation: Generation,
    /// All that it has counted since it began, instead of what came since the line before: the first line of each process,
    /// and one from time to time, so that nothing rests on what was lost. Every series that it has stands there, and every
    /// limit of its buckets.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// When its process began, in seconds since 1970; only with `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<f64>,
    /// Gauges that are not what they were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub now: BTreeMap<Gauge, Amount>,
    /// Counters that grew, and by how much.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<Counter, Amount>,
    /// Distributions that grew, and by what.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spread: BTreeMap<Distribution, Spread>,
}

/// By what a distribution grew.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Spread {
    /// By how many values.
    pub n: Amount,
    /// What these add up to.
    pub sum: Amount,
    /// How many of them lie in each bucket, by its upper limit (null: without one), and above the limit before it.
    pub per: Vec<(Option<Amount>, Amount)>,
}

/// A number that is written without a fraction where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(transparent)]
pub struct Amount(pub f64);

impl Amount {
    /// What a number that cannot be stands for.
    pub(super) const UNKNOWN: Self = Self(f64::NAN);
}

impl Serialize for Amount {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole and below 2^53"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 9e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// A machine at one moment. What it does not say is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeLine {
    /// When it was asked.
    pub at: Timestamp,
    /// Its name in the YAML.
    pub node: NodeName,
    /// Processes that ran or waited to run, on average over the last minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Its processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    /// Its memory in MiB: what is available, and all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<(u64, u64)>,
    /// Its GPUs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuLoad>,
}

/// A GPU at one moment, by `nvidia-smi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuLoad {
    /// Which of its node.
    pub index: GpuIndex,
    /// The share of the last moments (up to a second) in which something ran on it, in percent. All of it says nothing of how
    /// well it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<u32>,
    /// Its memory that is used, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// All of its memory, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// An evaluation at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvalLine {
    /// When.
    pub at: Timestamp,
    /// Its name.
    pub eval: EvalName,
    /// The n-th start of its client; none before the first.
    #[serde(rename = "gen")]
    pub generation: Generation,
    /// Its client runs.
    pub runs: bool,
    /// Ids with a complete result.
    pub done: usize,
    /// Of these, in error.
    pub errors: usize,
    /// All ids.
    pub total: usize,
    /// Calls that its client has under way, where its log tells of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_calls: Option<usize>,
    /// Open files of its process that is closest to its limit, and that limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<(u64, u64)>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands a reference over"
)]
fn is_false(value: &bool) -> bool {
    !*value
}
