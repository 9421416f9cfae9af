//! What vLLM does with GPU memory: its default share, and KV-cache bytes per token.
//!
//! The budget is `gpu_memory_utilization × device memory`; vLLM refuses to start when less than that is free, and
//! what weights, activations and CUDA graphs leave of it is KV cache.

use super::release::Release;
use super::shapes;

/// KV-cache bytes per token at tensor parallel 1 of a model known by name; an upper bound where some layers keep a
/// window alone.
pub fn kv_bytes_of(model: &str) -> Option<u64> {
    let shape = shapes::shape_of(model)?;
    Some(shape.kv_bytes(shape.layers, 2, 1))
}

/// KV-cache bytes per token of a dense transformer: two tensors per layer, one vector per KV head. With tensor
/// parallel each rank holds its share of the heads, but at least one.
pub fn kv_bytes_per_token(
    layers: u64,
    kv_heads: u64,
    head_dim: u64,
    element_bytes: u64,
    tensor_parallel: u64,
) -> u64 {
    let heads = (kv_heads / tensor_parallel.max(1)).max(1);
    // A `config.json` may hold any number.
    [layers, heads, head_dim, element_bytes]
        .into_iter()
        .fold(2, u64::saturating_mul)
}

/// The default of `--gpu-memory-utilization`: 0.9 up to 0.20, 0.92 in 0.32.
pub fn default_utilization(release: Release) -> f64 {
    if release < Release::new(0, 32, 0) {
        0.9
    } else {
        0.92
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_gives_the_figures_that_were_checked() {
        assert_eq!(kv_bytes_per_token(2, 1, 32, 2, 1), 256);
        assert_eq!(kv_bytes_per_token(36, 8, 128, 2, 1), 147_456);
        assert_eq!(kv_bytes_per_token(64, 8, 128, 2, 16), 32_768);
    }

    #[test]
    fn models_of_the_log_are_known_by_name() {
        assert_eq!(
            kv_bytes_of("/ckpt/nvidia/Nemotron-Orchestrator-8B/"),
            Some(147_456)
        );
        assert_eq!(kv_bytes_of("Qwen/Qwen3-32B-FP8"), Some(262_144));
        assert_eq!(kv_bytes_of("meta-llama/Llama-3.1-8B"), Some(131_072));
        assert_eq!(kv_bytes_of("mycorp/agent"), None);
    }
}
