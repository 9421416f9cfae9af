//! What running processes cost, as `/proc` says it.

use std::fs;

/// When a process started, in the kernel's ticks since boot.
pub(crate) fn start_time(pid: u32) -> u64 {
    stat(pid, 19)
}

/// Ticks of processor time that a process has used: hundredths of a second.
pub(crate) fn ticks(pid: u32) -> u64 {
    stat(pid, 11) + stat(pid, 12)
}

/// Ticks that its children had used when it waited for them.
pub(crate) fn children_ticks(pid: u32) -> u64 {
    stat(pid, 13) + stat(pid, 14)
}

/// A field of `/proc/PID/stat`, counted from the state.
fn stat(pid: u32, place: usize) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').nth(place).unwrap().parse().unwrap()
}

/// A line of `/proc/PID/status` that is in KiB, such as `VmHWM:`.
pub(crate) fn memory_kib(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.unwrap().trim().split(' ').next();
    number.unwrap().parse().unwrap()
}

/// Open files of a process.
pub(crate) fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}
