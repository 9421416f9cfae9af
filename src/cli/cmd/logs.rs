//! `toolorch logs`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::{Clock, ExitStatus, UnitId, clean};
use crate::cli::args::LogsArgs;
use crate::cli::fleet;
use crate::cli::printer::Printer;
use crate::cli::runs::{self, Found};
use crate::cli::runtime;
use crate::cli::unit_log;
use crate::facts::Observation;
use crate::render::{FileSet, slurm_jobs};
use crate::run::store::{Watch, open_regular};
use crate::world::{SystemClock, UnitDirs};

/// How often `--follow` looks for more.
const EVERY: Duration = Duration::from_millis(250);
/// Enough for the last lines of any log.
const WINDOW: u64 = 8 << 20;
/// The same where it comes over a network.
const THERE: u64 = 1 << 20;

pub(in crate::cli) fn run(args: &LogsArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    // A log can be read whatever became of the journal.
    let found = runs::find_plan(args.file.as_deref(), printer)?;
    let path = match log_of(&found, &args.unit, printer)? {
        Log::Here(path) => path,
        Log::There(path) => return there(&found, args, &path, printer),
    };
    let failed = |error: std::io::Error| {
        printer.complain(&format!("error: cannot read `{}`: {error}", path.display()));
        ExitStatus::Internal
    };
    let mut file = open_regular(&path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let start = length.saturating_sub(WINDOW);
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let all = read_on(&mut file).map_err(failed)?;
    let mut text = last_lines(&all, args.lines).to_owned();
    loop {
        let shown = if args.raw { text } else { cleaned(&text) };
        printer.data(&shown).map_err(|_| ExitStatus::Internal)?;
        if !args.follow {
            return Ok(ExitStatus::Done);
        }
        // Looked at before the last read, so that its last words are not missed.
        let over = has_ended(&found, &args.unit);
        text = read_on(&mut file).map_err(failed)?;
        if over && text.is_empty() {
            return Ok(ExitStatus::Done);
        }
        std::thread::sleep(if text.is_empty() {
            EVERY
        } else {
            Duration::ZERO
        });
    }
}

/// Whether nothing more can come: the unit does not run, and the run's controller will not start
/// it again, as nobody watches.
fn has_ended(found: &Found, unit: &str) -> bool {
    let dirs = UnitDirs::of_run(&found.dir);
    let runs = matches!(dirs.observe(&UnitId::new(unit)), Observation::Running(_));
    let watched = matches!(
        Watch::look(found.dir.path(), SystemClock.now()),
        Ok(Watch::Alive(_))
    );
    !runs && !watched
}

fn read_on(file: &mut File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_lines(text: &str, count: usize) -> &str {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let start = body
        .rmatch_indices('\n')
        .nth(count.saturating_sub(1))
        .map_or(0, |(at, _)| at + 1);
    if count == 0 { "" } else { &text[start..] }
}

fn cleaned(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(body) => clean(body.strip_suffix('\r').unwrap_or(body)) + "\n",
            None => clean(line),
        })
        .collect()
}

/// The last lines of a log that only its own machine can read.
fn there(
    found: &Found,
    args: &LogsArgs,
    path: &Path,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let unit = UnitId::new(&args.unit);
    let fleet = fleet::of(&found.plan, &FileSet::new(), &found.dir, printer)?;
    let runtime = runtime::single().map_err(|_| ExitStatus::Internal)?;
    let station = fleet.of(&unit).ok_or(ExitStatus::Internal)?;
    let text = runtime.block_on(station.tail(&unit, THERE));
    let text = text.map_err(|error| {
        printer.complain(&format!(
            "error: {error}\nhelp: the log of `{unit}` is there: {}",
            path.display()
        ));
        ExitStatus::Refused
    })?;
    if text.is_empty() {
        printer.complain(&format!(
            "error: there is no log of `{unit}` on {}: it wrote nothing, or its log went with all that the run left there\nhelp: what was recorded of its end: toolorch events {}",
            station.place(),
            found.dir.id()
        ));
        return Err(ExitStatus::Refused);
    }
    let text = last_lines(&text, args.lines);
    let shown = if args.raw {
        text.to_owned()
    } else {
        cleaned(text)
    };
    printer.data(&shown).map_err(|_| ExitStatus::Internal)?;
    if !args.follow {
        return Ok(ExitStatus::Done);
    }
    // Without the folder of the run its log stands elsewhere there.
    let place = runtime.block_on(station.log(path));
    let place = place.unwrap_or_else(|_| path.to_owned());
    printer.complain(&format!(
        "error: a log on {} is not followed from here\nhelp: follow it there: tail -F {}",
        station.place(),
        place.display()
    ));
    Err(ExitStatus::Refused)
}

/// Where a log can be read.
enum Log {
    /// In this file.
    Here(PathBuf),
    /// In this file of the unit's machine.
    There(PathBuf),
}

fn log_of(found: &Found, unit: &str, printer: Printer) -> Result<Log, ExitStatus> {
    let path = unit_log::path(found, &UnitId::new(unit));
    if Path::new(&path).exists() {
        return Ok(Log::Here(path));
    }
    let id = UnitId::new(unit);
    let started = found.state.unit(&id).handle.is_some();
    if let Some(path) = job_log(found, &id) {
        printer.say(&format!(
            "`{unit}` has no log of its own here: this is its job's, {}",
            path.display()
        ));
        return Ok(Log::Here(path));
    }
    if started && found.plan.elsewhere(&id).is_some() {
        return Ok(Log::There(path));
    }
    let known: Vec<&str> = found.plan.units.iter().map(|u| u.id.as_str()).collect();
    printer.complain(&if known.contains(&unit) {
        format!("error: `{unit}` has no log yet: it was not started")
    } else {
        format!(
            "error: there is no unit `{unit}`\nhelp: there are: {}",
            known.join(", ")
        )
    });
    Err(ExitStatus::Usage)
}

/// What the latest job of a unit wrote, where jobs are submitted from here: what went wrong before the unit began.
fn job_log(found: &Found, unit: &UnitId) -> Option<PathBuf> {
    let jobs = slurm_jobs(&found.plan);
    let of_run = found.dir.path().join("slurm").join(found.dir.id().as_str());
    let folder = of_run.join("jobs").join(jobs.get(unit)?);
    let files = std::fs::read_dir(folder).ok()?.flatten();
    let logs = files.filter(|file| file.path().extension().is_some_and(|end| end == "log"));
    let latest = logs.max_by_key(|file| file.metadata().and_then(|meta| meta.modified()).ok());
    latest.map(|file| file.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(last_lines("a\nb\nc", 1), "c");
        assert_eq!(last_lines("a\n", 9), "a\n");
        assert_eq!(last_lines("a\n", 0), "");
    }
}
