//! What the engines of a server had counted at one moment.

use std::collections::BTreeMap;

use crate::facts::Histogram;
use crate::facts::exposition::{self, Line};
use crate::knowledge::metrics as names;
use crate::knowledge::series::PROCESS_START;

/// Seconds between tokens, as releases before 0.11 name it, and as later ones do; some have both names.
const OLD_GAPS: &str = names::TOKEN_GAPS[0];
const GAPS: &str = names::TOKEN_GAPS[1];

/// What one engine had counted for one model at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sample {
    /// When, in seconds.
    pub(super) at: f64,
    /// When its process started.
    pub(super) born: f64,
    /// Requests in the batch, and in the queue.
    pub(super) running: f64,
    /// Requests in the queue.
    pub(super) waiting: f64,
    /// Prompt tokens read, those found in the prefix cache among them.
    pub(super) prompt: f64,
    /// Tokens generated.
    pub(super) generated: f64,
    /// Preemptions.
    pub(super) preemptions: f64,
    /// Tokens looked up in the prefix cache, and found there.
    pub(super) looked_up: f64,
    /// Of these, those that were found.
    pub(super) found: f64,
    /// Tokens that the KV cache holds, where it is said.
    pub(super) cache: Option<u64>,
    /// Tokens of each step; the count is that of steps.
    pub(super) steps: Histogram,
    /// Seconds between tokens.
    pub(super) gaps: Histogram,
    /// Tokens of answers.
    pub(super) answers: Histogram,
    /// Tokens of prompts.
    pub(super) prompts: Histogram,
    /// Seconds from arrival to the last token.
    pub(super) latency: Histogram,
    /// Seconds from the computation's start to the first token.
    pub(super) prefill: Histogram,
}

impl Sample {
    fn number(&mut self, name: &str) -> Option<&mut f64> {
        Some(match name {
            names::RUNNING => &mut self.running,
            names::WAITING => &mut self.waiting,
            names::PROMPT_TOKENS => &mut self.prompt,
            names::GENERATION_TOKENS => &mut self.generated,
            names::PREEMPTIONS => &mut self.preemptions,
            names::PREFIX_CACHE_QUERIES => &mut self.looked_up,
            names::PREFIX_CACHE_HITS => &mut self.found,
            _ => return None,
        })
    }

    fn histogram(&mut self, name: &str) -> Option<&mut Histogram> {
        Some(match name {
            names::ITERATION_TOKENS => &mut self.steps,
            GAPS => &mut self.gaps,
            names::REQUEST_GENERATION_TOKENS => &mut self.answers,
            names::REQUEST_PROMPT_TOKENS => &mut self.prompts,
            names::E2E_LATENCY => &mut self.latency,
            names::PREFILL_TIME => &mut self.prefill,
            _ => return None,
        })
    }

    fn take(&mut self, name: &str, line: &Line) {
        let Some(value) = line.value() else { return };
        if let Some(number) = self.number(name) {
            *number += value;
        } else if let Some((name, part)) = name.rsplit_once('_')
            && let Some(histogram) = self.histogram(name)
        {
            histogram.take(part, line, value);
        }
    }

    /// Whether its counters cannot have come after those of `earlier`: another process counts.
    pub(super) fn is_of_another_process(&self, earlier: &Self) -> bool {
        let counters = |sample: &Self| {
            [
                sample.prompt,
                sample.generated,
                sample.preemptions,
                sample.steps.count,
                sample.gaps.count,
                sample.latency.count,
            ]
        };
        (self.born - earlier.born).abs() > 1.0
            || counters(self)
                .into_iter()
                .zip(counters(earlier))
                .any(|(now, before)| now < before)
    }
}

/// A model's name, and the number of the engine that serves it.
pub(super) type Key = (String, String);

