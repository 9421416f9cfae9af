//! How a simulated server ends badly, and what it says of it.

use std::io::{self, Write as _};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::config::SimConfig;
use super::log::{Log, Writer};
use super::squat;
use super::timed::written;

/// How long an outsider may take to listen; a server that is to end does so anyway.
const SITS_DOWN: Duration = Duration::from_secs(5);

/// An end without a word of farewell.
pub(super) fn crash() -> ExitCode {
    let text = "Traceback (most recent call last):\nRuntimeError: simulated crash\n";
    let mut stderr = io::stderr().lock();
    stderr.write_all(text.as_bytes()).unwrap_or_default();
    ExitCode::FAILURE
}

/// What 0.32 writes when its engine is gone.
pub(super) fn tell_of_death(log: Log) {
    let exited = "[shutdown] MPClient: engine core exited unexpectedly; starting cleanup";
    log.line(Writer::Api, "WARNING", "core_client.py:817", exited);
    let failed = "AsyncLLM output_handler failed.\nTraceback (most recent call last):\n\
                  vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace (above) for the root cause.";
    log.line(Writer::Api, "ERROR", "async_llm.py:906", failed);
}

/// The end of a server whose model is larger than its GPU: vLLM's words as reports of its users have them, and 1.
pub(super) fn out_of_memory(log: Log) -> ExitCode {
    let of_engine = "EngineCore failed to start.\n\
        Traceback (most recent call last):\n  \
        ...\n\
        torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB. GPU 0 has a total capacity of 79.11 GiB \
        of which 512.00 MiB is free. Including non-PyTorch memory, this process has 78.59 GiB memory in use. Of the \
        allocated memory 77.95 GiB is allocated by PyTorch, and 64.00 MiB is reserved by PyTorch but unallocated. If \
        reserved but unallocated memory is large try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid \
        fragmentation.";
    log.line(Writer::Engine, "ERROR", "core.py:842", of_engine);
    let of_server = "Traceback (most recent call last):\n  \
        ...\n\
        RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore_DP0': 1}";
    log.bare(Writer::Api, of_server);
    ExitCode::FAILURE
}

/// Puts an outsider on the port that the server has just let go of, for this long. When this returns it listens there, or
/// could not be started.
///
/// The unit script ends whoever came to listen on its unit's port; an outsider is told apart by its mark.
pub(super) async fn give_port_away(server: &SimConfig, lasts: Duration) {
    let Ok(exe) = std::env::current_exe() else {
        return;
    };
    // An empty one stands for all, as it does for the server.
    let host = server.host.as_str();
    let (port, lasts) = (server.port.to_string(), written(lasts));
    let outsider = Command::new(exe)
        .args(["sim", "squat", host, &port, &lasts])
        .env_remove("TOOLORCH_UNIT")
        .env(squat::MARK.0, squat::MARK.1)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    if let Some(stdout) = outsider.ok().and_then(|mut child| child.stdout.take()) {
        let mut line = String::new();
        let mut listens = BufReader::new(stdout);
        // However it goes, the server ends.
        let _ = tokio::time::timeout(SITS_DOWN, listens.read_line(&mut line)).await;
    }
}
