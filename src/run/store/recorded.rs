//! What a run's directory says of itself: the name of the run, and where it was made.
//!
//! A run keeps its name for as long as anything of it lives: marks, locks and states carry it, whatever becomes of the
//! directory's path and of the host's name.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::atomic::{Mode, write_atomically};
use super::regular::read_regular;
use super::salvage::salvage;
use super::{StoreError, host_name};
use crate::base::RunId;
use crate::run::Event;

/// The version of its form.
const FORMAT: u32 = 1;

/// What `run.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recorded {
    v: u32,
    /// The run's name.
    pub(super) run: RunId,
    /// The host on which it was made.
    pub(super) host: String,
    /// The run's directory, as it was last taken; empty where that is not known.
    path: PathBuf,
    /// Its number in its file system, the same from each machine that shares it; none where that is not known.
    #[serde(default)]
    inode: Option<u64>,
}

impl Recorded {
    /// Its name.
    pub(super) const FILE: &str = "run.json";

    /// Of a run that is made or taken here and now; `place` is where its directory stands at this moment.
    pub(super) fn new(run: RunId, path: &Path, place: &Path) -> Self {
        Self {
            v: FORMAT,
            run,
            host: host_name(),
            path: path.to_owned(),
            inode: inode(place),
        }
    }

    /// Writes it into a directory.
    pub(super) fn write(&self, dir: &Path) -> Result<(), StoreError> {
        let path = dir.join(Self::FILE);
        let text = serde_json::to_string(self)
            .map_err(|error| StoreError::io("write", &path)(error.into()))?;
        write_atomically(&path, text.as_bytes(), Mode::Private)
    }

    /// What a run's directory says; where it has no such file that can be read, what its journal says.
    pub(super) fn of(run_dir: &Path) -> Option<Self> {
        let bytes = read_regular(&run_dir.join(Self::FILE)).ok();
        let said = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let named = |said: &Self| is_a_name(said.run.as_str());
        said.filter(named)
            .or_else(|| Self::of_journal(run_dir).filter(named))
    }

    /// The first lines say the name and the host, and each log stands in the run's directory.
    fn of_journal(run_dir: &Path) -> Option<Self> {
        let records = salvage(run_dir).ok()?.records;
        let events = || records.iter().map(|record| &record.event);
        let run = events().find_map(|event| match event {
            Event::RunStarted { run, .. } => Some(run.clone()),
            _ => None,
        });
        let host = events().find_map(|event| match event {
            Event::OwnerTook { host, .. } => Some(host.clone()),
            _ => None,
        });
        let path = events().find_map(|event| match event {
            Event::Launched { handle, .. } => Path::new(&handle.log).parent()?.parent(),
            _ => None,
        });
        Some(Self {
            v: FORMAT,
            run: run?,
            host: host.unwrap_or_default(),
            path: path.map(Path::to_owned).unwrap_or_default(),
            inode: None,
        })
    }

    /// The directory of which `here` is a copy: it is where this was recorded, and is still that of the run.
    pub(super) fn original(&self, here: &Path) -> Option<PathBuf> {
        let there = &self.path;
        let is_copy = is_another(there, here)
            // What others put where a run once was says nothing.
            && fs::metadata(there).is_ok_and(|it| it.uid() == rustix::process::geteuid().as_raw())
            && Self::of(there).is_some_and(|it| it.run == self.run);
        is_copy.then(|| there.clone())
    }

    /// Whether it says this of a run in this directory.
    pub(super) fn is_of(&self, path: &Path) -> bool {
        self.path == path && self.is_in(path)
    }

    /// Whether this is the very directory, from whatever machine it is seen, and no copy of it.
    pub(super) fn is_in(&self, path: &Path) -> bool {
        self.inode.is_some() && self.inode == inode(path)
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.ino())
}

/// Directories are called by it, and removed.
fn is_a_name(run: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    run.starts_with(|c: char| c.is_ascii_alphanumeric()) && run.chars().all(plain)
}

/// Whether something stands at one path that is not what stands at the other.
pub fn is_another(there: &Path, here: &Path) -> bool {
    let place = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    match (place(there), place(here)) {
        (Ok(there), Ok(here)) => there != here,
        _ => false,
    }
}
