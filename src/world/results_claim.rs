//! One run at a time writes into results, whatever it is called and wherever it is kept.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files::{FileError, make_books};
use super::procfs::{find_marked, process};
use crate::base::{NodeName, RunId, UnitId};
use crate::plan::ResultsPlan;
use crate::run::RunState;
use crate::run::store::{
    Mode, NotRegular, ProcessId, is_another, open_lock, open_regular, own_process, read_journal,
    read_regular, write_atomically,
};

/// Whoever has just taken results says so in their books: so often these are read again, after a pause.
const LOOKS: usize = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// The run that writes into results, as their books say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Writer {
    run: RunId,
    unit: UnitId,
    /// The run's directory.
    kept: PathBuf,
    /// Where the results' books are, links resolved; none where a unit's script took them by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    books: Option<PathBuf>,
    /// The node of another machine on which the client runs, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<NodeName>,
    /// The controller; none where a unit's script took them by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<ProcessId>,
}

impl Writer {
    /// Its controller may be at work: a process of another machine cannot be looked at.
    fn may_live(&self) -> bool {
        self.process.as_ref().is_some_and(|ours| {
            let here = own_process();
            let seen = || process(ours.pid).is_some_and(|found| found.start == ours.start);
            !ours.is_seen_from(&here) || (ours.boot_id == here.boot_id && seen())
        })
    }

    /// Where its client may be at work although its controller is not: of another machine only its run's journal tells.
    fn client_elsewhere(&self) -> Option<&NodeName> {
        let node = self.node.as_ref()?;
        let ended = self.kept.is_dir()
            && read_journal(&self.kept)
                .is_ok_and(|records| !RunState::fold(&records).unit(&self.unit).phase.may_live());
        (!ended).then_some(node)
    }
}

/// The right to write into results; it ends with the process. The client of a run that nobody watches keeps it, too.
#[derive(Debug)]
pub struct ResultsClaim {
    /// None where the file system has no locks.
    _lock: Option<File>,
}

/// Why results cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The books cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another run has them.
    #[error("{0}")]
    Taken(String),
}

/// Takes results for the client `unit` of a run, which runs on this `node` where that is another machine.
///
/// # Errors
/// Another run's controller has them, or its client still lives; or the books cannot be written.
pub fn claim_results(
    results: &ResultsPlan,
    run: &RunId,
    (unit, node): (&UnitId, Option<&NodeName>),
    kept: &Path,
) -> Result<ResultsClaim, ClaimError> {
    let books = make_books(results)?;
    let path = books.join("writer.json");
    // It would be taken for one that is not there.
    if let Err(error) = open_regular(&path)
        && NotRegular::is(&error)
    {
        return Err(FileError::io("read", &path)(error).into());
    }
    let lock = lock(&books.join("writer.lock"));
    let last = match lock {
        Err(None) => holder(&path),
        _ => read(&path),
    };
    let lock = match (lock, &last) {
        (Ok(lock), _) => lock,
        // An earlier owner of this very run, which is stopped: who owns the run has its results, too.
        (Err(None), Some(last)) if last.run == *run => None,
        (Err(None), Some(last)) => return Err(taken(last, "is watched")),
        (Err(None), None) => {
            let why = "another toolorch has just taken them".to_owned();
            return Err(ClaimError::Taken(why));
        }
        (Err(Some(error)), _) => return Err(error.into()),
    };
    if let Some(last) = last.filter(|last| last.run != *run) {
        let living = find_marked(&format!("{}/{}/", last.run, last.unit));
        if let Some(pid) = living.first() {
            return Err(taken(&last, &format!("runs as pid {pid}")));
        }
        if let Some(node) = last.client_elsewhere() {
            let how = format!("may still run on node `{node}`, as far as that run knows");
            return Err(taken(&last, &how));
        }
    }
    let writer = Writer {
        run: run.clone(),
        unit: unit.clone(),
        kept: kept.to_owned(),
        books: books.canonicalize().ok(),
        node: node.cloned(),
        process: Some(own_process()),
    };
    let text = serde_json::to_string(&writer)
        .map_err(|error| FileError::io("write", &path)(error.into()))?;
    write_atomically(&path, text.as_bytes(), Mode::Shared).map_err(FileError::from)?;
    Ok(ResultsClaim { _lock: lock })
}

fn read(path: &Path) -> Option<Writer> {
    let bytes = read_regular(path).ok()?;
    let writer: Writer = serde_json::from_slice(&bytes).ok()?;
    // What was copied along with results is said of the original.
    let copied = |books: &PathBuf| is_another(books, path.parent().unwrap_or(path));
    (!writer.books.as_ref().is_some_and(copied)).then_some(writer)
}

/// Who has them at this moment; where that is not said in time, who had them last.
fn holder(path: &Path) -> Option<Writer> {
    for _ in 0..LOOKS {
        let writer = read(path);
        if writer.as_ref().is_some_and(Writer::may_live) {
            return writer;
        }
        std::thread::sleep(PAUSE);
    }
    read(path)
}

fn taken(by: &Writer, how: &str) -> ClaimError {
    let Writer {
        run, unit, kept, ..
    } = by;
    ClaimError::Taken(format!(
        "`{unit}` of the run `{run}` writes there, and {how}\nhelp: go on with that run, or end it: it is kept in `{}`",
        kept.display()
    ))
}

