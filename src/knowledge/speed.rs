//! How fast a model is likely to be on a card: what a rehearsal assumes until a run was measured.
//!
//! A token is written as fast as the weights that take part in it are read from memory, a prompt is read as fast as the
//! card multiplies (the roofline of inference: Pope et al., "Efficiently Scaling Transformer Inference", `MLSys` 2023,
//! arXiv:2211.05102). Bandwidths and dense BF16 rates are those of NVIDIA's data sheets for the SXM or usual variant; the
//! shares that are reached are this program's assumption, right within a factor of two. `toolorch sim fit` measures.

use super::{gpus, memory};
use crate::base::{Millis, float, floor};

/// What is assumed of one server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assumed {
    /// Prompt tokens read per second.
    pub prefill_rate: f64,
    /// Tokens written per second for a request that is alone.
    pub decode_rate: f64,
    /// Tokens that fit the KV cache, where the bytes of one are known.
    pub cache_tokens: Option<u64>,
    /// From the start until it listens.
    pub startup: Millis,
}

/// A card's memory bandwidth in GB/s and dense BF16 rate in TFLOP/s.
struct Card {
    name: &'static str,
    bandwidth: f64,
    tflops: f64,
}

const fn card(name: &'static str, bandwidth: f64, tflops: f64) -> Card {
    Card {
        name,
        bandwidth,
        tflops,
    }
}

/// By the beginning of the name in [`gpus`]; the first that fits.
const CARDS: &[Card] = &[
    card("B200", 8000.0, 2250.0),
    card("H200", 4800.0, 989.0),
    card("H100", 3350.0, 989.0),
    card("A100 40GB", 1555.0, 312.0),
    card("A100", 2039.0, 312.0),
    card("L40S", 864.0, 362.0),
    card("L40", 864.0, 181.0),
    card("L4", 300.0, 121.0),
    card("RTX 4090", 1008.0, 165.0),
    card("V100", 900.0, 125.0),
];
/// The card where none is named: the one of the log.
const USUAL: Card = card("H100", 3350.0, 989.0);

/// Mixtures of experts whose names do not say how much of them is active, in billions of parameters (model cards).
const ACTIVE: &[(&str, f64)] = &[
    ("gpt-oss-20b", 3.6),
    ("gpt-oss-120b", 5.1),
    ("mixtral-8x7b", 12.9),
    ("mixtral-8x22b", 39.0),
];

/// The share of the bandwidth that decoding reaches.
const READ: f64 = 0.6;
/// The share of the arithmetic that prefill reaches.
const MULTIPLIED: f64 = 0.4;
/// No step is faster: kernels have to be started.
const FASTEST_STEP: f64 = 0.004;
/// Parameters in billions where the name does not say.
const USUAL_SIZE: f64 = 8.0;
/// GB that activations, graphs and the context of the card take.
const OVERHEAD_GB: f64 = 4.0;
/// Seconds of a start without its weights: imports, compilation, graphs; and GB of weights read per second.
const START_SECONDS: f64 = 60.0;
const LOADED_PER_SECOND: f64 = 1.0;

/// What is assumed of a server of `model` on `cards` cards of this kind, of whose memory it takes `utilization`.
pub fn assumed(model: &str, gpu: Option<&str>, cards: u32, utilization: f64) -> Assumed {
    let known = gpu.and_then(gpus::gpu);
    let card = known
        .and_then(|gpu| CARDS.iter().find(|card| gpu.name.starts_with(card.name)))
        .unwrap_or(&USUAL);
    let cards = f64::from(cards.max(1));
    let name = model.trim_end_matches('/').to_ascii_lowercase();
    let total = billions(&name, ' ').unwrap_or(USUAL_SIZE);
    let active = active(&name).unwrap_or(total);
    let bytes = bytes_per_parameter(&name);
    let step = (active * bytes / (card.bandwidth * cards * READ)).max(FASTEST_STEP);
    let memory_gb = gpu
        .and_then(gpus::memory_mib)
        .map_or(80.0, |mib| f64::from(mib) * 1.048_576 / 1000.0);
    let left = memory_gb * cards * utilization - total * bytes - OVERHEAD_GB * cards;
    Assumed {
        prefill_rate: round(card.tflops * 1e3 * cards * MULTIPLIED / (2.0 * active)),
        decode_rate: round(1.0 / step),
        cache_tokens: memory::kv_bytes_of(model)
            .map(|each| floor::<u64>(left * 1e9 / float(each)).max(1)),
        startup: Millis::from_secs_f64(START_SECONDS + total * bytes / LOADED_PER_SECOND),
    }
}

