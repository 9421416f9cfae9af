//! `toolorch down`: stop everything of a cluster, and prove it.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use crate::base::{Clock, ExitStatus, Millis, UnitId};
use crate::cli::args::DownArgs;
use crate::cli::printer::Printer;
use crate::cli::runs::{self, Found};
use crate::cli::stopping::Stop;
use crate::cli::{detach, orphans};
use crate::facts::{Known, Listener, Observation};
use crate::run::store::{Durability, Journal, Owner, StoreError, Watch, own_process};
use crate::run::{Event, Phase, StopWhy};
use crate::world::{self, SystemClock, UnitDirs};

/// How long a controller gets to leave.
const PATIENCE: Duration = Duration::from_secs(15);

pub(in crate::cli) fn run(args: &DownArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let cluster = args
        .file
        .as_deref()
        .map(|file| runs::cluster_of(file, printer));
    let cluster = cluster.transpose()?;
    let home = runs::home();
    let orphans = orphans::find(&home, cluster.as_ref());
    if orphans.is_empty() {
        return end_run(args, printer);
    }
    let mut all = true;
    for (run, units) in orphans {
        all &= orphans::end(&home, &run, units, printer)?;
    }
    let others = runs::live(&home, cluster.as_ref(), printer)?;
    if !others.is_empty() {
        end_run(args, printer)?;
    }
    if all {
        Ok(ExitStatus::Done)
    } else {
        Err(ExitStatus::Refused)
    }
}

fn end_run(args: &DownArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let (found, unread) = runs::find_to_stop(args.file.as_deref(), printer)?;
    let _turn = wait_for_turn(&found, printer);
    if unread.is_none() && nothing_lives(&found) {
        return was_down(&found, printer);
    }
    let (found, mut ledger) = Ledger::open(found, unread, printer)?;
    let dirs = UnitDirs::new(found.dir.id());
    let there: Vec<(UnitId, Millis)> = (found.plan.units.iter())
        .filter(|unit| dirs.observe(&unit.id) != Observation::Never || may_live(&found, &unit.id))
        .map(|unit| (unit.id.clone(), unit.grace))
        .collect();
    let living: Vec<UnitId> = (there.iter())
        .map(|(unit, _)| unit.clone())
        .filter(|unit| {
            !matches!(dirs.observe(unit), Observation::Exited(_)) || may_live(&found, unit)
        })
        .collect();
    for unit in &living {
        ledger.note(Event::StopIntended {
            unit: unit.clone(),
            generation: found.state.unit(unit).generation,
            why: StopWhy::Down,
        });
    }
    let scripts = found.dir.scripts();
    let stop = Stop {
        run: found.dir.id(),
        scripts: &scripts,
        units: there,
        printer,
    };
    let mut problems = stop.everything()?;
    for unit in living {
        let generation = found.state.unit(&unit).generation;
        ledger.note(Event::Stopped { unit, generation });
    }
    problems.extend(leftovers(&found, &stop.processes()));
    if problems.is_empty() {
        problems.extend(dirs.clear(&UnitId::new(detach::CONTROLLER)).err());
    }
    for problem in &problems {
        printer.complain(&format!("error: {problem}"));
    }
    if problems.is_empty() {
        printer.say(&format!(
            "`{}` is down: no process, no port and no session of it is left",
            found.dir.id()
        ));
        // How a run ended stays what it was.
        if !matches!(found.state.phase, Phase::Ended(_)) {
            ledger.note(ended(&found));
        }
    }
    let unrecorded = ledger.close();
    match unrecorded {
        _ if !problems.is_empty() => Err(ExitStatus::Refused),
        None => Ok(ExitStatus::Done),
        // All is down by the world's own word; a full disk does not change that.
        Some(ExitStatus::Internal) => {
            printer.complain("warning: this could not be recorded: for `toolorch status` the run goes on until `toolorch down` is repeated");
            Ok(ExitStatus::Done)
        }
        Some(status) => Err(status),
    }
}

fn may_live(found: &Found, unit: &UnitId) -> bool {
    found.state.unit(unit).phase.may_live()
}

/// Its end is recorded, and nothing of it came back.
fn nothing_lives(found: &Found) -> bool {
    matches!(found.state.phase, Phase::Ended(_))
        && world::find_marked(&format!("{}/", found.dir.id())).is_empty()
}

/// There is nothing to stop, and nothing to record: how the run ended stays what it was.
fn was_down(found: &Found, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let id = found.dir.id();
    UnitDirs::new(id)
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
    let path = found.dir.path().join("down.lock");
    let file = File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .ok()?;
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
        .and_then(|owner| owner.left.as_ref());
    let summary = match before {
        Some(before) => format!("down; before that: {before}"),
        None => "down".to_owned(),
    };
    Event::RunEnded { code: 0, summary }
}

