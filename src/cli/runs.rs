//! Which run a command speaks of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::meant::Meant;
use super::printer::Printer;
use super::{orphans, owners};
use crate::base::{ClusterName, ExitStatus, Millis, Port, UnitId};
use crate::facts::Observation;
use crate::plan::Plan;
use crate::plan::rehearsal::name_of;
use crate::run::store::{Home, RunDir, StoreError, read_journal, read_regular};
use crate::run::{Phase, Record, RunState};
use crate::world::UnitDirs;

/// A run as its directory tells it.
pub(super) struct Found {
    pub(super) dir: RunDir,
    pub(super) plan: Plan,
    pub(super) records: Vec<Record>,
    pub(super) state: RunState,
}

/// Where runs are kept: `$TOOLORCH_HOME`, else the nearest `.toolorch`.
pub(super) fn home() -> Home {
    let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let variable = std::env::var_os("TOOLORCH_HOME").map(PathBuf::from);
    Home::find(&folder, variable.as_deref())
}

/// The run that a word means (see [`Meant`]), or the only live run where there is none.
///
/// # Errors
/// There is none, or more than one: said, with the list.
pub(super) fn find(word: Option<&Path>, printer: Printer) -> Result<Found, ExitStatus> {
    let meant = meant(word, printer)?;
    let dir = locate(meant.as_ref(), word, printer)?;
    read(dir).map_err(|error| store(&error, printer))
}

/// What a word means, where there is one.
///
/// # Errors
/// It means nothing: said.
pub(super) fn meant(word: Option<&Path>, printer: Printer) -> Result<Option<Meant>, ExitStatus> {
    let meant = word.map(|word| Meant::of(&home(), word, printer));
    meant.transpose()
}

/// The same, also where the journal cannot be read: units stand in the plan. Answers with what is wrong with the journal,
/// if anything is, which was said.
pub(super) fn find_anyway(
    meant: Option<&Meant>,
    word: Option<&Path>,
    printer: Printer,
) -> Result<(Found, Option<ExitStatus>), ExitStatus> {
    read_anyway(locate(meant, word, printer)?, printer)
}

/// The same of one run.
pub(super) fn read_anyway(
    dir: RunDir,
    printer: Printer,
) -> Result<(Found, Option<ExitStatus>), ExitStatus> {
    let (found, wrong) = readable(dir, printer)?;
    let wrong = wrong.map(|error| store(&error, printer));
    Ok((found, wrong))
}

/// The same for those who need no more than the plan: a journal that cannot be read is worth a warning.
pub(super) fn find_plan(word: Option<&Path>, printer: Printer) -> Result<Found, ExitStatus> {
    let meant = meant(word, printer)?;
    plan_in(locate(meant.as_ref(), word, printer)?, printer)
}

/// The same of one run.
pub(super) fn plan_in(dir: RunDir, printer: Printer) -> Result<Found, ExitStatus> {
    let (found, wrong) = readable(dir, printer)?;
    if let Some(error) = wrong {
        printer.complain(&format!("warning: {error}"));
    }
    Ok(found)
}

fn readable(dir: RunDir, printer: Printer) -> Result<(Found, Option<StoreError>), ExitStatus> {
    let error = match read(dir.clone()) {
        Ok(found) => return Ok((found, None)),
        Err(error) => error,
    };
    let plan = read_plan(&dir).map_err(|_| store(&error, printer))?;
    let found = Found {
        dir,
        plan,
        records: Vec::new(),
        state: RunState::default(),
    };
    Ok((found, Some(error)))
}

fn locate(
    meant: Option<&Meant>,
    word: Option<&Path>,
    printer: Printer,
) -> Result<RunDir, ExitStatus> {
    let home = home();
    let dir = match meant {
        Some(Meant::Run(dir)) => dir.clone(),
        Some(Meant::Cluster(cluster)) => of_cluster(&home, cluster, word, printer)?,
        None => only_live(&home, printer)?,
    };
    owners::be_original(&dir, printer)?;
    Ok(dir)
}

