//! A process in a session of its own.

use super::launchers::{LaunchError, LaunchJob};
use crate::world::transport::Transport;

pub(super) async fn launch(transport: &dyn Transport, job: &LaunchJob) -> Result<u32, LaunchError> {
    let mut argv = vec!["bash".to_owned(), job.script(), "run".to_owned()];
    argv.extend(job.run_args());
    Ok(transport.spawn(&argv).await?)
}
