//! From a YAML to a spec: every structural mistake, in one pass, at its place.

use insta::{assert_snapshot, with_settings};
use toolorch::diag::human;
use toolorch::spec::{Parsed, Source, parse};

fn read(yaml: &str) -> Parsed {
    parse(Source::new("cluster.yaml", yaml.as_bytes()), &[])
}

/// What a user sees of `yaml`.
fn shown(yaml: &str) -> String {
    let parsed = read(yaml);
    human(&parsed.diagnostics, &parsed.document, false)
}

#[test]
fn ten_mistakes_are_found_in_one_run_each_at_its_line() {
    let parsed = read(include_str!("spec/ten-mistakes.yaml"));
    assert_eq!(parsed.diagnostics.len(), 10);
    with_settings!({ snapshot_path => "spec", prepend_module_to_snapshot => false }, {
        assert_snapshot!("ten-mistakes", human(&parsed.diagnostics, &parsed.document, false));
    });
}

#[test]
fn the_quickstart_has_no_structural_mistake() {
    let yaml = std::fs::read_to_string("clusters/quickstart.yaml").unwrap();
    assert_eq!(shown(&yaml), "");
    assert!(read(&yaml).spec.is_some());
}
