//! The driver's preparations for a client: its results made ready, and on another machine proof that it will work on the same files
//! and can reach its servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use super::driver::Driver;
use super::driver_evals::EvalDesk;
use super::{Again, Input, Purpose};
use crate::base::{EvalName, Place, UnitId};
use crate::facts::FilesSeen;
use crate::plan::Group;
use crate::run::UnitPhase;
use crate::world::{ClientSeen, SharedFiles, Station, StationError};

/// A node that cannot be asked is asked again after this time.
const AGAIN: Duration = Duration::from_secs(5);

/// What looks on their own machines show of clients.
pub(super) struct Afar {
    pub(super) sender: UnboundedSender<(UnitId, ClientSeen)>,
    pub(super) news: UnboundedReceiver<(UnitId, ClientSeen)>,
    /// The open files of those that run.
    files: BTreeMap<UnitId, FilesSeen>,
    /// Of those that ended: what was dropped from their environment, and how that differed from what was meant.
    pub(super) ended: BTreeMap<UnitId, (Vec<String>, Vec<String>)>,
}

impl Afar {
    pub(super) fn new() -> Self {
        let (sender, news) = unbounded_channel();
        Self {
            sender,
            news,
            files: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// The open files of a client, as the last look showed them.
    pub(super) fn files_of(&self, client: &UnitId) -> Option<FilesSeen> {
        self.files.get(client).copied()
    }
}

/// What a client on another machine needs.
struct Needs {
    station: Arc<Station>,
    shared: SharedFiles,
    /// Of each model and service that it requires, where the servers that are ready are asked.
    groups: Vec<(String, Vec<Place>)>,
}

impl Driver<'_> {
    pub(super) fn learn_of_client(&mut self, client: UnitId, seen: ClientSeen) {
        match seen {
            ClientSeen::Runs { files, peers } => {
                self.routes.seen(&client, peers);
                match files {
                    Some(files) => self.afar.files.insert(client, files),
                    None => self.afar.files.remove(&client),
                };
            }
            ClientSeen::Ended { dropped, differs } => {
                self.afar.files.remove(&client);
                self.afar.ended.insert(client, (dropped, differs));
            }
        }
    }

    pub(super) fn prepare(&mut self, eval: EvalName, again: Again) {
        let result = self.at_desk(&eval, |desk: &mut EvalDesk| desk.prepare(again));
        let mark = self.books_mark(&eval);
        // Where nothing is left to ask no client is started.
        let starts = result.as_ref().is_ok_and(|counts| !counts.finished);
        let needs = starts.then(|| self.needs(&eval)).flatten();
        let purpose = Purpose::Open {
            eval: eval.clone(),
            mark,
        };
        let Some(needs) = needs else {
            let then = Input::Prepared { eval, result };
            return self.meter(purpose, Some(then));
        };
        let (metering, sender) = (self.metering(purpose), self.sender.clone());
        tokio::spawn(async move {
            let proved = match needs {
                Ok(needs) => needs.prove(&eval, &sender).await,
                Err(why) => Err(why),
            };
            let result = if let Err(why) = proved {
                Err(why)
            } else {
                // The receiver lives as long as the drive.
                let _ = sender.send(Input::Metered(metering.await));
                result
            };
            let _ = sender.send(Input::Prepared { eval, result });
        });
    }

    /// None for a client of this machine.
    fn needs(&self, eval: &EvalName) -> Option<Result<Needs, String>> {
        let plan = self.brain.plan();
        let eval = plan.eval(eval)?;
        let station = self.node_of(&eval.unit)?;
        let required = |group: &&Group| eval.requires.contains(&group.name) && !group.hidden;
        let is_ready = |unit| matches!(self.brain.state().unit(unit).phase, UnitPhase::Ready(_));
        let groups = plan.groups.iter().filter(required).map(|group| {
            let ends = group.endpoints.iter().filter(|end| is_ready(&end.unit));
            let places = ends.map(|end| Place::new(&end.host, end.port.0));
            (group.name.to_string(), places.collect())
        });
        let needs = |shared| Needs {
            station,
            shared,
            groups: groups.collect(),
        };
        Some(SharedFiles::of(plan, eval).map(needs))
    }
}

impl Needs {
    /// Asks the node, until it answers.
    async fn prove(&self, eval: &EvalName, sender: &UnboundedSender<Input>) -> Result<(), String> {
        let places: Vec<Place> = (self.groups.iter())
            .flat_map(|(_, places)| places.clone())
            .collect();
        let mut told = false;
        let seen = loop {
            match self.station.sees(&self.shared, &places).await {
                Ok(seen) => break seen,
                Err(StationError::Refused { place, words, .. }) => {
                    return Err(format!("{place} cannot be looked at: {words}"));
                }
                Err(error) if !told => {
                    told = true;
                    let text = format!("`{eval}` waits for its node: {error}");
                    let _ = sender.send(Input::Alarm {
                        alarm: "unseen",
                        text,
                    });
                }
                Err(_) if sender.is_closed() => return Err("nobody waits any more".to_owned()),
                Err(_) => {}
            }
            sleep(AGAIN).await;
        };
        let node = self.station.place();
        self.shared.are_seen(&seen, &node)?;
        let mut first = 0;
        for (group, places) in &self.groups {
            let mut own = first..first + places.len();
            first = own.end;
            if !places.is_empty() && !own.any(|at| seen.places.contains(&at)) {
                let places: Vec<String> = places.iter().map(ToString::to_string).collect();
                return Err(format!(
                    "from {node} no server of `{group}` can be reached ({}): give its node an `address` that leads there, open the \
                     ports, or leave `node` of the evaluation out",
                    places.join(", ")
                ));
            }
        }
        Ok(())
    }
}
