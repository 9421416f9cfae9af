//! Nodes and pools.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{Env, Slurm};
use crate::base::GpuIndex;
use crate::spec::schema::NODE;

/// How units are started and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LauncherKind {
    /// A process in a session of its own.
    Process,
    /// A window of a tmux session, to attach to.
    Tmux,
    /// A SLURM job.
    Slurm,
}

/// How commands reach a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TransportKind {
    /// This machine.
    Local,
    /// The built-in ssh client.
    Ssh2,
    /// The system's `ssh`: for jump hosts, Kerberos and second factors.
    SystemSsh,
}

/// How clients reach a node's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// By connecting to its address.
    Direct,
    /// Through an ssh tunnel that is itself a unit: servers then listen at 127.0.0.1 of the node, unless it has an `address`.
    Tunnel,
}

/// A host with GPUs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// How many GPUs it has, or which may be used: `8` or `[4, 5, 6, 7]`; `0` for none.
    pub gpus: NodeGpus,
    /// The kind of GPU, such as `H100-80GB`; memory arithmetic needs it.
    pub gpu: Option<String>,
    /// The address that clients connect to. Default: the node's key.
    #[schemars(regex(pattern = NODE))]
    pub address: Option<String>,
    /// How commands reach it. Default: `local` for this machine's own names, else `ssh2`.
    pub transport: Option<TransportKind>,
    /// How units are started here.
    pub launcher: Option<LauncherKind>,
    /// Details of the ssh connection.
    pub ssh: Option<Ssh>,
    /// How clients reach its ports. Default: `direct`.
    pub reach: Option<Reach>,
    /// Its name in SLURM, where that differs from the key.
    #[schemars(regex(pattern = NODE))]
    pub slurm_name: Option<String>,
    /// Environment of everything that runs here.
    pub env: Option<Env>,
}

/// Details of an ssh connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// The host to connect to. Default: the node's key.
    #[schemars(regex(pattern = NODE))]
    pub host: Option<String>,
    /// The user to log in as. Default: the caller's name.
    #[schemars(regex(pattern = NODE))]
    pub user: Option<String>,
    /// The port of sshd. Default: 22.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The private key to use.
    pub identity: Option<String>,
    /// A host to jump through.
    pub jump: Option<String>,
    /// The host key's SHA-256 fingerprint, pinned.
    pub host_key_sha256: Option<String>,
}

/// Nodes that SLURM chooses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Always `slurm`: nothing else chooses nodes.
    pub launcher: Option<LauncherKind>,
    /// How many nodes to ask for.
    #[schemars(range(min = 1, max = 4096))]
    pub nodes: u32,
    /// GPUs of each node.
    pub gpus: u16,
    /// The kind of GPU, such as `H100-80GB`.
    pub gpu: Option<String>,
    /// Options of its jobs, over those at the top.
    pub slurm: Option<Slurm>,
    /// Environment of everything that runs here.
    pub env: Option<Env>,
}

/// The GPUs of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum NodeGpus {
    /// GPUs 0 to N-1.
    Count(u16),
    /// Just these.
    List(Vec<GpuIndex>),
}

impl NodeGpus {
    /// The GPUs that may be used, in order.
    pub fn indices(&self) -> Vec<GpuIndex> {
        match self {
            Self::Count(count) => (0..*count).map(GpuIndex).collect(),
            Self::List(list) => list.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for NodeGpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Gpus;
        impl<'de> Visitor<'de> for Gpus {
            type Value = NodeGpus;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of GPUs, or a list such as [4, 5, 6, 7]")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<NodeGpus, E> {
                u16::try_from(count)
                    .map(NodeGpus::Count)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(count), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NodeGpus, A::Error> {
                let mut list = Vec::new();
                while let Some(gpu) = seq.next_element()? {
                    list.push(gpu);
                }
                Ok(NodeGpus::List(list))
            }
        }
        deserializer.deserialize_any(Gpus)
    }
}

impl JsonSchema for NodeGpus {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NodeGpus".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of GPUs, or a list such as [4, 5, 6, 7].",
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": 1024 },
                { "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": 1023 } }
            ]
        })
    }
}
