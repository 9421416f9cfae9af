//! Room for what is downloaded.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::run::store::free_bytes;

/// The file system of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's number of it: caches on one share its room.
    pub device: u64,
    /// Its folder that was looked at: the cache, or what is above it so far.
    pub folder: PathBuf,
    /// What is left for us, in bytes.
    pub free: u64,
}

/// The file system that will hold a folder; none if nobody can tell.
pub fn disk_of(folder: &Path) -> Option<Disk> {
    let there = folder.ancestors().find(|above| above.is_dir())?;
    Some(Disk {
        device: fs::metadata(there).ok()?.dev(),
        folder: there.to_owned(),
        free: free_bytes(there)?,
    })
}
