//! Unit scripts at work: starts that are under way, and supervisors. They carry no mark; their words tell them.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::procfs::{pids, process, send_signal};
use crate::base::{RunId, UnitId};

/// How long a supervisor whose program ended gets to leave.
const PATIENCE: Duration = Duration::from_secs(2);

/// Processes that start a unit of this run or supervise it, whatever launched them; those that have not come far enough
/// to be seen in a state file among them. One pass over `/proc`.
pub fn starts(run: &RunId) -> Vec<(u32, UnitId)> {
    let found = pids().filter_map(|pid| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let unit = started_by(&words, run)?;
        process(pid)?;
        Some((pid, unit))
    });
    found.collect()
}

/// Whether scripts of a run at work here still stand in a folder, wherever that was moved: bash keeps the one that it runs
/// open under this number.
pub fn is_kept_elsewhere(run: &RunId) -> bool {
    let script = |pid| fs::read_link(format!("/proc/{pid}/fd/255")).ok();
    let mut scripts = starts(run).into_iter();
    scripts.any(|(pid, _)| script(pid).is_some_and(|path| path.exists()))
}

/// Ends what still starts a unit of a run that is over, this one aside: what comes of it would be nobody's.
pub fn end_starts(run: &RunId, aside: &UnitId) {
    let since = Instant::now();
    loop {
        let mut left = starts(run);
        left.retain(|(_, unit)| unit != aside);
        if left.is_empty() {
            return;
        }
        if since.elapsed() > PATIENCE {
            for (pid, unit) in left {
                tracing::debug!(pid, %unit, "ends a start that hangs");
                process(pid).map(|found| send_signal(pid, found.start, Signal::KILL));
            }
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The unit that a process with these words starts: `…/units/UNIT.sh run … --run RUN` and `….sh start --run RUN UNIT -- …`.
fn started_by(words: &[u8], run: &RunId) -> Option<UnitId> {
    let words: Vec<&str> = words
        .split(|byte| *byte == 0)
        .map(|word| std::str::from_utf8(word).unwrap_or_default())
        .collect();
    let of_run = |words: &[&str]| words.windows(2).any(|two| two == ["--run", run.as_str()]);
    let at = words.windows(2).position(|two| {
        let (script, verb) = (two[0], two[1]);
        script.strip_suffix(".sh").is_some() && matches!(verb, "run" | "start")
    })?;
    let rest = &words[at + 2..];
    if !of_run(rest) {
        return None;
    }
    let unit = match words[at + 1] {
        "run" => {
            let (_, name) = words[at].rsplit_once("units/")?;
            name.strip_suffix(".sh")?
        }
        _ => rest.get(2).copied()?,
    };
    Some(UnitId::new(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_told_by_their_words() {
        let run = RunId::new("c-1-abcd");
        let unit = |line: &str| {
            let words = line.replace(' ', "\0").into_bytes();
            started_by(&words, &run).map(|unit| unit.to_string())
        };
        let script = "bash /h/scripts/units/m-0.sh run --run c-1-abcd --generation 1";
        assert_eq!(unit(script).as_deref(), Some("m-0"));
        for before in ["setsid", "sh /tmp/slow/bash", "env A=b"] {
            let line = format!("{before} {script}");
            assert_eq!(unit(&line).as_deref(), Some("m-0"), "{line}");
        }
        let tmux = "bash /h/scripts/tmux/c.sh start --run c-1-abcd m-1 -- --run c-1-abcd";
        assert_eq!(unit(tmux).as_deref(), Some("m-1"));
        for other in [
            "bash /h/scripts/units/m-0.sh stop --run c-1-abcd",
            "bash /h/scripts/units/m-0.sh run --run c-2-abcd --generation 1",
            "bash /h/scripts/units/m-0.sh run",
            "toolorch down c.yaml",
            "",
        ] {
            assert_eq!(unit(other), None, "{other}");
        }
    }
}
