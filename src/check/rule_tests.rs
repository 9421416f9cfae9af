//! Each rule: a case that it finds, with the whole text that people see, and one that it lets pass.

mod attacked;
mod clients;
mod egress;
mod evaluation;
mod fit;
mod models;
mod names;
mod places;
mod recipes;
mod remote;
mod servers;
mod sites;
mod twenty;

use crate::diag::{Severity, human};
use crate::facts::Facts;
use crate::plan::plan_tests;
use crate::spec::{Source, parse};

use super::check_all;

/// A small cluster of one node; the cases append to it.
const BASE: &str = "version: 1\nname: a\nvllm: { version: \"0.12.0\" }\n\
                    nodes: { n: { gpus: 8, transport: local } }\n";

/// Everything that is said about `BASE` with more lines.
fn said(more: &str) -> String {
    said_with(more, &plan_tests::facts())
}

fn said_with(more: &str, facts: &Facts) -> String {
    said_of(&format!("{BASE}{more}"), facts)
}

/// Everything that is said about a whole YAML.
fn said_of(yaml: &str, facts: &Facts) -> String {
    let parsed = parse(Source::new("a.yaml", yaml.as_bytes()), &[]);
    assert_eq!(parsed.diagnostics, [], "the YAML itself must be in order");
    let (_, report) = check_all(&parsed.spec.unwrap(), facts);
    human(&report, &parsed.document, false)
}

/// The codes of errors and warnings alone.
fn codes(more: &str, facts: &Facts) -> Vec<&'static str> {
    let yaml = format!("{BASE}{more}");
    let parsed = parse(Source::new("a.yaml", yaml.as_bytes()), &[]);
    assert_eq!(parsed.diagnostics, [], "the YAML itself must be in order");
    let (_, report) = check_all(&parsed.spec.unwrap(), facts);
    let bad = report
        .iter()
        .filter(|finding| finding.severity > Severity::Note);
    bad.map(|finding| finding.code.0).collect()
}

/// Asserts that nothing stands in the way.
fn fine(more: &str) {
    assert_eq!(codes(more, &plan_tests::facts()), [""; 0]);
}
