//! Which process on which machine: enough to tell a dead owner from a living one.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde::{Deserialize, Serialize};

/// One process of one boot of one machine; a pid that was given out again does not match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The host's name.
    pub host: String,
    /// The kernel's id of this boot; empty where it cannot be read.
    pub boot_id: String,
    /// The process.
    pub pid: u32,
    /// Its start in clock ticks since boot; 0 where it cannot be read.
    pub start: u64,
    /// The kernel's number of its process namespace: another container sees other processes; 0 where it is not known.
    #[serde(default)]
    pub namespace: u64,
}

/// Whether a process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It does.
    Alive,
    /// It does, and is stopped: by Ctrl-Z, SIGSTOP, a debugger.
    Stopped,
    /// It does not.
    Dead,
    /// It is on another machine.
    Unknown,
}

impl ProcessId {
    /// Whether `here` sees the processes that it saw: it is on this machine, whatever that is called now, and in no other
    /// container.
    pub fn is_seen_from(&self, here: &Self) -> bool {
        let same_boot = self.boot_id == here.boot_id && !here.boot_id.is_empty();
        if same_boot && self.namespace != 0 && here.namespace != 0 {
            return self.namespace == here.namespace;
        }
        self.host == here.host
    }

    /// Whether it lives, as far as `here` can tell.
    pub fn life(&self, here: &Self) -> Life {
        let unnamed = self.boot_id.is_empty() || here.boot_id.is_empty();
        if unnamed || !self.is_seen_from(here) {
            return Life::Unknown;
        }
        match state_and_start(self.pid) {
            Some((state, start)) if self.boot_id == here.boot_id && start == self.start => {
                if matches!(state.as_str(), "T" | "t") {
                    Life::Stopped
                } else {
                    Life::Alive
                }
            }
            _ => Life::Dead,
        }
    }
}

/// This process.
pub fn own_process() -> ProcessId {
    let pid = std::process::id();
    ProcessId {
        host: host_name(),
        boot_id: boot_id(),
        pid,
        start: start_time(pid).unwrap_or_default(),
        namespace: fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino()),
    }
}

/// This machine's name.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// The kernel's id of this boot; empty where it cannot be read.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// When a process started, in clock ticks since boot; none if there is no such process.
pub(super) fn start_time(pid: u32) -> Option<u64> {
    Some(state_and_start(pid)?.1)
}

/// The letter of a process's state and its start; none if there is no such process, or it is a zombie, which holds and
/// does nothing.
fn state_and_start(pid: u32) -> Option<(String, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in parentheses and may itself hold some.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let alive = !matches!(state, "Z" | "X");
    alive.then(|| Some((state.to_owned(), fields.nth(18)?.parse().ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_alone_is_no_proof_of_life() {
        let here = own_process();
        assert_eq!(here.life(&here), Life::Alive);
        let recycled = ProcessId {
            start: here.start + 1,
            ..here.clone()
        };
        assert_eq!(recycled.life(&here), Life::Dead);
        let before_reboot = ProcessId {
            boot_id: "other".to_owned(),
            ..here.clone()
        };
        assert_eq!(before_reboot.life(&here), Life::Dead);
        let elsewhere = ProcessId {
            host: "other".to_owned(),
            boot_id: "other".to_owned(),
            ..here.clone()
        };
        assert_eq!(elsewhere.life(&here), Life::Unknown);
    }

    #[test]
    fn a_machine_is_known_by_what_it_sees_and_not_by_its_name() {
        let here = own_process();
        let renamed = ProcessId {
            host: "other".to_owned(),
            ..here.clone()
        };
        assert_eq!(renamed.life(&here), Life::Alive);
        let contained = ProcessId {
            namespace: 7,
            ..here.clone()
        };
        assert_eq!(contained.life(&here), Life::Unknown);
        // Written before there was such a number.
        let old = ProcessId {
            namespace: 0,
            ..here.clone()
        };
        assert_eq!(old.life(&here), Life::Alive);
        let old_elsewhere = ProcessId {
            namespace: 0,
            ..renamed
        };
        assert_eq!(old_elsewhere.life(&here), Life::Unknown);
    }
}
