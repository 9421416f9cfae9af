//! One question to a host, between who asks and the thread that owns the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::world::transport::link_error::LinkError;
use crate::world::transport::reply::Reply;
use crate::world::transport::script::Script;

/// A script, and who waits for the reply.
pub(super) struct Request {
    pub(super) script: Script,
    /// Nobody waits longer.
    pub(super) deadline: Instant,
    pub(super) turn: Arc<Turn>,
    pub(super) answer: oneshot::Sender<Result<Reply, LinkError>>,
}

/// Whether the host was asked; what is given up before that never will be.
#[derive(Debug, Default)]
pub(super) struct Turn(AtomicU8);

const WAITS: u8 = 0;
const ASKED: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Turn {
    /// The host is asked now, unless nobody wants to know any more.
    pub(super) fn begin(&self) -> bool {
        let was = self
            .0
            .compare_exchange(WAITS, ASKED, Ordering::AcqRel, Ordering::Acquire);
        was.is_ok()
    }

    /// Nobody wants to know any more. Whether the host was asked by then.
    pub(super) fn give_up(&self) -> bool {
        let was = self
            .0
            .compare_exchange(WAITS, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire);
        was == Err(ASKED)
    }

    /// Whether the host was asked.
    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire) == ASKED
    }
}

impl Request {
    /// Whether nobody waits for it any more.
    pub(super) fn is_over(&self) -> bool {
        self.answer.is_closed() || Instant::now() >= self.deadline
    }

    /// Answers; nobody may be there to hear it.
    pub(super) fn answer(self, with: Result<Reply, LinkError>) {
        let _ = self.answer.send(with);
    }
}