/// The lock, none where there are no locks; the error is none where somebody has it.
fn lock(path: &Path) -> Result<Option<File>, Option<FileError>> {
    let file = open_lock(path, 0o644).map_err(|error| Some(FileError::io("open", path)(error)))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(None),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_results_at_this_moment_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("writer.json");
        let writer = |process| Writer {
            run: RunId::new("a-1-0000"),
            unit: UnitId::new("eval-sums"),
            kept: PathBuf::from("/runs/a/1"),
            books: None,
            node: None,
            process,
        };
        let gone = ProcessId {
            start: 1,
            ..own_process()
        };
        let text = |writer: &Writer| serde_json::to_string(writer).unwrap();
        std::fs::write(&path, text(&writer(Some(gone)))).unwrap();
        let new = writer(Some(own_process()));
        let seen = std::thread::scope(|scope| {
            let waits = scope.spawn(|| holder(&path));
            std::thread::sleep(3 * PAUSE);
            write_atomically(&path, text(&new).as_bytes(), Mode::Shared).unwrap();
            waits.join().unwrap()
        });
        assert_eq!(seen, Some(new));
    }

    #[test]
    fn results_have_one_writer() {
        let place = tempfile::tempdir().unwrap();
        let results = ResultsPlan::Dir {
            dir: place.path().join("out").to_string_lossy().into_owned(),
            pattern: "{id}.json".to_owned(),
            valid: Vec::new(),
        };
        let claim = |run: &str| {
            let (run, unit) = (RunId::new(run), UnitId::new("eval-sums"));
            claim_results(&results, &run, (&unit, None), Path::new("/runs/a/1"))
        };
        let first = claim("a-1-0000").unwrap();
        let error = claim("b-1-0000").unwrap_err().to_string();
        insta::assert_snapshot!(error, @"
        `eval-sums` of the run `a-1-0000` writes there, and is watched
        help: go on with that run, or end it: it is kept in `/runs/a/1`
        ");
        // Who owns the run is asked next, and says more.
        claim("a-1-0000").unwrap();
        drop(first);
        drop(claim("a-1-0000").unwrap());
        // Its client lives on without a controller.
        let mut client = std::process::Command::new("sleep")
            .arg("60")
            .env("TOOLORCH_UNIT", "a-1-0000/eval-sums/1/x")
            .spawn()
            .unwrap();
        // Its environment can be seen a moment after it was started.
        while find_marked("a-1-0000/").is_empty() {
            std::thread::yield_now();
        }
        let error = claim("b-1-0000").unwrap_err().to_string();
        assert!(
            error.contains(&format!("runs as pid {}", client.id())),
            "{error}"
        );
        // What it says of these says nothing of a copy.
        let copied = place.path().join("copy");
        let mut cp = std::process::Command::new("cp");
        cp.arg("-r").arg(place.path().join("out")).arg(&copied);
        assert!(cp.status().unwrap().success());
        let copied = ResultsPlan::Dir {
            dir: copied.to_string_lossy().into_owned(),
            pattern: "{id}.json".to_owned(),
            valid: Vec::new(),
        };
        let (run, unit) = (RunId::new("b-1-0000"), UnitId::new("eval-sums"));
        claim_results(&copied, &run, (&unit, None), Path::new("/runs/b/1")).unwrap();
        client.kill().unwrap();
        client.wait().unwrap();
        claim("b-1-0000").unwrap();
    }

    #[test]
    fn a_client_on_another_machine_has_them_until_its_run_says_that_it_ended() {
        let place = tempfile::tempdir().unwrap();
        let results = ResultsPlan::Dir {
            dir: place.path().join("out").to_string_lossy().into_owned(),
            pattern: "{id}.json".to_owned(),
            valid: Vec::new(),
        };
        let unit = UnitId::new("eval-sums");
        let (node, kept) = (NodeName::new("gpu31"), Path::new("/nowhere/a/1"));
        let claim = |run: &str, kept: &Path| {
            claim_results(&results, &RunId::new(run), (&unit, Some(&node)), kept)
        };
        drop(claim("a-1-0000", kept).unwrap());
        insta::assert_snapshot!(claim("b-1-0000", kept).unwrap_err(), @r"
        `eval-sums` of the run `a-1-0000` writes there, and may still run on node `gpu31`, as far as that run knows
        help: go on with that run, or end it: it is kept in `/nowhere/a/1`
        ");
        // Its journal knows of no start.
        drop(claim("a-1-0000", place.path()).unwrap());
        claim("b-1-0000", kept).unwrap();
    }

    #[test]
    fn a_pipe_in_the_place_of_the_books_is_named() {
        let place = tempfile::tempdir().unwrap();
        let results = ResultsPlan::Dir {
            dir: place.path().to_string_lossy().into_owned(),
            pattern: "{id}.json".to_owned(),
            valid: Vec::new(),
        };
        for (name, doing) in [("writer.lock", "open"), ("writer.json", "read")] {
            let pipe = make_books(&results).unwrap().join(name);
            rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
            let (run, unit) = (RunId::new("a-1-0000"), UnitId::new("eval-sums"));
            let error = claim_results(&results, &run, (&unit, None), Path::new("/runs/a/1"));
            assert_eq!(
                error.unwrap_err().to_string(),
                format!(
                    "cannot {doing} `{}`: it is a pipe, not a regular file",
                    pipe.display()
                )
            );
            std::fs::remove_file(pipe).unwrap();
        }
    }
}
