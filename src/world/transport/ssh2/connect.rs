//! From a target to a connection that can be used: config, TCP, jumps, host keys, login.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ssh2::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::host_key::{TYPES, Trust, Verdict};
use super::link::{Link, Stop, code};
use super::{auth, jump, tcp};
use crate::plan::SshTarget;
use crate::world::transport::link_error::{LinkError, Spot};
use crate::world::transport::responder::Responder;
use crate::world::transport::script::random;
use crate::world::transport::ssh_config::{Hop, hops};

/// sshd drops early connections at random beyond `MaxStartups`, 10 by default; others connect as well.
const AT_ONCE: usize = 6;
/// So many doors are enough that hosts seldom share one; who does waits a little longer.
const DOORS: usize = 256;
/// How long one host may take from its banner to the login.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Limits the handshakes under way per sshd, whoever connects there.
#[derive(Debug, Clone)]
pub(in crate::world::transport) struct Gates(Arc<Vec<Arc<Semaphore>>>);

/// Connects to one target, again and again.
pub(super) struct Dialer {
    pub(super) target: SshTarget,
    pub(super) config: Option<PathBuf>,
    pub(super) responder: Option<Arc<dyn Responder>>,
    pub(super) gates: Gates,
    /// What it is doing, for who gives up waiting.
    pub(super) doing: watch::Sender<Doing>,
}

/// What keeps a request from being asked: where, and what.
pub(super) type Doing = (Spot, String);

/// Why an attempt failed.
enum Miss {
    /// At once again: sshd had too many of these.
    Busy(LinkError),
    /// The host may have a key of another type, which is the pinned one.
    OtherType(LinkError),
    Final(LinkError),
}

impl Default for Gates {
    fn default() -> Self {
        let door = |_| Arc::new(Semaphore::new(AT_ONCE));
        Self(Arc::new((0..DOORS).map(door).collect()))
    }
}

