//! `toolorch status`.

use std::io::IsTerminal;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::base::{Clock, ExitStatus};
use crate::cli::args::StatusArgs;
use crate::cli::printer::Printer;
use crate::cli::refresh::as_seen_now;
use crate::cli::runs::{self, Found};
use crate::facts::Observation;
use crate::run::Phase;
use crate::run::store::{TIME_TO_LIVE, Watch};
use crate::view::{IdleStop, Status};
use crate::world::{SystemClock, UnitDirs};

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);
/// Home, and everything below it cleared.
const REDRAW: &str = "\x1b[H\x1b[J";

pub(in crate::cli) fn run(args: &StatusArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let mut found = runs::find(args.file.as_deref(), printer)?;
    if !args.watch {
        let status = look(&found, printer)?;
        let text = if args.json {
            format!("{:#}\n", status.json())
        } else {
            status.text(&TimeZone::system())
        };
        printer.data(&text).map_err(|_| ExitStatus::Internal)?;
        return Ok(ExitStatus::Done);
    }
    let terminal = std::io::stdout().is_terminal();
    let mut shown = (0, found.state.owner.clone());
    loop {
        let text = look(&found, printer)?.text(&TimeZone::system());
        let news = (found.state.seq, found.state.owner.clone());
        if terminal || shown != news {
            let before = if terminal { REDRAW } else { "" };
            let out = format!("{before}{text}\n");
            printer.data(&out).map_err(|_| ExitStatus::Internal)?;
            shown = news;
        }
        if matches!(found.state.phase, Phase::Ended(_)) {
            return Ok(ExitStatus::Done);
        }
        std::thread::sleep(EVERY);
        // The same run to its end, also when another one begins.
        found = runs::read(found.dir).map_err(|error| runs::store(&error, printer))?;
    }
}

/// What the journal says; where nobody watches, what one look adds.
fn look(found: &Found, printer: Printer) -> Result<Status, ExitStatus> {
    let now = SystemClock.now();
    // History stays what it was, whatever became of its results.
    if matches!(found.state.phase, Phase::Ended(_)) {
        return Ok(Status::new(&found.plan, &found.state, now));
    }
    let watch = Watch::look(found.dir.path(), now).map_err(|error| runs::store(&error, printer))?;
    Ok(match watch {
        Watch::Alive(owner) => {
            let status = Status::new(&found.plan, &found.state, now);
            match now.since(owner.heartbeat) {
                silent if silent > TIME_TO_LIVE => {
                    let status = status.watcher_is_silent(silent);
                    status.with_idle_stop(next_idle_stop(found))
                }
                _ => status,
            }
        }
        Watch::Gone(owner) => Status::new(&found.plan, &as_seen_now(found), now)
            .watcher_is_gone(owner.heartbeat)
            .with_idle_stop(next_idle_stop(found)),
        // Its file is gone; the journal knows who it was.
        Watch::Nobody => {
            let owner = found.state.owner.as_ref();
            Status::new(&found.plan, &as_seen_now(found), now)
                .watcher_is_gone(owner.map_or(now, |owner| owner.since))
                .with_idle_stop(next_idle_stop(found))
        }
    })
}

/// The unit that stops itself next, as far as the scripts of those that run say so.
fn next_idle_stop(found: &Found) -> Option<IdleStop> {
    let dirs = UnitDirs::of_run(&found.dir);
    let units = found.plan.units.iter().map(|unit| &unit.id);
    let stops = units.filter_map(|unit| {
        let left_ms = dirs.stops_itself_in(unit)?;
        let runs = matches!(dirs.observe(unit), Observation::Running(_));
        runs.then(|| IdleStop {
            unit: unit.clone(),
            left_ms,
        })
    });
    stops.min_by_key(|stop| stop.left_ms)
}
