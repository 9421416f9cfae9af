//! The node-local directory of each unit: its state, its secrets, its log.
//!
//! The unit script writes `state`; this file reads it and says what it means.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::base::{Generation, LaunchId, Millis, RunId, Secrets, UnitId};
use crate::facts::{Exit, Heartbeat, LogCause, Observation, RunningUnit};
use crate::run::store::{
    Mode, RunDir, boot_id, open_own, read_regular, read_regular_text, write_atomically,
};
use crate::world::log_end::LogEnd;
use crate::world::procfs::{Process, find_process, marks, process};
use crate::world::starts::starts;

/// How much of a log's end is kept with the record of a death.
const TAIL_BYTES: u64 = 32 * 1024;
/// How much of it is searched for the cause. That stands above the tracebacks of all that died of it.
pub(super) const CAUSE_BYTES: u64 = 1024 * 1024;

/// The owner's sign of life, beside the units' directories; no unit has such a name.
const HEARTBEAT: &str = ".heartbeat";

/// Where the units of a run keep their state on this machine.
#[derive(Debug, Clone)]
pub struct UnitDirs {
    root: PathBuf,
    boot: String,
}

impl UnitDirs {
    /// `$TOOLORCH_STATE`, or `/tmp/toolorch-$UID`, and below it the run.
    pub fn new(run: &RunId) -> Self {
        Self::below(&state_root(), run)
    }

    /// Where this run keeps them, whatever this process's environment says.
    pub fn of_run(dir: &RunDir) -> Self {
        Self::below(&dir.state_root().unwrap_or_else(state_root), dir.id())
    }

    /// The same below another place than that of this process's environment.
    pub fn below(base: &Path, run: &RunId) -> Self {
        Self {
            root: base.join(run.as_str()),
            boot: boot_id(),
        }
    }

    /// The directory of a unit.
    pub fn of(&self, unit: &UnitId) -> PathBuf {
        self.root.join(unit.as_str())
    }

