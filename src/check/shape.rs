//! The shape of a model: what its `config.json` says where that was found, else what is known by its name.

use std::fmt;

use serde_json::Value;

use crate::base::Name;
use crate::facts::ModelFiles;
use crate::knowledge::{memory, shapes};
use crate::spec::model::ModelSpec;

use super::Ctx;

/// Where a shape is known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From<'a> {
    /// Files in this folder.
    Files(&'a str),
    /// The name, which is that of a published model.
    Name,
}

impl fmt::Display for From<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(folder) => write!(f, "`{}/config.json`", folder.trim_end_matches('/')),
            Self::Name => f.write_str("its published config.json"),
        }
    }
}

/// What rules reckon with.
#[derive(Debug, Clone)]
pub(super) struct Shape<'a> {
    /// Attention heads.
    pub(super) heads: u64,
    /// KV heads; none with latent attention, which has none to divide.
    pub(super) kv_heads: Option<u64>,
    /// Layers that keep the whole context, as far as is known: a lower bound.
    whole_layers: u64,
    head_dim: u64,
    latent: Option<u64>,
    /// It is a mixture of experts.
    pub(super) experts: bool,
    /// Bytes of the weights: a lower bound.
    pub(super) weights: Option<u64>,
    /// The weights were counted, not estimated.
    pub(super) counted: bool,
    /// Its KV cache is kept in 8 bits by itself.
    small_cache: bool,
    /// Where this is known from.
    pub(super) from: From<'a>,
}

impl Shape<'_> {
    /// KV-cache bytes of a token on one GPU, at least.
    pub(super) fn kv_bytes(&self, element_bytes: u64, tensor: u64, pipeline: u64) -> u64 {
        let layers = self.whole_layers / pipeline.max(1);
        let element = if self.small_cache { 1 } else { element_bytes };
        match (self.latent, self.kv_heads) {
            (Some(latent), _) => layers.saturating_mul(latent).saturating_mul(element),
            (None, Some(heads)) => {
                memory::kv_bytes_per_token(layers, heads, self.head_dim, element, tensor)
            }
            (None, None) => 0,
        }
    }
}

/// The shape of a model, if anything is known of it.
pub(super) fn shape<'a>(ctx: &Ctx<'a>, name: &Name, model: &ModelSpec) -> Option<Shape<'a>> {
    let files = ctx.facts.models.get(name).and_then(|files| files.get());
    files
        .and_then(|files| of_files(files, &model.model))
        .or_else(|| of_name(&model.model))
}

fn of_name<'a>(model: &str) -> Option<Shape<'a>> {
    let known = shapes::shape_of(model)?;
    Some(Shape {
        heads: known.heads,
        kv_heads: known.latent.is_none().then_some(known.kv_heads),
        whole_layers: known.layers - known.window,
        head_dim: known.head_dim,
        latent: known.latent,
        experts: known.experts,
        weights: shapes::weights_of(model),
        counted: false,
        // NVIDIA's own checkpoints in 8 and 4 bits bring scales for such a cache.
        small_cache: model.to_ascii_lowercase().starts_with("nvidia/"),
        from: From::Name,
    })
}

/// Models with several parts keep that of the language in a part of its own.
pub(super) fn language(config: &Value) -> &Value {
    let parts = ["text_config", "llm_config", "language_config"];
    let part = parts.iter().find_map(|part| config.get(part));
    part.unwrap_or(config)
}