fn of_cluster(
    home: &Home,
    cluster: &ClusterName,
    word: Option<&Path>,
    printer: Printer,
) -> Result<RunDir, ExitStatus> {
    let failed = |error| store(&error, printer);
    let mut latest = home.latest(cluster).map_err(failed)?;
    let over = |dir: &RunDir| dir.is_over().unwrap_or(false);
    // A rehearsal that goes on is meant where nothing of the cluster itself does.
    if latest.as_ref().is_none_or(over) {
        let mut rehearsals = live(home, Some(&name_of(cluster)), printer)?;
        latest = rehearsals.pop().or(latest);
    }
    // Nor is one that is over unknown where the cluster itself never ran.
    if latest.is_none() {
        latest = home.latest(&name_of(cluster)).map_err(failed)?;
    }
    // Of what was copied here only the history is told.
    if latest.is_none() {
        latest = home.runs_of(cluster).map_err(failed)?.pop();
    }
    match latest {
        Some(dir) if dir.plan().exists() => Ok(dir),
        other => Err(without_plan(home, cluster, other.as_ref(), word, printer)),
    }
}

/// A run that cannot be read is none, whose start was refused, or one whose plan or folder is gone.
fn without_plan(
    home: &Home,
    cluster: &ClusterName,
    latest: Option<&RunDir>,
    word: Option<&Path>,
    printer: Printer,
) -> ExitStatus {
    let (kept, shown) = (home.path().display(), word.map(Path::display));
    let yaml = word.filter(|word| word.is_file()).map(Path::display);
    let yaml = yaml.map_or_else(|| "CLUSTER.yaml".to_owned(), |yaml| yaml.to_string());
    let goes_on = |dir: &&RunDir| {
        let records = read_journal(dir.path()).unwrap_or_default();
        RunState::fold(&records).phase == Phase::Running
    };
    if let Some(dir) = latest.filter(goes_on) {
        let (run, plan) = (dir.id(), dir.plan());
        printer.complain(&format!(
            "error: the plan of run `{run}` is gone: `{}`\nhelp: write it anew and go on with what runs: toolorch up {yaml}",
            plan.display()
        ));
        return ExitStatus::JournalDamaged;
    }
    let orphans = orphans::find(home, Some(cluster));
    printer.complain(&match orphans.keys().next() {
        None => format!(
            "error: `{cluster}` has no run in `{kept}`\nhelp: start one: toolorch up {yaml}; one that was started in another folder is kept there"
        ),
        Some(run) => format!(
            "error: the folder of run `{run}` is gone, but processes of it live\nhelp: end them: toolorch down {}",
            shown.map_or_else(|| cluster.to_string(), |shown| shown.to_string())
        ),
    });
    ExitStatus::Usage
}

/// The plan that a run followed last.
///
/// # Errors
/// It cannot be read, or a newer toolorch wrote it.
pub(super) fn read_plan(dir: &RunDir) -> Result<Plan, StoreError> {
    #[derive(serde::Deserialize)]
    struct Form {
        format: u32,
    }
    let path = dir.plan();
    let failed = |source| StoreError::Io {
        doing: "read",
        path: path.clone(),
        source,
    };
    let bytes = read_regular(&path).map_err(failed)?;
    match serde_json::from_slice::<Form>(&bytes) {
        Ok(Form { format }) if format > Plan::FORMAT => Err(StoreError::Newer {
            path: path.clone(),
            found: format,
            known: Plan::FORMAT,
        }),
        _ => serde_json::from_slice(&bytes).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            line: error.line(),
            why: error.to_string(),
        }),
    }
}

/// The live run of a cluster, or a new one.
///
/// # Errors
/// A directory cannot be made, or the last run's journal is damaged.
pub(super) fn current(cluster: &ClusterName) -> Result<RunDir, StoreError> {
    home().current(cluster, owners::is_alive)
}

/// Ports of units of this cluster that run at this moment; none if nothing can be read.
pub(super) fn held_ports(cluster: &ClusterName) -> BTreeMap<UnitId, Port> {
    let Ok(Some(dir)) = home().latest(cluster) else {
        return BTreeMap::new();
    };
    let dirs = UnitDirs::of_run(&dir);
    let plan: Option<Plan> = read_regular(&dir.plan())
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    plan.iter()
        .flat_map(|plan| &plan.units)
        .filter(|unit| unit.port_auto)
        .filter(|unit| matches!(dirs.observe(&unit.id), Observation::Running(_)))
        .filter_map(|unit| Some((unit.id.clone(), unit.port?)))
        .collect()
}

/// What a rehearsal leaves for programs in its run's `report` folder.
pub(super) const REHEARSAL_FILE: &str = "rehearsal.json";

