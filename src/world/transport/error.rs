//! What goes wrong between us and a node, told apart by what may have happened there.

use std::io;
use std::time::Duration;

use crate::base::Millis;

/// Why a transport has no answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The program could not be started; nothing ran.
    #[error("cannot run `{program}`{}: {source}", on(node.as_deref()))]
    Start {
        /// The program.
        program: String,
        /// The other machine, unless it is this one.
        node: Option<String>,
        /// The system's word.
        source: io::Error,
    },
    /// A file could not be written. Other files of the same call are there whole, or not at all.
    #[error("cannot write `{path}`{}: {why}", on(node.as_deref()))]
    NotWritten {
        /// The file.
        path: String,
        /// The other machine, unless it is this one.
        node: Option<String>,
        /// The system's word.
        why: String,
    },
    /// The node was not reached: nothing was asked of it, and it may be tried again.
    #[error("cannot reach `{node}` ({at}): {why}; nothing was asked of it")]
    Unreachable {
        /// The host, as the YAML names it.
        node: String,
        /// What was tried: address and port, and which host on the way there.
        at: String,
        /// What went wrong.
        why: String,
    },
    /// The connection is refused, by the node or by us, until a person acts. Nothing was asked.
    #[error("cannot use `{node}` ({at}): {why}; {fix}")]
    Refused {
        /// The host, as the YAML names it.
        node: String,
        /// What was tried: address and port, and which host on the way there.
        at: String,
        /// What is wrong.
        why: String,
        /// What to do.
        fix: String,
    },
    /// It was asked, and what became of it is not known: it may be done, or still be at work.
    #[error("what became of `{program}`{} is unknown: {why}", on(node.as_deref()))]
    Unknown {
        /// The program.
        program: String,
        /// The other machine, unless it is this one.
        node: Option<String>,
        /// What went wrong.
        why: String,
    },
}

fn on(node: Option<&str>) -> String {
    node.map(|node| format!(" on `{node}`")).unwrap_or_default()
}

/// That a command was given this long, and took longer.
pub(super) fn too_late(limit: Duration) -> String {
    format!("it did not answer within {}", span(limit))
}

/// A length of time as people read it.
pub(super) fn span(length: Duration) -> String {
    Millis::from(length).to_string()
}
