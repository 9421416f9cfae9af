//! What the YAML parser's errors mean to a user.

use std::ops::Range;

use granit_parser::{ErrorKind, ScanError};

use crate::base::Span;
use crate::diag::{Code, Diagnostic, Place};

/// Bytes of the parser as a span of ours: inside of `text`, on character boundaries, from `base`.
pub(super) fn span(text: &str, base: usize, range: Option<Range<usize>>) -> Span {
    let range = range.unwrap_or_default();
    let start = text.floor_char_boundary(range.start);
    let end = text.floor_char_boundary(range.end).max(start);
    Span::new(base + start..base + end)
}

/// One finding for the place where the parser gave up.
pub(super) fn explain(text: &str, base: usize, error: &ScanError) -> Diagnostic {
    let offset = error.marker().byte_offset().unwrap_or(text.len());
    let offset = text.floor_char_boundary(offset);
    if let ErrorKind::RecursionLimitExceeded = error.kind() {
        return too_deep(character(text, base, offset));
    }
    if let Some(tab) = tab_in_indentation(text, offset) {
        return Diagnostic::error(Code("E0105"), "a tab stands in the indentation")
            .at(character(text, base, tab), "YAML allows only spaces here")
            .help("replace tabs by spaces");
    }
    let (title, help) = words(error.kind());
    let mut finding = Diagnostic::error(Code("E0104"), title).at(
        character(text, base, visible(text, offset)),
        "the parser gave up here",
    );
    if let Some(help) = help {
        finding = finding.help(help);
    }
    finding
}

/// Values are nested deeper than anything here needs.
pub(super) fn too_deep(place: Place) -> Diagnostic {
    Diagnostic::error(Code("E0106"), "values are nested more than 64 deep")
        .at(place, "the limit is reached here")
}

/// The character at `offset`, for an underline of one column.
fn character(text: &str, base: usize, offset: usize) -> Place {
    let length = text[offset..].chars().next().map_or(0, char::len_utf8);
    Place::Span(span(text, base, Some(offset..offset + length)))
}

/// An offset at the end of a text or line is shown after the last thing that stands there.
fn visible(text: &str, offset: usize) -> usize {
    let at_end = text[offset..].chars().next().is_none_or(|c| c == '\n');
    let before = text[..offset].trim_end();
    match before.char_indices().next_back() {
        Some((last, _)) if at_end => last,
        _ => offset,
    }
}

/// The first tab before the text of the line of `offset`, of the two lines before it or of the next one.
fn tab_in_indentation(text: &str, offset: usize) -> Option<usize> {
    let end = text[offset..]
        .find('\n')
        .map_or(text.len(), |newline| offset + newline);
    // A text that goes on in the next line is given up at its own.
    let after = text[end..].find(|c| c != '\n').map(|skipped| end + skipped);
    let mut starts: Vec<usize> = after.into_iter().collect();
    let mut start = end;
    for _ in 0..3 {
        start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        starts.push(start);
        if start == 0 {
            break;
        }
        start -= 1;
    }
    starts.into_iter().rev().find_map(|start| {
        let line = &text[start..];
        let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
        line[..blank].find('\t').map(|tab| start + tab)
    })
}

/// The error in words, and what to do.
fn words(kind: &ErrorKind) -> (String, Option<&'static str>) {
    use ErrorKind as E;
    let (title, help) = match kind {
        E::UnclosedFlowCollection { open } => {
            return (format!("the bracket `{open}` is not closed"), None);
        }
        E::MismatchedFlowCollectionEnd { open, close } => {
            return (format!("`{open}` is closed by `{close}`"), None);
        }
        E::UnexpectedCharacter { character } => {
            return (
                format!("`{character}` cannot stand at the beginning of a value"),
                Some("a text that begins with such a character needs quotes"),
            );
        }
        E::UnexpectedEofFlowSequence
        | E::UnexpectedEofFlowMapping
        | E::UnexpectedEofImplicitFlowMapping => {
            ("a bracket is not closed at the end of the file", None)
        }
        E::MisplacedFlowCollectionEnd => ("a closing bracket without an opening one", None),
        E::ExpectedFlowMappingSeparator => (
            "`,` or `}` is missing in a mapping",
            Some(
                "between braces, entries are separated by `,`; a text with `:`, `,`, `{` or `}` needs quotes",
            ),
        ),
        E::ExpectedFlowSequenceSeparator => (
            "`,` or `]` is missing in a list",
            Some(
                "between brackets, items are separated by `,`; a text with `,`, `[` or `]` needs quotes",
            ),
        ),
        E::UnclosedQuotedScalar => ("a quote is not closed", None),
        E::UnknownQuotedScalarEscape
        | E::InvalidQuotedScalarHexEscape
        | E::InvalidUnicodeEscape => (
            "an escape in double quotes is not known",
            Some("a backslash in double quotes is written `\\\\`; single quotes take it as it is"),
        ),
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => (
            "text follows a closing quote",
            Some("put the whole value in quotes; a quote inside of single quotes is written twice"),
        ),
        E::MappingValueNotAllowed | E::InvalidColonPlacement | E::MappingKeyNotAllowed => (
            "a `:` stands where no key can be",
            Some("a text with `: ` in it needs quotes"),
        ),
        E::SimpleKeyExpected | E::InvalidSimpleKey => (
            "a line is no `key: value`",
            Some("a key is followed by `:` and a space, all on one line"),
        ),
        E::ExpectedBlockMappingKey | E::InvalidIndentation | E::ExpectedBlockSequenceEntry => (
            "the indentation does not fit its neighbours",
            Some("keys of one mapping begin in the same column"),
        ),
        E::BlockSequenceEntryNotAllowed
        | E::BlockEntryInFlowCollection
        | E::InvalidBlockEntryWhitespace => (
            "a `-` stands where no list can begin",
            Some("put the list on a line of its own"),
        ),
        E::CommentNotSeparated => ("a `#` needs a space before it to begin a comment", None),
        E::DirectiveDisallowed => ("a `%` directive is not supported", Some("remove the line")),
        E::MissingAnchorOrAliasName => (
            "`&` or `*` without a name",
            Some("a text that begins with `&` or `*` needs quotes"),
        ),
        E::InvalidBlockScalarHeader | E::InvalidBlockScalarIndent | E::ZeroBlockScalarIndent => (
            "a block of text after `|` or `>` is not indented as a block",
            None,
        ),
        _ => ("the text is not YAML here", None),
    };
    (title.to_owned(), help)
}
