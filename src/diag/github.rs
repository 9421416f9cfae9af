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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::Span;
    use crate::diag::{Code, Found, Place};

    struct Named(String);

    impl Sources for Named {
        fn name(&self) -> &str {
            &self.0
        }

        fn find(&self, _: &Place) -> Option<Found<'_>> {
            Some(Found {
                name: &self.0,
                text: "a: 1",
                span: Span::new(0..1),
            })
        }
    }

    /// What GitHub's runner makes of a command: its properties, and its message.
    fn read(line: &str) -> (Vec<(String, String)>, String) {
        let plain = |text: &str, codes: &[(&str, &str)]| {
            let all = codes.iter().rev();
            all.fold(text.to_owned(), |text, (code, c)| text.replace(code, c))
        };
        let of_message = [("%25", "%"), ("%0D", "\r"), ("%0A", "\n")];
        let of_property = [of_message.as_slice(), &[("%3A", ":"), ("%2C", ",")]].concat();
        let (head, message) = line
            .strip_prefix("::error ")
            .unwrap()
            .split_once("::")
            .unwrap();
        let pairs = head.split(',').map(|pair| {
            let (key, value) = pair.split_once('=').unwrap();
            (key.to_owned(), plain(value, &of_property))
        });
        (pairs.collect(), plain(message, &of_message))
    }

    /// Texts in which the characters that mean something are common.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "([%:,=\r\n]|::|%0A|%25|%2525|é|a){0,12}"]
    }

    proptest! {
        #[test]
        fn whatever_is_said_stays_one_line_and_is_read_as_it_was(file in text(), title in text(), help in text()) {
            let finding = Diagnostic::error(Code("E0120"), title.clone())
                .at(Place::Span(Span::new(0..1)), "")
                .help(help.clone());
            let shown = github(&[finding], &Named(file.clone()));
            let line = shown.strip_suffix('\n').unwrap();
            prop_assert!(!line.contains(['\n', '\r']));
            let (properties, message) = read(line);
            prop_assert_eq!(message, format!("{title}\n{help}"));
            let keys: Vec<&str> = properties.iter().map(|(key, _)| key.as_str()).collect();
            prop_assert_eq!(keys, ["file", "line", "endLine", "col", "endColumn", "title"]);
            prop_assert_eq!(&properties[0].1, &file);
        }
    }
}
