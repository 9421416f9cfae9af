//! Finds what was observed below a path: a capture of `/metrics`, a client's call log, or results.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::durations::Calls;
use super::observed::Series;
use super::sample;
use crate::eval::calls_of;
use crate::sim::capture::SUFFIX;

/// What was observed, by model.
#[derive(Debug)]
pub(super) enum Found {
    /// By engine.
    Capture(BTreeMap<String, Vec<Series>>),
    /// Times of calls.
    Calls(BTreeMap<String, Calls>),
}

/// A real answer of `/metrics` has some 40 KB.
const LARGEST: u64 = 16 << 20;

/// Reads `path`. Times of a capture pass `speed` times as fast as its clock.
///
/// # Errors
/// What cannot be read, or that nothing is there, and what to do.
pub(super) fn read(path: &Path, speed: f64) -> Result<Found, String> {
    let cannot =
        |path: &Path, error: &io::Error| format!("cannot read `{}`: {error}", path.display());
    let metadata = fs::metadata(path).map_err(|error| cannot(path, &error))?;
    if metadata.is_file() {
        let mut calls = BTreeMap::new();
        take_file(path, &mut calls).map_err(|error| cannot(path, &error))?;
        return some(path, calls);
    }
    if !metadata.is_dir() {
        return Err(format!(
            "`{}` is neither a file nor a folder",
            path.display()
        ));
    }
    let mut looks = Vec::new();
    let mut files = Vec::new();
    list(path, &mut looks, &mut files).map_err(|error| cannot(path, &error))?;
    if !looks.is_empty() {
        return capture(looks, speed).map_err(|(path, error)| cannot(&path, &error));
    }
    let mut calls = BTreeMap::new();
    for file in files {
        take_file(&file, &mut calls).map_err(|error| cannot(&file, &error))?;
    }
    some(path, calls)
}

fn some(path: &Path, calls: BTreeMap<String, Calls>) -> Result<Found, String> {
    if calls.is_empty() {
        return Err(format!(
            "`{}` has neither `UNIT/MILLISECONDS.prom` files nor calls with their times: collect the first with `toolorch sim capture`, or name a client's call log (`TOOL_ORCH_LLM_LOG_PATH`) or its results",
            path.display()
        ));
    }
    Ok(Found::Calls(calls))
}

/// The files of a folder and of those in it: looks at metrics, and JSON.
fn list(folder: &Path, looks: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') {
                list(&path, looks, files)?;
            }
        } else if name.ends_with(SUFFIX) {
            looks.push(path);
        } else if [".json", ".jsonl"].iter().any(|end| name.ends_with(end)) {
            files.push(path);
        }
    }
    Ok(())
}

fn capture(looks: Vec<PathBuf>, speed: f64) -> Result<Found, (PathBuf, io::Error)> {
    let mut units: BTreeMap<PathBuf, BTreeMap<u64, PathBuf>> = BTreeMap::new();
    for path in looks {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let Some(at) = stem.and_then(|stem| stem.parse().ok()) else {
            continue;
        };
        let unit = path.parent().unwrap_or(Path::new("")).to_owned();
        units.entry(unit).or_default().insert(at, path);
    }
    let mut all: BTreeMap<String, Vec<Series>> = BTreeMap::new();
    for times in units.into_values() {
        let mut engines: BTreeMap<sample::Key, Series> = BTreeMap::new();
        for (at, path) in times {
            let text = look(&path).map_err(|error| (path, error))?;
            let seconds = std::time::Duration::from_millis(at).as_secs_f64() * speed;
            for (key, sample) in sample::read(seconds, &text) {
                engines.entry(key).or_default().0.push(sample);
            }
        }
        for ((model, _), series) in engines {
            all.entry(model).or_default().push(series);
        }
    }
    Ok(Found::Capture(all))
}

/// One look, which a server gave in one answer: one that is larger is none.
fn look(path: &Path) -> io::Result<String> {
    let found = fs::metadata(path)?;
    if !found.is_file() || found.len() > LARGEST {
        return Err(io::Error::other("it is no answer of `/metrics`"));
    }
    fs::read_to_string(path)
}

