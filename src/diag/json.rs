//! Findings for programs: one JSON object a line, format `toolorch.diagnostic`, version 1.

use serde::Serialize;

use super::diagnostic::{Applicability, Diagnostic, Place, Severity};
use super::sources::{Found, Sources};

/// The version of the lines; it changes when a key changes its meaning or goes.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    format: &'static str,
    version: u32,
    code: &'static str,
    severity: Severity,
    title: &'a str,
    labels: Vec<JsonLabel<'a>>,
    help: &'a [String],
    fixes: Vec<JsonFix<'a>>,
}

#[derive(Serialize)]
struct JsonLabel<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<JsonPlace<'a>>,
    text: &'a str,
    primary: bool,
}

#[derive(Serialize)]
struct JsonFix<'a> {
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<JsonPlace<'a>>,
    replacement: &'a str,
    applicability: Applicability,
}

/// Lines and columns from 1, columns in characters; the end is one past the last character.
#[derive(Serialize)]
struct JsonPlace<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

/// One JSON object a line for each finding.
pub fn json_lines(diagnostics: &[Diagnostic], sources: &dyn Sources) -> String {
    diagnostics
        .iter()
        .filter_map(|diagnostic| serde_json::to_string(&line(diagnostic, sources)).ok())
        .map(|line| line + "\n")
        .collect()
}

fn line<'a>(diagnostic: &'a Diagnostic, sources: &'a dyn Sources) -> Line<'a> {
    Line {
        format: "toolorch.diagnostic",
        version: VERSION,
        code: diagnostic.code.0,
        severity: diagnostic.severity,
        title: &diagnostic.title,
        labels: diagnostic
            .labels
            .iter()
            .map(|label| JsonLabel {
                path: path(&label.place),
                place: sources.find(&label.place).map(place),
                text: &label.text,
                primary: label.primary,
            })
            .collect(),
        help: &diagnostic.help,
        fixes: diagnostic
            .fixes
            .iter()
            .map(|fix| JsonFix {
                title: &fix.title,
                place: sources.find(&fix.place).map(place),
                replacement: &fix.replacement,
                applicability: fix.applicability,
            })
            .collect(),
    }
}

fn path(place: &Place) -> Option<String> {
    match place {
        Place::Key(path) | Place::Value(path) => Some(path.to_string()),
        Place::Span(_) => None,
    }
}

fn place(found: Found<'_>) -> JsonPlace<'_> {
    let (start, end) = (found.start(), found.end());
    JsonPlace {
        file: found.name,
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
    }
}
