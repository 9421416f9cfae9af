//! Processes of this machine, from `/proc` alone.

use std::{fs, io};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// Its session.
    pub session: u32,
    /// Its start in clock ticks since boot: with the pid it names one process.
    pub start: u64,
}

/// The process of this id, unless there is none or it is a zombie; none as well where nobody could look.
pub fn process(pid: u32) -> Option<Process> {
    find_process(pid).ok()?
}

/// The process of this id, if there is one and it is no zombie.
///
/// # Errors
/// Nobody could look: too many files are open, say.
pub(super) fn find_process(pid: u32) -> io::Result<Option<Process>> {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => Ok(parse(pid, &stat)),
        // It may end between the open and the read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a process of this id lives, anybody's; one that nobody could look at does.
pub(super) fn lives(pid: u32) -> bool {
    // `/proc` may hide what belongs to others.
    let hidden = || {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::PERM))
    };
    find_process(pid).map_or(true, |found| found.is_some() || hidden())
}

fn parse(pid: u32, stat: &str) -> Option<Process> {
    // The command's name stands in parentheses and may itself hold some.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    /// Processor time so far, in milliseconds.
    pub(super) computed: u64,
    /// A signal stopped it.
    pub(super) stopped: bool,
}

/// What the process of this id does, unless there is none or it is a zombie.
pub(super) fn life(pid: u32) -> Option<Life> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse(pid, &stat)?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let stopped = matches!(fields.next()?, "T" | "t");
    let mut ticks = fields
        .skip(10)
        .filter_map(|field| field.parse::<u64>().ok());
    let computed = (ticks.next()? + ticks.next()?) * 1000 / rustix::param::clock_ticks_per_second();
    Some(Life { computed, stopped })
}

/// Whether a signal stopped this process.
pub fn is_stopped(pid: u32) -> bool {
    life(pid).is_some_and(|life| life.stopped)
}

/// All live processes, in one pass.
pub(super) fn processes() -> Vec<Process> {
    pids().filter_map(process).collect()
}

pub(super) fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Live processes whose environment has `TOOLORCH_UNIT=PREFIX…`; those of other users cannot be
/// seen. One pass over `/proc`.
pub fn find_marked(prefix: &str) -> Vec<u32> {
    marks(prefix).map(|(pid, _)| pid).collect()
}

/// The same, with what follows the prefix.
pub(super) fn marks(prefix: &str) -> impl Iterator<Item = (u32, String)> {
    with_variable(format!("TOOLORCH_UNIT={prefix}")).map(|(found, rest)| (found.pid, rest))
}

/// Live processes in whose environment the value of a variable begins so.
pub(super) fn marked_by(variable: &str, prefix: &str) -> Vec<Process> {
    let found = with_variable(format!("{variable}={prefix}"));
    found.map(|(process, _)| process).collect()
}

fn with_variable(wanted: String) -> impl Iterator<Item = (Process, String)> {
    let wanted = wanted.into_bytes();
    pids().filter_map(move |pid| {
        let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut pairs = environ.split(|byte| *byte == 0);
        let rest = pairs.find_map(|pair| pair.strip_prefix(wanted.as_slice()))?;
        Some((process(pid)?, String::from_utf8_lossy(rest).into_owned()))
    })
}

/// Asks a process to end, if it is still the one that started at this time.
pub fn terminate(pid: u32, start: u64) -> bool {
    let sent = send_signal(pid, start, Signal::TERM);
    // One that is stopped heeds it only when somebody lets it go on; one that is gone by now needs nobody.
    send_signal(pid, start, Signal::CONT);
    sent
}

/// Sends a signal to a process, if it is still the one that started at this time; whether it was sent.
pub fn send_signal(pid: u32, start: u64, signal: Signal) -> bool {
    let known = process(pid).is_some_and(|found| found.start == start);
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    known && raw.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Inodes of the sockets that a process holds.
pub(super) fn socket_inodes(pid: u32) -> Vec<u64> {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let target = fs::read_link(entry.ok()?.path()).ok()?;
            let text = target.to_str()?;
            text.strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_is_read() {
        let stat = "42 (a) S) x) S 7 42 41 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 1 1";
        let read = parse(42, stat).unwrap();
        assert_eq!((read.parent, read.session, read.start), (7, 41, 123_456));
    }

    #[test]
    fn a_zombie_is_no_process() {
        let stat = "42 (a) Z 7 42 41 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 1 1";
        assert_eq!(parse(42, stat), None);
    }

    #[test]
    fn one_that_ended_lives_no_longer_and_waits_for_nobody() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn();
        let child = child.as_mut().unwrap();
        assert!(lives(child.id()));
        child.kill().unwrap();
        // A zombie until it is waited for.
        while lives(child.id()) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!lives(child.id()) && !lives(0) && !lives(u32::MAX));
    }

    #[test]
    fn this_process_lives() {
        let own = process(std::process::id()).unwrap();
        assert!(processes().contains(&own));
        assert!(lives(own.pid) && lives(1));
    }
}
