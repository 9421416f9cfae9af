//! What `toolorch down` records, as far as anything can be recorded.

use std::time::{Duration, Instant};

use super::printer::Printer;
use super::runs::{self, Found};
use crate::base::{Clock, Epoch, ExitStatus};
use crate::run::Event;
use crate::run::store::{
    Durability, Journal, Owner, Reserve, StoreError, Watch, failpoint, own_process,
};
use crate::world::{self, SystemClock};

/// How long a controller gets to leave.
const PATIENCE: Duration = Duration::from_secs(15);

/// The run's journal as far as it can be written: a full disk or a damaged journal must not keep
/// servers alive.
pub(super) struct Ledger {
    journal: Option<Journal>,
    /// The first thing that went wrong.
    failed: Option<ExitStatus>,
    /// The owner that `down` is, where it could take the run.
    epoch: Option<Epoch>,
    printer: Printer,
}

impl Ledger {
    /// Takes the run, and reads it again: its controller may have started more before it left.
    pub(super) fn open(
        found: Found,
        unread: Option<ExitStatus>,
        printer: Printer,
    ) -> Result<(Found, Self), ExitStatus> {
        let mut ledger = Self {
            journal: None,
            failed: unread,
            epoch: None,
            printer,
        };
        // The run ends: what was kept for bad times is for its last lines.
        Reserve::of(found.dir.path()).release();
        if unread.is_some() {
            return Ok((found, ledger));
        }
        let owner = match take_over(&found, printer) {
            Ok(owner) => owner,
            Err(status @ ExitStatus::OwnedElsewhere) => return Err(status),
            Err(status) => {
                ledger.failed = Some(status);
                return Ok((found, ledger));
            }
        };
        let process = owner.process().clone();
        failpoint("down-taken");
        ledger.epoch = Some(owner.epoch());
        // An earlier owner that wakes up must not start again what is stopped here.
        if let Err(why) = found.dir.raise_fence(owner.epoch()) {
            printer.complain(&format!("warning: {why}"));
        }
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

    /// The owner that `down` is; none where the run could not be taken.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// Writes a line; what cannot be written is said once.
    pub(super) fn note(&mut self, event: Event) {
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
    pub(super) fn close(self) -> Option<ExitStatus> {
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
            Err(error) => {
                // A controller that cannot read who it is gives up at its next look.
                await_unlocked(found, since);
                return Err(runs::store(&error, printer));
            }
        };
        let watch = Watch::look(found.dir.path(), SystemClock.now())
            .map_err(|error| runs::store(&error, printer))?;
        if let Watch::Alive(owner) = watch {
            let there = owner.process;
            if !there.is_seen_from(&own_process()) {
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

/// Waits until no controller holds the run, or patience ends.
fn await_unlocked(found: &Found, since: Instant) {
    while Owner::is_locked(found.dir.path()) && since.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
}
