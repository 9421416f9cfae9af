//! Times and memory, measured often enough to be believed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Durations of one measurement, shortest first.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// Runs `work` so often, after one run that is not counted.
    pub(crate) fn of(runs: usize, mut work: impl FnMut()) -> Self {
        work();
        Self::sorted((0..runs).map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        }))
    }

    fn sorted(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        Self(times)
    }

    /// The one in the middle.
    pub(crate) fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    /// `min 3.2 ms, median 3.4 ms, max 5.0 ms (50 runs)`.
    pub(crate) fn words(&self) -> String {
        format!(
            "min {}, median {}, max {} ({} runs)",
            millis(self.0[0]),
            millis(self.median()),
            millis(self.0[self.0.len() - 1]),
            self.0.len()
        )
    }
}

/// `3.4 ms`.
pub(crate) fn millis(length: Duration) -> String {
    format!("{:.1} ms", length.as_secs_f64() * 1000.0)
}

/// `ok` or `OVER`, and the bound.
pub(crate) fn judged(within: bool, bound: &str) -> String {
    format!("{}, bound {bound}", if within { "ok" } else { "OVER" })
}

/// A file of this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The program with these arguments, its output thrown away.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_toolorch"));
    command
        .args(arguments)
        .current_dir(repository(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Wall times of whole processes; their exit code must be `code`.
pub(crate) fn walls(runs: usize, code: i32, mut command: impl FnMut() -> Command) -> Times {
    Times::of(runs, || {
        let status = command().status().unwrap();
        assert_eq!(status.code(), Some(code), "the measured command failed");
    })
}

/// The most memory that one run held, in KiB: `VmHWM`, read until the process ends.
pub(crate) fn peak_kib(mut command: Command) -> u64 {
    let mut child = command.spawn().unwrap();
    let file = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&file).unwrap_or_default();
        peak = peak.max(high_water(&status).unwrap_or(0));
    }
    peak
}

fn high_water(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().split(' ').next()?.parse().ok()
}
