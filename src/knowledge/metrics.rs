//! Names in vLLM's `/metrics`, and the releases that have them (vllm.md §B8).

use super::release::Release;

/// Requests being computed (gauge).
pub const RUNNING: &str = "vllm:num_requests_running";
/// Requests in the queue (gauge).
pub const WAITING: &str = "vllm:num_requests_waiting";
/// Finished requests by `finished_reason` (counter).
pub const SUCCESS: &str = "vllm:request_success_total";
/// Prompt tokens computed (counter).
pub const PROMPT_TOKENS: &str = "vllm:prompt_tokens_total";
/// Tokens generated (counter).
pub const GENERATION_TOKENS: &str = "vllm:generation_tokens_total";
/// Requests preempted for lack of KV cache (counter).
pub const PREEMPTIONS: &str = "vllm:num_preemptions_total";
/// Seconds from arrival to the last token (histogram).
pub const E2E_LATENCY: &str = "vllm:e2e_request_latency_seconds";
/// Seconds from arrival to the first token (histogram).
pub const TIME_TO_FIRST_TOKEN: &str = "vllm:time_to_first_token_seconds";
/// Seconds in the queue (histogram).
pub const QUEUE_TIME: &str = "vllm:request_queue_time_seconds";
/// Seconds from the computation's start to the last token (histogram).
pub const INFERENCE_TIME: &str = "vllm:request_inference_time_seconds";
/// Seconds from the computation's start to the first token (histogram).
pub const PREFILL_TIME: &str = "vllm:request_prefill_time_seconds";
/// Seconds from the first token to the last (histogram).
pub const DECODE_TIME: &str = "vllm:request_decode_time_seconds";
/// Seconds between a request's tokens, one value for each request (histogram). In 0.32.
pub const TIME_PER_OUTPUT_TOKEN: &str = "vllm:request_time_per_output_token_seconds";
/// Tokens of a request's prompt (histogram).
pub const REQUEST_PROMPT_TOKENS: &str = "vllm:request_prompt_tokens";
/// Tokens of a request's answer (histogram).
pub const REQUEST_GENERATION_TOKENS: &str = "vllm:request_generation_tokens";
/// Tokens of a step of the engine: those generated, and the prompts that ended in it (histogram; its count is that of
/// steps).
pub const ITERATION_TOKENS: &str = "vllm:iteration_tokens_total";
/// The settings of the KV cache, as labels: `num_gpu_blocks`, `block_size`; in 0.32 also `kv_cache_size_tokens` (gauge).
pub const CACHE_CONFIG: &str = "vllm:cache_config_info";
/// Prompt tokens that were looked up in the prefix cache (counter).
pub const PREFIX_CACHE_QUERIES: &str = "vllm:prefix_cache_queries_total";
/// Of these, those that were found (counter).
pub const PREFIX_CACHE_HITS: &str = "vllm:prefix_cache_hits_total";
/// Whether the engine sleeps, by `sleep_state` (gauge).
pub const SLEEP_STATE: &str = "vllm:engine_sleep_state";
/// Requests in the queue by `reason` (gauge). In 0.32.
pub const WAITING_BY_REASON: &str = "vllm:num_requests_waiting_by_reason";
/// Tool-parser calls by `outcome` (counter): a parser that never yields `tool_call` does not fit its model. In 0.32.
pub const TOOL_PARSER_INVOCATIONS: &str = "vllm:tool_call_parser_invocations_total";
/// HTTP requests by `handler`, `method` and `status` (counter, from the instrumentator).
pub const HTTP_REQUESTS: &str = "http_requests_total";

/// The names that the gauge of KV-cache use has had.
pub const KV_CACHE_USAGE: [&str; 2] = ["vllm:gpu_cache_usage_perc", "vllm:kv_cache_usage_perc"];

/// The gauge of KV-cache use (0 to 1): `gpu_cache_usage_perc` until 0.11, `kv_cache_usage_perc` since.
pub fn kv_cache_usage(release: Release) -> &'static str {
    if release < Release::new(0, 9, 2) {
        KV_CACHE_USAGE[0]
    } else {
        KV_CACHE_USAGE[1]
    }
}

/// The names that the histogram of seconds between tokens has had; some releases show both.
pub const TOKEN_GAPS: [&str; 2] = [
    "vllm:time_per_output_token_seconds",
    "vllm:inter_token_latency_seconds",
];

/// The histogram of seconds between tokens: `time_per_output_token` before 0.11, `inter_token_latency` since.
pub fn inter_token_latency(release: Release) -> &'static str {
    if release < Release::new(0, 11, 0) {
        TOKEN_GAPS[0]
    } else {
        TOKEN_GAPS[1]
    }
}

/// How many values `finished_reason` has: `stop`, `length`, `abort`; in 0.32 also `error` and `repetition`.
pub fn finished_reasons(release: Release) -> usize {
    if release < Release::new(0, 32, 0) {
        3
    } else {
        5
    }
}

/// Whether `/metrics` counts what the tool parser found (seen in 0.32; older samples lack it).
pub fn counts_tool_parser(release: Release) -> bool {
    release >= Release::new(0, 32, 0)
}
