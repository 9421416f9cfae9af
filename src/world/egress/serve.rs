//! The loop of the proxy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::connection;
use super::ledger::{Ledger, Passed};
use super::policy::Policy;
use crate::base::Place;

/// How long nobody is let in where there is no room for another connection.
const FULL: Duration = Duration::from_millis(50);
/// How often the numbers of what passed are written, where they changed.
const COUNT: Duration = Duration::from_secs(10);

/// A proxy that is ready to serve.
#[derive(Debug)]
pub struct Proxy {
    policy: Policy,
    ledger: Ledger,
    passed: Passed,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
#[error("cannot append to `{}`: {error}", path.display())]
pub struct ProxyError {
    path: PathBuf,
    error: std::io::Error,
}

impl Proxy {
    /// A proxy with this policy, which appends what it refuses to `log`, where there is one, beside stdout.
    ///
    /// # Errors
    /// The log cannot be opened.
    pub fn new(policy: Policy, log: Option<&Path>) -> Result<Self, ProxyError> {
        let opened = Ledger::open(log).map_err(|error| ProxyError {
            path: log.unwrap_or_else(|| "".as_ref()).to_owned(),
            error,
        });
        let (ledger, passed) = opened?;
        Ok(Self {
            policy,
            ledger,
            passed,
        })
    }

    /// Serves until `end` comes.
    pub async fn serve(self, listener: TcpListener, end: impl Future<Output = ()>) {
        let shared = Arc::new((self.policy, self.ledger));
        // A rehearsal's are counted by its stand-ins.
        let counts = matches!(shared.0, Policy::List(_));
        let mut counted = Counted::default();
        let mut passed = self.passed;
        let counting = async {
            let mut due = interval(COUNT);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    Some(place) = passed.recv() => counted.add(place),
                    _ = due.tick(), if counts => counted.write(&shared.1),
                }
            }
        };
        tokio::select! {
            () = accept(listener, Arc::clone(&shared)) => {}
            () = counting => {}
            () = end => {}
        }
        if counts {
            while let Ok(place) = passed.try_recv() {
                counted.add(place);
            }
            counted.write(&shared.1);
        }
    }
}

/// What passed, by place.
#[derive(Default)]
struct Counted {
    counts: BTreeMap<Place, u64>,
    changed: bool,
}

impl Counted {
    fn add(&mut self, place: Place) {
        *self.counts.entry(place).or_default() += 1;
        self.changed = true;
    }

    fn write(&mut self, ledger: &Ledger) {
        if std::mem::take(&mut self.changed) {
            ledger.counted(&self.counts);
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<(Policy, Ledger)>) {
    loop {
        match listener.accept().await {
            Ok((client, peer)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    connection::serve(client, peer.port(), (&shared.0, &shared.1)).await;
                });
            }
            // Out of descriptors, mostly: others will end.
            Err(_) => sleep(FULL).await,
        }
    }
}
