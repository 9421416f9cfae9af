//! `toolorch down`: stop everything of a cluster, and prove it.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::sync::Arc;

use crate::base::{Epoch, ExitStatus, Millis, NodeName, UnitId};
use crate::cli::args::DownArgs;
use crate::cli::fleet::Machines;
use crate::cli::given_up::{Forgotten, GivenUp};
use crate::cli::ledger::Ledger;
use crate::cli::meant::Meant;
use crate::cli::printer::Printer;
use crate::cli::runs::{self, Found};
use crate::cli::stopping::{Ended, Stop, named};
use crate::cli::unit_scripts::{GRACE, stop_scripts};
use crate::cli::{changes, detach, former, orphans, owners, results_of};
use crate::facts::{Known, Listener, Observation};
use crate::render::{LIBRARY, quote};
use crate::run::store::{RunDir, failpoint, open_lock};
use crate::run::{Event, Phase, StopWhy};
use crate::world::{self, Fleet, UnitDirs};

pub(in crate::cli) fn run(args: &DownArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let (word, gone) = (args.file.as_deref(), args.gone.as_slice());
    let meant = runs::meant(word, printer)?;
    let cluster = match &meant {
        Some(Meant::Run(dir)) => {
            owners::be_original(dir, printer)?;
            let (found, unread) = runs::read_anyway(dir.clone(), printer)?;
            return end(found, unread, gone, printer);
        }
        Some(Meant::Cluster(cluster)) => Some(cluster),
        None => None,
    };
    let end_run = || {
        let (found, unread) = runs::find_anyway(meant.as_ref(), word, printer)?;
        end(found, unread, gone, printer)
    };
    let home = runs::home();
    let orphans = orphans::find(&home, cluster);
    if orphans.is_empty() {
        return end_run();
    }
    let mut all = true;
    for (run, units) in orphans {
        all &= orphans::end(&home, &run, units, printer)?;
    }
    let others = runs::live(&home, cluster, printer)?;
    if !others.is_empty() {
        end_run()?;
    }
    if let Some(words) = word.and_then(orphans::unknown_elsewhere) {
        printer.complain(&words);
        all = false;
    }
    if all {
        Ok(ExitStatus::Done)
    } else {
        Err(ExitStatus::Refused)
    }
}

/// Stops everything of this run, and proves it.
pub(in crate::cli) fn run_in(dir: RunDir, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let (found, unread) = runs::read_anyway(dir, printer)?;
    end(found, unread, &[], printer)
}

fn end(
    found: Found,
    unread: Option<ExitStatus>,
    gone: &[String],
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let _turn = wait_for_turn(&found, printer);
    let machines = machines_of(&found, printer)?;
    if unread.is_none() && machines.iter().next().is_none() && nothing_lives(&found) {
        return was_down(&found, printer);
    }
    let given_up = GivenUp::of(&found, &machines, gone, printer)?;
    let (found, mut ledger) = Ledger::open(found, unread, printer)?;
    let fleet = if given_up.all {
        Arc::default()
    } else {
        machines_of(&found, printer)?.fleet(&found.plan, &found.dir, printer)?
    };
    let dirs = UnitDirs::of_run(&found.dir);
    let there = units_there(&found, &fleet, &given_up);
    let living = living(&found, &fleet, &there);
    for unit in &living {
        ledger.note(Event::StopIntended {
            unit: unit.clone(),
            generation: found.state.unit(unit).generation,
            why: StopWhy::Down,
        });
    }
    failpoint("down-before-stop");
    let here = fleet.is_empty() && !given_up.is_any();
    let settled = settled(&found, unread);
    let asking = Asking {
        units: there,
        epoch: ledger.epoch(),
        fleet,
        settled,
        given_up: given_up.nodes.clone(),
    };
    let (ended, processes) = asking.stop(&found, printer)?;
    failpoint("down-after-stop");
    world::end_notified(found.dir.id());
    let forgotten = given_up.forgotten(&ended);
    // What could not be proved may live.
    let living: BTreeSet<UnitId> = living.into_iter().collect();
    let stopped: BTreeSet<UnitId> = living.difference(&ended.unproved).cloned().collect();
    for unit in stopped.iter().chain(&given_up.units) {
        let (unit, generation) = (unit.clone(), found.state.unit(unit).generation);
        ledger.note(Event::Stopped { unit, generation });
    }
    let mut problems = ended.problems;
    problems.extend(left(&processes));
    failpoint("down-before-end");
    if problems.is_empty() {
        problems.extend(dirs.clear(&UnitId::new(detach::CONTROLLER)).err());
        problems.extend(former::forget(&found.dir).err().map(|why| why.to_string()));
    }
    let seen = stopped.difference(&forgotten.all()).cloned().collect();
    if !problems.is_empty() || forgotten.is_any() {
        tell_stopped(&seen, printer);
    }
    for remark in &ended.remarks {
        printer.complain(&format!("warning: {remark}"));
    }
    tell_problems(&found, &problems, &ended.silent, printer);
    if problems.is_empty() {
        let strangers = strangers(&found);
        for stranger in &strangers {
            printer.complain(&format!("warning: {stranger}"));
        }
        let port = if strangers.is_empty() && here {
            ", no port"
        } else {
            ""
        };
        printer.say(&forgotten.words(found.dir.id(), port));
        // How a run ended stays what it was.
        if !matches!(found.state.phase, Phase::Ended(_)) {
            ledger.note(ended_by(&found, &forgotten));
        }
    }
    let unrecorded = ledger.close();
    results_of::keep_at_the_end(&found.dir, None, printer);
    status(&found, problems.is_empty(), unrecorded, printer)
}

