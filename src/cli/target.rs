//! What is reported on: a run, or results that anybody made.

use std::path::{Path, PathBuf};

use super::printer::Printer;
use super::runs::{self, Found};
use crate::base::ExitStatus;
use crate::run::store::{Home, RunDir};

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
    if let Some(run) = all.find(|run| run.path().canonicalize().ok() == itself) {
        return of_run(Some(Path::new(run.id().as_str())));
    }
    match itself.as_deref().and_then(of_another_home) {
        Some(dir) => {
            let found = runs::plan_in(dir, printer)?;
            Ok(Target::Run(Box::new(found)))
        }
        None => Ok(Target::Results(path.to_owned())),
    }
}

/// A run that is kept elsewhere: its folder is named, not found.
fn of_another_home(path: &Path) -> Option<RunDir> {
    let home = path.ancestors().nth(3)?;
    let home = Home::find(home, Some(home));
    let mut all = home.runs().ok()?.into_iter();
    all.find(|run| run.path() == path && run.plan().exists())
}

fn is_results(word: &Path) -> bool {
    let lines = word.extension().is_some_and(|end| end == "jsonl");
    word.is_dir() || (lines && word.is_file())
}
