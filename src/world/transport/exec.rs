//! What every transport can do.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use super::TransportError;

/// A future that a transport or launcher answers with.
pub(in crate::world) type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The most that is kept of what a command writes to one of its two outputs: 16 MiB.
pub(super) const MOST_OUTPUT: usize = 16 * 1024 * 1024;

/// A short command.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What it reads on its standard input. Secrets go here: everybody on a node sees the arguments.
    pub stdin: Option<Vec<u8>>,
}

/// What a command left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code. Where signal N ended it: none on this machine, and 128+N, as shells have it, on others.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// One of the two was longer than 16 MiB, and only its start is here.
    pub cut: bool,
}

/// A file for a node.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeFile {
    /// Where; a relative path starts at the home directory there, and at the current one on this machine.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Its permission bits, such as `0o600`, whatever the umask.
    pub mode: u32,
}

/// How commands and files reach a node. Each command is short; what lives long is started detached.
///
/// Dropping an answer is allowed: what was not asked by then never will be, and what was may go on.
pub trait Transport: Send + Sync {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// [`TransportError::Unknown`] if the limit passes or the link breaks after it was asked.
    fn exec<'a>(
        &'a self,
        command: &'a Command,
        limit: Duration,
    ) -> Answer<'a, Result<Output, TransportError>>;

    /// Starts a command that outlives us, in a session of its own, and answers with its process
    /// id. Its output goes to nobody.
    ///
    /// # Errors
    /// After [`TransportError::Unknown`] it may have been started.
    fn spawn<'a>(&'a self, argv: &'a [String]) -> Answer<'a, Result<u32, TransportError>>;

    /// Writes files, in one round trip. Each is there as a whole or not at all, and no name changes before all
    /// bytes of all files are on the disk. Directories that are missing are made, for their owner alone.
    ///
    /// # Errors
    /// The file that could not be written. After [`TransportError::Unknown`] some may be there, each whole.
    fn put_all<'a>(
        &'a self,
        files: &'a [NodeFile],
        limit: Duration,
    ) -> Answer<'a, Result<(), TransportError>>;

    /// Writes one file.
    ///
    /// # Errors
    /// As [`Self::put_all`].
    fn put<'a>(
        &'a self,
        file: &'a NodeFile,
        limit: Duration,
    ) -> Answer<'a, Result<(), TransportError>> {
        self.put_all(std::slice::from_ref(file), limit)
    }
}

impl Command {
    /// A command that reads nothing.
    pub fn new<T: Into<String>>(argv: impl IntoIterator<Item = T>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: None,
        }
    }

    /// The same with something to read.
    #[must_use]
    pub fn with_stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    pub(super) fn program(&self) -> &str {
        program_of(&self.argv)
    }
}

pub(super) fn program_of(argv: &[String]) -> &str {
    argv.first().map_or("", String::as_str)
}

/// What is read may be a secret, so that no log shows it.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stdin = self.stdin.as_ref().map(Vec::len);
        f.debug_struct("Command")
            .field("argv", &self.argv)
            .field("stdin_bytes", &stdin)
            .finish()
    }
}

/// The same holds for files.
impl fmt::Debug for NodeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeFile")
            .field("path", &self.path)
            .field("bytes", &self.bytes.len())
            .field("mode", &format_args!("{:o}", self.mode))
            .finish()
    }
}