/// Where not all was, or not all by its own word.
fn tell_stopped(units: &BTreeSet<UnitId>, printer: Printer) {
    if !units.is_empty() {
        printer.say(&format!("stopped: {}", named(units)));
    }
}

/// What is not as it should be, and what to do about machines that do not answer.
fn tell_problems(
    found: &Found,
    problems: &[String],
    silent: &BTreeSet<NodeName>,
    printer: Printer,
) {
    for problem in problems {
        printer.complain(&format!("error: {problem}"));
    }
    let id = found.dir.id();
    for node in silent {
        printer.complain(&format!(
            "help: once it answers: toolorch down {id}\n      if `{node}` never comes back: toolorch down --gone {} {id}",
            quote(node.as_str()).unwrap_or_default()
        ));
    }
}

/// Whom to ask: only they can tell what they have left.
fn machines_of(found: &Found, printer: Printer) -> Result<Machines, ExitStatus> {
    let former = former::of(&found.dir).map_err(|error| runs::store(&error, printer))?;
    Ok(Machines::new(&found.plan, former))
}

/// What is to be stopped: all that is elsewhere, and what of this machine ever ran.
fn units_there(found: &Found, fleet: &Fleet, given_up: &GivenUp) -> Vec<(UnitId, Millis)> {
    let dirs = UnitDirs::of_run(&found.dir);
    let starting = starting(found);
    let mut units = units_of(found);
    units.retain(|(unit, _)| {
        fleet.of(unit).is_some()
            || !given_up.units.contains(unit)
                && (dirs.observe(unit) != Observation::Never
                    || starting.contains(unit)
                    || may_live(found, unit))
    });
    units
}

/// Those of them whose end is to be recorded.
fn living(found: &Found, fleet: &Fleet, there: &[(UnitId, Millis)]) -> Vec<UnitId> {
    let dirs = UnitDirs::of_run(&found.dir);
    let starting = starting(found);
    let units = there.iter().map(|(unit, _)| unit.clone());
    units
        .filter(|unit| {
            let lives =
                !matches!(dirs.observe(unit), Observation::Exited(_)) && fleet.of(unit).is_none();
            lives || starting.contains(unit) || may_live(found, unit)
        })
        .collect()
}

fn starting(found: &Found) -> BTreeSet<UnitId> {
    let starts = world::starts(found.dir.id()).into_iter();
    starts.map(|(_, unit)| unit).collect()
}

/// Units of which nothing can live, whoever does not answer; none is known where the journal is not.
fn settled(found: &Found, unread: Option<ExitStatus>) -> BTreeSet<UnitId> {
    let units = found.plan.units.iter().map(|unit| &unit.id);
    let settled = units.filter(|unit| unread.is_none() && found.state.is_settled(unit));
    settled.cloned().collect()
}

/// Units of the plan, those that an earlier plan had, and whatever else carries the run's mark, each with the time between TERM and KILL.
fn units_of(found: &Found) -> Vec<(UnitId, Millis)> {
    let planned = found.plan.units.iter();
    let mut others = changes::marked(&found.dir);
    others.extend(found.state.units.keys().cloned());
    others.retain(|unit| found.plan.unit(unit).is_none());
    planned
        .map(|unit| (unit.id.clone(), unit.grace))
        .chain(others.into_iter().map(|unit| (unit, GRACE)))
        .collect()
}

/// Who is asked, and for what.
struct Asking {
    units: Vec<(UnitId, Millis)>,
    epoch: Option<Epoch>,
    fleet: Arc<Fleet>,
    settled: BTreeSet<UnitId>,
    given_up: BTreeSet<NodeName>,
}

