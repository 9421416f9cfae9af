//! Stops units through their scripts: clients first, so that none sees its servers go.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::iter;

use super::printer::Printer;
use super::runtime;
use crate::base::{Epoch, ExitStatus, Millis, NodeName, RunId, UnitId};
use crate::facts::Observation;
use crate::world::{self, Fleet, Launchers, UnitDirs};

/// How often everything is stopped again while processes of the run show up.
const ROUNDS: usize = 3;
/// Stops at the same time: each is a shell that mostly sleeps, and a thousand of them at once start slowly.
const AT_ONCE: usize = 100;

/// What is to be stopped.
pub(super) struct Stop<'a> {
    pub(super) run: &'a RunId,
    /// Who asks, where the run could be taken.
    pub(super) epoch: Option<Epoch>,
    /// The folder with `units/`.
    pub(super) scripts: &'a Path,
    /// Each with the time between TERM and KILL.
    pub(super) units: Vec<(UnitId, Millis)>,
    /// The nodes that are reached from here.
    pub(super) fleet: Arc<Fleet>,
    pub(super) printer: Printer,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// What could not be stopped, or not be asked.
    pub(super) problems: Vec<String>,
    /// Units that may live.
    pub(super) unproved: BTreeSet<UnitId>,
}

impl Stop<'_> {
    /// Stops all units, and again while processes of the run show up, then ends its tmux servers.
    pub(super) fn everything(&self) -> Result<Ended, ExitStatus> {
        let runtime = runtime::single().map_err(|_| ExitStatus::Internal)?;
        Ok(runtime.block_on(async {
            let silent = match self.epoch {
                Some(epoch) => self.fleet.raise_fences(epoch).await,
                None => BTreeSet::new(),
            };
            // The units of a node that does not answer would each wait for it; it is named at the end.
            let asked: Vec<&(UnitId, Millis)> = (self.units.iter())
                .filter(|(unit, _)| {
                    let station = self.fleet.of(unit);
                    station.is_none_or(|station| !silent.contains(station.node()))
                })
                .collect();
            let mut ended = self.once(&asked, &silent).await;
            for _ in 0..ROUNDS {
                // A script that was on its way when it was asked to stop shows only now.
                if self.processes().is_empty() {
                    break;
                }
                ended = self.once(&asked, &silent).await;
            }
            for (units, words) in self.fleet.left().await {
                ended.unproved.extend(units);
                ended.problems.push(words);
            }
            if ended.problems.is_empty() {
                self.fleet.clear_all().await;
            }
            ended
        }))
    }

    /// Processes of the run, by their marks; a start that is under way has none yet.
    pub(super) fn processes(&self) -> Vec<u32> {
        let mut found = world::find_marked(&format!("{}/", self.run));
        found.extend(world::starts(self.run).into_iter().map(|(pid, _)| pid));
        found
    }

    /// Says how many are to be stopped; the scripts of the others only look whether anything is left.
    fn tell(&self, units: &[&(UnitId, Millis)]) {
        let dirs = UnitDirs::new(self.run);
        let marked = world::living_runs().remove(self.run).unwrap_or_default();
        let lives = |unit: &UnitId| {
            let seen = dirs.observe(unit);
            marked.contains(unit)
                || matches!(seen, Observation::Running(_) | Observation::Unknown { .. })
        };
        let living = units.iter().filter(|(unit, _)| lives(unit)).count();
        if living > 0 {
            let plural = if living == 1 { "" } else { "s" };
            self.printer.say(&format!("stopping {living} unit{plural}"));
        }
    }

    async fn once(&self, units: &[&(UnitId, Millis)], silent: &BTreeSet<NodeName>) -> Ended {
        let launchers = Launchers::reaching(self.fleet.clone());
        let client = |(unit, _): &&(UnitId, Millis)| unit.as_str().starts_with("eval-");
        let (clients, servers): (Vec<_>, Vec<_>) = units.iter().copied().partition(client);
        let mut ended = Ended::default();
        for group in [clients, servers] {
            if group.is_empty() {
                continue;
            }
            self.tell(&group);
            let launchers = &launchers;
            let stops = group.into_iter().map(|(unit, grace)| async move {
                let done = launchers
                    .stop(self.run, unit, self.epoch, self.scripts, *grace)
                    .await;
                Some((unit.clone(), done.err()?))
            });
            let failed: Vec<_> = iter(stops).buffer_unordered(AT_ONCE).collect().await;
            for (unit, error) in failed.into_iter().flatten() {
                ended.problems.push(format!("`{unit}`: {error}"));
                ended.unproved.insert(unit);
            }
        }
        if let Err(error) = launchers.release(self.run, silent).await {
            ended.problems.push(error.to_string());
        }
        ended
    }
}
