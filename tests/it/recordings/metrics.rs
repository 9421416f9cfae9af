//! What the simulator counts has vLLM's names, types, labels and buckets.

use std::collections::BTreeMap;
use std::fs;

use reqwest::Method;
use serde_json::Value;

use super::{model_folder, recorded};
use crate::sim::Server;

/// A family: its type, and each of its samples (name and labels) with the bounds of its buckets.
#[derive(Debug, Default, PartialEq)]
struct Family {
    kind: String,
    samples: BTreeMap<String, Vec<String>>,
}

fn real() -> BTreeMap<String, Family> {
    let text = fs::read_to_string(recorded("metrics.json")).unwrap();
    let all: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let family = |value: &Value| Family {
        kind: value["type"].as_str().unwrap().to_owned(),
        samples: serde_json::from_value(value["samples"].clone()).unwrap(),
    };
    all.iter()
        .map(|(name, value)| (name.clone(), family(value)))
        .collect()
}

/// The same of a server's own text.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut all: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            name.clone_into(&mut current);
            let family = all.entry(current.clone()).or_default();
            kind.clone_into(&mut family.kind);
        } else if !line.starts_with('#') {
            let (sample, _) = line.rsplit_once(' ').unwrap();
            let (sample, bound) = without_bound(sample);
            let family = all.get_mut(&current).unwrap();
            let bounds = family.samples.entry(sample).or_default();
            bounds.extend(bound);
        }
    }
    all
}

/// A sample's name with its labels but for `le`, and what that says.
fn without_bound(sample: &str) -> (String, Option<String>) {
    let (name, labels) = sample.split_once('{').unwrap();
    let labels = labels.trim_end_matches('}').split(',');
    let (bounds, mut labels): (Vec<&str>, Vec<&str>) =
        labels.partition(|label| label.starts_with("le="));
    labels.sort_unstable();
    let bound = bounds.first().map(|le| le[4..le.len() - 1].to_owned());
    (format!("{name}{{{}}}", labels.join(",")), bound)
}

/// The names of a sample's labels.
fn label_names(family: &Family) -> Vec<String> {
    let labels = family
        .samples
        .keys()
        .filter_map(|sample| sample.split_once('{'));
    let each = labels.flat_map(|(_, labels)| labels.trim_end_matches('}').split(','));
    each.filter_map(|label| Some(label.split_once('=')?.0.to_owned()))
        .collect()
}

/// Labels that say settings, of which the simulator has few: each that it has is vLLM's.
fn strange_labels(ours: &Family, theirs: &Family) -> Vec<String> {
    let known = label_names(theirs);
    let ours = label_names(ours).into_iter();
    ours.filter(|name| !known.contains(name))
        .map(|name| format!("vllm:cache_config_info: vLLM has no label `{name}`"))
        .collect()
}

#[test]
fn what_the_simulator_counts_has_vllms_names_labels_and_buckets() {
    let place = model_folder();
    let path = place.path().to_str().unwrap();
    let flags = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"];
    // With an engine, which counts more.
    let server = Server::start_with(
        &[&[path, "--served-model-name", "tiny"], &flags[..]].concat(),
        "0.32.0",
        &[("TOOLORCH_SIM_SPEED", "50")],
    );
    let ask = |path: &str, body: &str| server.send(Method::POST, path, Some(body.to_owned()));
    ask(
        "/v1/chat/completions",
        r#"{"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}"#,
    );
    ask(
        "/v1/chat/completions",
        r#"{"model": "none", "messages": []}"#,
    );
    ask("/v1/completions", r#"{"model": "tiny", "prompt": "hi"}"#);
    ask("/tokenize", r#"{"model": "tiny", "prompt": "hi"}"#);
    server.send(Method::GET, "/v1/models", None);
    server.send(Method::GET, "/nowhere", None);
    let (_, text) = server.send(Method::GET, "/metrics", None);
    let (real, ours) = (real(), families(&text));
    assert!(ours.len() > 10, "{text}");
    let mut found = Vec::new();
    for (name, family) in &ours {
        let Some(theirs) = real.get(name) else {
            found.push(format!("{name}: vLLM has no such family"));
            continue;
        };
        if family.kind != theirs.kind {
            found.push(format!("{name}: a {}, not a {}", theirs.kind, family.kind));
        }
        if name == "vllm:cache_config_info" {
            found.extend(strange_labels(family, theirs));
            continue;
        }
        for (sample, bounds) in &family.samples {
            match theirs.samples.get(sample) {
                None => found.push(format!("{sample}: vLLM has no such sample")),
                Some(theirs) if theirs != bounds => {
                    found.push(format!("{sample}: buckets {theirs:?}, not {bounds:?}"));
                }
                Some(_) => {}
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
