//! `toolorch report`: its tables against numpy's, its forms, and what it says where it cannot.

mod advice;
mod log_figures;
mod messages;
mod numpy;
mod page;
mod patch;
mod robust;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

/// A folder with results, and the program run beside them.
struct Place {
    dir: tempfile::TempDir,
}

/// How a call of the program ended.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn report(&self, args: &[&str]) -> Said {
        let output = Command::cargo_bin("toolorch")
            .unwrap()
            .current_dir(self.dir.path())
            .env("TOOLORCH_HOME", self.path("home"))
            .arg("report")
            .args(args)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// The report as JSON; it must succeed.
    fn json(&self, args: &[&str]) -> Value {
        let said = self.report(&[args, &["--format", "json"]].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        serde_json::from_str(&said.out).unwrap()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_schema_of_a_report_is_in_step_and_holds() {
    crate::pages::assert_in_step(
        "docs/report.schema.json",
        &toolorch::report::report_schema(),
    );
    let output = Command::cargo_bin("toolorch")
        .unwrap()
        .args(["schema", "report"])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, toolorch::report::report_schema());

    let schema: Value = serde_json::from_str(&printed).unwrap();
    let place = Place::new();
    messages::small(&place);
    let args = [
        "out",
        "--dataset",
        "questions.jsonl",
        "--call-log",
        "calls.jsonl",
    ];
    let report = place.json(&args);
    assert_eq!(
        crate::formats::refused(&schema, &report),
        None,
        "{report:#}"
    );
    // One that leaves out what must be there is refused: the validator looks.
    let mut bad = report;
    bad["evaluations"][0]["accuracy"]["done"] = Value::from("many");
    assert!(crate::formats::refused(&schema, &bad).is_some());
}
