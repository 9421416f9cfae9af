//! Looks at a node, again and again: nothing there tells us by itself when something happens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use super::station::{Marked, Station, StationError};
use crate::base::{Timestamp, UnitId};
use crate::facts::{Exit, FilesSeen, JobLoad, Observation, RunningUnit, UnitSeen};
use crate::world::unit_dir::CAUSE_BYTES;
use crate::world::watch::Teller;

/// What did not change is told again this often, as units of this machine are.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// The shortest pauses between two looks at a queue: as a rule, and while jobs wait and nothing has happened for a while.
const QUEUE: Duration = Duration::from_secs(1);
const QUEUE_CALM: Duration = Duration::from_secs(10);
/// That while.
const WAITING: Duration = Duration::from_mins(2);

/// How often a node is looked at; a new value makes it looked at now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The pause between two looks.
    pub pause: Duration,
    /// Counts what should be seen soon: a start, a stop.
    pub nudges: u64,
}

/// What only a look on its own machine can tell of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientSeen {
    /// It runs.
    Runs {
        /// Its process with the most open files.
        files: Option<FilesSeen>,
        /// Whom it is connected to.
        peers: Vec<SocketAddr>,
    },
    /// It ended: names that were dropped from its environment, and those in which that differed from what was meant.
    Ended {
        /// What was dropped.
        dropped: Vec<String>,
        /// `+NAME` for one too many, `-NAME` for one that is missing.
        differs: Vec<String>,
    },
}

/// Clients on a node, and who hears of them.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Which.
    pub units: BTreeSet<UnitId>,
    /// Hears of each before its end is told.
    pub news: UnboundedSender<(UnitId, ClientSeen)>,
}

impl Clients {
    fn tell(&self, unit: &UnitId, seen: ClientSeen) {
        // Whoever does not listen any more hears of nothing else either.
        let _ = self.news.send((unit.clone(), seen));
    }
}

/// What is known of a node's units.
struct Rounds {
    station: Arc<Station>,
    units: Vec<UnitId>,
    clients: Clients,
    news: Teller,
    /// What was told last, since when it is so, and when it was told.
    told: BTreeMap<UnitId, (Observation, Instant, Instant)>,
    /// The last look had to ask SLURM.
    asked: bool,
    /// Exits whose logs were read.
    read: BTreeMap<UnitId, Exit>,
    /// What was seen running.
    ran: BTreeMap<UnitId, RunningUnit>,
    loads: UnboundedSender<(String, JobLoad)>,
    /// Of each job which of them was told last.
    told_loads: BTreeMap<String, Timestamp>,
}

/// Looks at these units of a node until nobody listens; `loads` hears what the nodes of jobs do.
pub fn begin_rounds(
    station: Arc<Station>,
    units: Vec<UnitId>,
    clients: Clients,
    news: Teller,
    loads: UnboundedSender<(String, JobLoad)>,
    mut pace: watch::Receiver<Pace>,
) {
    let mut rounds = Rounds {
        station,
        units,
        clients,
        news,
        told: BTreeMap::new(),
        asked: false,
        read: BTreeMap::new(),
        ran: BTreeMap::new(),
        loads,
        told_loads: BTreeMap::new(),
    };
    tokio::spawn(async move {
        loop {
            let pause = rounds.pause(pace.borrow_and_update().pause);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = pace.changed() => if changed.is_err() { return },
            }
            if !rounds.once().await {
                return;
            }
        }
    });
}

impl Rounds {
    /// SLURM serves a whole site: it is asked less often, and seldom where jobs have waited for a while. Where the jobs' own
    /// files tell all, it need not be asked.
    fn pause(&self, pause: Duration) -> Duration {
        if !self.asked {
            return pause;
        }
        let waits = |seen: &Observation| matches!(seen, Observation::Queued(_));
        let waits = self.told.values().any(|(seen, ..)| waits(seen));
        let changed = |since: Instant| since.elapsed() < WAITING;
        let changes = self.told.values().any(|(_, since, _)| changed(*since));
        pause.max(if waits && !changes { QUEUE_CALM } else { QUEUE })
    }

