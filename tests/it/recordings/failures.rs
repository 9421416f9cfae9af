//! Failures that were provoked at a real vLLM: our signatures name the cause of each from its log or its answer.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::model_folder;
use crate::sim::refused_at;
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

/// What a server that can't start says of it: its log without tracebacks, lines of the log proper and what is
/// said of the machine.
fn complaint(text: &str) -> Vec<&str> {
    let of_argparse = |line: &&str| line.starts_with("            {") || *line == "            ...";
    let said = |line: &&str| {
        let noise = [
            "Triton is",
            "(APIServer",
            "Traceback",
            "  File",
            "    ",
            "  ...",
        ];
        !line.is_empty() && !noise.iter().any(|start| line.starts_with(start))
    };
    text.lines()
        .filter(|line| of_argparse(line) || said(line))
        .collect()
}

#[test]
fn the_simulator_refuses_to_start_as_the_real_server_did() {
    let model = model_folder();
    let model = model.path().to_str().unwrap();
    let mut compared = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let told: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let Some(flags) = told["flags"].as_array() else {
            continue;
        };
        let mut args = vec![if name == "missing-path" {
            "/models/nope"
        } else {
            model
        }];
        args.extend(flags.iter().map(|flag| flag.as_str().unwrap()));
        let (code, out, err) = refused_at(&args, name == "port-in-use");
        assert_eq!(told["exit_status"], code, "{name}");
        let log = fs::read_to_string(path.with_extension("log")).unwrap();
        let greeted = |text: &str| text.contains("non-default args");
        assert_eq!(greeted(&log), greeted(&out), "{name}: the moment\n{out}");
        let (real, ours) = (complaint(&log), complaint(&err));
        assert_eq!(real.len(), ours.len(), "{name}: {real:?} {ours:?}");
        for (real, ours) in real.iter().zip(ours) {
            // The recordings are cut where lines get long.
            let same = match real.strip_suffix(" […]") {
                Some(start) => ours.starts_with(start),
                None => *real == ours,
            };
            assert!(same, "{name}\nvLLM:          {real}\nthe simulator: {ours}");
        }
        compared += 1;
    }
    assert_eq!(compared, 7);
}
