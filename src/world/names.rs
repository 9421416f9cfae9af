//! Names looked up again and again, in a thread of their own: a resolver that does not answer stops nobody.

use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use crate::base::Place;

/// All names are looked up this often: what they lead to changes by the minute.
const EVERY: Duration = Duration::from_mins(1);

/// What a round of look-ups brought.
#[derive(Debug)]
pub(super) struct Round {
    /// Which round that was asked for; none for one in its turn.
    pub(super) asked: Option<u64>,
    /// What each name leads to; none where it could not be looked up.
    pub(super) found: Vec<(Place, Vec<IpAddr>)>,
}

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Names(Sender<(u64, Vec<Place>)>);

impl Names {
    /// Looks all of them up at once, and then every minute.
    pub(super) fn begin(all: Vec<Place>, tell: impl Fn(Round) + Send + 'static) -> Self {
        let (asks, heard) = mpsc::channel::<(u64, Vec<Place>)>();
        let work = move || {
            tell(round(None, &all));
            loop {
                match heard.recv_timeout(EVERY) {
                    Ok((number, names)) => tell(round(Some(number), &names)),
                    Err(RecvTimeoutError::Timeout) => tell(round(None, &all)),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        // Without a thread no name leads anywhere, and a peer on its port is untold.
        let _ = thread::Builder::new().spawn(work);
        Self(asks)
    }

    /// Asks for one more round, with just these names.
    pub(super) fn ask(&self, number: u64, names: Vec<Place>) {
        // A thread that is gone answers nothing, and the asker's patience ends.
        let _ = self.0.send((number, names));
    }
}

fn round(asked: Option<u64>, names: &[Place]) -> Round {
    let found = names.iter().map(|place| {
        let answer = (place.host.as_str(), place.port).to_socket_addrs();
        let addresses: BTreeSet<IpAddr> = answer.into_iter().flatten().map(|at| at.ip()).collect();
        (place.clone(), addresses.into_iter().collect())
    });
    Round {
        asked,
        found: found.collect(),
    }
}
