//! Findings as SARIF 2.1.0, which code-scanning tools read.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::codes;
use super::diagnostic::{Diagnostic, Fix, Label, Place, Severity};
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
            .filter_map(|label| Some(location(label, sources.find(&label.place)?, sources)))
            .collect()
    };
    let mut result = json!({
        "ruleId": diagnostic.code,
        "level": level,
        "message": { "text": text },
        "locations": places(true),
        "relatedLocations": places(false),
    });
    let fixes: Vec<Value> = diagnostic
        .fixes
        .iter()
        .filter_map(|one| fix(one, sources))
        .collect();
    if !fixes.is_empty() {
        result["fixes"] = Value::from(fixes);
    }
    result
}

/// A place of the file; of the command line, which is no file, only the key can be told.
fn location(label: &Label, found: Found<'_>, sources: &dyn Sources) -> Value {
    let mut location = Map::new();
    if is_file(found, sources) {
        let place = json!({ "artifactLocation": artifact(found), "region": region(found) });
        location.insert("physicalLocation".to_owned(), place);
    } else {
        let path = match &label.place {
            Place::Key(path) | Place::Value(path) => path.to_string(),
            Place::Span(_) => found.name.to_owned(),
        };
        let logical = json!([{ "name": found.name, "fullyQualifiedName": path }]);
        location.insert("logicalLocations".to_owned(), logical);
    }
    if !label.text.is_empty() {
        location.insert("message".to_owned(), json!({ "text": label.text }));
    }
    Value::Object(location)
}

/// What replaces which part of the file; nothing replaces a part of the command line.
fn fix(fix: &Fix, sources: &dyn Sources) -> Option<Value> {
    let found = sources
        .find(&fix.place)
        .filter(|found| is_file(*found, sources))?;
    Some(json!({
        "description": { "text": fix.title },
        "artifactChanges": [{
            "artifactLocation": artifact(found),
            "replacements": [{
                "deletedRegion": region(found),
                "insertedContent": { "text": fix.replacement },
            }],
        }],
    }))
}

fn is_file(found: Found<'_>, sources: &dyn Sources) -> bool {
    found.name == sources.name()
}

fn artifact(found: Found<'_>) -> Value {
    json!({ "uri": uri(found.name) })
}

fn region(found: Found<'_>) -> Value {
    let (start, end) = (found.start(), found.end());
    json!({
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    })
}

/// A path as a URI: absolute ones with their scheme, relative ones from where the reader knows the file.
fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri() {
        assert_eq!(uri("clusters/hle-oss.yaml"), "clusters/hle-oss.yaml");
        assert_eq!(uri("/a b/ü%.yaml"), "file:///a%20b/%C3%BC%25.yaml");
        assert_eq!(uri("c:d?e#f"), "c%3Ad%3Fe%23f");
    }
}
