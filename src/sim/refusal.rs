//! How a simulated server that can't start says so: vLLM's words on stderr and its exit status. Pure.

/// A refusal to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What goes to stderr, without the final newline.
    pub(super) stderr: String,
    /// The exit status.
    pub(super) code: u8,
}

const TOP_USAGE: &str =
    "usage: vllm [-h] [-v] {chat,complete,serve,launch,bench,collect-env,run-batch} ...";
const SERVE_USAGE: &str = "usage: vllm serve [model_tag] [options]";

impl Refusal {
    /// argparse's complaint about the whole command line (exit 2).
    pub(super) fn usage(message: &str) -> Self {
        Self {
            stderr: format!("{TOP_USAGE}\nvllm: error: {message}"),
            code: 2,
        }
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
