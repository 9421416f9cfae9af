//! `toolorch down`: stop everything of a cluster, and prove it.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use crate::base::{Clock, ExitStatus, UnitId};
use crate::cli::args::DownArgs;
use crate::cli::detach;
use crate::cli::printer::Printer;
use crate::cli::runs::{self, Found};
use crate::facts::{Known, Listener, Observation};
use crate::plan::UnitKind;
use crate::run::store::{Durability, Journal, Owner, StoreError, Watch, own_process};
use crate::run::{Event, StopWhy};
use crate::world::{self, Launchers, SystemClock, UnitDirs};

/// How often everything is stopped again while processes of the run show up.
const ROUNDS: usize = 3;
/// How long a controller gets to leave.
const PATIENCE: Duration = Duration::from_secs(15);

pub(in crate::cli) fn run(args: &DownArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let (found, unread) = runs::find_to_stop(args.file.as_deref(), printer)?;
    let _turn = wait_for_turn(&found, printer);
    let (found, mut ledger) = Ledger::open(found, unread, printer)?;
    let dirs = UnitDirs::new(found.dir.id());
    let there: Vec<UnitId> = in_order(&found)
        .into_iter()
        .filter(|unit| {
            let phase = found.state.unit(unit).phase;
            dirs.observe(unit) != Observation::Never || phase.may_live()
        })
        .collect();
    for unit in &there {
        ledger.note(Event::StopIntended {
            unit: unit.clone(),
            generation: found.state.unit(unit).generation,
            why: StopWhy::Down,
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| ExitStatus::Internal)?;
    let mut problems = runtime.block_on(stop_everything(&found, &there, printer));
    for unit in there {
        let generation = found.state.unit(&unit).generation;
        ledger.note(Event::Stopped { unit, generation });
    }
    problems.extend(leftovers(&found));
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
        ledger.note(ended(&found));
    }
    let status = ledger.close();
    if problems.is_empty() {
        status.map_or(Ok(ExitStatus::Done), Err)
    } else {
        Err(ExitStatus::Refused)
    }
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
        ledger.note(Event::OwnerTook {
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

/// Stops all units, and again while processes of the run show up; answers what could not be stopped.
async fn stop_everything(found: &Found, there: &[UnitId], printer: Printer) -> Vec<String> {
    let mut failures = stop_all(found, there.to_vec(), printer).await;
    for _ in 0..ROUNDS {
        // A script that was on its way when it was asked to stop shows only now.
        if find_ours(found).is_empty() {
            break;
        }
        failures = stop_all(found, there.to_vec(), printer).await;
    }
    failures
}

/// Clients first, so that none sees its servers go.
fn in_order(found: &Found) -> Vec<UnitId> {
    let client = |unit: &&crate::plan::Unit| matches!(unit.kind, UnitKind::Eval { .. });
    let units = &found.plan.units;
    let mut order: Vec<UnitId> = units.iter().filter(client).map(|u| u.id.clone()).collect();
    order.extend(units.iter().filter(|u| !client(u)).map(|u| u.id.clone()));
    order
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
            printer.complain("error: the controller does not leave: end it, then try again");
            return Err(runs::store(&error, printer));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Stops clients, then servers, each group at once; answers what could not be stopped.
async fn stop_all(found: &Found, units: Vec<UnitId>, printer: Printer) -> Vec<String> {
    let launchers = Launchers::default();
    let scripts = found.dir.scripts();
    let is_client = |unit: &UnitId| unit.as_str().starts_with("eval-");
    let (clients, servers): (Vec<UnitId>, Vec<UnitId>) = units.into_iter().partition(is_client);
    let mut failures = Vec::new();
    for group in [clients, servers] {
        if group.is_empty() {
            continue;
        }
        let plural = if group.len() == 1 { "" } else { "s" };
        printer.say(&format!("stopping {} unit{plural}", group.len()));
        let stops = group.iter().map(|unit| {
            let grace = found.plan.unit(unit).map(|unit| unit.grace);
            let (launchers, scripts) = (&launchers, &scripts);
            async move {
                let done = launchers
                    .stop(found.dir.id(), unit, scripts, grace.unwrap_or_default())
                    .await;
                done.err().map(|error| format!("`{unit}`: {error}"))
            }
        });
        let stopped = futures_util::future::join_all(stops).await;
        failures.extend(stopped.into_iter().flatten());
    }
    if let Err(error) = launchers.end_tmux(found.dir.id()).await {
        failures.push(error.to_string());
    }
    failures
}

fn find_ours(found: &Found) -> Vec<u32> {
    world::find_marked(&format!("{}/", found.dir.id()))
}

/// What is still there, by the world's own word.
fn leftovers(found: &Found) -> Vec<String> {
    let ours = find_ours(found);
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
