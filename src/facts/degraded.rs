//! What a client's log tells of answers that are worse than their results look.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts of lines of one attempt's log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Degraded {
    /// Searches that went on without results, since retrieval did not answer.
    pub retrieval_failed: u64,
    /// Lines that tell of models elsewhere that nobody declared, by their names.
    pub elsewhere: BTreeMap<String, u64>,
}

impl Degraded {
    /// Nothing of the kind.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// All of them together.
    pub fn lines(&self) -> u64 {
        self.retrieval_failed + self.elsewhere.values().sum::<u64>()
    }

    /// Adds what another log tells.
    pub fn add(&mut self, other: &Self) {
        self.retrieval_failed += other.retrieval_failed;
        for (name, count) in &other.elsewhere {
            *self.elsewhere.entry(name.clone()).or_default() += count;
        }
    }
}
