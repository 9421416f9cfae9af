//! What a site has: Hugging Face caches and SLURM options.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;
use super::oneof::ScalarText;

/// Hugging Face: cache, token, offline mode.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hf {
    /// The cache directory: `HF_HOME`. Default: the caller's, else `~/.cache/huggingface`.
    pub home: Option<String>,
    /// Where the token for gated models comes from, for servers and for `fetch`. Default: the file that `hf auth login` wrote.
    pub token: Option<Secret>,
    /// Never ask the hub, neither servers nor `fetch`: `HF_HUB_OFFLINE=1`.
    pub offline: Option<bool>,
    /// A directory of each server's own machine: weights are copied there from the cache before a server starts, once for all of its
    /// servers.
    pub stage: Option<String>,
}

/// Options of SLURM jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slurm {
    /// The partition.
    pub partition: Option<String>,
    /// The account.
    pub account: Option<String>,
    /// The quality of service.
    pub qos: Option<String>,
    /// The time limit, quoted: `"04:00:00"`. Required where jobs are submitted.
    pub time: Option<String>,
    /// The generic resource of a GPU. Default: `gpu`.
    pub gres: Option<String>,
    /// Features that nodes must have.
    pub constraint: Option<String>,
    /// Nodes to avoid.
    pub exclude: Option<String>,
    /// The login node from which jobs are submitted: a node of this file, whose `ssh` and `transport` hold (it may have no GPUs:
    /// `gpus: 0`), or `[USER@]HOST[:PORT]`. Default: this machine.
    pub login: Option<String>,
    /// Submit a successor before the time limit ends.
    pub renew: Option<bool>,
    /// More `#SBATCH` options, name and value; `"true"` for one that takes none, such as `hold: "true"`.
    #[serde(default)]
    pub extra: IndexMap<String, ScalarText>,
}
