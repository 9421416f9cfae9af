//! What comes back from a script: bytes between two marks, and how it ended.

use std::io;

use super::exec::MOST_OUTPUT;
use super::script::{MARK, Script};
use super::{NodeFile, Output, TransportError};

/// What may stand before our first mark: greetings of a login shell.
const MOST_NOISE: usize = 64 * 1024;

/// One of the two outputs, as far as it is here.
pub(super) struct Capture {
    begin: Vec<u8>,
    end: Vec<u8>,
    bytes: Vec<u8>,
    begun: bool,
    cut: bool,
    ended: Option<String>,
}

/// How a script ended, with what it wrote.
#[derive(Debug)]
pub(super) struct Reply {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    cut: bool,
    end: String,
}

impl Capture {
    /// Waits for the marks of a script.
    pub(super) fn of(script: &Script) -> Self {
        Self {
            begin: format!("{MARK} {} begin\n", script.nonce).into_bytes(),
            end: format!("\n{MARK} {} ", script.nonce).into_bytes(),
            bytes: Vec::new(),
            begun: false,
            cut: false,
            ended: None,
        }
    }

    /// Takes what arrived.
    pub(super) fn feed(&mut self, chunk: &[u8]) {
        if self.ended.is_some() {
            return;
        }
        let mut from = self.bytes.len();
        self.bytes.extend_from_slice(chunk);
        if !self.begun {
            let Some(at) = find(&self.bytes, &self.begin) else {
                let extra = self.bytes.len().saturating_sub(MOST_NOISE);
                self.bytes.drain(..extra);
                return;
            };
            self.begun = true;
            self.bytes.drain(..at + self.begin.len());
            from = 0;
        }
        self.look_for_end(from);
    }

    /// The mark may lie across two chunks, and so may the line that it begins.
    fn look_for_end(&mut self, from: usize) {
        let from = from.saturating_sub(self.end.len() + 64);
        if let Some(at) = find(&self.bytes[from..], &self.end) {
            let word = &self.bytes[from + at + self.end.len()..];
            if let Some(length) = word.iter().position(|byte| *byte == b'\n') {
                self.ended = Some(String::from_utf8_lossy(&word[..length]).into_owned());
                self.bytes.truncate(from + at);
                self.cut |= self.bytes.len() > MOST_OUTPUT;
                self.bytes.truncate(MOST_OUTPUT);
            }
            return;
        }
        // Of what is too long the start stays, and so much of the end that a mark is found.
        let tail = self.end.len() + 64;
        if self.bytes.len() > MOST_OUTPUT + 2 * tail {
            self.cut = true;
            self.bytes.drain(MOST_OUTPUT..self.bytes.len() - tail);
        }
    }

    /// Whether the first mark was there: bash ran.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// Whether the last one was there.
    pub(super) fn ended(&self) -> bool {
        self.ended.is_some()
    }

    /// What is there so far, on one line.
    pub(super) fn words(&self) -> String {
        one_line(&self.bytes)
    }
}

impl Reply {
    /// What two outputs say, once both have ended.
    pub(super) fn of(stdout: &mut Capture, stderr: &mut Capture) -> Option<Self> {
        if !(stdout.ended() && stderr.ended()) {
            return None;
        }
        Some(Self {
            end: stdout.ended.take()?,
            stdout: std::mem::take(&mut stdout.bytes),
            stderr: std::mem::take(&mut stderr.bytes),
            cut: stdout.cut || stderr.cut,
        })
    }

    /// What a command left behind.
    pub(super) fn output(self, program: &str, node: &str) -> Result<Output, TransportError> {
        let code = self
            .end
            .strip_prefix("rc=")
            .and_then(|code| code.parse().ok());
        let Some(code) = code else {
            return Err(self.unexpected(program, node));
        };
        Ok(Output {
            code: Some(code),
            stdout: String::from_utf8_lossy(&self.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&self.stderr).into_owned(),
            cut: self.cut,
        })
    }

    /// The process that was started.
    pub(super) fn pid(self, program: &str, node: &str) -> Result<u32, TransportError> {
        let pid = self
            .end
            .strip_prefix("pid=")
            .and_then(|pid| pid.parse().ok());
        pid.ok_or_else(|| self.unexpected(program, node))
    }