impl Gates {
    /// Waits for a place; none if the time is up. The thread has nothing else to do.
    fn enter(&self, hop: &Hop, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let place = format!("{}:{}", hop.host, hop.port);
        let sum = place.bytes().fold(7_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        let door = &self.0[sum % DOORS];
        loop {
            if let Ok(permit) = Arc::clone(door).try_acquire_owned() {
                return Some(permit);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(jitter(Duration::from_millis(10)));
        }
    }
}

impl Dialer {
    /// A connection to the target, and the target as it was found; nothing of it outlives a failure.
    pub(super) fn connect(&self, deadline: Instant) -> Result<(Link, Hop), LinkError> {
        self.says(
            &Spot::configured(&self.target),
            "reading what ssh knows of it",
        );
        let hops = hops(&self.target, self.config.as_deref())?;
        let (mut nth, mut wait) = (None, Duration::from_millis(50));
        loop {
            match (self.attempt(&hops, nth, deadline), nth) {
                (Ok(link), _) => {
                    let last = hops.last().cloned();
                    let none = || LinkError::Unknown {
                        why: "no host is named".to_owned(),
                    };
                    return Ok((link, last.ok_or_else(none)?));
                }
                (Err(Miss::Busy(error)), _) => {
                    if Instant::now() + wait >= deadline {
                        return Err(error);
                    }
                    std::thread::sleep(jitter(wait));
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
                (Err(Miss::OtherType(_)), None) => nth = Some(0),
                (Err(Miss::OtherType(_)), Some(last)) if last + 1 < TYPES.len() => {
                    nth = Some(last + 1);
                }
                (Err(Miss::OtherType(error) | Miss::Final(error)), _) => return Err(error),
            }
        }
    }

    fn attempt(&self, hops: &[Hop], nth: Option<usize>, deadline: Instant) -> Result<Link, Miss> {
        let mut reached: Option<(Link, &Hop)> = None;
        for hop in hops {
            let nth = nth.filter(|_| hop.pin.is_some());
            let link = self.hop(hop, reached.take(), nth, deadline)?;
            reached = Some((link, hop));
        }
        let none = || {
            Miss::Final(LinkError::Unknown {
                why: "no host is named".to_owned(),
            })
        };
        reached.map(|(link, _)| link).ok_or_else(none)
    }

    fn hop(
        &self,
        hop: &Hop,
        through: Option<(Link, &Hop)>,
        nth: Option<usize>,
        deadline: Instant,
    ) -> Result<Link, Miss> {
        let spot = hop.spot();
        self.says(&spot, "waiting for other logins to end");
        let busy = || {
            LinkError::unreachable(
                &spot,
                "others are logging in there, and no turn came in time",
            )
        };
        let _permit = self
            .gates
            .enter(hop, deadline)
            .ok_or_else(|| Miss::Final(busy()))?;
        self.says(&spot, "connecting");
        let socket = match through {
            None => tcp::connect(hop, deadline),
            Some((link, bastion)) => jump::through(link, bastion, hop, deadline),
        };
        let socket = socket.map_err(Miss::Final)?;
        let failed = |error: Error| Miss::Final(LinkError::unreachable(&spot, error.message()));
        let mut link = Link::over(socket).map_err(failed)?;
        let trust = Trust::of(hop, link.session());
        trust.prefer(link.session(), nth).map_err(failed)?;
        let until = deadline.min(Instant::now() + HANDSHAKE);
        self.says(&spot, "exchanging keys");
        link.until(until, ssh2::Session::handshake)
            .map_err(|stop| no_handshake(hop, stop, nth.is_some()))?;
        let key = link.session().host_key().map(|(key, _)| key.to_vec());
        match trust.judge(hop, &key.unwrap_or_default()) {
            Verdict::Meant => {}
            Verdict::OtherType(error) => return Err(Miss::OtherType(error)),
            Verdict::Refused(error) => return Err(Miss::Final(error)),
        }
        self.says(&spot, &format!("logging in as `{}`", hop.user));
        let responder = self.responder.as_deref();
        auth::log_in(hop, &mut link, responder, until).map_err(Miss::Final)?;
        Ok(link)
    }

    /// Tells who gives up waiting why there is no answer yet.
    pub(super) fn says(&self, at: &Spot, what: &str) {
        self.doing.send_if_modified(|doing| {
            let is_new = doing.0 != *at || doing.1 != what;
            if is_new {
                *doing = (at.clone(), what.to_owned());
            }
            is_new
        });
    }
}

/// The library's codes for algorithms: none in common, or the exchange of keys failed.
fn no_handshake(hop: &Hop, stop: Stop, of_one_type: bool) -> Miss {
    let spot = hop.spot();
    let error = match stop {
        Stop::Late => {
            let why = "something listens there and does not speak ssh in time: sshd hangs, or the link is cut";
            return Miss::Final(LinkError::unreachable(&spot, why));
        }
        Stop::Failed(error) => error,
    };
    let words = error.message();
    match code(&error) {
        // Before the first word of the exchange of keys, as after too many connections; or the host went away.
        -2 | -7 | -13 | -43 => {
            let why = format!(
                "it hung up before the login ({words}): too many are logging in (MaxStartups), or sshd is being stopped"
            );
            Miss::Busy(LinkError::unreachable(&spot, why))
        }
        _ if of_one_type => {
            let why = format!("its host keys are of types that ssh2 does not know ({words})");
            Miss::OtherType(LinkError::refused(
                &spot,
                why,
                "say `transport: system-ssh` for this node",
            ))
        }
        -5 | -8 | -33 => {
            let why = format!("ssh2 and this sshd have no algorithm in common ({words})");
            Miss::Final(LinkError::refused(
                &spot,
                why,
                "say `transport: system-ssh` for this node",
            ))
        }
        _ => Miss::Final(LinkError::unreachable(&spot, words)),
    }
}

/// Between half of it and all of it, so that many do not come at the same moment.
pub(in crate::world::transport) fn jitter(length: Duration) -> Duration {
    let part = u32::try_from(random() % 1000).unwrap_or(0);
    length / 2 + length * part / 2000
}
