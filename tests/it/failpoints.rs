//! The list of failpoints and the sources say the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toolorch::run::store::FAILPOINTS;

/// All Rust text below a folder, but the list's own.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if !path.ends_with("run/store/failpoint.rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_failpoint_of_the_list_is_passed_once_and_no_other() {
    let mut text = String::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut text,
    );
    let listed: BTreeSet<&str> = FAILPOINTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed.len(), FAILPOINTS.len(), "a name stands twice");
    for name in &listed {
        assert_eq!(text.matches(&format!("\"{name}\"")).count(), 1, "{name}");
    }
    let mut passed = BTreeSet::new();
    for call in ["failpoint(\"", "failpoint_io(\""] {
        let after = text.split(call).skip(1);
        passed.extend(after.filter_map(|rest| rest.split('"').next()));
    }
    assert!(passed.len() > 30, "{passed:?}");
    assert!(
        passed.is_subset(&listed),
        "{:?}",
        passed.difference(&listed)
    );
}
