//! `toolorch report` on 100,000 calls: at most 2 s and 300 MB.
//!
//! 20,000 results in the layout of ToolOrchestra's clients, three calls of tools in each, and a log of 40,000 calls. An argument is how
//! many bytes of text stand beside each call (`cargo bench --bench report -- 20000`); the default is 4,000.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench that cannot run has failed"
)]

mod measure;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use measure::{judged, peak_kib, program, walls};

const RESULTS: usize = 20_000;
const LOGGED: usize = 40_000;

/// Numbers without a pattern, the same each time.
struct Luck(u64);

impl Luck {
    fn ms(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        100 + (self.0 >> 33) % 60_000
    }
}

fn result(luck: &mut Luck, id: usize, beside: &str) -> String {
    let mut turns = Vec::new();
    let parts = [
        (
            "search",
            "openai/gpt-oss-20b",
            "_query_llm_ms",
            "_retrieval_ms",
        ),
        (
            "enhance_reasoning",
            "Qwen/Qwen2.5-Coder-14B-Instruct",
            "_llm_ms",
            "_exec_ms",
        ),
        ("answer", "Qwen/Qwen3-32B-FP8", "_expert_ms", "_judge_ms"),
    ];
    for (step, (tool, model, first, second)) in parts.into_iter().enumerate() {
        let (one, other) = (luck.ms(), luck.ms());
        turns.push(format!(
            "\"turn_{step}_response\": [{{\"tool\": \"{tool}\", \"model\": \"{model}\", \"context_str\": \"{beside}\", \
             \"vllm_model_configs\": {{\"retrieval\": [{{\"ip_addr\": \"10.0.0.13\", \"port\": 8765}}]}}, \"{first}\": {one}.25, \"{second}\": {other}.5}}]"
        ));
    }
    format!(
        "{{\"id\": \"{id}\", \"all_tool_calls\": [[], [], []], \"all_tool_responses\": {{{}}}, \"correct\": true, \"status\": \"done\"}}",
        turns.join(", ")
    )
}

fn make(place: &Path, bytes: usize) -> u64 {
    let (mut luck, mut size) = (Luck(1), 0);
    let sentence = "A document says \\\"something\\\" about it.\\n";
    let beside = sentence.repeat(bytes / sentence.len());
    fs::create_dir(place.join("results")).unwrap();
    for id in 0..RESULTS {
        let text = result(&mut luck, id, &beside);
        size += text.len() as u64;
        fs::write(place.join(format!("results/{id}.json")), text).unwrap();
    }
    let mut log = String::new();
    for number in 0..LOGGED {
        let seconds = luck.ms();
        let port = 1800 + number % 4;
        writeln!(
            log,
            "{{\"event\": \"response\", \"duration_s\": {seconds}e-3, \"req_id\": \"{number}\", \"backend\": \"vLLM\", \"model\": \"/ckpt/orchestrator/\", \
             \"base_url\": \"http://10.0.0.5:{port}/v1\", \"attempt\": 1, \"ts\": \"2025-12-31 {:02}:{:02}:{:02}\"}}",
            number / 3600 % 24,
            number / 60 % 60,
            number % 60
        )
        .unwrap();
    }
    fs::write(place.join("calls.jsonl"), log).unwrap();
    size
}

fn main() {
    let bytes = std::env::args().find_map(|word| word.parse().ok());
    let bytes = bytes.unwrap_or(4_000);
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    let size = make(place.path(), bytes);
    println!(
        "{RESULTS} results of {} MB, {} calls in them, {LOGGED} in a log",
        size / 1_000_000,
        3 * RESULTS
    );
    let path = |inside: &str| place.path().join(inside).to_str().unwrap().to_owned();
    let (results, log) = (path("results"), path("calls.jsonl"));
    let report = || program(&["report", &results, "--call-log", &log, "--format", "json"]);
    let times = walls(10, 0, report);
    let within = times.median() <= Duration::from_secs(2);
    println!("report  {}; {}", times.words(), judged(within, "2 s"));
    let peak = (0..5).map(|_| peak_kib(report())).max().unwrap_or(0);
    let within = peak > 0 && peak <= 300_000_000 / 1024;
    println!("report  peak {peak} KiB; {}", judged(within, "300 MB"));
}
