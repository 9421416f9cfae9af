//! What is reported on: a run, or results that anybody made.

use std::path::{Path, PathBuf};

use super::printer::Printer;
use super::runs::{self, Found};
use crate::base::ExitStatus;

/// What it is.
pub(super) enum Target {
    /// A run.
    Run(Box<Found>),
    /// A folder of results, or a file of them.
    Results(PathBuf),
}

/// Finds out which.
///
/// # Errors
/// It is neither: said.
pub(super) fn target(word: Option<&Path>, printer: Printer) -> Result<Target, ExitStatus> {
    let of_run = |word: Option<&Path>| {
        let found = runs::find_plan(word, printer)?;
        Ok(Target::Run(Box::new(found)))
    };
    let Some(path) = word.filter(|word| is_results(word)) else {
        return of_run(word);
    };
    let all = runs::home().runs();
    let all = all.map_err(|error| runs::store(&error, printer))?;
    // A folder may have the name of a run or a cluster: as everywhere, the name means that, and `./NAME` the folder.
    let named = path.to_str().unwrap_or_default();
    if (all.iter()).any(|run| run.id().as_str() == named || run.cluster().as_str() == named) {
        return of_run(word);
    }
    // And a run has a folder.
    let itself = path.canonicalize().ok();
    let mut all = all.iter();
    match all.find(|run| run.path().canonicalize().ok() == itself) {
        Some(run) => of_run(Some(Path::new(run.id().as_str()))),
        None => Ok(Target::Results(path.to_owned())),
    }
}

fn is_results(word: &Path) -> bool {
    let lines = word.extension().is_some_and(|end| end == "jsonl");
    word.is_dir() || (lines && word.is_file())
}
