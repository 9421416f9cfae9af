//! What the stand-ins have in common: arguments, an address of their own, lines, and an end when they are told.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::SocketAddr;

use clap::Parser;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};

use super::refusal::Refusal;

/// Reads the arguments after a program's name.
pub(super) fn read<P: Parser>(args: &[String]) -> Result<P, Refusal> {
    let words = args.iter().map(OsString::from);
    P::try_parse_from(words).map_err(|error| Refusal {
        stderr: error.render().to_string().trim_end().to_owned(),
        // Help that was asked for is no failure.
        code: u8::from(error.use_stderr()) * 2,
    })
}

/// Listens on a port that nobody else has; port 0 takes a free one.
pub(super) async fn listen(program: &str, host: &str, port: u16) -> Result<TcpListener, Refusal> {
    let refuse = |error: &io::Error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "the port is in use; end what holds it, or choose another with `--port`".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
            _ => error.to_string(),
        };
        Refusal {
            stderr: format!("{program}: cannot listen on `{host}:{port}`: {why}"),
            code: 1,
        }
    };
    bind(host, port).await.map_err(|error| refuse(&error))
}

async fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let resolved: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    let v4 = resolved.iter().find(|address| address.is_ipv4());
    let address = v4
        .or(resolved.first())
        .copied()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host has no address"))?;
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()?
    } else {
        TcpSocket::new_v4()?
    };
    // A port whose last connections linger is free; one that somebody listens on is not.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(2048)
}

/// Waits for SIGTERM or SIGINT; an error where signals cannot be heard.
pub(super) fn told_to_end() -> io::Result<impl Future<Output = ()>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Writes a line to stdout at once; nobody is left to be told where it is closed.
pub(super) fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(format!("{line}\n").as_bytes())
        .and_then(|()| stdout.flush())
        .unwrap_or_default();
}
