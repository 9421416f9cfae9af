//! How a renderer finds the text that a [`Place`] means.

use super::diagnostic::Place;
use crate::base::Span;

/// A place, found: which text, and which bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// The file's name as the user gave it, or `command line`.
    pub name: &'a str,
    /// Its whole text.
    pub text: &'a str,
    /// The bytes that are meant.
    pub span: Span,
}

/// Texts in which places can be found; `spec::Document` is one.
pub trait Sources {
    /// The main file's name, for the summary line.
    fn name(&self) -> &str;

    /// Where `place` is; none if there is no text at all.
    fn find(&self, place: &Place) -> Option<Found<'_>>;
}

/// No text: every diagnostic is rendered without a snippet.
#[derive(Debug, Clone, Copy)]
pub struct NoSources<'a>(
    /// The name for the summary line.
    pub &'a str,
);

impl Sources for NoSources<'_> {
    fn name(&self) -> &str {
        self.0
    }

    fn find(&self, _: &Place) -> Option<Found<'_>> {
        None
    }
}

/// A point of a text as people and editors count: both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Found<'_> {
    /// Where it begins.
    pub(super) fn start(&self) -> Point {
        point(self.text, self.span.start)
    }

    /// One past its last character.
    pub(super) fn end(&self) -> Point {
        point(self.text, self.span.end)
    }
}

fn point(text: &str, offset: usize) -> Point {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Point {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let found = Found {
            name: "a.yaml",
            text: "a: 1\nü: x\n",
            span: Span::new(9..10),
        };
        assert_eq!(found.start(), Point { line: 2, column: 4 });
        assert_eq!(found.end(), Point { line: 2, column: 5 });
    }
}
