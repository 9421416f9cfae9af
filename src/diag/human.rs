//! Findings for people, as rustc shows them: place, reason, help and patches.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{
    Annotation, AnnotationKind, Group, Level, Message, Patch, Renderer, Snippet,
};

use super::diagnostic::{Diagnostic, Fix, Label, Severity};
use super::sources::{Found, Sources};
use crate::base::{is_hidden, mask_keys};

/// All findings and a summary line; empty text for none. `styled` adds ANSI colours.
pub fn human(diagnostics: &[Diagnostic], sources: &dyn Sources, styled: bool) -> String {
    let renderer = if styled {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    let secrets = secrets(diagnostics, sources);
    let worth = gravest(diagnostics);
    for diagnostic in &worth {
        text.push_str(&renderer.render(&groups(diagnostic, sources, &secrets)));
        text.push_str("\n\n");
    }
    if worth.len() < diagnostics.len() {
        let more = diagnostics.len() - worth.len();
        let line = format!("{more} more are not shown here; `--format json` has them all");
        let title = Group::with_title(Level::NOTE.primary_title(line));
        text.push_str(&renderer.render(&[title]));
        text.push_str("\n\n");
    }
    if let Some((severity, line)) = summary(diagnostics, sources.name()) {
        let title = Group::with_title(level(severity).primary_title(line));
        text.push_str(&renderer.render(&[title]));
        text.push('\n');
    }
    plain(text)
}

/// The findings that are shown: nobody reads more than a hundred. Of more the gravest, in their order.
fn gravest(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    const MOST: usize = 100;
    let mut at: Vec<usize> = (0..diagnostics.len()).collect();
    at.sort_by_key(|&at| std::cmp::Reverse(diagnostics[at].severity));
    at.truncate(MOST);
    at.sort_unstable();
    at.into_iter().map(|at| &diagnostics[at]).collect()
}

/// What the renderer leaves of the YAML's own characters that a terminal would obey: its colours begin with an escape,
/// which it lets through from nowhere else.
fn plain(text: String) -> String {
    let wild = |c: char| is_hidden(c) && c != '\n' && c != '\u{1b}';
    if text.chars().any(wild) {
        text.replace(wild, "\u{fffd}")
    } else {
        text
    }
}

/// How many findings of which kind there are in `name`; none if there are none.
pub fn summary(diagnostics: &[Diagnostic], name: &str) -> Option<(Severity, String)> {
    let worst = diagnostics.iter().map(|finding| finding.severity).max()?;
    let counts: Vec<String> = [
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Note, "note"),
    ]
    .into_iter()
    .filter_map(|(severity, word)| {
        let of_this = |finding: &&Diagnostic| finding.severity == severity;
        match diagnostics.iter().filter(of_this).count() {
            0 => None,
            1 => Some(format!("1 {word}")),
            count => Some(format!("{count} {word}s")),
        }
    })
    .collect();
    Some((worst, format!("{} in {name}", counts.join(", "))))
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

/// Bytes of a file that no snippet shows.
type Secret<'a> = (&'a str, Range<usize>);

fn secrets<'a>(diagnostics: &'a [Diagnostic], sources: &'a dyn Sources) -> Vec<Secret<'a>> {
    diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.hides_its_place())
        .flat_map(|diagnostic| &diagnostic.labels)
        .filter_map(|label| sources.find(&label.place))
        .map(|found| (found.name, shown(found)))
        .collect()
}

fn groups<'a>(
    diagnostic: &'a Diagnostic,
    sources: &'a dyn Sources,
    secrets: &[Secret<'_>],
) -> Vec<Group<'a>> {
    let title = level(diagnostic.severity)
        .primary_title(diagnostic.title.as_str())
        .id(diagnostic.code.0);
    let mut first = Group::with_title(title);
    for snippet in snippets(&diagnostic.labels, sources, secrets) {
        first = first.element(snippet);
    }
    let mut groups = vec![first.elements(diagnostic.help.iter().map(|text| help(text)))];
    let fixes = diagnostic.fixes.iter();
    groups.extend(fixes.map(|fix| patch(fix, sources, secrets)));
    groups
}

