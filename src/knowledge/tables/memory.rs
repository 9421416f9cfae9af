//! Generated from `../data/vllm.yaml` by `UPDATE=1 cargo test --test it knowledge`; do not edit.

use super::super::memory::KvBytes;

pub(in crate::knowledge) const KV_BYTES: &[KvBytes] = &[
    KvBytes { pattern: &[&["qwen3-8b"], &["nemotron-orchestrator-8b"], &["nemotron_orchestrator-8b"]], bytes: 147_456, note: "36 layers, 8 kv heads, head dim 128, bf16" },
    KvBytes { pattern: &[&["qwen3-32b"]], bytes: 262_144, note: "64 layers, 8 kv heads, head dim 128, bf16" },
    KvBytes { pattern: &[&["qwen2.5-coder-14b"], &["qwen2.5-14b"]], bytes: 196_608, note: "48 layers, 8 kv heads, head dim 128, bf16" },
    KvBytes { pattern: &[&["gpt-oss-20b"], &["gpt_oss-20b"]], bytes: 49152, note: "24 layers, 8 kv heads, head dim 64; upper bound, half the layers slide over 128 tokens" },
];
