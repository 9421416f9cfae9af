//! What a dataset file holds.

use serde::{Deserialize, Serialize};

/// A dataset as it was read, line by line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DatasetSummary {
    /// Its absolute path.
    pub path: String,
    /// The ids in the order of the file, each once.
    pub ids: Vec<String>,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// What is wrong with it; at most 20, the first of each kind first.
    pub problems: Vec<DatasetProblem>,
}

/// Something wrong with a dataset. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DatasetProblem {
    /// There is no such file.
    Missing,
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// It holds a Git-LFS pointer instead of questions.
    LfsPointer,
    /// It has no question.
    Empty,
    /// A line is not a JSON object.
    NotJson {
        /// The line.
        line: u64,
        /// The parser's words.
        why: String,
    },
    /// A line has none of the id fields.
    NoId {
        /// The line.
        line: u64,
        /// Keys that it has.
        keys: Vec<String>,
    },
    /// Two lines have the same id.
    DuplicateId {
        /// The id.
        id: String,
        /// The first line.
        first: u64,
        /// The second.
        second: u64,
    },
    /// An id cannot be a file name: empty, too long, `.`, `..`, or with `/` or a control character.
    UnsafeId {
        /// The id.
        id: String,
        /// The line.
        line: u64,
    },
}