/// The run's journal as far as it can be written: a full disk or a damaged journal must not keep
/// servers alive.
struct Ledger {
    journal: Option<Journal>,
    /// The first thing that went wrong.
    failed: Option<ExitStatus>,
    printer: Printer,
}

impl Ledger {
    /// Takes the run, and reads it again: its controller may have started more before it left.
    fn open(
        found: Found,
        unread: Option<ExitStatus>,
        printer: Printer,
    ) -> Result<(Found, Self), ExitStatus> {
        let mut ledger = Self {
            journal: None,
            failed: unread,
            printer,
        };
        if unread.is_some() {
            return Ok((found, ledger));
        }
        let owner = match take_over(&found, printer) {
            Ok(owner) => owner,
            Err(ExitStatus::Internal) => {
                ledger.failed = Some(ExitStatus::Internal);
                return Ok((found, ledger));
            }
            Err(status) => return Err(status),
        };
        let process = owner.process().clone();
        match Journal::open(owner) {
            Ok((journal, _)) => ledger.journal = Some(journal),
            Err(error) => ledger.failed = Some(runs::store(&error, printer)),
        }
        ledger.note(Event::DownBegan {
            host: process.host,
            pid: process.pid,
        });
        let again = runs::read(found.dir.clone()).unwrap_or(found);
        Ok((again, ledger))
    }

    /// Writes a line; what cannot be written is said once.
    fn note(&mut self, event: Event) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        let written = journal.append(SystemClock.now(), event, Durability::Synced);
        if let Err(error) = written {
            self.journal = None;
            self.failed = Some(runs::store(&error, self.printer));
        }
    }

    /// Gives the run up; answers what went wrong on the way.
    fn close(self) -> Option<ExitStatus> {
        let left = self.journal.map(|journal| journal.leave(SystemClock.now()));
        let failed = left.and_then(Result::err);
        let failed = failed.map(|error| runs::store(&error, self.printer));
        self.failed.or(failed)
    }
}

/// Takes the run; a controller that watches it is asked to leave first, and waited for.
fn take_over(found: &Found, printer: Printer) -> Result<Owner, ExitStatus> {
    let since = Instant::now();
    let mut asked = None;
    loop {
        let error = match Owner::take(found.dir.path(), SystemClock.now()) {
            Ok(owner) => return Ok(owner),
            Err(error @ StoreError::Owned { .. }) => error,
            Err(error) => return Err(runs::store(&error, printer)),
        };
        let watch = Watch::look(found.dir.path(), SystemClock.now())
            .map_err(|error| runs::store(&error, printer))?;
        if let Watch::Alive(owner) = watch {
            let there = owner.process;
            if there.host != own_process().host {
                printer.complain(&format!(
                    "error: a controller on `{}` watches this run (pid {})\nhelp: run `toolorch down` there",
                    there.host, there.pid
                ));
                return Err(ExitStatus::OwnedElsewhere);
            }
            if asked != Some(there.pid) {
                printer.say(&format!(
                    "asking the controller (pid {}) to leave",
                    there.pid
                ));
                world::terminate(there.pid, there.start);
                asked = Some(there.pid);
            }
        }
        if since.elapsed() > PATIENCE {
            let remedy = match asked {
                Some(pid) => format!("end it (kill -KILL {pid}), then try again"),
                None => "try again".to_owned(),
            };
            printer.complain(&format!(
                "error: the run's controller does not leave within {}s\nhelp: {remedy}",
                PATIENCE.as_secs()
            ));
            return Err(error.exit_status());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What is still there, by the world's own word.
fn leftovers(found: &Found, ours: &[u32]) -> Vec<String> {
    let living = ours.iter();
    let mut left: Vec<String> = living
        .map(|pid| format!("process {pid} of this run still lives"))
        .collect();
    let units = || found.plan.units.iter();
    let ports = units().filter_map(|unit| unit.port).collect();
    if let Known::Known(listeners) = world::listeners(&ports) {
        // What one of ours holds goes with it.
        let strange = |listener: &&Listener| !listener.pid.is_some_and(|pid| ours.contains(&pid));
        for unit in units() {
            let mut there = listeners.iter().filter(strange);
            let taken = there.find(|l| Some(l.port) == unit.port && l.address == unit.address);
            left.extend(taken.map(|listener| {
                let (port, unit, whom) = (listener.port, &unit.id, listener.whom());
                format!("port {port} of `{unit}` is in use by {whom}, which is not of this run")
            }));
        }
    }
    left
}
