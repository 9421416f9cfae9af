//! Signals to the controller.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::base::ExitStatus;
use crate::facts::Signal;

/// Sends each INT and TERM to the receiver; HUP is ignored, so that a closed terminal ends nothing.
///
/// # Errors
/// The system refused a handler.
pub fn signals() -> std::io::Result<mpsc::Receiver<Signal>> {
    let (sender, receiver) = mpsc::channel(4);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                Some(()) = interrupt.recv() => Signal::Interrupt,
                Some(()) = terminate.recv() => Signal::Terminate,
                Some(()) = hangup.recv() => continue,
                else => return,
            };
            if sender.send(signal).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// From here on a signal ends the process: nothing is watched any more, and a terminal that does not read must not hold up
/// its last words for ever.
#[expect(
    clippy::exit,
    reason = "the main thread may wait for a terminal for ever"
)]
pub fn end_at_signals() {
    let end = async || {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let status = tokio::select! {
            _ = interrupt.recv() => ExitStatus::Interrupted,
            _ = terminate.recv() => ExitStatus::Terminated,
        };
        std::process::exit(status.code().into());
    };
    // Without the thread a signal does nothing, as before.
    let _ = std::thread::Builder::new().spawn(move || -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(end())
    });
}