/// Reads the text of `/metrics`, taken `at` seconds: a sample for each model and engine.
pub(super) fn read(at: f64, text: &str) -> BTreeMap<Key, Sample> {
    // Releases that have both names for the time between tokens count it twice.
    let twice = text.contains(&format!("{GAPS}_count"));
    let mut all: BTreeMap<Key, Sample> = BTreeMap::new();
    let mut caches: BTreeMap<String, u64> = BTreeMap::new();
    let mut born = 0.0;
    for line in exposition::lines(text) {
        let label = |name: &str| line.label(name).unwrap_or_default().into_owned();
        match line.name {
            PROCESS_START => born = line.value().unwrap_or_default(),
            names::CACHE_CONFIG => {
                caches.extend(cache_tokens(&line).map(|tokens| (label("engine"), tokens)));
            }
            name if name.starts_with("vllm:") => {
                let name = match name.strip_prefix(OLD_GAPS) {
                    Some(_) if twice => continue,
                    Some(part) => &format!("{GAPS}{part}"),
                    None => name,
                };
                let model = label("model_name");
                if !model.is_empty() {
                    let key = (model, label("engine"));
                    all.entry(key).or_default().take(name, &line);
                }
            }
            _ => {}
        }
    }
    // Only what has computed something is a model; adapters and the like have other families.
    all.retain(|_, sample| sample.generated > 0.0 || !sample.latency.below.is_empty());
    for ((_, engine), sample) in &mut all {
        sample.at = at;
        sample.born = born;
        sample.cache = caches.get(engine).or(caches.get("")).copied();
    }
    all
}

/// `kv_cache_size_tokens` where it is a number, else the blocks of the GPU times their size.
fn cache_tokens(line: &Line) -> Option<u64> {
    let number = |name: &str| -> Option<u64> { line.label(name)?.parse().ok() };
    let blocks = || number("num_gpu_blocks")?.checked_mul(number("block_size")?);
    number("kv_cache_size_tokens")
        .or_else(blocks)
        .filter(|tokens| *tokens > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
process_start_time_seconds 1.7e9
vllm:cache_config_info{block_size="16",num_gpu_blocks="1000",engine="0"} 1.0
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 4.0
vllm:generation_tokens_total{engine="0",model_name="m"} 500.0
vllm:generation_tokens_total{engine="1",model_name="m"} 1.0
vllm:generation_tokens_created{engine="0",model_name="m"} 1.7e9
vllm:time_per_output_token_seconds_bucket{engine="0",model_name="m",le="0.01"} 7.0
vllm:time_per_output_token_seconds_count{engine="0",model_name="m"} 9.0
vllm:time_per_output_token_seconds_sum{engine="0",model_name="m"} 0.5
vllm:iteration_tokens_total_count{engine="0",model_name="m"} 100.0
"#;

    #[test]
    fn engines_are_kept_apart_and_old_names_are_known() {
        let all = read(5.0, TEXT);
        assert_eq!(all.len(), 2);
        let first = &all[&("m".to_owned(), "0".to_owned())];
        assert_eq!(
            (first.running, first.generated, first.at),
            (3.0, 500.0, 5.0)
        );
        assert_eq!(first.cache, Some(16_000));
        assert_eq!(first.gaps.below, [(0.01, 7.0)]);
        assert_eq!((first.gaps.count, first.gaps.sum), (9.0, 0.5));
        assert!((first.steps.count - 100.0).abs() < 1e-9);
        assert_eq!(all[&("m".to_owned(), "1".to_owned())].cache, None);
    }

    #[test]
    fn a_release_with_both_names_counts_once() {
        let both = format!(
            "{TEXT}vllm:inter_token_latency_seconds_count{{engine=\"0\",model_name=\"m\"}} 9.0\n"
        );
        let all = read(0.0, &both);
        let counted = all[&("m".to_owned(), "0".to_owned())].gaps.count;
        assert!((counted - 9.0).abs() < 1e-9);
    }

    #[test]
    fn the_size_in_tokens_beats_the_blocks() {
        let text = TEXT.replace("block_size=", "kv_cache_size_tokens=\"777\",block_size=");
        let all = read(0.0, &text);
        assert_eq!(all[&("m".to_owned(), "0".to_owned())].cache, Some(777));
    }
}
