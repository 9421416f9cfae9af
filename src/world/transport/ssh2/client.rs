//! The side of a connection that asks.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::actor::Actor;
use super::connect::{Dialer, Doing, Gates};
use super::request::{Request, Turn};
use crate::plan::SshTarget;
use crate::world::transport::error::too_late;
use crate::world::transport::link_error::{LinkError, Spot};
use crate::world::transport::remote::Carrier;
use crate::world::transport::reply::Reply;
use crate::world::transport::script::Script;
use crate::world::transport::transports::SshSettings;
use crate::world::transport::{Answer, TransportError};

/// A host by the built-in ssh client. Its thread ends when this is dropped.
#[derive(Debug)]
pub(in crate::world::transport) struct Ssh2 {
    target: SshTarget,
    requests: Sender<Request>,
    wake: UnixStream,
    doing: watch::Receiver<Doing>,
}

impl Ssh2 {
    /// Starts the thread; nothing is connected before something is asked.
    pub(in crate::world::transport) fn new(
        target: SshTarget,
        settings: &SshSettings,
        gates: &Gates,
    ) -> io::Result<Self> {
        let (requests, received) = channel();
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let (says, doing) = watch::channel((Spot::configured(&target), "starting".to_owned()));
        let dialer = Dialer {
            target: target.clone(),
            config: settings.config.clone(),
            responder: settings.responder.clone(),
            gates: gates.clone(),
            doing: says,
        };
        let actor = Actor::new(received, woken, dialer);
        std::thread::Builder::new()
            .name(format!("ssh {}", target.host))
            .spawn(move || actor.run())?;
        Ok(Self {
            target,
            requests,
            wake,
            doing,
        })
    }

    async fn ask(&self, script: Script, limit: Duration) -> Result<Reply, LinkError> {
        let turn = Arc::new(Turn::default());
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + limit;
        let request = Request {
            script,
            deadline,
            turn: Arc::clone(&turn),
            answer,
        };
        let gone = || LinkError::Unknown {
            why: "the thread of its connection has ended".to_owned(),
        };
        // Whoever stops waiting, also by dropping this future, takes back what was not yet asked.
        let turn = GivesUp(turn);
        self.requests.send(request).map_err(|_| gone())?;
        // A full pipe wakes as well as one byte more.
        let _ = (&self.wake).write(&[0]);
        match tokio::time::timeout(limit, answered).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) if Instant::now() < deadline => Err(gone()),
            Ok(Err(_)) | Err(_) if turn.0.give_up() => Err(LinkError::Unknown {
                why: format!("{}; it may still be at work there", too_late(limit)),
            }),
            Ok(Err(_)) | Err(_) => {
                let (spot, doing) = self.doing.borrow().clone();
                Err(LinkError::unreachable(
                    &spot,
                    format!("{}: still {doing}", too_late(limit)),
                ))
            }
        }
    }
}

impl Carrier for Ssh2 {
    fn node(&self) -> &str {
        &self.target.host
    }

    fn carry(&self, script: Script, limit: Duration) -> Answer<'_, Result<Reply, TransportError>> {
        Box::pin(async move {
            let program = script.program.clone();
            let asked = self.ask(script, limit).await;
            asked.map_err(|error| error.told(&self.target.host, &program))
        })
    }
}

struct GivesUp(Arc<Turn>);

impl Drop for GivesUp {
    fn drop(&mut self) {
        self.0.give_up();
    }
}
