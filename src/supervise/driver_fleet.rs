//! The driver's eyes on nodes that are reached from here.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::driver::Driver;
use crate::base::UnitId;
use crate::facts::{Canary, Door, Observation, Pulse};
use crate::run::UnitPhase;
use crate::world::{Clients, Pace, Station, begin_rounds};

/// The pause between two looks at a node while something there begins or ends, and else: that a server of it is gone is also
/// seen by those who ask it.
const BUSY: Duration = Duration::from_millis(500);
const CALM: Duration = Duration::from_secs(5);
/// The same while a client runs there: where its connections lead is seen by looks alone.
const ATTENTIVE: Duration = Duration::from_secs(1);

/// How long a node has to answer, where a server of it does not.
const NODE_PATIENCE: Duration = Duration::from_secs(5);

/// How often nodes are looked at.
pub(super) struct Paces(watch::Sender<Pace>);

impl Paces {
    pub(super) fn new() -> Self {
        let pause = BUSY;
        Self(watch::Sender::new(Pace { pause, nudges: 0 }))
    }

    /// Something was done there: it is looked at soon.
    pub(super) fn nudge(&self) {
        self.0.send_modify(|pace| pace.nudges += 1);
    }

    fn set(&self, pause: Duration) {
        self.0.send_if_modified(|pace| {
            let differs = pace.pause != pause;
            pace.pause = pause;
            differs
        });
    }
}

impl Driver<'_> {
    /// Its processes are processes of this machine.
    pub(super) fn is_here(&self, unit: &UnitId) -> bool {
        self.ground.fleet.of(unit).is_none()
    }

    /// The first process of a unit, if that is one of this machine.
    pub(super) fn leader_here(&self, unit: &UnitId) -> Option<u32> {
        let leader = self.leaders.get(unit).filter(|_| self.is_here(unit));
        leader.map(|running| running.pid)
    }

    /// The node of a server, where it is reached from here; SLURM's nodes are not.
    pub(super) fn node_of(&self, unit: &UnitId) -> Option<Arc<Station>> {
        let station = self.ground.fleet.of(unit)?;
        station.jobs().is_none().then(|| station.clone())
    }

    /// The first look at the nodes: scripts and fence are put there, then each unit is looked at.
    pub(super) async fn look_at_nodes(&self) -> Vec<(UnitId, Observation)> {
        let state = self.brain.state();
        let may_live = |unit: &UnitId| state.unit(unit).phase.may_live();
        let epoch = self.journal.owner().epoch();
        self.ground.fleet.sight(epoch, may_live).await
    }

    /// From now on the nodes are looked at again and again.
    pub(super) fn begin_rounds(&self) {
        for (station, units) in self.ground.fleet.iter() {
            let pace = self.pace.0.subscribe();
            let clients = units.iter().filter(|unit| self.is_client(unit)).cloned();
            let clients = Clients {
                units: clients.collect(),
                news: self.afar.sender.clone(),
            };
            let loads = self.sample_jobs(station);
            let (station, units) = (station.clone(), units.to_vec());
            begin_rounds(station, units, clients, self.teller.clone(), loads, pace);
        }
    }

    /// Where something begins or ends it is looked at more often.
    pub(super) fn set_pace(&self) {
        if self.ground.fleet.is_empty() {
            return;
        }
        let busy = |phase: &UnitPhase| {
            let begins = matches!(
                phase,
                UnitPhase::Intended | UnitPhase::Launched | UnitPhase::Started
            );
            begins || *phase == UnitPhase::Stopping
        };
        let there = || {
            let units = self.brain.state().units.iter();
            units.filter(|(unit, _)| !self.is_here(unit))
        };
        let works = |unit: &UnitId, phase: &UnitPhase| phase.may_live() && self.is_client(unit);
        self.pace
            .set(if there().any(|(_, state)| busy(&state.phase)) {
                BUSY
            } else if there().any(|(unit, state)| works(unit, &state.phase)) {
                ATTENTIVE
            } else {
                CALM
            });
    }
}

/// Asks a server, and its node as well if the server takes its time: the silence of one proves nothing where both are silent.
pub(super) async fn beside(
    node: Option<Arc<Station>>,
    patience: Duration,
    pulse: impl Future<Output = Pulse>,
) -> Pulse {
    let Some(node) = node else {
        return pulse.await;
    };
    let mut pulse = pin!(pulse);
    let mut node = pin!(async {
        sleep(patience / 2).await;
        node.answers(NODE_PATIENCE).await
    });
    let (pulse, answers) = tokio::select! {
        pulse = &mut pulse => match pulse {
            silent if is_silent(&silent) => (silent, node.await),
            heard => (heard, Ok(())),
        },
        answers = &mut node => (pulse.await, answers),
    };
    match (pulse, answers) {
        (Pulse::Look(mut look), Err(error)) if is_silence(&look.door) => {
            look.door = Door::Unreached(error.to_string());
            Pulse::Look(look)
        }
        (Pulse::Canary(Canary::Lost), Err(error)) => {
            Pulse::Canary(Canary::Unknown(error.to_string()))
        }
        (pulse, _) => pulse,
    }
}

fn is_silent(pulse: &Pulse) -> bool {
    match pulse {
        Pulse::Look(look) => is_silence(&look.door),
        Pulse::Canary(canary) => *canary == Canary::Lost,
    }
}

fn is_silence(door: &Door) -> bool {
    matches!(door, Door::Silent | Door::Unknown(_))
}
