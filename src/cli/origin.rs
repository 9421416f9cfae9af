//! Which YAML a live run was started from: a copy with the same `name` goes on with the same run.

use std::path::Path;

use super::printer::Printer;
use crate::base::RunId;
use crate::run::RunState;

/// The path that the journal keeps.
pub(super) fn recorded(yaml: &Path) -> Option<String> {
    let path = yaml.canonicalize().ok()?;
    Some(path.to_str()?.to_owned())
}

/// Warns where `yaml` is not the one that the run was started from, and that one is still there.
pub(super) fn warn(run: &RunId, state: &RunState, yaml: &Path, printer: Printer) {
    let (Some(was), Some(is)) = (&state.yaml, recorded(yaml)) else {
        return;
    };
    if *was != is && Path::new(was).exists() {
        printer.complain(&format!(
            "warning: `{run}` was started from `{was}`, and `up` goes on with it by `{is}`: for a run of its own give this one another `name`"
        ));
    }
}
