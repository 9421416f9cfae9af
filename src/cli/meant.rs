//! What a word on the command line means: a cluster by its YAML or its name, or one of its runs.

use std::io::ErrorKind;
use std::path::Path;

use super::printer::Printer;
use super::runs;
use crate::base::{ClusterName, ExitStatus};
use crate::run::RunState;
use crate::run::store::{Home, RunDir, read_at_most, read_journal};
use crate::spec::{self, MAX_BYTES, Source};

/// What it means.
pub(super) enum Meant {
    /// A cluster: its live run, else its last one.
    Cluster(ClusterName),
    /// This run.
    Run(RunDir),
}

impl Meant {
    /// Finds out. A YAML with errors must not keep anybody from stopping what was started by it: its name, or the run that
    /// was started from that path, is enough.
    ///
    /// # Errors
    /// It is nothing of all this: said.
    pub(super) fn of(home: &Home, word: &Path, printer: Printer) -> Result<Self, ExitStatus> {
        let runs = home.runs();
        let runs = runs.map_err(|error| runs::store(&error, printer))?;
        if !word.is_file()
            && let Some(meant) = by_name(&runs, word)
        {
            return Ok(meant);
        }
        of_yaml(&runs, word, printer).map(Self::Cluster)
    }
}

fn by_name(runs: &[RunDir], word: &Path) -> Option<Meant> {
    let name = word.to_str()?;
    let named = || runs.iter().filter(|run| run.id().as_str() == name);
    let own = named().find(|run| run.copy_of().is_none());
    if let Some(run) = own.or_else(|| named().next()) {
        return Some(Meant::Run(run.clone()));
    }
    let run = runs.iter().find(|run| run.cluster().as_str() == name)?;
    Some(Meant::Cluster(run.cluster().clone()))
}

fn of_yaml(runs: &[RunDir], file: &Path, printer: Printer) -> Result<ClusterName, ExitStatus> {
    let shown = file.display();
    let bytes = read_at_most(file, MAX_BYTES as u64).map_err(|error| {
        printer.complain(&if error.kind() == ErrorKind::NotFound {
            unknown(runs, &shown.to_string())
        } else {
            format!("error: cannot read `{shown}`: {error}\nhelp: a cluster's name, or a run's, does as well: toolorch runs")
        });
        ExitStatus::Usage
    })?;
    let parsed = spec::parse(Source::new(shown.to_string(), &bytes), &[]);
    if let Some(spec) = parsed.spec {
        return Ok(spec.name);
    }
    let name = parsed.document.cluster_name();
    let named = runs.iter().map(RunDir::cluster);
    let mut named = named.filter(|cluster| name.as_deref() == Some(cluster.as_str()));
    let Some(cluster) = named.next_back().or_else(|| started_from(runs, file)) else {
        printer.complain(&format!(
            "error: `{shown}` has errors: toolorch check {shown}\nhelp: a cluster's name, or a run's, does as well: toolorch runs"
        ));
        return Err(ExitStatus::Usage);
    };
    printer.complain(&format!(
        "warning: `{shown}` has errors (toolorch check {shown}): what is known of `{cluster}` comes from its run"
    ));
    Ok(cluster.clone())
}

/// So many runs are named, the last ones first; `toolorch runs` lists them all.
const NAMED: usize = 5;

/// That a word is nothing, and what would be something.
fn unknown(runs: &[RunDir], word: &str) -> String {
    let names = runs.iter().rev().take(NAMED);
    let names: Vec<String> = names.map(|run| format!("`{}`", run.id())).collect();
    let there = match names.as_slice() {
        [] => {
            "there is no run here; one that was started in another folder is kept there".to_owned()
        }
        names => format!(
            "runs here: {}; `toolorch runs` lists them all",
            names.join(", ")
        ),
    };
    format!("error: `{word}` is no run, no cluster that ever ran here, and no file\nhelp: {there}")
}

/// The cluster of the last run that follows this YAML.
fn started_from<'a>(runs: &'a [RunDir], file: &Path) -> Option<&'a ClusterName> {
    let path = file.canonicalize().ok()?;
    let follows = |run: &&RunDir| {
        let records = read_journal(run.path()).unwrap_or_default();
        RunState::fold(&records).yaml.as_deref() == path.to_str()
    };
    runs.iter().rev().find(follows).map(RunDir::cluster)
}
