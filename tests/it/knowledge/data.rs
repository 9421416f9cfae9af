//! The shape of `src/knowledge/data/vllm.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_yaml::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub(crate) meta: Meta,
    pub(crate) tool_parsers: BTreeMap<String, Parser>,
    pub(crate) reasoning_parsers: BTreeMap<String, Parser>,
    pub(crate) families: Vec<Family>,
    pub(crate) model_types: BTreeMap<String, Vec<String>>,
    pub(crate) flags: BTreeMap<String, Flag>,
    pub(crate) removed_flags: Vec<Removed>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) recipes: Vec<Recipe>,
    #[serde(rename = "memory")]
    pub(crate) _memory: Memory,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) gpus: Vec<Gpu>,
    // Prose for people; the tables take nothing from it.
    #[serde(rename = "runtime")]
    pub(crate) _runtime: Value,
    #[serde(rename = "data_parallel")]
    pub(crate) _data_parallel: Value,
    #[serde(rename = "gpu_source")]
    pub(crate) _gpu_source: String,
    #[serde(rename = "metrics")]
    pub(crate) _metrics: Value,
    #[serde(rename = "env_vars")]
    pub(crate) _env_vars: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Meta {
    #[serde(rename = "generated")]
    pub(crate) _generated: String,
    #[serde(rename = "source")]
    pub(crate) _source: String,
    pub(crate) flags_sampled: Vec<String>,
    pub(crate) parsers_sampled: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parser {
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
    #[serde(default)]
    pub(crate) models: Vec<String>,
    pub(crate) chat_template: Option<String>,
    pub(crate) note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Family {
    #[serde(rename = "family")]
    pub(crate) name: String,
    pub(crate) r#match: String,
    pub(crate) tool_parser: Option<String>,
    pub(crate) reasoning_parser: Option<String>,
    #[serde(default)]
    pub(crate) wrong_parsers: Vec<String>,
    pub(crate) min_release: Option<String>,
    #[serde(default)]
    pub(crate) always_thinks: bool,
    #[serde(default)]
    pub(crate) extra_args: Vec<String>,
    pub(crate) thinking_off: Option<String>,
    pub(crate) thinks_by_default: Option<bool>,
    pub(crate) note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flag {
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
    pub(crate) r#type: String,
    pub(crate) default: Option<String>,
    #[serde(default)]
    pub(crate) choices: Vec<String>,
    #[serde(default)]
    pub(crate) many: bool,
    // `--hf-token` alone; treated as taking a value.
    #[serde(default, rename = "optional_value")]
    pub(crate) _optional_value: bool,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    #[serde(default)]
    pub(crate) popular: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removed {
    pub(crate) flag: String,
    pub(crate) last_seen: String,
    pub(crate) gone_in: String,
    pub(crate) use_instead: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    pub(crate) id: String,
    pub(crate) r#match: String,
    pub(crate) phase: String,
    pub(crate) kind: String,
    pub(crate) permanent: bool,
    pub(crate) cause: String,
    pub(crate) fix: String,
    pub(crate) exit_code: Option<u8>,
    pub(crate) http_status: Option<u16>,
    pub(crate) source: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    pub(crate) id: String,
    pub(crate) arch: String,
    pub(crate) params: String,
    pub(crate) context: Option<u32>,
    pub(crate) min_release: Option<String>,
    #[serde(default)]
    pub(crate) tool_args: Vec<String>,
    #[serde(default)]
    pub(crate) reasoning_args: Vec<String>,
    #[serde(default)]
    pub(crate) base_args: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    #[serde(rename = "notes")]
    pub(crate) _notes: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    pub(crate) names: Vec<String>,
    pub(crate) layers: u64,
    #[serde(default)]
    pub(crate) window: u64,
    pub(crate) heads: u64,
    pub(crate) kv_heads: u64,
    pub(crate) head_dim: u64,
    pub(crate) latent: Option<u64>,
    pub(crate) bits: u8,
    pub(crate) billions: Option<u32>,
    #[serde(default)]
    pub(crate) experts: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gpu {
    pub(crate) name: String,
    pub(crate) words: Vec<String>,
    pub(crate) memory_mib: u32,
    pub(crate) compute: String,
}
