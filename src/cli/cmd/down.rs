//! `toolorch down`: stop everything of a cluster, and prove it.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::sync::Arc;

use crate::base::{Epoch, ExitStatus, Millis, UnitId};
use crate::cli::args::DownArgs;
use crate::cli::ledger::Ledger;
use crate::cli::meant::Meant;
use crate::cli::printer::Printer;
use crate::cli::runs::{self, Found};
use crate::cli::stopping::{Ended, Stop};
use crate::cli::unit_scripts::{GRACE, stop_scripts};
use crate::cli::{changes, detach, fleet, orphans, owners, results_of};
use crate::facts::{Known, Listener, Observation};
use crate::render::{FileSet, LIBRARY};
use crate::run::store::{RunDir, failpoint, open_lock};
use crate::run::{Event, Phase, StopWhy};
use crate::world::{self, Fleet, UnitDirs};

pub(in crate::cli) fn run(args: &DownArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let (word, gone) = (args.file.as_deref(), args.gone.as_deref());
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
    end(found, unread, None, printer)
}

fn end(
    found: Found,
    unread: Option<ExitStatus>,
    gone: Option<&str>,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let _turn = wait_for_turn(&found, printer);
    if unread.is_none() && nothing_lives(&found) {
        return was_down(&found, printer);
    }
    if let Some(host) = gone {
        return forget(found, unread, host, printer);
    }
    owners::be_here(&found.dir, "nothing was stopped", printer)?;
    let (found, mut ledger) = Ledger::open(found, unread, printer)?;
    let dirs = UnitDirs::of_run(&found.dir);
    let fleet = fleet::of(&found.plan, &FileSet::new(), &found.dir, printer)?;
    let starting: BTreeSet<UnitId> = world::starts(found.dir.id())
        .into_iter()
        .map(|(_, unit)| unit)
        .collect();
    let may_live = |unit: &UnitId| starting.contains(unit) || may_live(&found, unit);
    let there: Vec<(UnitId, Millis)> = (units_of(&found).into_iter())
        .filter(|(unit, _)| {
            let elsewhere = fleet.of(unit).is_some();
            elsewhere || dirs.observe(unit) != Observation::Never || may_live(unit)
        })
        .collect();
    let mut living: Vec<UnitId> = (there.iter())
        .map(|(unit, _)| unit.clone())
        .filter(|unit| {
            let lives =
                !matches!(dirs.observe(unit), Observation::Exited(_)) && fleet.of(unit).is_none();
            lives || may_live(unit)
        })
        .collect();
    for unit in &living {
        ledger.note(Event::StopIntended {
            unit: unit.clone(),
            generation: found.state.unit(unit).generation,
            why: StopWhy::Down,
        });
    }
    failpoint("down-before-stop");
    let here = fleet.is_empty();
    let (stopped, processes) = stop(&found, there, ledger.epoch(), fleet, printer)?;
    failpoint("down-after-stop");
    world::end_notified(found.dir.id());
    // What could not be proved may live.
    living.retain(|unit| !stopped.unproved.contains(unit));
    let mut problems = stopped.problems;
    for unit in living {
        let generation = found.state.unit(&unit).generation;
        ledger.note(Event::Stopped { unit, generation });
    }
    problems.extend(left(&processes));
    failpoint("down-before-end");
    if problems.is_empty() {
        problems.extend(dirs.clear(&UnitId::new(detach::CONTROLLER)).err());
    }
    for problem in &problems {
        printer.complain(&format!("error: {problem}"));
    }
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
        printer.say(&format!(
            "`{}` is down: no process with its mark{port} and no session is left",
            found.dir.id()
        ));
        // How a run ended stays what it was.
        if !matches!(found.state.phase, Phase::Ended(_)) {
            ledger.note(ended(&found));
        }
    }
    let unrecorded = ledger.close();
    results_of::keep_at_the_end(&found.dir, None, printer);
    status(&found, problems.is_empty(), unrecorded, printer)
}

/// Ends a run of which nothing can be seen any more, by the word of whoever asks.
fn forget(
    found: Found,
    unread: Option<ExitStatus>,
    host: &str,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let there = owners::elsewhere(&found.dir).map_err(|error| runs::store(&error, printer))?;
    let Some(there) = there.filter(|there| there.host == host) else {
        printer.complain(&format!(
            "error: nothing of `{}` is known to live on `{host}`\nhelp: without --gone `toolorch down` ends what lives here, and says what lives elsewhere",
            found.dir.id()
        ));
        return Err(ExitStatus::Usage);
    };
    let (found, mut ledger) = Ledger::open(found, unread, printer)?;
    for unit in there.units {
        let generation = found.state.unit(&unit).generation;
        ledger.note(Event::Stopped { unit, generation });
    }
    printer.say(&format!(
        "`{}` is over without a look: what ran on `{host}` is said to be gone",
        found.dir.id()
    ));
    let summary = format!("down without a look: `{host}` is said to be gone");
    ledger.note(Event::RunEnded { code: 0, summary });
    let unrecorded = ledger.close();
    results_of::keep_at_the_end(&found.dir, None, printer);
    status(&found, true, unrecorded, printer)
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

/// Stops the units, by their own scripts or, where one is gone, by scripts that can do nothing else; answers what could not
/// be stopped, and which processes are left.
fn stop(
    found: &Found,
    units: Vec<(UnitId, Millis)>,
    epoch: Option<Epoch>,
    fleet: Arc<Fleet>,
    printer: Printer,
) -> Result<(Ended, Vec<u32>), ExitStatus> {
    let scripts = found.dir.scripts();
    let gone = |(unit, _): &(UnitId, Millis)| !scripts.join(format!("units/{unit}.sh")).exists();
    let without_library = !scripts.join(LIBRARY).exists();
    let spare = (without_library || units.iter().any(gone)).then(|| {
        let names: Vec<&UnitId> = units.iter().map(|(unit, _)| unit).collect();
        stop_scripts(&found.plan.cluster, &names)
    });
    let spare = spare.transpose().map_err(|why| printer.internal(why))?;
    let stop = Stop {
        run: found.dir.id(),
        epoch,
        scripts: spare
            .as_ref()
            .map_or(scripts.as_path(), |spare| spare.path()),
        units,
        fleet,
        printer,
    };
    let ended = stop.everything()?;
    Ok((ended, stop.processes()))
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
        // What other machines have left only they can tell.
        && found.plan.jobs.is_empty() && found.plan.reached().next().is_none()
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

fn ended(found: &Found) -> Event {
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
