//! Which process on which machine: enough to tell a dead owner from a living one.

use std::fs;

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
}

/// Whether a process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
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
    /// Whether it lives, as far as `here` can tell.
    pub(super) fn life(&self, here: &Self) -> Life {
        if self.host != here.host || self.boot_id.is_empty() || here.boot_id.is_empty() {
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
            ..here.clone()
        };
        assert_eq!(elsewhere.life(&here), Life::Unknown);
    }
}
