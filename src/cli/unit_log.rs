//! Where the log of a unit is.

use std::path::PathBuf;

use super::runs::Found;
use crate::base::UnitId;
use crate::world::UnitDirs;

/// The log of a unit's last start, by the journal, else by its state; where it would be if it was never started.
pub(super) fn path(found: &Found, unit: &UnitId) -> PathBuf {
    let state = found.state.units.get(unit);
    let handle = state.and_then(|state| state.handle.as_ref());
    let recorded = handle.map(|handle| PathBuf::from(&handle.log));
    let of_state = || UnitDirs::of_run(&found.dir).log(unit);
    let begun = recorded.or_else(|| of_state().map(PathBuf::from));
    match begun {
        Some(path) => found.dir.log_now(&path),
        None => found.dir.logs().join(format!("{unit}.log")),
    }
}
