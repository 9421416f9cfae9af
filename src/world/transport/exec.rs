//! What every transport can do, and what comes of a command.

use std::pin::Pin;
use std::time::Duration;

/// A future that a transport or launcher answers with.
pub(in crate::world) type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is run, and what it reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its standard input: secrets go this way, never as arguments.
    pub stdin: Vec<u8>,
}

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Why a command's outcome is not known.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// It could not be started.
    #[error("cannot run `{program}`: {source}")]
    Start {
        /// The program.
        program: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// It did not end in time. It may still do what it was asked to.
    #[error("`{program}` did not end within {}s", limit.as_secs())]
    TimedOut {
        /// The program.
        program: String,
        /// The time it had.
        limit: Duration,
    },
}

impl Command {
    /// A command that reads nothing.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: Vec::new(),
        }
    }
}

/// How commands reach a node. Each command is short; what lives long is started detached.
pub trait Transport: Send + Sync {
    /// Runs a command to its end.
    fn exec<'a>(
        &'a self,
        command: &'a Command,
        limit: Duration,
    ) -> Answer<'a, Result<Output, TransportError>>;

    /// Starts a command that outlives us, in a session of its own, and answers with its process
    /// id. Its output goes to nobody.
    fn spawn<'a>(&'a self, argv: &'a [String]) -> Answer<'a, Result<u32, TransportError>>;
}
