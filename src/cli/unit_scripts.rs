//! Scripts for units that no plan has: a detached controller, and what is left of a run whose folder is gone.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;

use crate::base::{ClusterName, Millis, UnitId};
use crate::render::context::UnitContext;
use crate::render::{LIBRARY, Renderer};
use crate::run::store::{Mode, make_dir, write_atomically};

/// How long a unit's stop may take where its plan does not say.
pub(super) const GRACE: Millis = Millis::from_secs(60);

/// A script that can do nothing but stop this unit.
pub(super) fn stop_only(cluster: &ClusterName, unit: &UnitId) -> Result<String, String> {
    let renderer = Renderer::new(&BTreeMap::new()).map_err(|error| error.to_string())?;
    let context = stop_context(cluster, unit);
    renderer.unit(&context).map_err(|error| error.to_string())
}

fn stop_context(cluster: &ClusterName, unit: &UnitId) -> UnitContext {
    UnitContext {
        name: unit.to_string(),
        cluster: cluster.to_string(),
        argv: vec!["false".to_owned()],
        grace_s: GRACE.0.div_ceil(1000),
        ..UnitContext::default()
    }
}

/// Scripts that can do nothing but stop these units, for where their own are gone; removed when dropped.
pub(super) fn stop_scripts(cluster: &ClusterName, units: &[&UnitId]) -> Result<TempDir, String> {
    let contexts = units.iter().map(|unit| stop_context(cluster, unit));
    let contexts: Vec<UnitContext> = contexts.collect();
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    write_scripts(folder.path(), &contexts)?;
    Ok(folder)
}

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
