//! What holds for every input.

use proptest::prelude::*;
use serde_json::Value;
use toolorch::base::{FieldPath, Span};
use toolorch::diag::{Place, Sources, human, json_lines};
use toolorch::spec::{ClusterSpec, Kind, Node, Parsed, Source, parse};

/// Pieces of clusters, so that chance builds what comes near to one.
const PIECES: &[&str] = &[
    "version: 1\n",
    "name: a\n",
    "nodes:\n",
    "  n: ",
    "{ gpus: 8 }",
    "models:\n",
    "  m:\n",
    "    model: x\n",
    "    node: n\n",
    "env: &e ",
    "*e",
    "<<: ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    ": ",
    "\"",
    "'",
    "|\n",
    "- ",
    "~",
    "no",
    "0.10",
    "\t",
    "\r\n",
    "\u{feff}",
    "é",
    "\u{1f600}",
    "#",
    "!!str ",
    "---\n",
    "\n",
    "  ",
    "? ",
    "evals:\n",
    "60m",
    "{port}",
    "\\e",
    "%",
];

fn spans(node: &Node, found: &mut Vec<Span>) {
    found.push(node.span);
    found.extend(node.alias);
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::Seq(items) => items.iter().for_each(|item| spans(item, found)),
        Kind::Map(entries) => {
            for entry in entries {
                found.push(entry.key_span);
                spans(&entry.value, found);
            }
        }
    }
}

/// Reads and renders; every span lies in the text, on character boundaries.
fn read(bytes: &[u8]) -> Parsed {
    let parsed = parse(Source::new("a.yaml", bytes), &[]);
    assert_eq!(parsed.spec.is_none(), !parsed.diagnostics.is_empty());
    let mut found = Vec::new();
    spans(&parsed.document.tree().root, &mut found);
    for span in found {
        assert!(
            parsed.document.text().get(span.range()).is_some(),
            "{span:?}"
        );
    }
    for finding in &parsed.diagnostics {
        for label in &finding.labels {
            if let Some(place) = parsed.document.find(&label.place) {
                assert!(place.text.get(place.span.range()).is_some(), "{finding:?}");
            }
        }
    }
    human(&parsed.diagnostics, &parsed.document, true);
    json_lines(&parsed.diagnostics, &parsed.document);
    parsed
}

/// A value that YAML and JSON write alike.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        "[ -~é😀]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The same value in block style, unquoted where that is possible.
fn block(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap()
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
    }

    #[test]
    fn no_pieces_make_it_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        read(pieces.concat().as_bytes());
    }

    #[test]
    fn a_free_value_is_what_serde_yaml_reads(value in json()) {
        let yaml = block(&serde_json::json!({
            "version": 1, "name": "a",
            "client_config": { "format": "toolorchestra", "path": "p", "extra": { "value": value } },
        }));
        let reference: Value = serde_yaml::from_str(&yaml).unwrap();
        let parsed = read(yaml.as_bytes());
        let bare_word = parsed.diagnostics.iter().any(|finding| ["E0126", "E0130", "E0112"].contains(&finding.code.0));
        prop_assume!(!bare_word);
        prop_assert_eq!(&parsed.diagnostics, &Vec::new());
        let ours = parsed.spec.unwrap().client_config.unwrap().extra["value"].clone();
        prop_assert_eq!(&ours, &reference["client_config"]["extra"]["value"]);
    }

    #[test]
    fn any_place_is_found(path in "[a-z]{1,4}([.][a-z]{1,4}|\\[[0-9]\\]){0,4}") {
        let parsed = read(include_bytes!("../../../clusters/quickstart.yaml"));
        let path = FieldPath::parse(&path).unwrap();
        for place in [Place::Key(path.clone()), Place::Value(path)] {
            let found = parsed.document.find(&place).unwrap();
            prop_assert!(found.text.get(found.span.range()).is_some());
        }
    }
}

/// Clusters without what is ours (texts as written, durations): serde reads the same structs.
#[test]
fn a_cluster_is_what_serde_yaml_reads() {
    for yaml in [
        include_str!("../../../clusters/quickstart.yaml"),
        include_str!("../../../clusters/minimal.yaml"),
    ] {
        let reference: ClusterSpec = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(read(yaml.as_bytes()).spec.unwrap(), reference);
    }
}

#[test]
fn crlf_and_a_byte_order_mark_change_nothing() {
    let yaml = include_str!("../../../clusters/quickstart.yaml").to_owned()
        + "env:\n  setup:\n    - |\n      a\n      b\n";
    let crlf = format!("\u{feff}{}", yaml.replace('\n', "\r\n"));
    let (plain, windows) = (read(yaml.as_bytes()), read(crlf.as_bytes()));
    assert_eq!(
        plain.spec.as_ref().unwrap().env.as_ref().unwrap().setup,
        ["a\nb\n"]
    );
    assert_eq!(plain, windows);
}