fn take_file(path: &Path, calls: &mut BTreeMap<String, Calls>) -> io::Result<()> {
    // A pipe would be waited for, maybe for ever.
    if !fs::metadata(path)?.is_file() {
        return Ok(());
    }
    let text = fs::read_to_string(path)?;
    // A result is one object, of many lines perhaps; a log has an object in each line.
    if take_result(&text, calls) {
        return Ok(());
    }
    for line in text.lines() {
        if !take_record(line, calls) {
            take_result(line, calls);
        }
    }
    Ok(())
}

/// The calls of a result; whether there were any.
fn take_result(text: &str, calls: &mut BTreeMap<String, Calls>) -> bool {
    let listed = calls_of(text);
    for call in &listed {
        let Some(ms) = call.ms else { continue };
        let of = calls.entry(call.model.clone()).or_default();
        of.servers.extend(call.endpoint.clone());
        if call.failed {
            of.failed += 1;
        } else {
            of.seconds.push(ms / 1000.0);
        }
    }
    !listed.is_empty()
}

/// A line of a call log: `{"time", "model", "base_url", "error", "duration"}`, tokens as OpenAI's `usage` says them.
fn take_record(line: &str, calls: &mut BTreeMap<String, Calls>) -> bool {
    let Ok(record) = serde_json::from_str::<Value>(line) else {
        return false;
    };
    let (Some(model), Some(duration)) = (record["model"].as_str(), record["duration"].as_f64())
    else {
        return false;
    };
    let of = calls.entry(model.to_owned()).or_default();
    of.servers
        .extend(record["base_url"].as_str().map(str::to_owned));
    if let Some(time) = record["time"].as_f64() {
        of.spans.push((time, duration));
    }
    if !record["error"].is_null() {
        of.failed += 1;
        return true;
    }
    of.seconds.push(duration);
    let tokens = |name: &str| {
        let beside = record[name].as_f64();
        beside.or_else(|| record["usage"][name].as_f64())
    };
    if let (Some(prompt), Some(answer)) = (tokens("prompt_tokens"), tokens("completion_tokens")) {
        of.tokens.push((prompt, answer));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(text: &str) -> BTreeMap<String, Calls> {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("log.jsonl");
        fs::write(&file, text).unwrap();
        match read(&file, 1.0).unwrap() {
            Found::Calls(calls) => calls,
            Found::Capture(_) => panic!("no capture"),
        }
    }

    #[test]
    fn logs_and_results_are_told_apart() {
        let log = concat!(
            r#"{"time": 5.0, "model": "m", "base_url": "http://a/v1", "attempt": 1, "error": null, "duration": 2.5}"#,
            "\n",
            r#"{"time": 6.0, "model": "m", "base_url": "http://b/v1", "error": "refused", "duration": 0.1, "prompt_tokens": 1}"#,
            "\ntorn {\n",
            r#"{"time": 7.0, "model": "m", "base_url": "http://b/v1", "error": null, "duration": 1, "usage": {"prompt_tokens": 7, "completion_tokens": 9}}"#,
        );
        let found = &calls(log)["m"];
        assert_eq!(
            (found.seconds.as_slice(), found.failed),
            (&[2.5, 1.0][..], 1)
        );
        assert_eq!((found.servers.len(), found.spans.len()), (2, 3));
        assert_eq!(found.tokens, [(7.0, 9.0)]);

        let result =
            "{\"id\": 1, \"calls\": [\n{\"model\": \"m\", \"endpoint\": \"a:1\", \"ms\": 1500}]}";
        assert_eq!(calls(result)["m"].seconds, [1.5]);
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let place = tempfile::tempdir().unwrap();
        let said = [place.path().to_owned(), place.path().join("none")]
            .map(|path| read(&path, 1.0).unwrap_err())
            .join("\n")
            .replace(place.path().to_str().unwrap(), "PLACE");
        insta::assert_snapshot!(said, @r"
        `PLACE` has neither `UNIT/MILLISECONDS.prom` files nor calls with their times: collect the first with `toolorch sim capture`, or name a client's call log (`TOOL_ORCH_LLM_LOG_PATH`) or its results
        cannot read `PLACE/none`: No such file or directory (os error 2)
        ");
    }
}
