//! The open files of this process.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::facts::OpenFiles;

/// What this process asks for: as much as it gives to units.
const WANTED: u64 = 65_536;

/// The limits of this process.
pub(super) fn limits() -> OpenFiles {
    let limits = getrlimit(Resource::Nofile);
    OpenFiles {
        soft: limits.current.unwrap_or(u64::MAX),
        hard: limits.maximum.unwrap_or(u64::MAX),
    }
}

/// Raises the limit of this process as far as it may; where that is refused it stays.
pub fn raise_open_files() {
    let OpenFiles { soft, hard } = limits();
    let wanted = WANTED.min(hard);
    if soft < wanted {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays at {soft}");
        }
    }
}

/// How many files this process has open, and its limit; none where that cannot be read.
pub fn own_files() -> Option<(u64, u64)> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    Some((open as u64, limits().soft))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_counted() {
        let before = own_files().unwrap();
        let held: Vec<_> = (0..20).map(|_| fs::File::open("/dev/null")).collect();
        // Other tests of this process open and close files, too.
        assert!(own_files().unwrap().0 >= 20, "{before:?}");
        assert_eq!(held.len(), 20);
    }
}
