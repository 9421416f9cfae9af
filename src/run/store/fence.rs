//! The fence of a run: no start of an owner below it takes effect, however late its script comes to run.
//!
//! It stands beside the scripts, which read it, and goes with the run's directory: what is kept elsewhere for the units
//! of a run is removed when that is over, and a script may still be on its way then.

use std::fs;

use super::atomic::make_dir;
use super::failpoint::failpoint;
use super::regular::open_lock;
use super::{RunDir, StoreError};
use crate::base::Epoch;

/// Files that name the owners of a run; the unit script reads them.
const FENCE: &str = ".epoch-";

impl RunDir {
    /// Makes every unit of the run refuse starts and stops of owners before this one, which may not know that they lost
    /// it. A file of its own for each owner: a late one cannot overwrite its successor's.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn raise_fence(&self, epoch: Epoch) -> Result<(), StoreError> {
        let scripts = self.scripts();
        make_dir(&scripts)?;
        failpoint("fence-before-raise");
        let path = scripts.join(format!("{FENCE}{epoch}"));
        open_lock(&path, 0o600).map_err(StoreError::io("write", &path))?;
        for earlier in fs::read_dir(&scripts).into_iter().flatten().flatten() {
            let name = earlier.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(FENCE));
            let number = number.and_then(|number| number.parse().ok());
            if number.is_some_and(|number: u64| number < epoch.0) {
                // It says less than ours.
                let _ = fs::remove_file(earlier.path());
            }
        }
        failpoint("fence-after-raise");
        Ok(())
    }
}
