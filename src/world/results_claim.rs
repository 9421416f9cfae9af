//! One run at a time writes into results, whatever it is called and wherever it is kept.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{FileError, make_books};
use super::procfs::find_marked;
use crate::base::{RunId, UnitId};
use crate::plan::ResultsPlan;
use crate::run::store::{Mode, write_atomically};

/// The run that writes into results, as their books say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Writer {
    run: RunId,
    unit: UnitId,
    /// The run's directory.
    kept: PathBuf,
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

/// Takes results for the client `unit` of a run.
///
/// # Errors
/// Another run's controller has them, or its client still lives; or the books cannot be written.
pub fn claim_results(
    results: &ResultsPlan,
    run: &RunId,
    unit: &UnitId,
    kept: &Path,
) -> Result<ResultsClaim, ClaimError> {
    let books = make_books(results)?;
    let path = books.join("writer.json");
    let last: Option<Writer> = std::fs::read(&path)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let lock = match (lock(&books.join("writer.lock")), &last) {
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
    }
    let writer = Writer {
        run: run.clone(),
        unit: unit.clone(),
        kept: kept.to_owned(),
    };
    let text = serde_json::to_string(&writer)
        .map_err(|error| FileError::io("write", &path)(error.into()))?;
    write_atomically(&path, text.as_bytes(), Mode::Shared).map_err(FileError::from)?;
    Ok(ResultsClaim { _lock: lock })
}

fn taken(by: &Writer, how: &str) -> ClaimError {
    let Writer { run, unit, kept } = by;
    ClaimError::Taken(format!(
        "`{unit}` of the run `{run}` writes there, and {how}\nhelp: go on with that run, or end it: it is kept in `{}`",
        kept.display()
    ))
}

/// The lock, none where there are no locks; the error is none where somebody has it.
fn lock(path: &Path) -> Result<Option<File>, Option<FileError>> {
    let file = File::options()
        .create(true)
        .append(true)
        .mode(0o644)
        .open(path)
        .map_err(|error| Some(FileError::io("open", path)(error)))?;
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
    fn results_have_one_writer() {
        let place = tempfile::tempdir().unwrap();
        let results = ResultsPlan::Dir {
            dir: place.path().join("out").to_string_lossy().into_owned(),
            pattern: "{id}.json".to_owned(),
            valid: Vec::new(),
        };
        let claim = |run: &str| {
            let (run, unit) = (RunId::new(run), UnitId::new("eval-sums"));
            claim_results(&results, &run, &unit, Path::new("/runs/a/1"))
        };
        let first = claim("a-1-0000").unwrap();
        let error = claim("b-1-0000").unwrap_err().to_string();
        insta::assert_snapshot!(error, @"
        `eval-sums` of the run `a-1-0000` writes there, and is watched
        help: go on with that run, or end it: it is kept in `/runs/a/1`
        ");
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
        client.kill().unwrap();
        client.wait().unwrap();
        claim("b-1-0000").unwrap();
    }
}
