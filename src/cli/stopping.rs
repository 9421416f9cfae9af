//! Stops units through their scripts: clients first, so that none sees its servers go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::iter;

use super::printer::Printer;
use super::runtime;
use super::unit_scripts::GRACE;
use crate::base::{Epoch, ExitStatus, Millis, NodeName, RunId, UnitId};
use crate::facts::Observation;
use crate::world::{self, Fleet, Launchers, Left, Station, UnitDirs};

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
    /// Units of which nothing can live: where they are nobody needs to be asked.
    pub(super) settled: BTreeSet<UnitId>,
    /// Machines that are gone for good, by the word of whoever asks: nobody needs to hear of them.
    pub(super) given_up: BTreeSet<NodeName>,
    pub(super) printer: Printer,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// What could not be stopped, or not be asked.
    pub(super) problems: Vec<String>,
    /// Units that may live.
    pub(super) unproved: BTreeSet<UnitId>,
    /// What could not be asked, and need not be.
    pub(super) remarks: Vec<String>,
    /// Machines that should have been asked, and did not answer.
    pub(super) silent: BTreeSet<NodeName>,
    /// Machines that did not answer and are given up, with what may have lived there.
    pub(super) given_up: BTreeMap<NodeName, BTreeSet<UnitId>>,
}

impl Stop<'_> {
    /// Stops all units, and again while processes of the run show up, then ends its tmux servers.
    pub(super) fn everything(&self) -> Result<Ended, ExitStatus> {
        let runtime = runtime::single().map_err(|_| ExitStatus::Internal)?;
        Ok(runtime.block_on(async {
            let silent = self.raise_fences().await;
            let asked = self.asked(&silent);
            let mut ended = self.once(&asked, &silent).await;
            for _ in 0..ROUNDS {
                // A script that was on its way when it was asked to stop shows only now.
                if self.processes().is_empty() {
                    break;
                }
                ended = self.once(&asked, &silent).await;
            }
            for left in self.fleet.left(&silent, |_| true).await {
                self.judge(left, &mut ended);
            }
            if ended.problems.is_empty() {
                self.fleet.clear_all().await;
            }
            ended
        }))
    }

    /// Stops these units, and lets all else of the run be.
    pub(super) fn units_alone(&self) -> Result<Ended, ExitStatus> {
        let runtime = runtime::single().map_err(|_| ExitStatus::Internal)?;
        Ok(runtime.block_on(async {
            let silent = self.raise_fences().await;
            let launchers = Launchers::reaching(self.fleet.clone());
            let mut ended = Ended::default();
            self.stop_all(&launchers, self.asked(&silent), &mut ended)
                .await;
            let ours = |unit: &UnitId| self.units.iter().any(|(own, _)| own == unit);
            // Of a unit in a job its end is the word of its job, or of SLURM.
            let asks = |station: &Station| station.jobs().is_none();
            for left in self.fleet.left(&silent, asks).await {
                if let Some(left) = left.about(ours) {
                    self.judge(left, &mut ended);
                }
            }
            ended
        }))
    }

    /// Answers with the machines that do not.
    async fn raise_fences(&self) -> BTreeMap<NodeName, String> {
        match self.epoch {
            Some(epoch) => self.fleet.raise_fences(epoch).await,
            None => BTreeMap::new(),
        }
    }

    /// The units of a node that does not answer would each wait for it; it is named at the end.
    fn asked(&self, silent: &BTreeMap<NodeName, String>) -> Vec<&(UnitId, Millis)> {
        let answers = |unit: &UnitId| {
            let station = self.fleet.of(unit);
            station.is_none_or(|station| !silent.contains_key(station.node()))
        };
        (self.units.iter())
            .filter(|(unit, _)| answers(unit))
            .collect()
    }

    /// What is left is a problem, and so is silence where something may live.
    fn judge(&self, left: Left, ended: &mut Ended) {
        let (node, units, former, why) = match left {
            Left::Lives { unit, words } => {
                ended.unproved.insert(unit);
                return ended.problems.push(words);
            }
            Left::Unseen {
                node,
                units,
                former,
                why,
            } => (node, units, former, why),
        };
        let open: BTreeSet<UnitId> = match former {
            Some(open) => open,
            None => units.difference(&self.settled).cloned().collect(),
        };
        if open.is_empty() {
            ended.remarks.push(format!(
                "{why}: nothing of the run was started there, or its end is on record"
            ));
        } else if self.given_up.contains(&node) {
            ended.given_up.insert(node, open);
        } else {
            let names = named(&open);
            ended
                .problems
                .push(format!("{why}: what of {names} lives there is not known"));
            ended.unproved.extend(open);
            ended.silent.insert(node);
        }
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

    async fn once(
        &self,
        units: &[&(UnitId, Millis)],
        silent: &BTreeMap<NodeName, String>,
    ) -> Ended {
        let launchers = Launchers::reaching(self.fleet.clone());
        let mut ended = Ended::default();
        self.stop_all(&launchers, units.to_vec(), &mut ended).await;
        for (station, unit) in self.fleet.strays(silent).await {
            let (place, name) = (station.place(), &unit);
            self.printer.say(&format!(
                "stopping `{name}` on {place}, where the plan does not have it"
            ));
            let done = Launchers::stop_at(&station, self.run, name, self.epoch, GRACE).await;
            if let Err(error) = done {
                ended.problems.push(format!("`{name}` on {place}: {error}"));
            }
        }
        if let Err(error) = launchers.release(self.run, silent).await {
            ended.problems.push(error.to_string());
        }
        ended
    }

    /// Clients first.
    async fn stop_all(
        &self,
        launchers: &Launchers,
        units: Vec<&(UnitId, Millis)>,
        ended: &mut Ended,
    ) {
        let client = |(unit, _): &&(UnitId, Millis)| unit.as_str().starts_with("eval-");
        let (clients, servers): (Vec<_>, Vec<_>) = units.into_iter().partition(client);
        for group in [clients, servers] {
            if group.is_empty() {
                continue;
            }
            self.tell(&group);
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
    }
}

/// So many names are told; of a hundred servers nobody reads all.
const TOLD: usize = 12;

/// Units for people: `a`, `b` and 7 more.
pub(super) fn named(units: &BTreeSet<UnitId>) -> String {
    let names: Vec<String> = (units.iter().take(TOLD))
        .map(|unit| format!("`{unit}`"))
        .collect();
    let names = names.join(", ");
    match units.len().saturating_sub(TOLD) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::printer::Verbosity;

    fn units(names: &[&str]) -> BTreeSet<UnitId> {
        names.iter().map(|name| UnitId::new(*name)).collect()
    }

    /// What silent nodes come to where `a` has come to its end and `lost` is given up.
    fn judged(left: &[Left]) -> Ended {
        let run = RunId::new("c-1-abcd");
        let stop = Stop {
            run: &run,
            epoch: None,
            scripts: Path::new("/scripts"),
            units: Vec::new(),
            fleet: Arc::default(),
            settled: units(&["a"]),
            given_up: BTreeSet::from([NodeName::new("lost")]),
            printer: Printer::new(Verbosity::Quiet, anstream::ColorChoice::Never),
        };
        let mut ended = Ended::default();
        for left in left {
            stop.judge(left.clone(), &mut ended);
        }
        ended
    }

    fn silent(node: &str, there: &[&str], former: Option<&[&str]>) -> Left {
        Left::Unseen {
            node: NodeName::new(node),
            units: units(there),
            former: former.map(units),
            why: format!("node `{node}`: no answer"),
        }
    }

    #[test]
    fn silence_is_a_problem_where_something_may_live_and_nobody_gave_it_up() {
        let ended = judged(&[
            silent("never", &["a"], None),
            silent("there", &["a", "b", "c"], None),
            silent("lost", &["a", "d"], None),
            silent("before", &[], Some(&["a"])),
            silent("long ago", &[], Some(&[])),
        ]);
        insta::assert_snapshot!(ended.problems.join("\n"), @"
        node `there`: no answer: what of `b`, `c` lives there is not known
        node `before`: no answer: what of `a` lives there is not known
        ");
        insta::assert_snapshot!(ended.remarks.join("\n"), @"
        node `never`: no answer: nothing of the run was started there, or its end is on record
        node `long ago`: no answer: nothing of the run was started there, or its end is on record
        ");
        assert_eq!(ended.unproved, units(&["a", "b", "c"]));
        let given_up = BTreeMap::from([(NodeName::new("lost"), units(&["d"]))]);
        assert_eq!(ended.given_up, given_up);
        let silent: Vec<&str> = ended.silent.iter().map(NodeName::as_str).collect();
        assert_eq!(silent, ["before", "there"]);
    }

    #[test]
    fn of_many_units_some_are_named() {
        let many: BTreeSet<UnitId> = (10..25).map(|n| UnitId::new(format!("m-{n}"))).collect();
        insta::assert_snapshot!(named(&many), @"`m-10`, `m-11`, `m-12`, `m-13`, `m-14`, `m-15`, `m-16`, `m-17`, `m-18`, `m-19`, `m-20`, `m-21` and 3 more");
    }
}
