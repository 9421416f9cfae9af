//! A YAML file as text: size, encoding and line ends, settled before anything is parsed.

use crate::base::Span;
use crate::diag::{Code, Diagnostic, Place};

/// A file of more bytes than this is refused unread: 1 MiB.
pub const MAX_BYTES: usize = 1 << 20;

/// A file's name and text, or the reason why it has none.
///
/// The text is without byte-order mark, and its lines end with LF alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) refusal: Option<Diagnostic>,
}

impl Source {
    /// The source of `bytes`; `name` is shown to the user as given.
    ///
    /// Pass at most [`MAX_BYTES`] + 1 bytes of a larger file: what is too large is not looked at.
    pub fn new(name: impl Into<String>, bytes: &[u8]) -> Self {
        let name = name.into();
        if bytes.len() > MAX_BYTES {
            return Self::too_large(name);
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                let text = lines_end_with_lf(text);
                let refusal = refused_character(&text);
                Self {
                    name,
                    text,
                    refusal,
                }
            }
            Err(error) => Self::not_utf8(name, bytes, error.valid_up_to()),
        }
    }

    /// The source of a file that cannot be read; `why` is the system's reason.
    pub fn unreadable(name: impl Into<String>, why: &str) -> Self {
        let name = name.into();
        let title = format!("cannot read `{name}`: {why}");
        Self::refused(name, Diagnostic::error(Code("E0100"), title))
    }

    /// The source of a file with more than [`MAX_BYTES`] bytes.
    pub fn too_large(name: impl Into<String>) -> Self {
        let name = name.into();
        let title = format!("`{name}` is larger than 1 MiB");
        let finding = Diagnostic::error(Code("E0101"), title)
            .help("a cluster YAML is a page or two: is this the right file?");
        Self::refused(name, finding)
    }

    /// The name as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn refused(name: String, refusal: Diagnostic) -> Self {
        Self {
            name,
            text: String::new(),
            refusal: Some(refusal),
        }
    }

    /// Keeps the text up to the end of the line with the first wrong byte, to show it.
    fn not_utf8(name: String, bytes: &[u8], valid: usize) -> Self {
        let (before, after) = bytes.split_at(valid);
        let mut text = lines_end_with_lf(&String::from_utf8_lossy(before));
        let start = text.len();
        let line = after.split(|byte| *byte == b'\n').next().unwrap_or(after);
        text.push_str(&String::from_utf8_lossy(line));
        let wrong = text[start..].chars().next().map_or(0, char::len_utf8);
        let title = format!("`{name}` is not UTF-8");
        let label = format!("the byte {:#04x} is not part of a character", after[0]);
        let refusal = Diagnostic::error(Code("E0102"), title)
            .at(Place::Span(Span::new(start..start + wrong)), label)
            .help("save the file as UTF-8");
        Self {
            name,
            text,
            refusal: Some(refusal),
        }
    }
}

/// CRLF and lone CR, both line ends in YAML, become LF, so that no value can carry a CR.
fn lines_end_with_lf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Whether a character may stand in a value: no control but line feed and tab, and none that
/// makes text read otherwise than it is stored.
pub(super) fn is_allowed(character: char) -> bool {
    let reorders = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks_lines = matches!(character, '\u{2028}' | '\u{2029}');
    let harmless = !character.is_control() || matches!(character, '\n' | '\t');
    harmless && !reorders && !breaks_lines
}

fn refused_character(text: &str) -> Option<Diagnostic> {
    let (start, character) = text.char_indices().find(|(_, c)| !is_allowed(*c))?;
    let place = Place::Span(Span::new(start..start + character.len_utf8()));
    let title = format!(
        "the control character {} stands in the text",
        shown(character)
    );
    Some(Diagnostic::error(Code("E0112"), title).at(place, "here"))
}

/// A character by its number.
pub(super) fn shown(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_byte_order_mark_leave_no_trace() {
        let source = Source::new("a.yaml", b"\xef\xbb\xbfa: 1\r\nb: 2\r");
        assert_eq!(source.text, "a: 1\nb: 2\n");
        assert_eq!(source.refusal, None);
    }

    #[test]
    fn one_byte_too_many_is_refused_unread() {
        let bytes = vec![b'#'; MAX_BYTES + 1];
        let source = Source::new("a.yaml", &bytes);
        assert!(source.text.is_empty());
        assert!(source.refusal.is_some_and(|r| r.code == Code("E0101")));
        assert_eq!(Source::new("a.yaml", &bytes[1..]).refusal, None);
    }
}
