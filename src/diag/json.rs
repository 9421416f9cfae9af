//! Findings for programs: one JSON object a line, format `toolorch.diagnostic`, version 1.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;

use super::diagnostic::{Applicability, Diagnostic, Place, Severity};
use super::sources::{Found, Sources};

/// The version of the lines; it changes when a key changes its meaning or goes.
const VERSION: u32 = 1;

/// One finding: a line of what `--format json` prints. Keys may be added within a version.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Diagnostic")]
struct Line<'a> {
    /// Always `toolorch.diagnostic`.
    format: &'static str,
    /// The version of the line; it changes when a key changes its meaning or goes.
    version: u32,
    /// The stable code: a letter for the severity, four digits. `toolorch explain CODE` has its page.
    code: &'static str,
    /// How bad it is.
    severity: Severity,
    /// The finding in one line.
    title: &'a str,
    /// Places of the YAML, those that the finding is about first.
    labels: Vec<JsonLabel<'a>>,
    /// Reasons and remedies, a paragraph each.
    help: &'a [String],
    /// Replacements that would mend it.
    fixes: Vec<JsonFix<'a>>,
}

/// A place and what is to be said about it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Label")]
struct JsonLabel<'a> {
    /// The key in the YAML, such as `models.answer.port`; absent where the finding is about text that is no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Where that stands; absent where there is no text at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<JsonPlace<'a>>,
    /// What is said beside it; may be empty.
    text: &'a str,
    /// The finding is about this place; the others explain it.
    primary: bool,
}

/// A replacement that would mend the finding.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Fix")]
struct JsonFix<'a> {
    /// Why it would.
    title: &'a str,
    /// What is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<JsonPlace<'a>>,
    /// By what.
    replacement: &'a str,
    /// How far it can be trusted.
    applicability: Applicability,
}

/// Lines and columns count from 1, columns in characters; the end is one past the last character.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Place")]
struct JsonPlace<'a> {
    /// The file as it was named, or `command line` for a value of `--set`.
    file: &'a str,
    /// The first line.
    line: usize,
    /// The first column.
    column: usize,
    /// The last line.
    end_line: usize,
    /// One past the last column.
    end_column: usize,
}

/// The JSON Schema (draft 2020-12) of one line, pretty-printed.
pub fn json_schema() -> String {
    let schema = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Line<'static>>();
    format!("{:#}\n", schema.to_value())
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
