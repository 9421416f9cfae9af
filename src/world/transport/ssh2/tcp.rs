//! The connection below ssh.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::sockopt;

use crate::world::transport::error::span;
use crate::world::transport::link_error::LinkError;
use crate::world::transport::ssh_config::Hop;

/// As long as `ssh -o ConnectTimeout=8`.
const PATIENCE: Duration = Duration::from_secs(8);
/// What was sent and not acknowledged for so long will not be; in milliseconds.
const UNACKNOWLEDGED: u32 = 10_000;
/// More than this would wait here for a slow link, and a question for a sign of life behind it.
const SEND_BUFFER: usize = 256 * 1024;

/// Connects to the first of a host's addresses that lets us.
pub(super) fn connect(hop: &Hop, deadline: Instant) -> Result<OwnedFd, LinkError> {
    let failed = |why: String| LinkError::unreachable(&hop.spot(), why);
    let addresses: Vec<SocketAddr> = (hop.host.as_str(), hop.port)
        .to_socket_addrs()
        .map_err(|error| failed(format!("no address is known for `{}`: {error}", hop.host)))?
        .collect();
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .min(PATIENCE);
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                set_options(&stream).map_err(|error| failed(error.to_string()))?;
                return Ok(stream.into());
            }
            Err(error) => last = in_words(&error, left),
        }
    }
    Err(failed(last))
}

fn in_words(error: &io::Error, waited: Duration) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "connection refused: no sshd listens there, or a firewall says so".to_owned()
        }
        io::ErrorKind::TimedOut => format!("no answer within {}", span(waited)),
        _ => error.to_string(),
    }
}

/// The kernel ends a connection whose other end is gone, although nobody writes to it.
fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(2))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    sockopt::set_tcp_user_timeout(stream, UNACKNOWLEDGED)?;
    sockopt::set_socket_send_buffer_size(stream, SEND_BUFFER)?;
    Ok(())
}
