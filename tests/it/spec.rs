//! From a YAML to a spec: every structural mistake, in one pass, at its place.

mod bad_inputs;
mod generated;
mod kinds;
mod overrides;
mod properties;

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
fn our_own_clusters_have_no_structural_mistake() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("clusters");
    let mut read_any = false;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            let yaml = std::fs::read_to_string(&path).unwrap();
            assert_eq!(shown(&yaml), "", "{}", path.display());
            read_any = true;
        }
    }
    assert!(read_any);
}

#[test]
fn anchors_and_merge_keys_are_filled_in() {
    let yaml = r#"
version: 1
name: anchors
evals:
  a: { results: out, env: &client { conda: c, set: { X: "1" } }, limits: &limits { open_files: 100, stall: 60m } }
  b: { results: out, env: { <<: *client, conda: other }, limits: *limits }
  c: { results: out, limits: { <<: [{ stall: 1m }, *limits] } }
"#;
    assert_eq!(shown(yaml), "");
    let spec = read(yaml).spec.unwrap();
    let env = spec.evals["b"].env.as_ref().unwrap();
    assert_eq!(env.conda.as_deref(), Some("other"));
    assert_eq!(env.set["X"].0, "1");
    assert_eq!(spec.evals["a"].limits, spec.evals["b"].limits);
    let limits = spec.evals["c"].limits.as_ref().unwrap();
    assert_eq!(limits.stall.unwrap().0.as_secs(), 60);
    assert_eq!(limits.open_files, Some(100));
}
