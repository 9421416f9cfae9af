//! The clusters of `clusters/`: what check, plan and render make of each, on a laptop that has none of
//! their nodes, with the facts of `tests/golden/facts.json`. `UPDATE_PAGES=1` writes the files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use toolorch::check::check_all;
use toolorch::diag::{Severity, human};
use toolorch::facts::Facts;
use toolorch::plan::{Plan, origins, table};
use toolorch::render::{FileSet, LIBRARY, Renderer, render_plan};
use toolorch::spec::{Parsed, Source, later_keys, later_note, parse};

use crate::pages::assert_in_step;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn facts() -> Facts {
    let text = std::fs::read_to_string(root().join("tests/golden/facts.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn read(name: &str) -> Parsed {
    let path = format!("clusters/{name}.yaml");
    let bytes = std::fs::read(root().join(&path)).unwrap();
    parse(Source::new(path, &bytes), &[])
}

fn rendered(plan: &Plan) -> FileSet {
    let renderer = Renderer::new(&BTreeMap::new()).unwrap();
    render_plan(plan, &renderer).unwrap()
}

/// Plans, checks and renders one cluster, and compares everything with its golden files.
fn golden(name: &str) {
    let parsed = read(name);
    assert_eq!(parsed.diagnostics, []);
    let (spec, facts) = (parsed.spec.unwrap(), facts());
    let (plan, mut report) = check_all(&spec, &facts);
    report.extend(later_note(&later_keys(&parsed.document)));
    let bad: Vec<_> = (report.iter())
        .filter(|finding| finding.severity > Severity::Note)
        .collect();
    assert!(bad.is_empty(), "{name}: {bad:?}");
    let files = rendered(&plan);
    accepted_by_bash(&files);
    let at = |file: &str| format!("tests/golden/{name}/{file}");
    assert_in_step(&at("check.txt"), &human(&report, &parsed.document, false));
    assert_in_step(&at("plan.txt"), &table(&plan));
    assert_in_step(
        &at("origins.txt"),
        &origins(&parsed.document, &spec, &facts),
    );
    assert_in_step(&at("plan.json"), &text_of(&files, "plan.json"));
    assert_in_step(&at("scripts.txt"), &scripts(&files));
}

fn text_of(files: &FileSet, name: &str) -> String {
    String::from_utf8(files.get(name).unwrap().bytes.clone()).unwrap()
}

/// All scripts in one text. Of a unit's script only the values: its head says the same for all, and the library that
/// they share has tests of its own.
fn scripts(files: &FileSet) -> String {
    let mut all = String::new();
    for (name, _) in files.iter() {
        if name == "plan.json" || name == "MANIFEST" || name == LIBRARY {
            continue;
        }
        let text = text_of(files, name);
        let values = || &text[text.find("\nU_UNIT=").unwrap() + 1..];
        let shown = if name.starts_with("units/") {
            values()
        } else {
            &text
        };
        let _ = writeln!(all, "==== {name}\n{}\n", shown.trim_end());
    }
    all
}

/// Every script is read by bash; those that are not unit scripts, and one that is, by shellcheck.
fn accepted_by_bash(files: &FileSet) {
    let dir = tempfile::tempdir().unwrap();
    let mut paths: Vec<PathBuf> = Vec::new();
    for (name, file) in files
        .iter()
        .filter(|(name, _)| *name != "plan.json" && *name != "MANIFEST")
    {
        let path = dir.path().join(name.replace('/', "_"));
        std::fs::write(&path, &file.bytes).unwrap();
        said_nothing(Command::new("bash").arg("-n").arg(&path));
        if !name.starts_with("units/") || paths.iter().all(|path| !is_unit(path)) {
            paths.push(path);
        }
    }
    said_nothing(Command::new("shellcheck").arg("--shell=bash").args(&paths));
}

fn is_unit(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("units_"))
}

fn said_nothing(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{command:?}: {said}"
    );
}

#[test]
fn the_log_s_cluster() {
    golden("hle-oss");
}

#[test]
fn a_pool_alone() {
    golden("slurm");
}

#[test]
fn every_key() {
    golden("all-keys");
}

#[test]
fn the_smallest() {
    golden("minimal");
}

#[test]
fn the_quickstart() {
    golden("quickstart");
}

#[test]
fn clients_of_others() {
    golden("clients");
}

#[test]
fn a_real_server_without_a_gpu() {
    golden("cpu-vllm");
}

#[test]
fn no_cluster_is_left_out() {
    let mut names: Vec<String> = std::fs::read_dir(root().join("clusters"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    assert_eq!(
        names,
        sorted([
            "all-keys",
            "clients",
            "cpu-vllm",
            "hle-oss",
            "minimal",
            "quickstart",
            "slurm"
        ])
    );
}

/// Clusters as people have them: of each it is kept what is said and what is planned.
const SITES: [&str; 11] = [
    "deepseek",
    "glm",
    "gpt-oss",
    "mistral",
    "moe-dp",
    "qwen3-coder",
    "slurm-only",
    "span",
    "toolorchestra-frames",
    "toolorchestra-hle",
    "toolorchestra-tau2",
];

fn sorted<const N: usize>(others: [&str; N]) -> Vec<String> {
    let all = others.iter().chain(&SITES);
    let mut all: Vec<String> = all.map(|&name| name.to_owned()).collect();
    all.sort();
    all
}

#[test]
fn clusters_as_people_have_them_are_silent() {
    let facts = facts();
    for name in SITES {
        let parsed = read(name);
        assert_eq!(parsed.diagnostics, [], "{name}");
        let spec = parsed.spec.unwrap();
        let (plan, mut report) = check_all(&spec, &facts);
        report.extend(later_note(&later_keys(&parsed.document)));
        let said = human(&report, &parsed.document, false);
        let silent = report
            .iter()
            .all(|finding| finding.severity == Severity::Note);
        assert!(silent, "{said}");
        rendered(&plan);
        let at = |file: &str| format!("tests/golden/{name}/{file}");
        assert_in_step(&at("check.txt"), &said);
        assert_in_step(&at("plan.txt"), &table(&plan));
    }
}

/// The plan's JSON form is read by other programs: a change of its keys is a change of `format`.
#[test]
fn a_plan_survives_its_json() {
    let parsed = read("hle-oss");
    let (plan, _) = check_all(&parsed.spec.unwrap(), &facts());
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}