    /// Removes what a run left that is over, its secrets among it; a detached controller does not
    /// remove its own unit.
    ///
    /// # Errors
    /// Something of it still runs, or cannot be removed.
    pub fn clear(&self, controller: &UnitId) -> Result<(), String> {
        let run = self.root.file_name().unwrap_or_default().to_string_lossy();
        let of_controller = format!("{controller}/");
        let (own, living): (Vec<_>, Vec<_>) =
            marks(&format!("{run}/")).partition(|(_, rest)| rest.starts_with(&of_controller));
        if !living.is_empty() {
            let pids: Vec<String> = living.iter().map(|(pid, _)| pid.to_string()).collect();
            return Err(format!(
                "processes of an earlier run `{run}` still live: {}; its journal is gone, so first end them: toolorch down",
                pids.join(", ")
            ));
        }
        let failed = |error| format!("cannot remove `{}`: {error}", self.root.display());
        if own.is_empty() {
            return match fs::remove_dir_all(&self.root) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(()),
            };
        }
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.ends_with(controller.as_str()) {
                continue;
            }
            let removed = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
            removed.map_err(failed)?;
        }
        Ok(())
    }

    /// The same by a controller at the end of its run: where it is detached, its own script removes the rest when it has ended.
    ///
    /// # Errors
    /// As [`UnitDirs::clear`].
    pub fn clear_at_the_end(&self, controller: &UnitId) -> Result<(), String> {
        self.clear(controller)?;
        let own = self.of(controller);
        if own.exists() {
            let over = own.join("over");
            fs::write(&over, "")
                .map_err(|error| format!("cannot write `{}`: {error}", over.display()))?;
        }
        Ok(())
    }

    /// Makes the directory of a unit, ours alone.
    ///
    /// # Errors
    /// It cannot be made, or stands there as somebody else's or as a link.
    pub fn make(&self, unit: &UnitId) -> Result<PathBuf, String> {
        self.make_root()?;
        let dir = self.of(unit);
        make_own(&[&dir])?;
        Ok(dir)
    }

    /// Makes the directory of the run, ours alone.
    ///
    /// # Errors
    /// As [`UnitDirs::make`].
    pub fn make_root(&self) -> Result<(), String> {
        make_own(&[self.root.parent().unwrap_or(&self.root), &self.root])
    }

    /// The owner's sign of life, one line. It is written over the last one: that needs no room on a full disk, and whoever
    /// reads half of it has read something new.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn beat(&self, beat: &Heartbeat) -> std::io::Result<()> {
        let line = beat.line();
        let file = open_own(
            &self.root.join(HEARTBEAT),
            fs::File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600),
        )?;
        file.write_all_at(line.as_bytes(), 0)?;
        file.set_len(line.len() as u64)
    }

    /// The last sign of life of an owner on this machine; none if there is none, or it is being written.
    pub fn heartbeat(&self) -> Option<Heartbeat> {
        Heartbeat::parse(&read_regular_text(&self.root.join(HEARTBEAT)).ok()?)
    }

    /// In how long a unit stops itself if nothing moves: what its script last wrote, if it is alone.
    pub fn stops_itself_in(&self, unit: &UnitId) -> Option<Millis> {
        let text = read_regular_text(&self.of(unit).join("alone")).ok()?;
        let alone = StateFile::parse(&text);
        let limit = Millis(alone.number("limit_ms")?);
        Some(limit - Millis(alone.number("quiet_ms")?))
    }

    /// Keeps the values that a unit takes from the caller, for its eyes only; those of an earlier
    /// start that are not given now stay, so that a restart tomorrow still has them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put_secrets(&self, unit: &UnitId, values: &[(String, String)]) -> Result<(), String> {
        let path = self.make(unit)?.join("secrets");
        let mut kept: BTreeMap<Vec<u8>, Vec<u8>> = read_regular(&path)
            .unwrap_or_default()
            .split(|byte| *byte == 0)
            .filter_map(|pair| {
                let at = pair.iter().position(|byte| *byte == b'=')?;
                Some((pair[..at].to_vec(), pair[at + 1..].to_vec()))
            })
            .collect();
        for (name, value) in values {
            kept.insert(name.clone().into_bytes(), value.clone().into_bytes());
        }
        let mut bytes = Vec::new();
        for (name, value) in kept {
            bytes.extend([name.as_slice(), b"=", value.as_slice(), b"\0"].concat());
        }
        write_atomically(&path, &bytes, Mode::Private).map_err(|error| error.to_string())
    }

    /// Units of the run by the marks of their processes alone, for where their state is gone. A script that still watches
    /// one is its parent, and writes a state again when it ends.
    pub fn find_running(&self) -> BTreeMap<UnitId, RunningUnit> {
        let run = self.root.file_name().unwrap_or_default().to_string_lossy();
        let scripts = starts(&RunId::new(&*run));
        let mut found: BTreeMap<UnitId, RunningUnit> = BTreeMap::new();
        for (pid, rest) in marks(&format!("{run}/")) {
            let words: Vec<&str> = rest.split('/').collect();
            let [unit, generation, launch] = words[..] else {
                continue;
            };
            let (Some(process), Ok(generation)) = (process(pid), generation.parse()) else {
                continue;
            };
            // The leader leads a session, and was there before those of its workers that do.
            let unit = UnitId::new(unit);
            let earlier = found
                .get(&unit)
                .is_some_and(|known| known.start <= process.start);
            if process.session != pid || earlier {
                continue;
            }
            let script = (process.parent, unit.clone());
            let supervised = scripts.contains(&script);
            let running = RunningUnit {
                generation: Generation(generation),
                launch: LaunchId::new(launch),
                pid,
                start: process.start,
                supervisor: if supervised { process.parent } else { 0 },
                supervised,
                listening: Vec::new(),
                place: None,
                until: None,
            };
            found.insert(unit, running);
        }
        found
    }

    /// The units that ever had a state here.
    pub fn units(&self) -> Vec<UnitId> {
        let mut units: Vec<UnitId> = names(&self.root)
            .filter(|name| !name.starts_with('.'))
            .map(UnitId::new)
            .collect();
        units.sort_unstable();
        units
    }

    /// What the state file and `/proc` say of a unit; listeners are not looked for.
    pub fn observe(&self, unit: &UnitId) -> Observation {
        let path = self.of(unit).join("state");
        match read_regular_text(&path) {
            Ok(text) => self.judge(unit, &StateFile::parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Observation::Never,
            Err(error) => Observation::Unknown {
                why: format!("cannot read `{}`: {error}", path.display()),
            },
        }
    }

    /// The log of a unit's last start, as its state file names it.
    pub fn log(&self, unit: &UnitId) -> Option<String> {
        let text = read_regular_text(&self.of(unit).join("state")).ok()?;
        StateFile::parse(&text).filled("log")
    }

    /// The number of the last start that a unit's script accepted; it refuses this one and all before it.
    pub fn last_generation(&self, unit: &UnitId) -> Generation {
        let fence = read_regular_text(&self.of(unit).join("fence")).unwrap_or_default();
        Generation(
            StateFile::parse(&fence)
                .number("generation")
                .unwrap_or_default(),
        )
    }

    /// What a unit was passed, as long as it is kept: no text of ours shows it.
    pub fn secrets(&self, unit: &UnitId) -> Secrets {
        let file = read_regular(&self.of(unit).join("secrets"));
        Secrets::parse(&file.unwrap_or_default())
    }

    /// The last lines of a log of this unit, without what it was passed; an unreadable log has none.
    pub fn tail(&self, unit: &UnitId, log: &Path) -> Vec<String> {
        let end = self.log_end(unit, log, TAIL_BYTES);
        end.map(|end| end.lines()).unwrap_or_default()
    }

    /// The last line of a log of this unit that says anything, without what it was passed.
    pub fn last_line(&self, unit: &UnitId, log: &Path) -> Option<String> {
        self.log_end(unit, log, 2048)?.last_line()
    }

    fn log_end(&self, unit: &UnitId, log: &Path, bytes: u64) -> Option<LogEnd> {
        LogEnd::read(log, bytes, self.secrets(unit))
    }

    /// What a log of this unit says of its death, without what it was passed.
    fn cause(&self, unit: &UnitId, log: &Path) -> Option<LogCause> {
        self.log_end(unit, log, CAUSE_BYTES)?.cause()
    }

    fn judge(&self, unit: &UnitId, state: &StateFile) -> Observation {
        let generation = Generation(state.number("generation").unwrap_or_default());
        let launch = LaunchId::new(state.text("launch"));
        if matches!(state.text("phase"), "exited" | "refused") {
            return Observation::Exited(Exit {
                generation,
                launch,
                code: state.text("exit_code").parse().ok(),
                signal: state.filled("signal"),
                requested: state.text("requested") == "1",
                cancelled: None,
                reason: state.filled("reason"),
                tail: self.tail(unit, Path::new(state.text("log"))),
                cause: self.cause(unit, Path::new(state.text("log"))).map(Box::new),
            });
        }
        let alive = |pid: &str, start: &str| {
            let Some(pid) = state.number(pid).and_then(|pid| u32::try_from(pid).ok()) else {
                return Ok(None);
            };
            let same = |found: &Process| {
                self.boot == state.text("boot") && Some(found.start) == state.number(start)
            };
            find_process(pid).map(|found| found.filter(same))
        };
        let (supervisor, leader) = match (alive("super", "super_start"), alive("pid", "start")) {
            (Ok(supervisor), Ok(leader)) => (supervisor, leader),
            (Err(error), _) | (_, Err(error)) => {
                let why = format!("cannot look at its processes: {error}");
                return Observation::Unknown { why };
            }
        };
        match (leader, state.text("phase"), supervisor) {
            (Some(leader), _, supervisor) => Observation::Running(RunningUnit {
                generation,
                launch,
                pid: leader.pid,
                start: leader.start,
                supervisor: supervisor.map_or(0, |found| found.pid),
                supervised: supervisor.is_some(),
                listening: Vec::new(),
                place: None,
                until: None,
            }),
            // The script is between two lines: it has not recorded the child, or its end, yet.
            (None, _, Some(_)) => Observation::Unknown {
                why: "the unit script is at work".to_owned(),
            },
            (None, _, None) => Observation::Lost { generation, launch },
        }
    }
}

