//! How a simulated server that can't start says so: vLLM's words on stderr and its exit status. Pure.

use super::config::MEASURED;
use crate::knowledge::release::Release;

/// A refusal to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What goes to stderr, without the final newline.
    pub(super) stderr: String,
    /// The exit status.
    pub(super) code: u8,
}

/// The commands of `vllm` from a release on, and its usage as argparse folds it.
const COMMANDS: [(Release, &str, &str); 4] = [
    (
        MEASURED,
        "'chat', 'complete', 'serve', 'launch', 'bench', 'collect-env', 'download-kernels', 'preload', 'run-batch', 'snapshot'",
        "usage: vllm [-h] [-v]\n            \
         {chat,complete,serve,launch,bench,collect-env,download-kernels,preload,run-batch,snapshot}\n            ...",
    ),
    (
        Release::new(0, 18, 0),
        "'chat', 'complete', 'serve', 'launch', 'bench', 'collect-env', 'run-batch'",
        "usage: vllm [-h] [-v]\n            {chat,complete,serve,launch,bench,collect-env,run-batch} ...",
    ),
    (
        Release::new(0, 9, 0),
        "'chat', 'complete', 'serve', 'bench', 'collect-env', 'run-batch'",
        "usage: vllm [-h] [-v] {chat,complete,serve,bench,collect-env,run-batch} ...",
    ),
    (
        Release::new(0, 0, 0),
        "'chat', 'complete', 'serve', 'bench', 'collect-env'",
        "usage: vllm [-h] [-v] {chat,complete,serve,bench,collect-env} ...",
    ),
];
const SERVE_USAGE: &str = "usage: vllm serve [model_tag] [options]";

impl Refusal {
    /// argparse's complaint about the whole command line (exit 2).
    pub(super) fn usage(release: Release, message: &str) -> Self {
        let row = COMMANDS.iter().find(|(since, ..)| release >= *since);
        let usage = row.map_or("", |(_, _, usage)| usage);
        Self {
            stderr: format!("{usage}\nvllm: error: {message}"),
            code: 2,
        }
    }

    /// argparse's complaint about a command that it does not know (exit 2).
    pub(super) fn no_such_command(release: Release, command: &str) -> Self {
        let row = COMMANDS.iter().find(|(since, ..)| release >= *since);
        let commands = row.map_or("", |(_, commands, _)| commands);
        let message =
            format!("argument subparser: invalid choice: '{command}' (choose from {commands})");
        Self::usage(release, &message)
    }

    /// argparse's complaint about one argument of `serve` (exit 2).
    pub(super) fn argument(message: &str) -> Self {
        Self {
            stderr: format!("{SERVE_USAGE}\nvllm serve: error: {message}"),
            code: 2,
        }
    }

    /// An exception that nobody caught (exit 1): a traceback whose frames are left out, and `exception` as its last line.
    pub(super) fn exception(exception: &str) -> Self {
        Self {
            stderr: format!("Traceback (most recent call last):\n  ...\n{exception}"),
            code: 1,
        }
    }
}
