//! `--events json`: one JSON object per event, for programs.

use std::fmt::Write as _;
use std::io::Write;

use super::sink::{Tails, View};
use crate::base::Timestamp;
use crate::base::is_hidden;
use crate::run::{Record, RunState};

/// The record as one line of JSON, without its end.
///
/// Invisible characters are written as `\uXXXX`: nothing is lost, and a terminal stays unharmed.
pub fn line(record: &Record) -> String {
    let json = serde_json::to_string(record)
        .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string());
    visible(&json)
}

/// JSON whose invisible characters are escaped.
pub fn visible(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Writes events to one stream and messages for people to another.
#[derive(Debug)]
pub struct Json<W, E> {
    out: W,
    messages: E,
}

impl<W: Write, E: Write> Json<W, E> {
    /// Events go to `out`, messages to `messages`.
    pub fn new(out: W, messages: E) -> Self {
        Self { out, messages }
    }
}

impl<W: Write, E: Write> View for Json<W, E> {
    fn event(&mut self, record: &Record, _: &RunState) {
        // A reader that went away does not stop an evaluation.
        let _ = writeln!(self.out, "{}", line(record)).and_then(|()| self.out.flush());
    }

    fn tick(&mut self, _: Timestamp, _: &RunState, _: &Tails) {}

    fn message(&mut self, text: &str) {
        let _ = writeln!(self.messages, "{text}");
    }

    fn finish(&mut self) {
        let _ = self.out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::testing::Story;

    #[test]
    fn a_line_is_lossless_and_harmless() {
        let mut story = Story::new();
        story.alarm("odd", "a\u{1b}[2J\u{9b}b\u{202e}c\u{e0041}\nd");
        let record = &story.records[0];
        let line = line(record);
        assert!(!line.chars().any(is_hidden), "{line:?}");
        let back: Record = serde_json::from_str(&line).unwrap();
        assert_eq!(&back, record);
        insta::assert_snapshot!(line, @r#"{"v":1,"seq":1,"at":1767139200000,"epoch":1,"event":{"kind":"alarm","alarm":"odd","unit":null,"text":"a\u001b[2J\u009bb\u202ec\udb40\udc41\nd"}}"#);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut story = Story::new();
        story.alarm("odd", "text");
        let mut view = Json::new(Closed, Closed);
        view.event(&story.records[0], &story.state);
        view.message("text");
        view.finish();
    }
}