/// `$TOOLORCH_STATE`, or `/tmp/toolorch-$UID`: what this process's environment says.
pub fn state_root() -> PathBuf {
    let named = std::env::var_os("TOOLORCH_STATE").filter(|path| !path.is_empty());
    let user = rustix::process::getuid().as_raw();
    let path = named.map_or_else(|| format!("/tmp/toolorch-{user}").into(), PathBuf::from);
    // A link is left one: it is refused.
    std::path::absolute(&path).unwrap_or(path)
}

/// The names in a directory; none where it cannot be listed.
fn names(dir: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}

/// Every run of which a process lives here, with its units, by the marks alone.
pub fn living_runs() -> BTreeMap<RunId, BTreeSet<UnitId>> {
    let mut found: BTreeMap<RunId, BTreeSet<UnitId>> = BTreeMap::new();
    for (_, mark) in marks("") {
        let mut words = mark.split('/');
        if let (Some(run), Some(unit)) = (words.next(), words.next()) {
            let units = found.entry(RunId::new(run)).or_default();
            units.insert(UnitId::new(unit));
        }
    }
    found
}

/// Makes directories that are ours alone, outer ones first.
fn make_own(dirs: &[&Path]) -> Result<(), String> {
    for dir in dirs {
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let found = fs::symlink_metadata(dir)
                    .map_err(|error| format!("cannot look at `{}`: {error}", dir.display()))?;
                let ours = found.uid() == rustix::process::getuid().as_raw();
                if !found.is_dir() || !ours || found.mode() & 0o022 != 0 {
                    return Err(format!(
                        "`{}` is not a directory of yours that only you can write: remove it, or set TOOLORCH_STATE",
                        dir.display()
                    ));
                }
            }
            Err(error) => {
                return Err(format!("cannot make `{}`: {error}", dir.display()));
            }
        }
    }
    Ok(())
}

