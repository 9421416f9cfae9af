//! Findings as SARIF 2.1.0, which code-scanning tools read.

use serde_json::{Value, json};

use super::codes;
use super::diagnostic::{Diagnostic, Severity};
use super::sources::{Found, Sources};

/// The whole SARIF log, one run, pretty-printed.
pub fn sarif(diagnostics: &[Diagnostic], sources: &dyn Sources) -> String {
    let mut used: Vec<&str> = diagnostics.iter().map(|finding| finding.code.0).collect();
    used.sort_unstable();
    used.dedup();
    let rules: Vec<Value> = used.into_iter().map(rule).collect();
    let results: Vec<Value> = diagnostics
        .iter()
        .map(|diagnostic| result(diagnostic, sources))
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "toolorch",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn rule(code: &str) -> Value {
    match codes::find(code) {
        Some(row) => json!({
            "id": code,
            "shortDescription": { "text": row.title },
            "fullDescription": { "text": row.text },
        }),
        None => json!({ "id": code }),
    }
}

fn result(diagnostic: &Diagnostic, sources: &dyn Sources) -> Value {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let text = std::iter::once(&diagnostic.title)
        .chain(&diagnostic.help)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    let places = |primary: bool| -> Vec<Value> {
        diagnostic
            .labels
            .iter()
            .filter(|label| label.primary == primary)
            .filter_map(|label| Some(location(sources.find(&label.place)?, &label.text)))
            .collect()
    };
    json!({
        "ruleId": diagnostic.code,
        "level": level,
        "message": { "text": text },
        "locations": places(true),
        "relatedLocations": places(false),
    })
}

fn location(found: Found<'_>, text: &str) -> Value {
    let (start, end) = (found.start(), found.end());
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": found.name },
            "region": {
                "startLine": start.line,
                "startColumn": start.column,
                "endLine": end.line,
                "endColumn": end.column,
            },
        },
        "message": { "text": text },
    })
}
