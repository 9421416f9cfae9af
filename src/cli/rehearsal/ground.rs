//! Where a rehearsal is kept, and that it has the place for itself.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::base::ExitStatus;
use crate::cli::cmd::down;
use crate::cli::load::Cluster;
use crate::cli::printer::Printer;
use crate::cli::runs;
use crate::plan::rehearsal::name_of;
use crate::run::store::{open_lock, read_regular_text};

/// The folder of the rehearsals of one cluster.
pub(in crate::cli) struct Ground {
    pub(in crate::cli) folder: PathBuf,
}

impl Ground {
    pub(in crate::cli) fn of(real: &Cluster, printer: Printer) -> Result<Self, ExitStatus> {
        let name = real.spec.name.as_str();
        let folder = runs::home().path().join("rehearsals").join(name);
        let folder = std::path::absolute(&folder).map_err(|error| {
            printer.complain(&format!("error: `{}`: {error}", folder.display()));
            ExitStatus::Internal
        })?;
        Ok(Self { folder })
    }

    /// The file by which the folder is known as a rehearsal's; it names the run.
    pub(in crate::cli) fn marker(&self) -> PathBuf {
        self.folder.join("rehearsal")
    }

    /// Only one at a time: the lock ends with the process.
    pub(in crate::cli) fn lock(&self, printer: Printer) -> Result<File, ExitStatus> {
        let path = self.folder.with_extension("lock");
        let failed = |error: std::io::Error| {
            printer.complain(&format!(
                "error: cannot write `{}`: {error}",
                path.display()
            ));
            ExitStatus::Refused
        };
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
        let file = open_lock(&path, 0o600).map_err(failed)?;
        match file.try_lock() {
            // Where there are no locks nobody can be told.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                printer.complain(
                    "error: another rehearsal of this cluster goes on\nhelp: wait for it, or end it with Ctrl-C where it was started",
                );
                Err(ExitStatus::OwnedElsewhere)
            }
        }
    }

    /// Each rehearsal begins with nothing: what an earlier one left is ended and removed.
    pub(in crate::cli) fn clear(&self, real: &Cluster, printer: Printer) -> Result<(), ExitStatus> {
        let begun = read_regular_text(&self.marker()).ok();
        let name = name_of(&real.spec.name);
        for run in runs::live(&runs::home(), Some(&name), printer)? {
            if begun.as_deref() != Some(run.id().as_str()) {
                printer.complain(&format!(
                    "error: `{}` goes on, and no rehearsal of `{}` began it\nhelp: end it, or give one of the clusters another name",
                    run.id(),
                    real.spec.name
                ));
                return Err(ExitStatus::Refused);
            }
            printer.say(&format!("`{}` was left by an earlier rehearsal", run.id()));
            down::run_in(run, printer)?;
        }
        self.empty(begun.is_some()).map_err(|why| {
            printer.complain(&format!("error: {why}"));
            ExitStatus::Refused
        })
    }

    fn empty(&self, ours: bool) -> Result<(), String> {
        let shown = self.folder.display();
        let said = |error: std::io::Error| format!("cannot make `{shown}` anew: {error}");
        let there = fs::read_dir(&self.folder).is_ok_and(|mut entries| entries.next().is_some());
        if there && !ours {
            return Err(format!(
                "`{shown}` is in the way: no rehearsal made it\nhelp: move it away"
            ));
        }
        if there {
            fs::remove_dir_all(&self.folder).map_err(said)?;
        }
        fs::create_dir_all(&self.folder).map_err(said)?;
        fs::write(self.marker(), "").map_err(said)
    }
}
