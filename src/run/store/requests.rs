//! What somebody asks of a run's owner: one small file per request, in the run's directory.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::atomic::{Mode, make_dir, write_atomically};
use super::regular::read_regular;
use super::{RunDir, StoreError, own_process};
use crate::base::{Timestamp, UnitId};

/// A request to the owner of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The version of this form.
    v: u32,
    /// What is asked.
    pub ask: Ask,
    /// Of which units.
    pub units: Vec<UnitId>,
}

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Stop them, and start them no more.
    Drain,
    /// They may be started again.
    Undrain,
}

/// A request as it lies in the run's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lying {
    /// Its file; gone once the owner has heeded it.
    pub path: PathBuf,
    /// What it says.
    pub request: Request,
}

impl Lying {
    /// Takes these units out of it: somebody has had the last word on them.
    ///
    /// # Errors
    /// Its file cannot be written or removed.
    pub fn without(mut self, units: &[UnitId]) -> Result<(), StoreError> {
        let before = self.request.units.len();
        self.request.units.retain(|unit| !units.contains(unit));
        if self.request.units.is_empty() {
            return fs::remove_file(&self.path).map_err(StoreError::io("remove", &self.path));
        }
        if self.request.units.len() == before {
            return Ok(());
        }
        self.request.write(&self.path)
    }
}

impl Request {
    const FORMAT: u32 = 1;

    /// A request.
    pub fn new(ask: Ask, units: Vec<UnitId>) -> Self {
        Self {
            v: Self::FORMAT,
            ask,
            units,
        }
    }

    /// Lays it before the run's owner, and answers with its file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn lay(&self, run: &RunDir, now: Timestamp) -> Result<PathBuf, StoreError> {
        let dir = run.requests();
        make_dir(&dir)?;
        // Files are heeded in the order of their names.
        let name = format!("{:016}-{}.json", now.0, own_process().pid);
        let path = dir.join(name);
        self.write(&path)?;
        Ok(path)
    }

    fn write(&self, path: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_string(self)
            .map_err(|error| StoreError::io("write", path)(error.into()))?;
        write_atomically(path, text.as_bytes(), Mode::Private)
    }
}

/// The requests in this directory, oldest first. What cannot be read is no request, and what a later version wrote is
/// left for it.
pub fn read_requests(dir: &Path) -> Vec<Lying> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    paths.sort_unstable();
    let read = |path: PathBuf| {
        let request: Request = serde_json::from_slice(&read_regular(&path).ok()?).ok()?;
        (request.v == Request::FORMAT).then_some(Lying { path, request })
    };
    paths.into_iter().filter_map(read).collect()
}
