//! What goes to the terminal: data to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};

use crate::base::ExitStatus;

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Errors and warnings.
    Quiet,
    /// What a person wants to know.
    #[default]
    Normal,
    /// Each step.
    Verbose,
}

/// Writes for people and pipes.
///
/// Texts may carry ANSI colours: they are taken out where the stream is no terminal, `NO_COLOR` is
/// set, or the user said so.  A reader that went away (`| head`) is no error.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    verbosity: Verbosity,
    colour: ColorChoice,
}

impl Printer {
    /// A printer for this process; `colour` is `Auto` unless the user insists.
    pub fn new(verbosity: Verbosity, colour: ColorChoice) -> Self {
        Self { verbosity, colour }
    }

    /// The user's word on colour.
    pub fn colour(&self) -> ColorChoice {
        self.colour
    }

    /// How much is said.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Writes data to stdout, as it is: the caller ends its lines.
    ///
    /// # Errors
    /// When stdout cannot take it, as on a full disk; a reader that left is none.
    pub fn data(&self, text: &str) -> io::Result<()> {
        let mut stream = AutoStream::new(io::stdout().lock(), self.colour);
        forgive(
            stream
                .write_all(text.as_bytes())
                .and_then(|()| stream.flush()),
        )
    }

    /// Writes a line to stderr, unless quiet.
    pub fn say(&self, text: &str) {
        if self.verbosity >= Verbosity::Normal {
            self.line(text);
        }
    }

    /// Writes a line to stderr if verbose.
    pub fn detail(&self, text: &str) {
        if self.verbosity >= Verbosity::Verbose {
            self.line(text);
        }
    }

    /// Writes a line to stderr, always: errors and warnings.
    pub fn complain(&self, text: &str) {
        self.line(text);
    }

    /// Says what is nobody's fault outside, and how the command ends for it.
    pub fn internal(&self, why: impl Display) -> ExitStatus {
        self.complain(&format!("error: {why}"));
        ExitStatus::Internal
    }

    /// Whether stderr is a terminal that can show a live display.
    pub fn live(&self) -> bool {
        self.verbosity > Verbosity::Quiet
            && io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Whether colours reach the reader of stdout.
    pub fn data_in_colour(&self) -> bool {
        shown(self.colour, || AutoStream::choice(&io::stdout()))
    }

    /// Whether colours reach the reader of stderr.
    pub fn in_colour(&self) -> bool {
        shown(self.colour, || AutoStream::choice(&io::stderr()))
    }

    fn line(self, text: &str) {
        let mut stream = AutoStream::new(io::stderr().lock(), self.colour);
        // Nobody is left to tell when stderr is gone.
        let _ = writeln!(stream, "{}", text.trim_end_matches('\n'));
    }
}

fn shown(wanted: ColorChoice, found: impl Fn() -> ColorChoice) -> bool {
    match wanted {
        ColorChoice::Auto => found() != ColorChoice::Never,
        ColorChoice::Never => false,
        ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
    }
}

/// A broken pipe is the reader's decision, and no failure.
fn forgive(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reader_that_left_is_forgiven() {
        assert!(forgive(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(forgive(Err(ErrorKind::StorageFull.into())).is_err());
    }

    #[test]
    fn a_users_word_on_colour_holds() {
        assert!(Printer::new(Verbosity::Normal, ColorChoice::Always).data_in_colour());
        assert!(!Printer::new(Verbosity::Normal, ColorChoice::Never).in_colour());
    }

    #[test]
    fn a_quiet_printer_has_no_live_display() {
        assert!(!Printer::new(Verbosity::Quiet, ColorChoice::Auto).live());
    }
}
