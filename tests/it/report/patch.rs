//! The advised change as a patch: `patch` and `git apply` take it, and the rest of the file stays as it is.

use std::fs;
use std::path::Path;
use std::process::Command;

use toolorch::base::{FieldPath, unified_diff};
use toolorch::spec::{Edit, edited};

fn edit(model: &str, key: &str, from: &str, to: &str) -> Edit {
    Edit {
        path: FieldPath::root().key("models").key(model).key(key),
        from: vec![from.to_owned()],
        to: to.to_owned(),
        has_default: false,
    }
}

#[track_caller]
fn done(folder: &Path, yaml: &Path, command: &str) {
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env("YAML", yaml)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command}: {said}");
}

#[test]
fn a_patch_is_taken_by_patch_and_by_git() {
    let text = fs::read_to_string(crate::report::root().join("clusters/hle-oss.yaml")).unwrap();
    let edits = [
        edit("orchestrator", "replicas", "4", "8"),
        edit("coder", "replicas", "8", "4"),
        edit("search", "port", "1840", "auto"),
    ];
    let wanted = edited(&text, &edits).unwrap();
    assert_eq!(wanted.lines().count(), text.lines().count());
    for name in [
        "c/night.yaml",
        "my cluster/night 2.yaml",
        "c/a\tb\n\"c\\.yaml",
    ] {
        let diff = unified_diff(name, &text, &wanted);
        for command in [
            "patch -p0 < advice.patch",
            "patch \"$YAML\" < advice.patch",
            "sed 's/^/    /' advice.patch | patch -p0",
            "sed 's/^/    /' advice.patch | patch \"$YAML\"",
            "git init -q . && git apply advice.patch",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let inside = |name: &str| folder.path().join(name);
            let yaml = inside(name);
            fs::create_dir_all(yaml.parent().unwrap()).unwrap();
            fs::write(&yaml, &text).unwrap();
            fs::write(inside("advice.patch"), &diff).unwrap();
            done(folder.path(), &yaml, command);
            let now = fs::read_to_string(&yaml).unwrap();
            assert_eq!(now, wanted, "{name}: {command}");
        }
    }
}
