//! The nodes of a run that are reached over ssh.

use std::path::PathBuf;
use std::sync::Arc;

use super::printer::Printer;
use crate::base::{ExitStatus, sha256};
use crate::plan::Plan;
use crate::render::FileSet;
use crate::run::store::{Mode, RunDir, write_atomically};
use crate::world::{Fleet, SshSettings, Station, Transports};

/// The file of the run's folder by which a node is known to see that folder, too.
const NONCE: &str = "here";

/// The nodes of a plan. Nothing is connected yet.
///
/// # Errors
/// The run's folder cannot be written, or the system gives no thread: said.
pub(super) fn of(
    plan: &Plan,
    files: &FileSet,
    dir: &RunDir,
    printer: Printer,
) -> Result<Arc<Fleet>, ExitStatus> {
    let failed = |why: String| {
        printer.complain(&format!("error: {why}"));
        ExitStatus::Internal
    };
    let remote: Vec<_> = plan.nodes.iter().filter(|node| node.is_remote()).collect();
    if remote.is_empty() {
        return Ok(Arc::default());
    }
    let accesses = remote.iter().map(|node| (node.name.clone(), node.access()));
    let transports = Transports::new(accesses, &SshSettings::default());
    let transports = transports.map_err(|error| failed(error.to_string()))?;
    let nonce = nonce(dir).map_err(failed)?;
    let stations = remote.iter().filter_map(|node| {
        let transport = transports.of(&node.name)?.clone();
        Some(Station::new(
            node.name.clone(),
            dir.id().clone(),
            transport,
            nonce.clone(),
        ))
    });
    Ok(Arc::new(Fleet::new(plan, files, stations.collect())))
}

/// A text that no other folder has.
fn nonce(dir: &RunDir) -> Result<(PathBuf, String), String> {
    let path = dir.path().join(NONCE);
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    if !known.is_empty() {
        return Ok((path, known));
    }
    let seed = format!(
        "{} {} {:?}",
        dir.id(),
        std::process::id(),
        std::time::SystemTime::now()
    );
    let text = sha256(seed.as_bytes());
    write_atomically(&path, text.as_bytes(), Mode::Private).map_err(|error| error.to_string())?;
    Ok((path, text))
}
