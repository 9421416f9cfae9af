//! vLLM's own recipes: each is silent as it stands, and each single slip in one is found where it is, and nothing else.

use std::fmt::Write as _;

use crate::check::check_all;
use crate::diag::Severity;
use crate::knowledge::flags;
use crate::knowledge::recipes::{self, Recipe};
use crate::knowledge::release::Release;
use crate::plan::plan_tests;
use crate::spec::{Source, parse};

/// A recipe as a cluster of one model, a key a line.
#[derive(Clone)]
struct Cluster {
    release: Release,
    /// Keys of the model, with their values as YAML.
    keys: Vec<(String, String)>,
    /// Flags in `args`.
    args: Vec<(String, String)>,
}

/// What of a recipe has a key in the YAML.
const KEYS: &[(&str, &str)] = &[
    ("--tool-call-parser", "tool_parser"),
    ("--reasoning-parser", "reasoning_parser"),
    ("--chat-template", "chat_template"),
    ("--max-model-len", "max_model_len"),
    ("--gpu-memory-utilization", "gpu_memory_utilization"),
    ("--tensor-parallel-size", "tensor_parallel"),
    ("--served-model-name", "served_name"),
];

impl Cluster {
    /// On the recipe's first release, or the newest that was looked at.
    fn of(recipe: &Recipe) -> Self {
        let newest = *Release::flags_sampled().last().unwrap();
        let release = recipe.min_release.filter(|&at| at != Release::NIGHTLY);
        let mut cluster = Self {
            release: release.unwrap_or(newest),
            keys: vec![("model".to_owned(), recipe.id.to_owned())],
            args: Vec::new(),
        };
        let all = [recipe.tool_args, recipe.reasoning_args, recipe.base_args].concat();
        let mut words = all
            .iter()
            .flat_map(|word| word.strip_prefix("--").map_or(vec![*word], split))
            .peekable();
        while let Some(flag) = words.next() {
            let value = words.next_if(|next| !next.starts_with("--"));
            cluster.add(flag, value);
        }
        cluster
    }

    fn add(&mut self, flag: &str, value: Option<&str>) {
        let long = flags::canonical(flag);
        let key = KEYS.iter().find(|(name, _)| *name == long);
        match (key, value) {
            _ if long == "--enable-auto-tool-choice" => self.put("tools", "true"),
            // What the YAML leaves out.
            (Some((_, "max_model_len")), Some("auto")) => {}
            (Some((_, key)), Some(value)) => self.put(key, value),
            _ => {
                let value = value.map_or("true".to_owned(), |value| yaml(flag, value));
                self.args
                    .push((flag.trim_start_matches('-').to_owned(), value));
            }
        }
    }

    fn put(&mut self, key: &str, value: &str) {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), value.to_owned()));
    }

    fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(known, _)| known == key)
    }

    fn yaml(&self) -> String {
        let mut out = format!(
            "version: 1\nname: a\nvllm: {{ version: \"{}\" }}\nnodes: {{ n: {{ gpus: 16, transport: local }} }}\n\
             models:\n  m:\n    node: n\n    port: 8000\n",
            self.release
        );
        for (key, value) in &self.keys {
            writeln!(out, "    {key}: {value}").unwrap();
        }
        if !self.args.is_empty() {
            out.push_str("    args:\n");
        }
        for (flag, value) in &self.args {
            writeln!(out, "      {flag}: {value}").unwrap();
        }
        out
    }
}

/// `max-model-len auto` and `x=string` as two words.
fn split(word: &str) -> Vec<&'static str> {
    let whole: &'static str = Box::leak(format!("--{word}").into_boxed_str());
    match whole.split_once([' ', '=']) {
        Some((flag, value)) => vec![flag, value],
        None => vec![whole],
    }
}

/// A value as YAML: numbers stay numbers, everything else is a text.
fn yaml(_: &str, value: &str) -> String {
    if value.parse::<f64>().is_ok() {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "''"))
    }
}

/// Errors and warnings: code and line of its place.
fn found(yaml: &str) -> Vec<(&'static str, usize)> {
    let parsed = parse(Source::new("a.yaml", yaml.as_bytes()), &[]);
    assert_eq!(parsed.diagnostics, [], "{yaml}");
    let (_, report) = check_all(&parsed.spec.unwrap(), &plan_tests::facts());
    let bad = report
        .iter()
        .filter(|finding| finding.severity > Severity::Note);
    bad.map(|finding| {
        let span = parsed.document.tree().locate(&finding.labels[0].place);
        (finding.code.0, yaml[..span.start].matches('\n').count() + 1)
    })
    .collect()
}

#[test]
fn each_recipe_is_silent() {
    let mut loud = String::new();
    for recipe in recipes::all() {
        let yaml = Cluster::of(recipe).yaml();
        for (code, line) in found(&yaml) {
            let line = yaml.lines().nth(line - 1).unwrap_or_default().trim();
            writeln!(
                loud,
                "{} at {}: {code} {line}",
                recipe.id,
                Cluster::of(recipe).release
            )
            .unwrap();
        }
    }
    assert_eq!(recipes::all().len(), 188);
    assert_eq!(loud, "");
}
