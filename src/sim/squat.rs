//! Somebody else on a server's port: `toolorch sim squat HOST PORT 20s` listens there and serves nothing.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};

use super::host;
use super::refusal::Refusal;
use crate::base::Millis;

/// The variable by which an outsider is known: it carries the mark of no unit, and yet one, so that no unit script takes it
/// for its own.
pub(super) const MARK: (&str, &str) = ("TOOLORCH_SUPERVISOR", "outsider");

/// How long it tries to get the port, and how often.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(5);

/// Listens, says so on stdout, and ends after its time.
pub(super) async fn squat(host: &str, port: &str, lasts: &str) -> Result<ExitCode, Refusal> {
    let refuse = |why: String| Refusal {
        stderr: format!("toolorch sim squat: {why}"),
        code: 2,
    };
    let port = port
        .parse()
        .map_err(|_| refuse(format!("`{port}` is not a port")))?;
    let lasts = Millis::parse(lasts).map_err(|error| refuse(error.to_string()))?;
    // It outlives the session of whoever started it.
    let _ = rustix::process::setsid();
    let listener = async { listen(host::resolve(host, port).await?).await };
    let listener = listener.await.map_err(|error| refuse(error.to_string()))?;
    let mut stdout = io::stdout();
    // Nobody need wait for it.
    let _ = writeln!(stdout, "listening").and_then(|()| stdout.flush());
    let _ = tokio::time::timeout(lasts.into(), refuse_all(&listener)).await;
    Ok(ExitCode::SUCCESS)
}

/// The server that is to lose its port lets go of it a moment after this one began. Unlike it this shares with nobody, so
/// that the next one fails.
async fn listen(place: SocketAddr) -> io::Result<TcpListener> {
    let until = Instant::now() + PATIENCE;
    loop {
        let socket = if place.is_ipv6() {
            TcpSocket::new_v6()?
        } else {
            TcpSocket::new_v4()?
        };
        socket.set_reuseaddr(true)?;
        match socket.bind(place).and_then(|()| socket.listen(64)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                tokio::time::sleep(AGAIN).await;
            }
            outcome => return outcome,
        }
    }
}

async fn refuse_all(listener: &TcpListener) {
    loop {
        if listener.accept().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
