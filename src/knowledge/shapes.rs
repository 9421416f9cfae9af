//! Shapes of models: heads, layers, what they keep of a token, how large their weights are.

use super::recipes;
use super::speed::billions;
use super::tables;
use super::{memory, pattern};
use crate::base::floor;

/// The shape of a published model.
#[derive(Debug)]
pub struct Known {
    /// Last parts of Hugging Face ids, lower case, without endings such as `-instruct` or `-fp8`.
    pub names: &'static [&'static str],
    /// Layers.
    pub layers: u64,
    /// Layers that keep a window or a state instead of the whole context.
    pub window: u64,
    /// Attention heads.
    pub heads: u64,
    /// KV heads.
    pub kv_heads: u64,
    /// Width of a head.
    pub head_dim: u64,
    /// With latent attention (MLA): the width of what a layer keeps of a token.
    pub latent: Option<u64>,
    /// Bits of a weight, as published.
    pub bits: u8,
    /// Billions of parameters, where the name does not say them.
    pub billions: Option<u32>,
    /// It is a mixture of experts.
    pub experts: bool,
}

impl Known {
    /// KV-cache bytes per token of `layers` layers on one of `tensor_parallel` GPUs.
    pub fn kv_bytes(&self, layers: u64, element_bytes: u64, tensor_parallel: u64) -> u64 {
        match self.latent {
            // What latent attention keeps is not divided between GPUs.
            Some(latent) => layers * latent * element_bytes,
            None => memory::kv_bytes_per_token(
                layers,
                self.kv_heads,
                self.head_dim,
                element_bytes,
                tensor_parallel,
            ),
        }
    }
}

/// Endings that change neither heads nor layers.
const ENDINGS: &[&str] = &[
    "-instruct",
    "-chat",
    "-thinking",
    "-base",
    "-it",
    "-hf",
    "-2507",
    "-bf16",
    "-fp8",
    "-fp8-dynamic",
    "-fp8-block",
    "-int4",
    "-int8",
    "-awq",
    "-gptq",
    "-gptq-int4",
    "-gptq-int8",
    "-nvfp4",
    "-4bit",
    "-8bit",
    "-w4a16",
    "-w8a8",
    "-quantized.w4a16",
    "-quantized.w8a8",
];

/// What an ending says of the bits of a weight.
const BITS: &[(&str, u8)] = &[
    ("fp8", 8),
    ("int8", 8),
    ("w8a8", 8),
    ("8bit", 8),
    ("awq", 4),
    ("gptq", 4),
    ("int4", 4),
    ("nvfp4", 4),
    ("w4a16", 4),
    ("4bit", 4),
];

/// The shape of a model that is known by its name: a Hugging Face id, or a path whose last telling part is one.
pub fn shape_of(model: &str) -> Option<&'static Known> {
    pattern::name_parts(model).find_map(by_part)
}

/// By a part of a name, with as few of its endings left out as possible.
fn by_part(part: &str) -> Option<&'static Known> {
    let lower = part.to_ascii_lowercase();
    let mut name = lower.rsplit("--").next()?;
    loop {
        let mut all = tables::shapes::SHAPES.iter();
        if let Some(found) = all.find(|shape| shape.names.contains(&name)) {
            return Some(found);
        }
        name = ENDINGS.iter().find_map(|end| name.strip_suffix(end))?;
    }
}

/// Bytes that the weights of a model known by name take at least: parameters as its name or its recipe says them, less
/// the 5 % by which such numbers are rounded, and half a bit of scales and zero points left out.
pub fn weights_of(model: &str) -> Option<u64> {
    let shape = shape_of(model)?;
    let lower = model.trim_end_matches('/').to_ascii_lowercase();
    let said = || billions(&lower, ' ');
    let recipe = || {
        let text = recipes::recipe(model)?.params;
        text.strip_suffix('B')?.parse::<f64>().ok()
    };
    let billions = shape
        .billions
        .map(f64::from)
        .or_else(said)
        .or_else(recipe)?;
    let marked = BITS.iter().find(|(mark, _)| lower.contains(mark));
    let bits = marked.map_or(shape.bits, |(_, bits)| *bits).min(shape.bits);
    Some(floor(billions * 0.95e9 * f64::from(bits) / 8.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_shape() {
        for name in [
            "Qwen/Qwen3-32B",
            "Qwen/Qwen3-32B-FP8",
            "/ckpt/qwen3-32b/",
            "/hub/models--Qwen--Qwen3-32B-AWQ/snapshots/abc",
        ] {
            let shape = shape_of(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!((shape.heads, shape.layers), (64, 64), "{name}");
        }
        assert!(shape_of("mycorp/Qwen3-32B-pruned").is_none());
        assert!(shape_of("zai-org/GLM-4.6V").is_none());
    }

    #[test]
    fn each_name_stands_once() {
        let mut names: Vec<&str> = tables::shapes::SHAPES
            .iter()
            .flat_map(|shape| shape.names)
            .copied()
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        let thinking = shape_of("moonshotai/Kimi-K2-Thinking").unwrap();
        let instruct = shape_of("moonshotai/Kimi-K2-Instruct-0905")
            .or_else(|| shape_of("moonshotai/Kimi-K2-Instruct"));
        assert_eq!((thinking.bits, instruct.unwrap().bits), (4, 8));
    }

    #[test]
    fn weights_by_name_are_a_lower_bound() {
        let gb = |model: &str| weights_of(model).unwrap() / 1_000_000_000;
        // 65.5, 32.8, 13.8, 141.1 and 688.6 GB as published.
        assert_eq!(gb("Qwen/Qwen3-32B"), 60);
        assert_eq!(gb("Qwen/Qwen3-32B-FP8"), 30);
        assert_eq!(gb("openai/gpt-oss-20b"), 9);
        assert_eq!(gb("meta-llama/Llama-3.3-70B-Instruct"), 133);
        assert_eq!(gb("deepseek-ai/DeepSeek-V3.1"), 637);
        assert_eq!(weights_of("mycorp/agent-70b"), None);
    }
}
