//! Findings as workflow commands, which GitHub shows beside the lines of a pull request.

use std::fmt::Write as _;

use super::diagnostic::{Diagnostic, Severity};
use super::sources::Sources;

/// One `::error file=…::message` line for each finding.
pub fn github(diagnostics: &[Diagnostic], sources: &dyn Sources) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        let command = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let _ = write!(text, "::{command} ");
        let found = diagnostic
            .labels
            .iter()
            .find_map(|label| sources.find(&label.place));
        if let Some(found) = found {
            let (start, end) = (found.start(), found.end());
            let _ = write!(
                text,
                "file={},line={},endLine={},col={},endColumn={},",
                property(found.name),
                start.line,
                end.line,
                start.column,
                end.column
            );
        }
        let _ = writeln!(
            text,
            "title={}::{}",
            diagnostic.code,
            message(&words(diagnostic))
        );
    }
    text
}

/// The title, what stands beside the primary place, and the help, a line each.
fn words(diagnostic: &Diagnostic) -> String {
    let label = diagnostic
        .labels
        .iter()
        .find(|label| label.primary && !label.text.is_empty())
        .map(|label| label.text.clone());
    std::iter::once(diagnostic.title.clone())
        .chain(label)
        .chain(diagnostic.help.iter().cloned())
        .chain(diagnostic.fixes.iter().map(|fix| fix.title.clone()))
        .collect::<Vec<_>>()
        .join("\n")
}

fn message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
