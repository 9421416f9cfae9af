//! What `check` prints for programs, held to the schemas of its formats.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use boon::{Compiler, Schemas};
use serde_json::Value;

const MISTAKES: &str = "tests/fixtures/twenty-mistakes.yaml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `check` prints on standard output; `code` is how it must end.
#[track_caller]
fn check(code: i32, words: &[&str]) -> String {
    let output = Command::cargo_bin("toolorch")
        .unwrap()
        .current_dir(root())
        .arg("check")
        .args(words)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn read(file: &str) -> Value {
    let text = fs::read_to_string(root().join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Why a value is not as the schema says.
pub(crate) fn refused(schema: &Value, value: &Value) -> Option<String> {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    compiler
        .add_resource("file:///schema", schema.clone())
        .unwrap();
    let index = compiler.compile("file:///schema", &mut schemas).unwrap();
    let refused = schemas.validate(value, index).err();
    refused.map(|error| format!("{error:#}"))
}

#[track_caller]
fn fits(schema: &Value, value: &Value) {
    assert_eq!(refused(schema, value), None, "{value:#}");
}

#[test]
fn sarif_is_what_its_standard_says() {
    let schema = read("tests/fixtures/sarif/sarif-schema-2.1.0.json");
    let sarif = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let log = sarif(&check(2, &[MISTAKES, "--format", "sarif"]));
    fits(&schema, &log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert!(results.len() >= 20, "{}", results.len());
    let uri = "/locations/0/physicalLocation/artifactLocation/uri";
    let placed = results
        .iter()
        .filter(|one| one.pointer(uri) == Some(&Value::from(MISTAKES)));
    assert_eq!(placed.count(), results.len());
    assert!(results.iter().any(|one| one["fixes"].is_array()));
    // A log that leaves out what must be there is refused: the validator looks.
    let mut bad = log;
    bad["runs"][0]["results"][0]["message"] = Value::from("a text");
    assert!(refused(&schema, &bad).is_some());

    let odd = tempfile::tempdir().unwrap();
    let file = odd.path().join("a b ü%41:{}.yaml");
    fs::write(&file, "version: 1\nname: a\nnodes: 3\n").unwrap();
    let log = sarif(&check(2, &[file.to_str().unwrap(), "--format", "sarif"]));
    fits(&schema, &log);

    let quickstart = "clusters/quickstart.yaml";
    let none = sarif(&check(0, &["clusters/cpu-vllm.yaml", "--format", "sarif"]));
    fits(&schema, &none);
    let set = [quickstart, "--format", "sarif", "--set", "idle=never"];
    let log = sarif(&check(2, &set));
    fits(&schema, &log);
    let key = "/runs/0/results/0/locations/0/logicalLocations/0/name";
    assert_eq!(log.pointer(key), Some(&Value::from("command line")));
}

#[test]
fn each_json_line_is_what_the_documented_schema_says() {
    let schema = read("docs/diagnostic.schema.json");
    let lines = check(2, &[MISTAKES, "--format", "json"]);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() >= 20, "{}", lines.len());
    for line in &lines {
        fits(&schema, line);
    }
    let mut bad = lines[0].clone();
    bad["severity"] = Value::from("fatal");
    assert!(refused(&schema, &bad).is_some());
}

#[test]
fn the_schema_of_a_json_line_is_in_step() {
    crate::pages::assert_in_step(
        "docs/diagnostic.schema.json",
        &toolorch::diag::json_schema(),
    );
    let output = Command::cargo_bin("toolorch")
        .unwrap()
        .args(["schema", "diagnostic"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        toolorch::diag::json_schema()
    );
}

#[test]
fn github_has_a_line_for_each_finding_at_its_place() {
    let count = check(2, &[MISTAKES, "--format", "json"]).lines().count();
    let shown = check(2, &[MISTAKES, "--format", "github"]);
    assert_eq!(shown.lines().count(), count);
    for line in shown.lines() {
        let (command, rest) = line.split_once(' ').unwrap();
        assert!(
            ["::error", "::warning", "::notice"].contains(&command),
            "{line}"
        );
        assert!(
            rest.starts_with(&format!("file={MISTAKES},line=")),
            "{line}"
        );
    }
}

#[test]
fn warnings_count_when_they_are_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    let yaml = "version: 1\nname: a\nnodes: { n: { gpus: 1, transport: local, address: 127.0.0.1 } }\n\
                services:\n  a: { node: n, gpus: [0], port: 21870, command: [sleep] }\n  b: { node: n, gpus: [0], port: 21871, command: [sleep] }\n";
    let path = file.to_str().unwrap();
    fs::write(&file, yaml).unwrap();
    check(0, &[path]);
    check(2, &[path, "--strict"]);
    // Somebody accepts it: then it is a note, with his words.
    fs::write(
        &file,
        format!("{yaml}allow: [{{ code: W0311, reason: both are small }}]\n"),
    )
    .unwrap();
    let said = check(0, &[path, "--strict", "--format", "github"]);
    let note = "::notice file=";
    let line = said
        .lines()
        .find(|line| line.contains("title=N0613::"))
        .unwrap();
    assert!(
        line.starts_with(note) && line.ends_with("%0Abecause: both are small"),
        "{line}"
    );
    assert!(
        !said.contains("W0311,") && !said.contains("::warning"),
        "{said}"
    );
}

#[test]
fn quiet_is_errors_and_warnings_alone() {
    let said = |words: &[&str]| {
        let output = Command::cargo_bin("toolorch")
            .unwrap()
            .current_dir(root())
            .args(words)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stderr).unwrap()
    };
    let all = said(&["check", "clusters/quickstart.yaml"]);
    let (notes, left) = all.split_once("`up` itself proves or watches:\n").unwrap();
    assert!(notes.starts_with("note[N"), "{notes}");
    assert!(left.contains("where calls go"), "{left}");
    assert_eq!(said(&["-q", "check", "clusters/quickstart.yaml"]), "");
}