/// The least and the most that the evaluations of this cluster will take, by its latest rehearsal; none without one.
pub(super) fn predicted(cluster: &ClusterName) -> Option<(Millis, Millis)> {
    #[derive(Deserialize)]
    struct Kept {
        prediction: Option<Prediction>,
    }
    #[derive(Deserialize)]
    struct Prediction {
        likely: (Millis, Millis),
    }
    let dir = home().latest(&name_of(cluster)).ok().flatten()?;
    let bytes = read_regular(&dir.report().join(REHEARSAL_FILE)).ok()?;
    let kept: Kept = serde_json::from_slice(&bytes).ok()?;
    Some(kept.prediction?.likely)
}

/// The ports of this machine at which clients of this cluster's run ask servers behind tunnels, whether these stand now or not.
pub(super) fn held_doors(cluster: &ClusterName) -> BTreeMap<UnitId, Port> {
    let latest = home().latest(cluster).ok().flatten();
    let going_on = latest.filter(|dir| matches!(dir.is_over(), Ok(false)));
    let plan = going_on.and_then(|dir| read_plan(&dir).ok());
    let units = plan.into_iter().flat_map(|plan| plan.units);
    units
        .filter_map(|unit| Some((unit.id, unit.through?.port)))
        .collect()
}

/// Reads a run's directory.
///
/// # Errors
/// The journal is damaged, or a file cannot be read, or is none.
pub(super) fn read(dir: RunDir) -> Result<Found, StoreError> {
    dir.check_files()?;
    let records = read_journal(dir.path())?;
    told(dir, records)
}

/// A run whose journal was read.
///
/// # Errors
/// Its plan cannot be read.
pub(super) fn told(dir: RunDir, records: Vec<Record>) -> Result<Found, StoreError> {
    let mut plan = read_plan(&dir)?;
    let state = RunState::fold(&records);
    state.place_units(&mut plan);
    Ok(Found {
        dir,
        plan,
        records,
        state,
    })
}

/// The run that an `up` goes on with, if it goes on with one that was started.
///
/// # Errors
/// As [`read`].
pub(super) fn going_on(cluster: &ClusterName) -> Result<Option<Found>, StoreError> {
    match home().latest(cluster)? {
        Some(dir) if dir.plan().exists() && !dir.is_over()? => read(dir).map(Some),
        _ => Ok(None),
    }
}

/// Runs that were started and are not over: of this cluster, where one is named.
pub(super) fn live(
    home: &Home,
    cluster: Option<&ClusterName>,
    printer: Printer,
) -> Result<Vec<RunDir>, ExitStatus> {
    let mut runs = home.runs().map_err(|error| store(&error, printer))?;
    runs.retain(|run| {
        cluster.is_none_or(|name| name == run.cluster())
            && run.copy_of().is_none()
            && run.plan().exists()
            && !run.is_over().unwrap_or(false)
    });
    Ok(runs)
}

fn only_live(home: &Home, printer: Printer) -> Result<RunDir, ExitStatus> {
    let mut live = live(home, None, printer)?;
    if live.len() == 1 {
        return Ok(live.remove(0));
    }
    let mut started = home.runs().map_err(|error| store(&error, printer))?;
    let all = started.len();
    started.retain(|run| run.plan().exists());
    let clusters: BTreeSet<&ClusterName> = started.iter().map(RunDir::cluster).collect();
    // Of one cluster alone the last run is meant, over or not.
    if live.is_empty() && clusters.len() == 1 {
        return started.pop().ok_or(ExitStatus::Usage);
    }
    let names: Vec<&str> = live.iter().map(|run| run.id().as_str()).collect();
    printer.complain(&match (names.is_empty(), all) {
        (true, 0) => format!("error: there is no run in `{}`", home.path().display()),
        (true, _) => {
            "error: no run is live\nhelp: name the cluster's YAML; `toolorch runs` lists all runs"
                .to_owned()
        }
        (false, _) => format!(
            "error: several runs are live: {}\nhelp: name one of them, or the cluster's YAML",
            names.join(", ")
        ),
    });
    Err(ExitStatus::Usage)
}

/// Says a failure of the store, and its exit code.
pub(super) fn store(error: &StoreError, printer: Printer) -> ExitStatus {
    printer.complain(&format!("error: {error}"));
    if let Some(help) = error.help() {
        printer.complain(&format!("help: {help}"));
    }
    error.exit_status()
}