fn help(text: &str) -> Message<'_> {
    Level::HELP.message(text)
}

/// A file and what is underlined in it.
type Marked<'a> = (Found<'a>, Vec<(Range<usize>, &'a Label)>);

/// One snippet per file, in the order in which the labels name them.
fn snippets<'a>(
    labels: &'a [Label],
    sources: &'a dyn Sources,
    secrets: &[Secret<'_>],
) -> Vec<Snippet<'a, Annotation<'a>>> {
    let mut files: Vec<Marked<'a>> = Vec::new();
    for label in labels {
        let Some(found) = sources.find(&label.place) else {
            continue;
        };
        let marked = (shown(found), label);
        match files.iter_mut().find(|(file, _)| file.name == found.name) {
            Some((_, marks)) => marks.push(marked),
            None => files.push((found, vec![marked])),
        }
    }
    files
        .into_iter()
        .map(|(file, marks)| {
            let window = Window::around(file.text, marks.iter().map(|(range, _)| range));
            let annotations = marks.iter().map(|(range, label)| {
                let kind = if label.primary {
                    AnnotationKind::Primary
                } else {
                    AnnotationKind::Context
                };
                let text = Some(label.text.as_str()).filter(|text| !text.is_empty());
                kind.span(window.inside(range)).label(text)
            });
            Snippet::source(window.without(secrets, file.name))
                .line_start(window.line)
                .path(file.name)
                .annotations(annotations)
        })
        .collect()
}

/// The lines that a snippet needs: the renderer's work grows with the text that it is given.
struct Window<'a> {
    text: &'a str,
    start: usize,
    line: usize,
}

impl<'a> Window<'a> {
    fn around<'r>(text: &'a str, ranges: impl Iterator<Item = &'r Range<usize>> + Clone) -> Self {
        let first = ranges.clone().map(|range| range.start).min().unwrap_or(0);
        let last = ranges.map(|range| range.end).max().unwrap_or(0);
        let start = text[..first].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[last..]
            .find('\n')
            .map_or(text.len(), |newline| last + newline);
        Self {
            text: &text[start..end],
            start,
            line: text[..start].matches('\n').count() + 1,
        }
    }

    /// Its text with a `*` for each byte of a secret in this file, and of all that looks like a key.
    fn without(&self, secrets: &[Secret<'_>], file: &str) -> Cow<'a, str> {
        let mut text = mask_keys(self.text);
        for (_, range) in secrets.iter().filter(|(name, _)| *name == file) {
            let end = self.start + self.text.len();
            let (from, to) = (range.start.max(self.start), range.end.min(end));
            if from < to {
                let inside = from - self.start..to - self.start;
                text.to_mut().replace_range(inside, &"*".repeat(to - from));
            }
        }
        text
    }

    fn inside(&self, range: &Range<usize>) -> Range<usize> {
        range.start - self.start..range.end - self.start
    }
}

/// What is underlined: of a place that spans lines only the first, so that a snippet stays small.
fn shown(found: Found<'_>) -> Range<usize> {
    let range = found.span.range();
    let text = found.text.get(range.clone()).unwrap_or_default();
    let first_line = text.find('\n').unwrap_or(text.len());
    range.start..range.start + text[..first_line].trim_end().len()
}

fn patch<'a>(fix: &'a Fix, sources: &'a dyn Sources, secrets: &[Secret<'_>]) -> Group<'a> {
    let title = Group::with_title(Level::HELP.secondary_title(fix.title.as_str()));
    let Some(found) = sources.find(&fix.place) else {
        return title;
    };
    let range = found.span.range();
    let window = Window::around(found.text, std::iter::once(&range));
    title.element(
        Snippet::source(window.without(secrets, found.name))
            .line_start(window.line)
            .path(found.name)
            .patch(Patch::new(window.inside(&range), fix.replacement.as_str())),
    )
}

#[cfg(test)]
#[path = "human_tests.rs"]
mod tests;
