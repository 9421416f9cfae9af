//! Open files of a tree of processes, and their limit, which can be raised while they run.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::procfs::process;
use super::tree::tree_of;
use crate::facts::FilesSeen;

/// Of the processes of a tree the one closest to its limit.
pub fn look_at_files(root: u32) -> Option<FilesSeen> {
    let seen = tree_of(root)?;
    let seen = seen.into_iter().filter_map(open_files);
    seen.reduce(FilesSeen::closer)
}

pub(super) fn open_files(pid: u32) -> Option<FilesSeen> {
    let start = process(pid)?.start;
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace();
    let (soft, hard) = (words.next()?, words.next()?);
    Some(FilesSeen {
        pid,
        start,
        open: u64::try_from(open).unwrap_or(u64::MAX),
        soft: soft.parse().unwrap_or(u64::MAX),
        hard: hard.parse().ok(),
    })
}

/// Raises the soft limit of a process that runs.
///
/// # Errors
/// The system's words, as when it is another user's; or the process is gone.
pub fn raise_files(seen: &FilesSeen, to: u64) -> Result<(), String> {
    let same = process(seen.pid).is_some_and(|found| found.start == seen.start);
    let pid = i32::try_from(seen.pid).ok().and_then(Pid::from_raw);
    let (Some(pid), true) = (pid, same) else {
        return Err(format!("process {} is gone", seen.pid));
    };
    let limit = Rlimit {
        current: Some(to),
        maximum: seen.hard,
    };
    prlimit(Some(pid), Resource::Nofile, limit)
        .map(drop)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_limit_of_a_running_process_is_raised_within_the_hard_one() {
        let script = "ulimit -n 300; ulimit -Sn 100; exec sleep 60";
        let mut child = Command::new("bash").args(["-c", script]).spawn().unwrap();
        let look = || open_files(child.id()).unwrap();
        while look().soft != 100 {
            std::thread::yield_now();
        }
        let seen = look();
        assert_eq!(seen.hard, Some(300));
        raise_files(&seen, 200).unwrap();
        assert_eq!((look().soft, look().hard), (200, Some(300)));
        let other = FilesSeen { start: 1, ..seen };
        assert!(raise_files(&other, 250).unwrap_err().ends_with("is gone"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(look_at_files(child.id()), None);
    }

    #[test]
    fn this_process_is_seen() {
        let seen = look_at_files(std::process::id()).unwrap();
        assert!(seen.open >= 2 && seen.soft > seen.open, "{seen:?}");
    }
}
