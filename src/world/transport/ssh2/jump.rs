//! A connection through a host that is reached already.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use ssh2::Channel;

use super::link::{Link, Stop, poll_until};
use crate::world::transport::link_error::LinkError;
use crate::world::transport::ssh_config::Hop;

/// How much is on its way in one direction.
const BUFFER: usize = 64 * 1024;
/// How long nothing may be looked at, if nothing happens.
const QUIET: Duration = Duration::from_secs(30);

/// Asks the host at the end of a link to connect to the next one. The answer is a socket: a thread of its own carries
/// bytes between that and the link, until one of the two closes.
pub(super) fn through(
    mut link: Link,
    bastion: &Hop,
    next: &Hop,
    deadline: Instant,
) -> Result<OwnedFd, LinkError> {
    let opened = link.until(deadline, |session| {
        session.channel_direct_tcpip(&next.host, next.port, None)
    });
    let channel = opened.map_err(|stop| not_opened(bastion, next, stop))?;
    let failed = |error: io::Error| LinkError::unreachable(&next.spot(), error.to_string());
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    theirs.set_nonblocking(true).map_err(failed)?;
    let pump = Pump {
        link,
        channel,
        local: theirs,
    };
    std::thread::Builder::new()
        .name("ssh-jump".to_owned())
        .spawn(move || pump.run())
        .map_err(failed)?;
    Ok(ours.into())
}

fn not_opened(bastion: &Hop, next: &Hop, stop: Stop) -> LinkError {
    let why = match stop {
        Stop::Late => "no answer in time".to_owned(),
        Stop::Failed(error) => error.message().to_owned(),
    };
    let to = format!("{} port {}", next.host, next.port);
    if why.contains("prohibited") {
        let why = format!("it may not be used to reach {to} ({why})");
        let fix = "ask for AllowTcpForwarding and PermitOpen there, or reach the node another way (`jump`)";
        return LinkError::refused(&bastion.spot(), why, fix);
    }
    LinkError::unreachable(&bastion.spot(), format!("it cannot connect to {to}: {why}"))
}

struct Pump {
    link: Link,
    channel: Channel,
    local: UnixStream,
}

impl Pump {
    /// What fails here ends the connection; who uses it sees that it is closed.
    fn run(mut self) {
        let (mut up, mut down) = (Pipe::default(), Pipe::default());
        while let Ok(moved) = self.turn(&mut up, &mut down) {
            if !moved {
                self.rest(&up, &down);
            }
        }
        let _ = self.local.shutdown(Shutdown::Both);
    }

    /// Reading from the channel comes last: after it nothing that arrived is left unseen in the library, and one
    /// may wait for the socket.
    fn turn(&mut self, up: &mut Pipe, down: &mut Pipe) -> io::Result<bool> {
        let mut moved = up.fill(&mut self.local)?;
        moved |= up.drain(&mut self.channel)?;
        moved |= down.drain(&mut self.local)?;
        moved |= down.fill(&mut self.channel)?;
        Ok(moved)
    }

    fn rest(&mut self, up: &Pipe, down: &Pipe) {
        let mut wanted = PollFlags::empty();
        if up.is_empty() {
            wanted |= PollFlags::IN;
        }
        if !down.is_empty() {
            wanted |= PollFlags::OUT;
        }
        let out = match self.link.session().block_directions() {
            ssh2::BlockDirections::Outbound | ssh2::BlockDirections::Both => PollFlags::OUT,
            _ => PollFlags::empty(),
        };
        let mut link = PollFlags::empty();
        // A full pipe is not filled further, and the peer's window holds the rest back.
        if down.is_empty() {
            link |= PollFlags::IN;
        }
        let mut fds = [
            PollFd::from_borrowed_fd(self.link.socket(), link | out),
            PollFd::from_borrowed_fd(self.local.as_fd(), wanted),
        ];
        poll_until(&mut fds, Instant::now() + QUIET);
    }
}

/// What was read and not yet written.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    sent: usize,
}

impl Pipe {
    fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Reads once, when all is written. The end of either side is an error: one half of a connection is of no use
    /// to ssh.
    fn fill(&mut self, from: &mut impl io::Read) -> io::Result<bool> {
        if !self.is_empty() {
            return Ok(false);
        }
        self.sent = 0;
        self.bytes.resize(BUFFER, 0);
        let read = from.read(&mut self.bytes);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn drain(&mut self, into: &mut impl io::Write) -> io::Result<bool> {
        if self.is_empty() {
            return Ok(false);
        }
        match into.write(&self.bytes[self.sent..]) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                self.sent += count;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}