fn of_files<'a>(files: &'a ModelFiles, model: &str) -> Option<Shape<'a>> {
    let config = language(&files.config);
    let number = |key: &str| config.get(key)?.as_u64().filter(|number| *number > 0);
    let heads = number("num_attention_heads")?;
    // Layers that differ from each other: no one number holds for them.
    if config.get("block_configs").is_some() {
        return None;
    }
    let latent = number("kv_lora_rank")
        .map(|rank| rank.saturating_add(number("qk_rope_head_dim").unwrap_or(0)));
    let head_dim = number("head_dim").or_else(|| Some(number("hidden_size")? / heads));
    let experts = ["num_experts", "num_local_experts", "n_routed_experts"];
    let quantization = files.config.get("quantization_config");
    Some(Shape {
        heads,
        kv_heads: match latent {
            Some(_) => None,
            None => Some(number("num_key_value_heads").unwrap_or(heads)),
        },
        whole_layers: whole_layers(config),
        head_dim: head_dim.unwrap_or(0),
        latent,
        experts: experts.iter().any(|key| number(key).is_some()),
        weights: files.weight_bytes.or_else(|| shapes::weights_of(model)),
        counted: files.weight_bytes.is_some(),
        small_cache: quantization.is_some_and(|how| how.to_string().contains("kv_cache")),
        from: From::Files(&files.folder),
    })
}

/// What says that not all layers keep the whole context, or keep it in another way.
const WINDOWS: &[&str] = &[
    "sliding_window",
    "attention_chunk_size",
    "hybrid_layer_pattern",
    "linear_attn_config",
    "layers_block_type",
    "attn_layer_period",
    "attn_type_list",
    "full_attn_idxs",
    "global_head_dim",
];

fn whole_layers(config: &Value) -> u64 {
    let count = |found: usize| u64::try_from(found).unwrap_or(0);
    if let Some(kinds) = config.get("layer_types").and_then(Value::as_array) {
        // Those of Gemma 4 have other heads than the rest.
        let like_others = config.get("global_head_dim").is_none();
        let full = kinds
            .iter()
            .filter(|kind| kind.as_str() == Some("full_attention"));
        return if like_others { count(full.count()) } else { 0 };
    }
    if let Some(pattern) = config
        .get("hybrid_override_pattern")
        .and_then(Value::as_str)
    {
        return count(pattern.matches('*').count());
    }
    let off = config.get("use_sliding_window") == Some(&Value::Bool(false));
    let differs = |key: &&&str| {
        let value = config.get(**key);
        value.is_some_and(|value| !value.is_null()) && !(off && **key == "sliding_window")
    };
    if WINDOWS.iter().any(|key| differs(&key)) {
        return 0;
    }
    config
        .get("num_hidden_layers")
        .and_then(Value::as_u64)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn layers_that_keep_everything() {
        let layers = |config: Value| whole_layers(&config);
        assert_eq!(layers(json!({ "num_hidden_layers": 64 })), 64);
        let qwen = json!({ "num_hidden_layers": 48, "sliding_window": 131_072, "use_sliding_window": false });
        assert_eq!(layers(qwen), 48);
        assert_eq!(
            layers(json!({ "num_hidden_layers": 32, "sliding_window": 4096 })),
            0
        );
        let oss = json!({ "num_hidden_layers": 2, "sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] });
        assert_eq!(layers(oss), 1);
        assert_eq!(
            layers(json!({ "num_hidden_layers": 5, "hybrid_override_pattern": "MEM*E" })),
            1
        );
    }

    #[test]
    fn a_part_of_several_is_read() {
        let files = ModelFiles {
            folder: "/m".to_owned(),
            config: json!({ "model_type": "x", "text_config": { "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096, "num_hidden_layers": 36, "num_experts": 128 } }),
            weight_bytes: Some(7),
        };
        let shape = of_files(&files, "/m").unwrap();
        assert_eq!(
            (shape.heads, shape.kv_heads, shape.experts),
            (32, Some(8), true)
        );
        assert_eq!(shape.kv_bytes(2, 1, 1), 147_456);
        assert_eq!(shape.from.to_string(), "`/m/config.json`");
    }

    #[test]
    fn latent_attention_is_not_divided() {
        let shape = of_name("deepseek-ai/DeepSeek-V3.1").unwrap();
        assert_eq!(shape.kv_bytes(2, 8, 1), 61 * 576 * 2);
    }
}