    /// One look; answers whether anybody still listens.
    async fn once(&mut self) -> bool {
        let mut seen = match self.station.look(&self.units).await {
            Ok(Some(seen)) => {
                self.asked = seen.queue_was_asked;
                self.tell_loads(seen.loads);
                seen.units
            }
            Ok(None) => BTreeMap::new(),
            Err(error) => return self.tell_all(&unknown(&error)),
        };
        for unit in self.units.clone() {
            let seen = seen.remove(&unit);
            if let Some(seen) = &seen {
                self.look_at_client(&unit, seen);
            }
            let seen = seen.map(|seen| seen.observation);
            let seen = match seen.unwrap_or(Observation::Never) {
                Observation::Exited(exit) => self.with_last_words(&unit, exit).await,
                Observation::Never => self.without_trace(&unit).await,
                Observation::Running(running) => {
                    self.ran.insert(unit.clone(), running.clone());
                    Ok(Observation::Running(running))
                }
                other => Ok(other),
            };
            let seen = seen.unwrap_or_else(|error| unknown(&error));
            if !self.tell(unit, seen) {
                return false;
            }
        }
        true
    }

    /// Each is told once.
    fn tell_loads(&mut self, loads: BTreeMap<String, JobLoad>) {
        for (job, load) in loads {
            let told = self.told_loads.insert(job.clone(), load.at);
            if told != Some(load.at) {
                // Whoever does not listen any more hears of nothing else either.
                let _ = self.loads.send((job, load));
            }
        }
    }

    fn look_at_client(&self, unit: &UnitId, seen: &UnitSeen) {
        let runs = matches!(seen.observation, Observation::Running(_));
        if runs && self.clients.units.contains(unit) {
            let peers = seen.remotes.iter().filter_map(|peer| peer.parse().ok());
            let seen = ClientSeen::Runs {
                files: seen.files,
                peers: peers.collect(),
            };
            self.clients.tell(unit, seen);
        }
    }

    /// What ran and has no state any more: a restart of the node takes all that was there, and whoever tidies its /tmp takes the
    /// state alone.
    async fn without_trace(&mut self, unit: &UnitId) -> Result<Observation, StationError> {
        if self.station.jobs().is_some() || !self.ran.contains_key(unit) {
            return Ok(Observation::Never);
        }
        let marked = self.station.marks().await?;
        if marked.iter().any(|Marked { unit: of, .. }| of == unit) {
            return Ok(Observation::Never);
        }
        let ran = self.ran.remove(unit);
        Ok(ran.map_or(Observation::Never, |ran| Observation::Lost {
            generation: ran.generation,
            launch: ran.launch,
        }))
    }

    /// The exit with what its log says; each log is read once.
    async fn with_last_words(
        &mut self,
        unit: &UnitId,
        exit: Exit,
    ) -> Result<Observation, StationError> {
        let known =
            |read: &&Exit| (&read.launch, read.generation) == (&exit.launch, exit.generation);
        if let Some(read) = self.read.get(unit).filter(known) {
            return Ok(Observation::Exited(read.clone()));
        }
        if self.clients.units.contains(unit) && self.station.jobs().is_none() {
            let (dropped, differs) = self.station.names(unit).await?;
            self.clients
                .tell(unit, ClientSeen::Ended { dropped, differs });
        }
        let exit = match self.station.log_end(unit, CAUSE_BYTES).await {
            Ok(end) => Exit {
                tail: end.lines(),
                cause: end.cause().map(Box::new),
                ..exit
            },
            // It ended, whatever became of its log.
            Err(StationError::Refused { .. }) => exit,
            Err(error) => return Err(error),
        };
        self.read.insert(unit.clone(), exit.clone());
        Ok(Observation::Exited(exit))
    }

    fn tell_all(&mut self, seen: &Observation) -> bool {
        let units = self.units.clone();
        units.into_iter().all(|unit| self.tell(unit, seen.clone()))
    }

    /// Tells what is new, and what has not been told for a while.
    fn tell(&mut self, unit: UnitId, seen: Observation) -> bool {
        let now = Instant::now();
        let known = self.told.get(&unit);
        let since = known
            .filter(|(known, ..)| *known == seen)
            .map(|(_, since, _)| *since);
        let stale = known.is_none_or(|(_, _, told)| now.duration_since(*told) >= TELL_AGAIN);
        if since.is_some() && !stale {
            return !self.news.is_closed();
        }
        let told = (seen.clone(), since.unwrap_or(now), now);
        self.told.insert(unit.clone(), told);
        self.news.send((unit, seen)).is_ok()
    }
}

fn unknown(error: &StationError) -> Observation {
    Observation::Unknown {
        why: error.to_string(),
    }
}
