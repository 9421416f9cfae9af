//! Room that is kept for bad times: a file of 1 MiB in the run's directory, removed when the disk is full.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::regular::open_own;

/// How much room is kept.
const ROOM: u64 = 1 << 20;

/// The room; without any where the disk had none to give.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Keeps the room, unless it is kept already.
    pub fn keep(run_dir: &Path) -> Self {
        let reserve = Self::of(run_dir);
        reserve.fill();
        reserve
    }

    /// What an earlier owner kept.
    pub fn of(run_dir: &Path) -> Self {
        Self {
            path: run_dir.join("reserve"),
        }
    }

    /// Keeps the room again, where there is four times as much.
    pub fn fill(&self) {
        let there = fs::metadata(&self.path).is_ok_and(|found| found.len() >= ROOM);
        let dir = self.path.parent().unwrap_or(Path::new("."));
        if there || free_bytes(dir).is_none_or(|free| free < 4 * ROOM) {
            return;
        }
        let create = open_own(
            &self.path,
            File::options()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600),
        );
        let filled = create.and_then(|file| {
            fallocate(&file, FallocateFlags::empty(), 0, ROOM).map_err(io::Error::from)
        });
        if filled.is_err() {
            // A part of it is no room to count on.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Gives the room up; whether there was any.
    pub fn release(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }
}

/// What is left for us on the disk of a directory; none if nobody can tell.
pub fn free_bytes(dir: &Path) -> Option<u64> {
    let found = statvfs(dir).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_once_and_given_up_once() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::keep(dir.path());
        let size = || fs::metadata(dir.path().join("reserve")).map_or(0, |found| found.len());
        assert_eq!(size(), ROOM);
        assert!(reserve.release());
        assert!(!reserve.release());
        reserve.fill();
        assert_eq!(size(), ROOM);
    }
}
