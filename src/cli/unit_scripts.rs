//! Scripts for units that no plan has: a detached controller, and what is left of a run whose folder is gone.

use std::collections::BTreeMap;
use std::path::Path;

use crate::render::context::UnitContext;
use crate::render::{LIBRARY, Renderer};
use crate::run::store::{Mode, make_dir, write_atomically};

/// Writes `units/NAME.sh` for each, and the library they share.
pub(super) fn write_scripts(folder: &Path, units: &[UnitContext]) -> Result<(), String> {
    let renderer = Renderer::new(&BTreeMap::new()).map_err(|error| error.to_string())?;
    let mut files = vec![(folder.join(LIBRARY), renderer.library().to_owned())];
    for unit in units {
        let text = renderer.unit(unit).map_err(|error| error.to_string())?;
        files.push((folder.join("units").join(format!("{}.sh", unit.name)), text));
    }
    for (path, text) in files {
        make_dir(path.parent().unwrap_or(folder)).map_err(|error| error.to_string())?;
        write_atomically(&path, text.as_bytes(), Mode::Script)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