    /// Whether all files were written.
    pub(super) fn written(
        self,
        files: &[NodeFile],
        program: &str,
        node: &str,
    ) -> Result<(), TransportError> {
        if self.end == "done" {
            return Ok(());
        }
        let at = self
            .end
            .strip_prefix("failed=")
            .and_then(|at| at.parse().ok());
        let Some(file) = at.and_then(|at: usize| files.get(at)) else {
            return Err(self.unexpected(program, node));
        };
        // `mkdir: cannot create directory …: Permission denied`: before the system's words stand names of the moment.
        let words = one_line(&self.stderr);
        let why = words.rsplit(": ").next().unwrap_or_default();
        Err(TransportError::NotWritten {
            path: file.path.clone(),
            node: Some(node.to_owned()),
            why: why.to_owned(),
        })
    }

    fn unexpected(&self, program: &str, node: &str) -> TransportError {
        let program = program.to_owned();
        let node = Some(node.to_owned());
        if self.end == "absent" {
            return TransportError::Start {
                program,
                node,
                source: io::Error::new(io::ErrorKind::NotFound, "there is no such program"),
            };
        }
        let why = format!("it ended with `{}`: {}", self.end, one_line(&self.stderr));
        TransportError::Unknown { program, node, why }
    }
}

/// The last line that is not empty, made safe for a terminal.
pub(super) fn one_line(bytes: &[u8]) -> String {
    shown(String::from_utf8_lossy(bytes).lines().rfind(says_something))
}

/// The first line that is not empty, made safe for a terminal.
pub(super) fn first_line(bytes: &[u8]) -> String {
    shown(String::from_utf8_lossy(bytes).lines().find(says_something))
}

fn says_something(line: &&str) -> bool {
    !line.trim().is_empty()
}

fn shown(line: Option<&str>) -> String {
    crate::base::cut(&crate::base::clean(line.unwrap_or_default().trim()), 300)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::world::transport::Command;

    fn script() -> Script {
        Script::exec(&Command::new(["x"]), "gpu31").unwrap()
    }

    /// Feeds all in pieces of these lengths.
    fn capture(script: &Script, bytes: &[u8], lengths: &[usize]) -> Capture {
        let mut capture = Capture::of(script);
        let (mut rest, mut lengths) = (bytes, lengths.iter().cycle());
        while !rest.is_empty() {
            let length = lengths
                .next()
                .map_or(rest.len(), |length| (*length).clamp(1, rest.len()));
            capture.feed(&rest[..length]);
            rest = &rest[length..];
        }
        capture
    }

    proptest! {
        #[test]
        fn what_lies_between_the_marks_is_found_in_any_pieces(
            noise in ".{0,40}",
            output in proptest::collection::vec(any::<u8>(), 0..200),
            lengths in proptest::collection::vec(1..60_usize, 1..8),
        ) {
            let script = script();
            let mark = format!("{MARK} {}", script.nonce);
            let mut all = format!("{noise}{mark} begin\n").into_bytes();
            all.extend(&output);
            all.extend(format!("\n{mark} rc=7\nwhat comes later").into_bytes());
            let mut stdout = capture(&script, &all, &lengths);
            let mut stderr = capture(&script, format!("{mark} begin\n\n{mark} end\n").as_bytes(), &lengths);
            let reply = Reply::of(&mut stdout, &mut stderr).unwrap();
            prop_assert_eq!(&reply.stdout, &output);
            let output = reply.output("x", "gpu31").unwrap();
            prop_assert_eq!((output.code, output.cut), (Some(7), false));
        }
    }

    #[test]
    fn another_number_is_no_mark_and_half_a_line_no_end() {
        let (script, other) = (self::script(), self::script());
        let mark = format!("{MARK} {}", script.nonce);
        let text = format!("{mark} begin\n\n{MARK} {} rc=0\n\n{mark} rc=1", other.nonce);
        let mut stdout = capture(&script, text.as_bytes(), &[]);
        assert!(stdout.begun() && !stdout.ended());
        stdout.feed(b"2\n");
        let mut stderr = capture(
            &script,
            format!("{mark} begin\n\n{mark} end\n").as_bytes(),
            &[],
        );
        let output = Reply::of(&mut stdout, &mut stderr)
            .unwrap()
            .output("x", "gpu31")
            .unwrap();
        assert_eq!(output.code, Some(12));
        assert_eq!(output.stdout, format!("\n{MARK} {} rc=0\n", other.nonce));
    }
}
