//! Requests that a command sent to servers of a run: told to its owner, whose books they would unbalance. One small file
//! per command, beside what is asked of the owner.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::atomic::{Mode, make_dir, write_atomically};
use super::{RunDir, StoreError, own_process};
use crate::base::Timestamp;
use crate::facts::Served;

/// How its files end.
const ENDING: &str = "probed";

/// Requests that a command sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// The version of this form.
    v: u32,
    /// When the first of them may have been sent.
    pub began: Timestamp,
    /// To whom, and how many: all that these servers finished for it is ours.
    pub servers: Vec<Served>,
}

impl Probed {
    const FORMAT: u32 = 1;

    /// Requests that were sent since `began`.
    pub fn new(began: Timestamp, servers: Vec<Served>) -> Self {
        let v = Self::FORMAT;
        Self { v, began, servers }
    }

    /// Tells the run's owner, who takes the file away.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn tell(&self, run: &RunDir) -> Result<(), StoreError> {
        let dir = run.requests();
        make_dir(&dir)?;
        let name = format!("{:016}-{}.{ENDING}", self.began.0, own_process().pid);
        let path = dir.join(name);
        let text = serde_json::to_string(self)
            .map_err(|error| StoreError::io("write", &path)(error.into()))?;
        write_atomically(&path, text.as_bytes(), Mode::Private)
    }
}

/// Takes what was told out of this directory. What cannot be removed would be counted again and again, and what cannot be
/// read is left for whoever can.
pub fn take_probed(dir: &Path) -> Vec<Probed> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let told = paths.filter(|path| path.extension().is_some_and(|end| end == ENDING));
    let take = |path: PathBuf| {
        let probed: Probed = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let known = probed.v == Probed::FORMAT && fs::remove_file(&path).is_ok();
        known.then_some(probed)
    };
    told.filter_map(take).collect()
}
