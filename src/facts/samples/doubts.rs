//! What of the samples could not be taken as it stands: nothing of it is silent.

use std::collections::BTreeMap;

use crate::base::{Millis, Timestamp, clean, cut};

/// So many names of what is not known are kept, each so long.
const NAMES: usize = 20;
const LONGEST: usize = 40;

/// What of the samples could not be taken as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Doubts {
    /// Lines, or series in them, that this release does not know, by name.
    pub unknown: BTreeMap<String, usize>,
    /// Lines in which something was not known.
    pub unknown_lines: usize,
    /// Numbers out of all range, and lines of nothing else.
    pub odd: usize,
    /// Lines of moments that had not come when they were read.
    pub ahead: usize,
    /// The last of these moments.
    pub furthest: Timestamp,
    /// Lines of moments before their owner began.
    pub early: usize,
    /// How often the clock was set back.
    pub set_back: usize,
    /// By how much, at most.
    pub by: Millis,
}

impl Doubts {
    /// A line had something that is not known, by these names.
    pub fn unknown(&mut self, names: &[String]) {
        self.unknown_lines += 1;
        for name in names {
            let name = cut(&clean(name), LONGEST);
            if self.unknown.len() < NAMES || self.unknown.contains_key(&name) {
                *self.unknown.entry(name).or_default() += 1;
            }
        }
    }

    /// A line of a moment that has not come.
    pub fn ahead(&mut self, at: Timestamp) {
        self.ahead += 1;
        self.furthest = self.furthest.max(at);
    }

    /// In sentences.
    pub fn said(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.unknown_lines > 0 {
            let names: Vec<String> = (self.unknown.keys())
                .map(|name| format!("`{name}`"))
                .collect();
            said.push(format!(
                "{} of a later toolorch, which this one does not know: {}",
                counted(
                    self.unknown_lines,
                    "line has something",
                    "lines have something"
                ),
                names.join(", ")
            ));
        }
        if self.odd > 0 {
            let odd = counted(self.odd, "number that", "numbers that");
            said.push(format!("{odd} cannot be: left out"));
        }
        if self.ahead > 0 {
            said.push(format!(
                "{} that had not come when this was made, up to {}: left out; the clock of the run's host, or this one's, was wrong",
                counted(self.ahead, "line of a moment", "lines of moments"),
                self.furthest
            ));
        }
        if self.early > 0 {
            said.push(format!(
                "{} before its owner began: left out; the clock of the run's host was set back",
                counted(self.early, "line of a moment", "lines of moments")
            ));
        }
        if self.set_back > 0 {
            said.push(format!(
                "the clock of the run's host was set back {}, by {} at most: what was sampled in that time is one piece",
                counted(self.set_back, "time", "times"),
                self.by
            ));
        }
        said
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
