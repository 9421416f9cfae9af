//! A word for the next start of a simulated server: a file beside its log, taken away when it is read.

use std::path::PathBuf;

/// Names the file; where it is not set, it stands beside the log of a unit.
const VARIABLE: &str = "TOOLORCH_SIM_NEXT_START";
/// Which unit a process is, as the unit script says it.
const MARK: &str = "TOOLORCH_UNIT";

/// A unit is not told where its state is kept, but its stdout is its log, which each of its starts has in the same folder.
fn place() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return Some(path.into());
    }
    let mark = std::env::var(MARK).ok()?;
    let unit = mark.split('/').nth(1)?;
    let log = std::fs::read_link("/proc/self/fd/1").ok()?;
    let folder = log.parent().filter(|_| log.is_file())?;
    Some(folder.join(format!(".{unit}.next-start")))
}

/// Says that the next start shall run out of GPU memory.
pub(super) fn note() -> Result<(), String> {
    let path = place().ok_or_else(|| {
        format!(
            "there is no place to note it: this server is no unit of a run that logs to a file, and `{VARIABLE}` is not set"
        )
    })?;
    std::fs::write(&path, "oom\n")
        .map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

/// Whether that was said; it holds once.
pub(super) fn take() -> bool {
    place().is_some_and(|path| std::fs::remove_file(path).is_ok())
}
