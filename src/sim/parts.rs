//! The engine core and its worker as processes of their own, as vLLM has them: whoever ends a server must find all three.
//!
//! Measured on 0.32 (`tests/recordings/vllm-0.32.0/failures/engine-killed.json`): with the engine gone the API server says
//! 503 for a moment, ends with 0 within seconds, and the worker, which leads a session of its own, outlives both.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tokio::process::Child;

/// How long a worker goes on after its engine died.
const OUTLIVES: Duration = Duration::from_secs(2);
/// Said through the pipe: end now, in good order.
const QUIT: &[u8] = b"q";

const ENGINE: (&str, &str) = ("engine", "VLLM::EngineCore");
const WORKER: (&str, &str) = ("worker", "VLLM::Worker");

/// A part that was started from here; its title is vLLM's.
fn command((role, title): (&str, &str)) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg0(title)
        .args(["sim", "part", role])
        .stdin(Stdio::piped());
    Ok(command)
}

/// The engine of a server.
#[derive(Debug)]
pub(super) struct EngineProcess {
    child: Child,
    /// Held apart, since waiting for a child closes its input.
    pipe: Option<tokio::process::ChildStdin>,
}

impl EngineProcess {
    /// Starts the engine, which starts its worker.
    pub(super) fn start() -> std::io::Result<Self> {
        let mut child = tokio::process::Command::from(command(ENGINE)?).spawn()?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }

    /// Its process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it is gone.
    pub(super) async fn gone(&mut self) {
        // Who cannot be waited for is gone.
        let _ = self.child.wait().await;
    }

    /// Ends it and its worker in good order.
    pub(super) async fn stop(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut pipe, QUIT).await;
        }
        self.gone().await;
    }
}

/// Runs one part: `toolorch sim part ROLE`.
pub(super) fn main(role: &str) -> ExitCode {
    match role {
        "engine" => engine(),
        _ => worker(),
    }
}

fn engine() -> ExitCode {
    let Ok(mut worker) = command(WORKER).and_then(|mut command| command.spawn()) else {
        return ExitCode::FAILURE;
    };
    let pipe = worker.stdin.take();
    let (ended, first) = mpsc::channel();
    let told = ended.clone();
    std::thread::spawn(move || {
        let _ = worker.wait();
        let _ = ended.send(End::Worker);
    });
    std::thread::spawn(move || told.send(End::Server { told: until_told() }));
    match (first.recv(), pipe) {
        // What is in a pipe is read even when its writer is gone.
        (Ok(End::Server { told: true }), Some(mut pipe)) => {
            let _ = pipe.write_all(QUIT);
        }
        // An engine without its worker is none.
        (Ok(End::Worker), _) => return ExitCode::FAILURE,
        _ => {}
    }
    ExitCode::SUCCESS
}

/// What ends an engine.
enum End {
    /// Its worker did.
    Worker,
    /// Its server did, or told it to.
    Server { told: bool },
}

fn worker() -> ExitCode {
    // It leads a session of its own, as vLLM's workers do.
    let _ = rustix::process::setsid();
    if !until_told() {
        std::thread::sleep(OUTLIVES);
    }
    ExitCode::SUCCESS
}

/// Waits for the parent's word or end; whether it was the word.
fn until_told() -> bool {
    let mut byte = [0];
    matches!(std::io::stdin().lock().read(&mut byte), Ok(1))
}
