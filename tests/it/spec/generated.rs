//! Pages that are generated from the source, and the files that `init` and `schema` give.

use toolorch::spec::{STARTER, Source, later_keys, manual, parse, schema};

#[test]
fn the_reference_of_keys_is_in_step() {
    crate::pages::assert_in_step("docs/SPEC.md", &manual());
}

#[test]
fn the_starter_has_nothing_to_complain_about() {
    let parsed = parse(Source::new("minimal.yaml", STARTER.as_bytes()), &[]);
    assert_eq!(parsed.diagnostics, []);
    assert_eq!(later_keys(&parsed.document), []);
    assert!(parsed.spec.is_some());
}

#[test]
fn the_commented_evaluation_of_the_starter_is_right_too() {
    let yaml = STARTER
        .replace("# evals:", "evals:")
        .replace("\n#   ", "\n  ");
    let yaml = yaml.replace("\n    toolorch", "\n#    toolorch");
    let parsed = parse(Source::new("minimal.yaml", yaml.as_bytes()), &[]);
    assert_eq!(parsed.diagnostics, []);
    assert_eq!(parsed.spec.map(|spec| spec.evals.len()), Some(1));
}

#[test]
fn the_schema_describes_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let top = schema["properties"].as_object().unwrap();
    for (key, value) in top {
        assert!(value["description"].is_string(), "{key}");
    }
    for (name, def) in schema["$defs"].as_object().unwrap() {
        for (key, value) in def["properties"].as_object().into_iter().flatten() {
            assert!(value["description"].is_string(), "{name}.{key}");
        }
    }
}
