//! Failures that were provoked at a real vLLM: our signatures name the cause of each from its log or its answer.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toolorch::knowledge::failures::classify;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/vllm-0.32.0/failures")
}

#[test]
fn every_recorded_failure_is_named() {
    let mut wrong = Vec::new();
    let mut named = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let told: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        // A stop that was asked for is no failure.
        let Some(expected) = told["expected"].as_str() else {
            continue;
        };
        let log = fs::read_to_string(path.with_extension("log")).unwrap();
        let found = classify(log.lines()).map(|found| found.failure.id);
        named += 1;
        if found != Some(expected) {
            wrong.push(format!("{}: {found:?}, not {expected}", path.display()));
        }
    }
    assert!(named >= 12, "only {named} recordings");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