impl Asking {
    /// Stops the units, by their own scripts or, where one is gone, by scripts that can do nothing else; answers what could
    /// not be stopped, and which processes are left.
    fn stop(self, found: &Found, printer: Printer) -> Result<(Ended, Vec<u32>), ExitStatus> {
        let scripts = found.dir.scripts();
        let gone =
            |(unit, _): &(UnitId, Millis)| !scripts.join(format!("units/{unit}.sh")).exists();
        let without_library = !scripts.join(LIBRARY).exists();
        let spare = (without_library || self.units.iter().any(gone)).then(|| {
            let names: Vec<&UnitId> = self.units.iter().map(|(unit, _)| unit).collect();
            stop_scripts(&found.plan.cluster, &names)
        });
        let spare = spare.transpose().map_err(|why| printer.internal(why))?;
        let stop = Stop {
            run: found.dir.id(),
            epoch: self.epoch,
            scripts: spare
                .as_ref()
                .map_or(scripts.as_path(), |spare| spare.path()),
            units: self.units,
            fleet: self.fleet,
            settled: self.settled,
            given_up: self.given_up,
            printer,
        };
        let ended = stop.everything()?;
        Ok((ended, stop.processes()))
    }
}

/// The exit code; `unrecorded` is what kept it from being recorded.
fn status(
    found: &Found,
    down: bool,
    unrecorded: Option<ExitStatus>,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    match unrecorded {
        _ if !down => Err(ExitStatus::Refused),
        None => Ok(ExitStatus::Done),
        // All is down by the world's own word; a full disk does not change that.
        Some(ExitStatus::Internal | ExitStatus::Refused) => {
            printer.complain("warning: this could not be recorded: for `toolorch status` the run goes on until `toolorch down` is repeated");
            Ok(ExitStatus::Done)
        }
        Some(status) => {
            printer.complain(&format!(
                "help: to begin anew rename `{}`; results are kept elsewhere",
                found.dir.path().display()
            ));
            Err(status)
        }
    }
}

fn may_live(found: &Found, unit: &UnitId) -> bool {
    found.state.unit(unit).phase.may_live()
}

/// Its end is recorded, and nothing of it came back.
fn nothing_lives(found: &Found) -> bool {
    matches!(found.state.phase, Phase::Ended(_))
        && world::find_marked(&format!("{}/", found.dir.id())).is_empty()
        && world::starts(found.dir.id()).is_empty()
}

/// There is nothing to stop, and nothing to record: how the run ended stays what it was.
fn was_down(found: &Found, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let id = found.dir.id();
    UnitDirs::of_run(&found.dir)
        .clear(&UnitId::new(detach::CONTROLLER))
        .map_err(|why| {
            printer.complain(&format!("error: {why}"));
            ExitStatus::Refused
        })?;
    printer.say(&format!(
        "`{id}` is down since it ended: no process of it is left"
    ));
    Ok(ExitStatus::Done)
}

/// Two at once would each take the other for a controller that has to leave. The lock ends with its process; where there
/// are no locks, or the directory is gone, nobody waits.
fn wait_for_turn(found: &Found, printer: Printer) -> Option<File> {
    let path = found.dir.down_lock();
    let file = open_lock(&path, 0o600).ok()?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        printer.say("another `toolorch down` is at work: waiting for it");
        file.lock().ok()?;
    }
    Some(file)
}

fn ended_by(found: &Found, forgotten: &Forgotten) -> Event {
    let before = found
        .state
        .owner
        .as_ref()
        .and_then(|owner| owner.left.as_ref())
        .map(|left| &left.why);
    let summary = match before {
        Some(before) => format!("down; before that: {before}"),
        None => "down".to_owned(),
    };
    let gone = forgotten
        .hosts()
        .map(|host| format!("; `{host}` is said to be gone"));
    let summary = summary + &gone.collect::<String>();
    Event::RunEnded { code: 0, summary }
}

/// What is still there, by the world's own word.
fn left(ours: &[u32]) -> impl Iterator<Item = String> {
    let living = ours.iter();
    living.map(|pid| format!("process {pid} of this run still lives"))
}

/// Who listens on the run's ports now that nothing of it lives.
fn strangers(found: &Found) -> Vec<String> {
    // Of ports on other machines this one tells nothing.
    let units = || found.plan.units_here();
    let ports = units().filter_map(|unit| unit.port).collect();
    let Known::Known(listeners) = world::listeners(&ports) else {
        return Vec::new();
    };
    let taken = units().filter_map(|unit| {
        let here = |l: &&Listener| Some(l.port) == unit.port && l.address == unit.address;
        let listener = listeners.iter().find(here)?;
        let (port, unit, whom) = (listener.port, &unit.id, listener.whom());
        Some(format!(
            "port {port} of `{unit}` is in use by {whom}, which is not of this run"
        ))
    });
    taken.collect()
}
