//! Heads, weights and cache against GPUs.

use insta::assert_snapshot;
use serde_json::json;

use super::{codes, said_of};
use crate::facts::{Facts, Known, ModelFiles};
use crate::plan::plan_tests::facts;

const HEAD: &str = "version: 1\nname: a\nvllm: { version: \"0.12.0\" }\n\
                    nodes: { n: { gpus: 8, gpu: H100-80GB, transport: local } }\n";

fn yaml(rest: &str) -> String {
    format!(
        "{HEAD}models:\n  m:\n    node: n\n    {}\n",
        rest.replace("; ", "\n    ")
    )
}

fn said(rest: &str) -> String {
    said_of(&yaml(rest), &facts())
}

fn quiet(rest: &str) {
    assert_eq!(said(rest), "", "{rest}");
}

#[test]
fn heads_are_divided() {
    assert_snapshot!(said("model: Qwen/Qwen2.5-Coder-14B-Instruct; tensor_parallel: 3"), @r"
    error[E0431]: 40 attention heads of `m` cannot be divided among 3 GPUs
     --> a.yaml:9:22
      |
    8 |     model: Qwen/Qwen2.5-Coder-14B-Instruct
      |            ------------------------------- its published config.json says 40
    9 |     tensor_parallel: 3
      |                      ^ 40 is no multiple of 3
      |
      = help: vLLM refuses to start; what does not divide can be more replicas, or `pipeline_parallel`
    help: divide among 2
      |
    9 -     tensor_parallel: 3
    9 +     tensor_parallel: 2
      |

    error: 1 error in a.yaml
    ");
    assert_snapshot!(said("model: meta-llama/Llama-3.2-3B-Instruct; tensor_parallel: 6"), @r"
    error[E0431]: 8 KV heads of `m` cannot be divided among 6 GPUs
     --> a.yaml:9:22
      |
    8 |     model: meta-llama/Llama-3.2-3B-Instruct
      |            -------------------------------- its published config.json says 8
    9 |     tensor_parallel: 6
      |                      ^ 8 is no multiple of 6
      |
      = help: vLLM refuses to start; what does not divide can be more replicas, or `pipeline_parallel`
    help: divide among 4
      |
    9 -     tensor_parallel: 6
    9 +     tensor_parallel: 4
      |

    error: 1 error in a.yaml
    ");
    quiet("model: Qwen/Qwen2.5-Coder-14B-Instruct; tensor_parallel: 8");
    // Four KV heads on eight GPUs: each twice.
    quiet("model: Qwen/Qwen3-30B-A3B; tensor_parallel: 8");
    // Latent attention has no KV heads to divide.
    quiet("model: moonshotai/Kimi-Linear-48B-A3B-Instruct; tensor_parallel: 3");
}

#[test]
fn weights_that_do_not_fit() {
    assert_snapshot!(said("model: meta-llama/Llama-3.3-70B-Instruct; gpu_memory_utilization: 0.9"), @r"
    error[E0433]: the weights of `m` do not fit its GPUs
     --> a.yaml:8:12
      |
    4 | nodes: { n: { gpus: 8, gpu: H100-80GB, transport: local } }
      |                             --------- H100-80GB: 79.6 GiB × 0.9 = 71.7 GiB
    ...
    8 |     model: meta-llama/Llama-3.3-70B-Instruct
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ at least 123.9 GiB of weights
    9 |     gpu_memory_utilization: 0.9
      |                             --- the share that the server may take
      |
      = help: `tensor_parallel: 4` gives 31.0 GiB to each GPU

    error: 1 error in a.yaml
    ");
    quiet(
        "model: meta-llama/Llama-3.3-70B-Instruct; gpu_memory_utilization: 0.9; tensor_parallel: 4",
    );
    // What is quantized as it is loaded may be a quarter.
    quiet(
        "model: meta-llama/Llama-3.3-70B-Instruct; max_model_len: 8192; args: { quantization: bitsandbytes }",
    );
    quiet("model: meta-llama/Llama-3.3-70B-Instruct; args: { cpu-offload-gb: 100 }");
}

#[test]
fn one_full_request_that_does_not_fit() {
    assert_snapshot!(said("model: Qwen/Qwen3-32B; gpu_memory_utilization: 0.8; max_model_len: 40960"), @r"
    error[E0434]: no GPU memory is left for one full request to `m`
      --> a.yaml:10:20
       |
     4 | nodes: { n: { gpus: 8, gpu: H100-80GB, transport: local } }
       |                             --------- H100-80GB: 79.6 GiB × 0.8 = 63.7 GiB
    ...
     9 |     gpu_memory_utilization: 0.8
       |                             --- the share that the server may take
    10 |     max_model_len: 40960
       |                    ^^^^^ one request of 40960 tokens × 262144 bytes = 10.0 GiB of cache
       |
       = help: at least 56.6 GiB of weights; with the cache 66.6 GiB: less than 30000 tokens fit: set `max_model_len`, or divide the model over more GPUs

    error: 1 error in a.yaml
    ");
    assert_snapshot!(said("model: Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8; gpu_memory_utilization: 0.7; tensor_parallel: 8; max_model_len: 262144"), @r"
    error[E0434]: no GPU memory is left for one full request to `m`
      --> a.yaml:11:20
       |
     4 | nodes: { n: { gpus: 8, gpu: H100-80GB, transport: local } }
       |                             --------- H100-80GB: 79.6 GiB × 0.7 = 55.8 GiB
    ...
     9 |     gpu_memory_utilization: 0.7
       |                             --- the share that the server may take
    10 |     tensor_parallel: 8
    11 |     max_model_len: 262144
       |                    ^^^^^^ one request of 262144 tokens × 31744 bytes = 7.8 GiB of cache
       |
       = help: at least 424.7 GiB of weights / 8 GPUs = 53.1 GiB; with the cache 60.8 GiB: less than 91000 tokens fit: set `max_model_len`, or divide the model over more GPUs

    error: 1 error in a.yaml
    ");
    assert_snapshot!(said("model: meta-llama/Llama-3.3-70B-Instruct; tensor_parallel: 2; gpu_memory_utilization: 0.95"), @r"
    warning[W0434]: no GPU memory is left for one full request to `m`
      --> a.yaml:8:12
       |
     4 | nodes: { n: { gpus: 8, gpu: H100-80GB, transport: local } }
       |                             --------- H100-80GB: 79.6 GiB × 0.95 = 75.7 GiB
    ...
     8 |     model: meta-llama/Llama-3.3-70B-Instruct
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ one request of its own length, 131072 tokens × 163840 bytes = 20.0 GiB of cache
     9 |     tensor_parallel: 2
    10 |     gpu_memory_utilization: 0.95
       |                             ---- the share that the server may take
       |
       = help: at least 123.9 GiB of weights / 2 GPUs = 61.9 GiB; with the cache 81.9 GiB: less than 90000 tokens fit: set `max_model_len`, or divide the model over more GPUs

    warning: 1 warning in a.yaml
    ");
    quiet("model: Qwen/Qwen3-32B; max_model_len: 16384");
    quiet("model: Qwen/Qwen3-32B; max_model_len: 40960; args: { kv-cache-dtype: fp8 }");
}

fn with_files(config: serde_json::Value, tenths: u64) -> Facts {
    let mut facts = facts();
    let files = ModelFiles {
        folder: "/ckpt/m".to_owned(),
        config,
        weight_bytes: Some(tenths * 107_374_182),
    };
    facts.models.insert("m".into(), Known::Known(files));
    facts
}

#[test]
fn files_are_believed_before_names() {
    let config = || json!({ "model_type": "qwen3", "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "num_hidden_layers": 36, "max_position_embeddings": 40960 });
    let of = |rest: &str, tenths: u64| said_of(&yaml(rest), &with_files(config(), tenths));
    assert_snapshot!(of("model: /ckpt/m; tensor_parallel: 5", 153), @r"
    error[E0431]: 32 attention heads of `m` cannot be divided among 5 GPUs
     --> a.yaml:9:22
      |
    8 |     model: /ckpt/m
      |            ------- `/ckpt/m/config.json` says 32
    9 |     tensor_parallel: 5
      |                      ^ 32 is no multiple of 5
      |
      = help: vLLM refuses to start; what does not divide can be more replicas, or `pipeline_parallel`
    help: divide among 4
      |
    9 -     tensor_parallel: 5
    9 +     tensor_parallel: 4
      |

    error: 1 error in a.yaml
    ");
    assert_snapshot!(of("model: /ckpt/m", 900), @r"
    error[E0433]: the weights of `m` do not fit its GPUs
     --> a.yaml:8:12
      |
    4 | nodes: { n: { gpus: 8, gpu: H100-80GB, transport: local } }
      |                             --------- H100-80GB: 79.6 GiB × 0.9 = 71.7 GiB
    ...
    8 |     model: /ckpt/m
      |            ^^^^^^^ 90.0 GiB of weights
      |
      = help: `tensor_parallel: 2` gives 45.0 GiB to each GPU

    error: 1 error in a.yaml
    ");
    assert_snapshot!(of("model: /ckpt/m", 650), @r"
    note[N0436]: 1.1 GiB of GPU memory are left beside weights and one full request to `m`
     --> a.yaml:8:12
      |
    4 | nodes: { n: { gpus: 8, gpu: H100-80GB, transport: local } }
      |                             --------- H100-80GB: 79.6 GiB × 0.9 = 71.7 GiB
    ...
    8 |     model: /ckpt/m
      |            ^^^^^^^ 65.0 GiB of weights + 5.6 GiB of cache for 40960 tokens
      |
      = help: activations and CUDA graphs come out of it: it may not start, and it will serve few requests at once

    note: 1 note in a.yaml
    ");
    assert_eq!(of("model: /ckpt/m", 153), "");
}

#[test]
fn one_server_for_replicas_of_a_dense_model() {
    assert_snapshot!(said("model: Qwen/Qwen3-8B; replicas: 4; layout: vllm-dp"), @r"
    warning[W0435]: one server for all replicas of a model that is no mixture of experts
      --> a.yaml:10:13
       |
    10 |     layout: vllm-dp
       |             ^^^^^^^ one engine that dies takes all of them with it
       |
       = help: vLLM's documentation recommends independent servers for dense models; data parallelism inside a server divides experts
    help: start a server for each replica
       |
    10 -     layout: vllm-dp
    10 +     layout: replicas
       |

    warning: 1 warning in a.yaml
    ");
    quiet("model: Qwen/Qwen3-30B-A3B; replicas: 4; layout: vllm-dp");
    quiet("model: Qwen/Qwen3-8B; replicas: 4");
    assert_eq!(
        codes(
            "models: { m: { model: mycorp/agent, node: n, replicas: 2, layout: vllm-dp } }\n",
            &facts()
        ),
        [""; 0]
    );
}

/// Numbers of a file that nobody would write lead to no panic.
#[test]
fn any_number_may_stand_in_a_file() {
    for number in [0, 1, 7, u64::MAX] {
        for key in [
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
            "num_hidden_layers",
            "hidden_size",
            "kv_lora_rank",
            "qk_rope_head_dim",
            "max_position_embeddings",
        ] {
            let mut config = json!({ "num_attention_heads": 32, "num_hidden_layers": 36, "hidden_size": 4096, "max_position_embeddings": 40960, "rope_scaling": { "rope_type": "linear", "factor": 1e300 } });
            config[key] = json!(number);
            said_of(
                &yaml("model: /ckpt/m; tensor_parallel: 2"),
                &with_files(config, 153),
            );
        }
    }
}
