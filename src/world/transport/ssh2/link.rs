//! A session and its socket, without a call that blocks.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{Shutdown, shutdown};
use ssh2::{BlockDirections, Error, ErrorCode, Session};

/// The library's code for "would block".
const AGAIN: i32 = -37;

/// A session and its socket.
pub(super) struct Link {
    session: Session,
    socket: Arc<OwnedFd>,
    /// When the peer last sent something.
    pub(super) heard: Instant,
}

/// Why a call did not succeed.
pub(super) enum Stop {
    /// The time was up.
    Late,
    /// The library's word.
    Failed(Error),
}

impl Link {
    /// A session over a connected socket; nothing is sent yet.
    pub(super) fn over(socket: OwnedFd) -> Result<Self, Error> {
        let socket = Arc::new(socket);
        let mut session = Session::new()?;
        session.set_blocking(false);
        session.set_tcp_stream(Arc::clone(&socket));
        Ok(Self {
            session,
            socket,
            heard: Instant::now(),
        })
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Calls until there is an answer.
    pub(super) fn until<T>(
        &mut self,
        deadline: Instant,
        mut call: impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Stop> {
        loop {
            match call(&mut self.session) {
                Err(error) if would_block(&error) => {}
                other => return other.map_err(Stop::Failed),
            }
            if Instant::now() >= deadline {
                return Err(Stop::Late);
            }
            self.wait(&[], deadline);
        }
    }

    /// Waits until the peer can be heard, the session can send what it wants to, one of the others can be
    /// read, or the moment has come. Whether the peer was heard.
    pub(super) fn wait(&mut self, others: &[BorrowedFd<'_>], until: Instant) -> bool {
        let out = match self.session.block_directions() {
            BlockDirections::Outbound | BlockDirections::Both => PollFlags::OUT,
            BlockDirections::None | BlockDirections::Inbound => PollFlags::empty(),
        };
        let socket = Arc::clone(&self.socket);
        let mut fds = vec![PollFd::new(&*socket, PollFlags::IN | out)];
        fds.extend(
            others
                .iter()
                .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)),
        );
        poll_until(&mut fds, until);
        let heard = fds[0]
            .revents()
            .intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        if heard {
            self.heard = Instant::now();
        }
        heard
    }

    /// Says goodbye, if that takes no time.
    pub(super) fn bid_farewell(&self) {
        let _ = self.session.disconnect(None, "", None);
    }
}

/// Whatever the library would still like to send when the session is dropped fails at once.
impl Drop for Link {
    fn drop(&mut self) {
        let _ = shutdown(&*self.socket, Shutdown::Both);
    }
}

/// A failed `poll` is a short wait.
pub(super) fn poll_until(fds: &mut [PollFd<'_>], until: Instant) {
    let left = until.saturating_duration_since(Instant::now());
    // Rounded up, or the last millisecond would be spent in circles.
    let left = left + Duration::from_micros(500);
    let left = Timespec::try_from(left).ok();
    if poll(fds, left.as_ref()).is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(super) fn would_block(error: &Error) -> bool {
    code(error) == AGAIN
}

/// The library's code; see `libssh2.h`.
pub(super) fn code(error: &Error) -> i32 {
    match error.code() {
        ErrorCode::Session(code) | ErrorCode::SFTP(code) => code,
    }
}
