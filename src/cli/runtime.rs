//! The runtime of a command that lasts.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// Threads for what blocks: a pass over `/proc`, a name to be resolved.
const THREADS: usize = 64;
/// As good as for ever.
const KEPT: Duration = Duration::from_hours(8760);

/// Threads for what is computed while it is downloaded: digests.
const DOWNLOADS: usize = 4;

/// A runtime of this thread alone.
///
/// # Errors
/// The system gives it nothing to wait with.
pub(super) fn single() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// A runtime for a few things at once that also compute.
///
/// # Errors
/// The system gives no threads.
pub(super) fn parallel() -> io::Result<Runtime> {
    // The runtime itself would panic.
    let probes: Vec<_> = (0..DOWNLOADS)
        .map(|_| std::thread::Builder::new().spawn(|| {}))
        .collect::<io::Result<_>>()?;
    for probe in probes {
        let _ = probe.join();
    }
    Builder::new_multi_thread()
        .worker_threads(DOWNLOADS)
        .enable_all()
        .build()
}

/// A runtime whose first thread for what blocks is there from the start and stays: where the system has no further one to give
/// (`ulimit -u`), what blocks waits for its turn.
///
/// # Errors
/// The system gives not even that one.
pub(super) fn lasting() -> io::Result<Runtime> {
    // The runtime itself would panic.
    let probe = std::thread::Builder::new().spawn(|| {})?;
    let _ = probe.join();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .thread_keep_alive(KEPT)
        .build()?;
    let first = runtime.spawn_blocking(|| {});
    runtime.block_on(first).map_err(io::Error::other)?;
    Ok(runtime)
}
