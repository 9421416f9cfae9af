//! Machines that are gone for good, by the word of whoever ends a run: `down --gone`.

use std::collections::{BTreeMap, BTreeSet};

use super::fleet::Machines;
use super::owners;
use super::printer::Printer;
use super::runs::{self, Found};
use super::stopping::{Ended, named};
use crate::base::{ExitStatus, NodeName, RunId, UnitId};

/// What is given up.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    /// The host on which the run was started, where that is another one.
    host: Option<String>,
    /// Units that may have lived there.
    pub(super) units: BTreeSet<UnitId>,
    /// Machines that are asked all the same; their silence is believed.
    pub(super) nodes: BTreeSet<NodeName>,
    /// This is a copy of the run's folder: what runs is the original's, wherever it is.
    pub(super) all: bool,
}

impl GivenUp {
    /// What these words give up of a run.
    ///
    /// # Errors
    /// A word names nothing of the run, or what is on the host on which it was started is not given up and cannot be seen
    /// from here: said.
    pub(super) fn of(
        found: &Found,
        machines: &Machines,
        words: &[String],
        printer: Printer,
    ) -> Result<Self, ExitStatus> {
        let there = owners::elsewhere(&found.dir);
        let there = there.map_err(|error| runs::store(&error, printer))?;
        let mut given_up = Self::default();
        for word in words {
            let at = found.plan.nodes.iter().find(|node| node.address == *word);
            let called = machines.iter().filter(|machine| {
                machine.is_called(word) || at.is_some_and(|node| node.name == machine.name)
            });
            let nodes: BTreeSet<NodeName> = called.map(|machine| machine.name.clone()).collect();
            let start = there.as_ref().filter(|there| there.host == *word);
            if nodes.is_empty() && start.is_none() {
                let names = machines.iter().map(|machine| &machine.name);
                printer.complain(&unknown(found.dir.id(), names, word));
                return Err(ExitStatus::Usage);
            }
            if let Some(there) = start {
                given_up.host = Some(word.clone());
                given_up.all = !found.dir.is_its_own();
                given_up.units.extend(there.units.iter().cloned());
            }
            given_up.nodes.extend(nodes);
        }
        if given_up.host.is_none() {
            owners::be_here(&found.dir, "nothing was stopped", printer)?;
        }
        Ok(given_up)
    }

    /// Whether anything is.
    pub(super) fn is_any(&self) -> bool {
        self.host.is_some() || !self.nodes.is_empty()
    }

    /// What came of it: a node that answered was not forgotten.
    pub(super) fn forgotten(&self, ended: &Ended) -> Forgotten {
        let mut of = BTreeMap::new();
        if let Some(host) = &self.host {
            of.insert(host.clone(), self.units.clone());
        }
        for (node, units) in &ended.given_up {
            let all: &mut BTreeSet<UnitId> = of.entry(node.to_string()).or_default();
            all.extend(units.iter().cloned());
        }
        Forgotten { of }
    }
}

fn unknown<'a>(run: &RunId, names: impl Iterator<Item = &'a NodeName>, word: &str) -> String {
    let names = names.map(|name| format!("`{name}`"));
    let names: Vec<String> = names.collect();
    let machines = match names.as_slice() {
        [] => "it has no machine but the one on which it was started".to_owned(),
        names => format!("its machines are {}", names.join(", ")),
    };
    format!(
        "error: nothing of `{run}` is known to live on `{word}`\nhelp: {machines}; without --gone `toolorch down` ends what it reaches, and says what it does not"
    )
}

/// What ended without a look.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    of: BTreeMap<String, BTreeSet<UnitId>>,
}

impl Forgotten {
    /// Whether anything did.
    pub(super) fn is_any(&self) -> bool {
        !self.of.is_empty()
    }

    /// All units of which nobody knows.
    pub(super) fn all(&self) -> BTreeSet<UnitId> {
        self.of.values().flatten().cloned().collect()
    }

    /// The machines.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &String> {
        self.of.keys()
    }

    /// How the run ended, with what is said of ports.
    pub(super) fn words(&self, id: &RunId, port: &str) -> String {
        if self.of.is_empty() {
            return format!(
                "`{id}` is down: no process with its mark{port} and no session is left"
            );
        }
        let gone = self.of.iter().map(|(host, units)| {
            let names = match units.len() {
                0 => String::new(),
                _ => format!(": {}", named(units)),
            };
            format!("what ran on `{host}` is said to be gone{names}")
        });
        let gone: Vec<String> = gone.collect();
        format!(
            "`{id}` is over; without a look: {}; no process with its mark and no session is left elsewhere",
            gone.join("; ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_ended_says_what_nobody_saw() {
        let run = RunId::new("c-1-abcd");
        let units = |names: &[&str]| names.iter().map(|name| UnitId::new(*name)).collect();
        let mut forgotten = Forgotten::default();
        insta::assert_snapshot!(forgotten.words(&run, ", no port"), @"`c-1-abcd` is down: no process with its mark, no port and no session is left");
        forgotten
            .of
            .insert("login1".to_owned(), units(&["eval-hle"]));
        forgotten
            .of
            .insert("gpu32".to_owned(), units(&["n-0", "n-1"]));
        insta::assert_snapshot!(forgotten.words(&run, ""), @"`c-1-abcd` is over; without a look: what ran on `gpu32` is said to be gone: `n-0`, `n-1`; what ran on `login1` is said to be gone: `eval-hle`; no process with its mark and no session is left elsewhere");
    }

    #[test]
    fn a_word_that_is_no_machine_of_the_run_is_told_which_are() {
        let run = RunId::new("c-1-abcd");
        let names = ["gpu31", "SLURM here"].map(NodeName::new);
        insta::assert_snapshot!(unknown(&run, names.iter(), "gpu33"), @"
        error: nothing of `c-1-abcd` is known to live on `gpu33`
        help: its machines are `gpu31`, `SLURM here`; without --gone `toolorch down` ends what it reaches, and says what it does not
        ");
        insta::assert_snapshot!(unknown(&run, [].iter(), "gpu33"), @"
        error: nothing of `c-1-abcd` is known to live on `gpu33`
        help: it has no machine but the one on which it was started; without --gone `toolorch down` ends what it reaches, and says what it does not
        ");
    }
}
