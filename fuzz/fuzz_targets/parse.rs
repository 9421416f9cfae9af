//! Any bytes are read, checked against the shapes and rendered, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toolorch::diag::{human, json_lines};
use toolorch::spec::{Source, parse};

fuzz_target!(|bytes: &[u8]| {
    let parsed = parse(Source::new("fuzz.yaml", bytes), &[]);
    assert_eq!(parsed.spec.is_none(), !parsed.diagnostics.is_empty());
    human(&parsed.diagnostics, &parsed.document, true);
    json_lines(&parsed.diagnostics, &parsed.document);
});