/// `key=value` lines, as the unit script writes them.
struct StateFile(BTreeMap<String, String>);

impl StateFile {
    fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .filter_map(|line| line.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    fn filled(&self, key: &str) -> Option<String> {
        Some(self.text(key).to_owned()).filter(|text| !text.is_empty())
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.text(key).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_an_escape_sequence_runs_through_is_masked() {
        let root = tempfile::tempdir().unwrap();
        let dirs = UnitDirs::below(root.path(), &RunId::new("r"));
        let unit = UnitId::new("u");
        let key = ("KEY".to_owned(), "hunter-canary-7".to_owned());
        fs::create_dir(root.path().join("r")).unwrap();
        dirs.put_secrets(&unit, &[key]).unwrap();
        let log = root.path().join("log");
        let words = "RuntimeError: bad key \x1b[31mhunt\x1b[1mer-canary-7\x1b[0m";
        fs::write(&log, words).unwrap();
        let masked = "RuntimeError: bad key [KEY]";
        assert_eq!(dirs.last_line(&unit, &log).unwrap(), masked);
        assert_eq!(dirs.tail(&unit, &log), [masked]);
        let oom = format!("torch.OutOfMemoryError: CUDA out of memory. {words}");
        fs::write(&log, oom).unwrap();
        let cause = dirs.cause(&unit, &log).unwrap();
        assert!(cause.line.ends_with(masked), "{}", cause.line);
    }

    #[test]
    fn the_cause_is_found_above_what_died_of_it() {
        let dirs = UnitDirs::below(Path::new("/nowhere"), &RunId::new("r"));
        let unit = UnitId::new("u");
        let cause = |log: &Path| dirs.cause(&unit, log);
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/vllm-0.32.0/failures");
        let log = folder.join("context-too-long.log");
        assert_eq!(cause(&log).unwrap().id, "max-len-too-big");
        // What a real server writes on its way down, twice over.
        let mut text = fs::read_to_string(&log).unwrap();
        let more = fs::read_to_string(folder.join("rank-killed.log")).unwrap();
        text.push_str(&more);
        text.push_str(&more);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &text).unwrap();
        let found = cause(file.path()).unwrap();
        assert_eq!(found.id, "max-len-too-big");
        assert!(found.permanent && !found.fix.is_empty(), "{found:?}");
        let tail = dirs.tail(&unit, file.path());
        let last = LogCause::read(tail.iter().map(String::as_str));
        assert_ne!(
            last.map(|cause| cause.id),
            Some(found.id),
            "the end says less"
        );
        assert_eq!(cause(Path::new("/nowhere")), None);
    }
}
