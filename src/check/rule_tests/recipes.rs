//! vLLM's own recipes: each is silent as it stands, and each single slip in one is found where it is, and nothing else.

use std::fmt::Write as _;

use crate::check::check_all;
use crate::diag::Severity;
use crate::knowledge::recipes::{self, Recipe};
use crate::knowledge::release::Release;
use crate::knowledge::{families, flags, shapes};
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
                let value = value.map_or("true".to_owned(), yaml);
                self.args
                    .push((flag.trim_start_matches('-').to_owned(), value));
            }
        }
    }

    fn put(&mut self, key: &str, value: &str) {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), value.to_owned()));
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
fn yaml(value: &str) -> String {
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

/// Recipes that their own first release refuses, each with what it lacks there and the first release that takes them.
///
/// vLLM's registries and command lines of these releases were read: the recipes name a release that has the model and not
/// yet the parser, and one a flag of another engine.
const WRONG: &[(&str, &str, &str, Option<Release>)] = &[
    (
        "Qwen/Qwen3-1.7B",
        "E0403",
        "reasoning_parser: qwen3",
        Some(Release::new(0, 9, 2)),
    ),
    (
        "Qwen/Qwen3-14B",
        "E0403",
        "reasoning_parser: qwen3",
        Some(Release::new(0, 9, 2)),
    ),
    (
        "Qwen/Qwen3-30B-A3B",
        "E0403",
        "reasoning_parser: qwen3",
        Some(Release::new(0, 9, 2)),
    ),
    (
        "Qwen/Qwen3-32B",
        "E0403",
        "reasoning_parser: qwen3",
        Some(Release::new(0, 9, 2)),
    ),
    (
        "Qwen/Qwen3-4B",
        "E0403",
        "reasoning_parser: qwen3",
        Some(Release::new(0, 9, 2)),
    ),
    (
        "Qwen/Qwen3-8B",
        "E0403",
        "reasoning_parser: qwen3",
        Some(Release::new(0, 9, 2)),
    ),
    (
        "deepseek-ai/DeepSeek-V3.2",
        "E0410",
        "disable-flashinfer-autotune: true",
        None,
    ),
    (
        "deepseek-ai/DeepSeek-V3.2-Exp",
        "E0403",
        "tool_parser: deepseek_v32",
        Some(Release::new(0, 14, 1)),
    ),
];

/// The recipe as it works: on the first release that takes it, without a flag that none has.
fn working(recipe: &Recipe) -> Cluster {
    let mut cluster = Cluster::of(recipe);
    if let Some((_, _, line, first)) = WRONG.iter().find(|(id, ..)| *id == recipe.id) {
        match first {
            Some(first) => cluster.release = *first,
            None => cluster
                .args
                .retain(|(flag, _)| !line.starts_with(flag.as_str())),
        }
    }
    cluster
}

/// What was found, for people.
fn told(yaml: &str) -> Vec<String> {
    let line = |line: usize| yaml.lines().nth(line - 1).unwrap_or_default().trim();
    let all = found(yaml).into_iter();
    all.map(|(code, at)| format!("{code} {}", line(at)))
        .collect()
}

#[test]
fn each_recipe_is_silent() {
    assert_eq!(recipes::all().len(), 188);
    let mut wrong: Vec<(&str, Vec<String>)> = Vec::new();
    for recipe in recipes::all() {
        let said = told(&Cluster::of(recipe).yaml());
        if !said.is_empty() {
            wrong.push((recipe.id, said));
        }
        assert_eq!(told(&working(recipe).yaml()), [""; 0], "{}", recipe.id);
    }
    wrong.sort();
    let expected: Vec<_> = WRONG
        .iter()
        .map(|(id, code, line, _)| (*id, vec![format!("{code} {line}")]))
        .collect();
    assert_eq!(wrong, expected);
}

/// Checks that a changed recipe gives one finding, of this code, at the line that starts like this.
fn one(recipe: &Recipe, cluster: &Cluster, code: &str, line: &str) {
    let yaml = cluster.yaml();
    let said = told(&yaml);
    let [only] = said.as_slice() else {
        panic!("{}: {said:?} instead of {code} {line}\n{yaml}", recipe.id)
    };
    assert!(
        only.starts_with(&format!("{code} {line}")),
        "{}: {only} instead of {code} {line}\n{yaml}",
        recipe.id
    );
}

fn at_least(cluster: &Cluster, minor: u16) -> bool {
    cluster.release >= Release::new(0, minor, 0)
}

#[test]
fn the_parser_of_another_family() {
    let mut tried = 0;
    for recipe in recipes::all() {
        let cluster = working(recipe);
        let Some(own) = recipe.tool_parser() else {
            continue;
        };
        if recipe.tool_args.contains(&"--tool-parser-plugin") {
            continue;
        }
        let oss = own == "openai";
        let known = families::family_of(recipe.id).is_some() || !oss;
        // A parser that no family shares with another, and that every release has.
        let foreign = if oss { "hermes" } else { "jamba" };
        let mut changed = cluster.clone();
        changed.put("tool_parser", foreign);
        let code = match oss {
            true if at_least(&cluster, 24) => "W0402",
            true => "E0401",
            false => "W0406",
        };
        assert!(known);
        one(recipe, &changed, code, &format!("tool_parser: {foreign}"));
        tried += 1;
        // gpt-oss's own reads no other model.
        if !oss
            && families::family_of(recipe.id).is_some()
            && cluster.release >= Release::new(0, 10, 2)
        {
            changed.put("tool_parser", "openai");
            one(recipe, &changed, "E0401", "tool_parser: openai");
        }
        // One that does not exist.
        changed.put("tool_parser", &format!("{own}z"));
        one(recipe, &changed, "E0403", &format!("tool_parser: {own}z"));
    }
    assert_eq!(tried, 129);
}

#[test]
fn a_flag_misspelt_or_gone() {
    let mut gone_tried = 0;
    for recipe in recipes::all() {
        let cluster = working(recipe);
        let mut changed = cluster.clone();
        changed
            .args
            .push(("max-num-sequences".to_owned(), "8".to_owned()));
        one(recipe, &changed, "E0410", "max-num-sequences");
        // The first that this release has no more; what is older than all samples lacks none.
        let gone = flags::all()
            .iter()
            .filter_map(|flag| flags::removed(flag.name));
        let mut gone = gone.filter(|gone| gone.gone_in <= cluster.release);
        let Some(gone) = gone.next_back() else {
            continue;
        };
        let mut changed = cluster.clone();
        let bare = gone.name.trim_start_matches('-').to_owned();
        changed.args.push((bare.clone(), "true".to_owned()));
        one(recipe, &changed, "E0411", &bare);
        gone_tried += 1;
    }
    assert!(gone_tried > 150, "{gone_tried}");
}

#[test]
fn heads_that_do_not_divide() {
    let mut tried = 0;
    for recipe in recipes::all() {
        let Some(shape) = shapes::shape_of(recipe.id) else {
            continue;
        };
        let cluster = working(recipe);
        // Divides neither heads nor the GPUs of a node by chance.
        let Some(size) = [3, 5, 7, 11]
            .into_iter()
            .find(|size| !shape.heads.is_multiple_of(*size))
        else {
            continue;
        };
        let mut changed = cluster.clone();
        changed.put("tensor_parallel", &size.to_string());
        one(recipe, &changed, "E0431", "tensor_parallel:");
        tried += 1;
    }
    assert!(tried > 25, "{tried}");
}

#[test]
fn a_port_that_two_want() {
    for recipe in recipes::all() {
        let cluster = working(recipe);
        let yaml = format!(
            "{}  other:\n    model: Qwen/Qwen3-8B\n    vllm: {{ version: \"0.12.0\" }}\n    node: n\n    port: 8000 # again\n",
            cluster.yaml()
        );
        assert_eq!(told(&yaml), ["E0301 port: 8000 # again"], "{}", recipe.id);
    }
}

#[test]
fn a_length_over_the_model_s() {
    let mut tried = 0;
    for recipe in recipes::all() {
        let Some(context) = recipe.context else {
            continue;
        };
        let mut changed = working(recipe);
        changed.put("max_model_len", &(context + 1).to_string());
        one(recipe, &changed, "W0423", "max_model_len:");
        tried += 1;
    }
    assert_eq!(tried, 187);
}
