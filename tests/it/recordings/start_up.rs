//! What the simulator writes while it starts, vLLM writes too: in this order, on this stream.

use std::fs;

use regex_lite::Regex;

use super::{model_folder, recorded};
use crate::sim::start_up;

/// vLLM for GPUs writes it (0.11); the recording is of a processor.
const ON_GPUS_ALONE: &str = "Model loading took";

/// A line without what differs from one start or machine to the next: pid, time, place in the source, numbers, paths.
fn plain(line: &str, model: &str) -> String {
    let line = line.replace(model, "/models/tiny");
    let masks = [
        (r"pid=\d+", "pid=1"),
        (r"\d\d-\d\d \d\d:\d\d:\d\d \[\S+\]", "AT"),
        // vLLM for processors has a worker of its own, and a cache in main memory.
        (r"^\(Worker pid", "(EngineCore pid"),
        (r"(CPU|GPU) KV cache", "KV cache"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:8000"),
        (r"process \[\d+\]", "process [1]"),
        (r"\b\d+(,\d{3})*(\.\d+)*x?", "N"),
        (r"with config: .*", "with config"),
        // In the order in which vLLM declares its flags.
        (r"non-default args: .*", "non-default args"),
    ];
    masks.iter().fold(line, |line, (mask, with)| {
        Regex::new(mask)
            .unwrap()
            .replace_all(&line, *with)
            .into_owned()
    })
}

#[test]
fn what_the_simulator_writes_vllm_writes_too_in_this_order() {
    let place = model_folder();
    let model = place.path().to_str().unwrap();
    let flags = [
        model,
        "--served-model-name",
        "tiny",
        "--max-model-len",
        "4096",
        "--enable-auto-tool-choice",
        "--tool-call-parser",
        "hermes",
    ];
    let (out, err) = start_up(&flags, "0.32.0");
    let mut found = Vec::new();
    for (stream, ours) in [("stdout", out), ("stderr", err)] {
        let text = fs::read_to_string(recorded(&format!("start-up.{stream}.log"))).unwrap();
        let real: Vec<String> = text.lines().map(|line| plain(line, model)).collect();
        let ours: Vec<String> = ours.iter().map(|line| plain(line, model)).collect();
        let mut rest = real.as_slice();
        for line in ours.iter().filter(|line| !line.contains(ON_GPUS_ALONE)) {
            match rest.iter().position(|real| real == line) {
                Some(at) => rest = &rest[at + 1..],
                None if real.contains(line) => {
                    found.push(format!("{stream}, out of order: {line}"));
                }
                None => found.push(format!("{stream}, not vLLM's: {line}")),
            }
        }
        assert!(ours.len() >= 3, "{stream}: {ours:?}");
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