/// Billions of parameters that take part in a token, where they are fewer than all.
fn active(name: &str) -> Option<f64> {
    let known = ACTIVE.iter().find(|(part, _)| name.contains(part));
    known.map(|(_, size)| *size).or_else(|| billions(name, 'a'))
}

/// The number before a `b` that ends a word of the last part of a name, such as `32b`; with a `mark` of `a` that of `a3b`.
pub(super) fn billions(name: &str, mark: char) -> Option<f64> {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split(['-', '_']).find_map(|word| {
        let number = word.strip_suffix('b')?;
        let number = match mark {
            'a' => number.strip_prefix('a')?,
            _ => number,
        };
        number.parse::<f64>().ok().filter(|size| *size > 0.0)
    })
}

fn bytes_per_parameter(name: &str) -> f64 {
    let any = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if any(&["gpt-oss", "awq", "gptq", "int4", "w4a16", "nvfp4", "mxfp4"]) {
        0.55
    } else if any(&["fp8", "int8", "w8a8"]) {
        1.0
    } else {
        2.0
    }
}

/// Two digits: more would claim a knowledge that nobody has.
fn round(rate: f64) -> f64 {
    let scale = 10_f64.powf(rate.log10().floor() - 1.0);
    (rate / scale).round() * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_the_log_on_their_cards() {
        let all = [
            ("/ckpt/nvidia/Nemotron-Orchestrator-8B/", 0.85),
            ("Qwen/Qwen2.5-Coder-14B-Instruct", 0.9),
            ("Qwen/Qwen3-32B-FP8", 0.9),
            ("openai/gpt-oss-20b", 0.9),
            ("Qwen/Qwen3-30B-A3B", 0.9),
        ];
        let rows: Vec<String> = all
            .iter()
            .map(|(model, share)| {
                let found = assumed(model, Some("H100-80GB"), 1, *share);
                format!(
                    "{model}: reads {}/s, writes {}/s, cache {:?}, up after {}",
                    found.prefill_rate, found.decode_rate, found.cache_tokens, found.startup
                )
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"), @r"
        /ckpt/nvidia/Nemotron-Orchestrator-8B/: reads 25000/s, writes 130/s, cache Some(357345), up after 1m 16s
        Qwen/Qwen2.5-Coder-14B-Instruct: reads 14000/s, writes 72/s, cache Some(228722), up after 1m 28s
        Qwen/Qwen3-32B-FP8: reads 6200/s, writes 63/s, cache Some(156283), up after 1m 32s
        openai/gpt-oss-20b: reads 55000/s, writes 250/s, cache Some(1260757), up after 1m 11s
        Qwen/Qwen3-30B-A3B: reads 66000/s, writes 250/s, cache Some(131924), up after 2m 00s
        ");
    }

    #[test]
    fn sizes_are_read_from_names() {
        assert_eq!(billions("qwen3-235b-a22b-fp8", ' '), Some(235.0));
        assert_eq!(billions("qwen3-235b-a22b-fp8", 'a'), Some(22.0));
        assert_eq!(billions("/70b-runs/mystery", ' '), None);
        assert_eq!(active("openai/gpt-oss-120b"), Some(5.1));
    }

    #[test]
    fn twice_the_cards_read_and_write_twice_as_fast() {
        let one = assumed(
            "meta-llama/Llama-3.3-70B-Instruct",
            Some("A100-80GB"),
            4,
            0.9,
        );
        let two = assumed(
            "meta-llama/Llama-3.3-70B-Instruct",
            Some("A100-80GB"),
            8,
            0.9,
        );
        assert!(two.decode_rate > 1.8 * one.decode_rate);
        assert!(two.prefill_rate > 1.8 * one.prefill_rate);
    }
}
