//! One look at a tree of processes: its open files against their limit. Reads `/proc`.

use std::collections::HashSet;
use std::fs;

use super::procfs::{Process, process, processes};

/// What was seen of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeSample {
    /// Of its processes the one closest to its limit.
    pub files: Option<OpenFilesSeen>,
}

/// Open files of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFilesSeen {
    /// The process.
    pub pid: u32,
    /// How many are open.
    pub open: u64,
    /// How many may be: the soft limit.
    pub limit: u64,
}

impl OpenFilesSeen {
    /// The one that is closer to its limit.
    #[must_use]
    pub fn closer(self, other: Self) -> Self {
        // Compared as fractions without dividing.
        let own = u128::from(self.open) * u128::from(other.limit.max(1));
        let others = u128::from(other.open) * u128::from(self.limit.max(1));
        if others > own { other } else { self }
    }
}

/// Looks at a process and all that descends from it or shares its session; empty where it is gone.
pub fn sample_tree(root: u32) -> TreeSample {
    let Some(leader) = process(root) else {
        return TreeSample::default();
    };
    let tree = tree_of(leader, &processes());
    let files = tree.iter().filter_map(|pid| open_files(*pid));
    TreeSample {
        files: files.reduce(OpenFilesSeen::closer),
    }
}

/// Of all processes a leader, and what descends from it or shares its session.
pub(super) fn tree_of(leader: Process, all: &[Process]) -> HashSet<u32> {
    let mut tree: HashSet<u32> = HashSet::from([leader.pid]);
    let in_session = all.iter().filter(|one| one.session == leader.session);
    // A leader of no session of its own shares it with strangers.
    if leader.session == leader.pid {
        tree.extend(in_session.map(|one| one.pid));
    }
    loop {
        let before = tree.len();
        for one in all {
            if tree.contains(&one.parent) {
                tree.insert(one.pid);
            }
        }
        if tree.len() == before {
            return tree;
        }
    }
}

fn open_files(pid: u32) -> Option<OpenFilesSeen> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let limit = line.split_whitespace().next()?;
    Some(OpenFilesSeen {
        pid,
        open: u64::try_from(open).unwrap_or(u64::MAX),
        limit: limit.parse().unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let files = sample_tree(std::process::id()).files.unwrap();
        assert!(files.open >= 2 && files.limit > files.open, "{files:?}");
    }

    #[test]
    fn the_process_closer_to_its_limit_counts() {
        let one = OpenFilesSeen {
            pid: 1,
            open: 90,
            limit: 100,
        };
        let other = OpenFilesSeen {
            pid: 2,
            open: 500,
            limit: 65_536,
        };
        assert_eq!(one.closer(other), one);
        assert_eq!(other.closer(one), one);
    }

    #[test]
    fn a_process_that_is_gone_shows_nothing() {
        assert_eq!(sample_tree(u32::MAX), TreeSample::default());
    }
}
