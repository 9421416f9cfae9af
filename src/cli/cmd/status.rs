//! `toolorch status`.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::base::{Clock, ExitStatus, NodeName, Timestamp};
use crate::cli::args::StatusArgs;
use crate::cli::owners;
use crate::cli::printer::Printer;
use crate::cli::refresh::as_seen_now;
use crate::cli::runs::{self, Found};
use crate::cli::verdict_lines::{VerdictLines, Verdicts};
use crate::facts::Observation;
use crate::run::Phase;
use crate::run::store::{StoreError, TIME_TO_LIVE, Watch};
use crate::view::{IdleStop, Seen, Status};
use crate::world::{SystemClock, UnitDirs};

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);
/// Home, and everything below it cleared.
const REDRAW: &str = "\x1b[H\x1b[J";

pub(in crate::cli) fn run(args: &StatusArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let mut found = runs::find(args.file.as_deref(), printer)?;
    let failed = |error| runs::store(&error, printer);
    if !args.watch {
        let status = look(&found).map_err(failed)?;
        let text = if args.json {
            format!("{:#}\n", status.json())
        } else {
            let verdict = VerdictLines::default().of(&found);
            with_verdict(status, &verdict)
        };
        printer.data(&text).map_err(|_| ExitStatus::Internal)?;
        return Ok(ExitStatus::Done);
    }
    let terminal = std::io::stdout().is_terminal();
    let mut shown = (0, found.state.owner.clone(), Verdicts::default());
    let mut lines = VerdictLines::default();
    loop {
        let verdict = lines.of(&found);
        let text = with_verdict(look(&found).map_err(failed)?, &verdict);
        let news = (found.state.seq, found.state.owner.clone(), verdict);
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
        found = runs::read(found.dir).map_err(failed)?;
    }
}

/// What runs, and behind it what it is limited by.
fn with_verdict(status: Status, verdict: &Verdicts) -> String {
    let status = status.without_time_left_of(&verdict.foretold);
    let mut text = status.text(&TimeZone::system());
    for line in &verdict.lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// What the journal says; where nobody watches or writes it, what one look adds.
///
/// # Errors
/// Who watches cannot be read.
pub(in crate::cli) fn look(found: &Found) -> Result<Status, StoreError> {
    let now = SystemClock.now();
    // History stays what it was, whatever became of its results.
    if matches!(found.state.phase, Phase::Ended(_)) {
        return Ok(Status::new(&found.plan, &found.state, now));
    }
    let watch = Watch::look(found.dir.path(), now)?;
    let Some(seen) = seen(&watch, found, now) else {
        return Ok(Status::new(&found.plan, &found.state, now));
    };
    let there = owners::elsewhere(&found.dir)?;
    let status = Status::new(&found.plan, &as_seen_now(found), now).watcher_seen(seen);
    if let Some(there) = there {
        return Ok(status
            .with_units_on(&there.host)
            .with_unwatched(unwatched(found)));
    }
    Ok(match seen {
        Seen::Unrecorded { .. } => status,
        Seen::Gone { .. } => status
            .with_idle_stop(next_idle_stop(found))
            .with_unwatched(unwatched(found)),
        _ => status.with_idle_stop(next_idle_stop(found)),
    })
}

/// What one look at the watcher adds; none if it watches and writes down what it sees.
fn seen(watch: &Watch, found: &Found, now: Timestamp) -> Option<Seen> {
    let beat = UnitDirs::of_run(&found.dir).heartbeat();
    let (owner, alive) = match watch {
        Watch::Alive(owner) => (owner, true),
        Watch::Gone(owner) => (owner, false),
        // Its file is gone; the journal knows who it was.
        Watch::Nobody => {
            let owner = found.state.owner.as_ref();
            let heard = owner.map_or(now, |owner| owner.since);
            return Some(Seen::Gone { heard });
        }
    };
    let beat = beat.filter(|beat| beat.epoch == owner.epoch);
    let recorded = found.records.last().map(|record| record.at);
    let said = [beat.map(|beat| beat.at), recorded];
    let last = said
        .into_iter()
        .flatten()
        .fold(owner.heartbeat, Timestamp::max);
    let heard = owner.left.unwrap_or(last);
    let unwritten = beat.and_then(|beat| beat.unwritten);
    let silent_ms = now.since(owner.heartbeat);
    if owner.is_stopped() && owner.left.is_none() {
        let left_ms = TIME_TO_LIVE - silent_ms;
        Some(Seen::Stopped { heard, left_ms })
    } else if !alive {
        Some(Seen::Gone { heard })
    } else if let Some(since) = unwritten {
        Some(Seen::Unrecorded { since })
    } else {
        (silent_ms > TIME_TO_LIVE).then_some(Seen::Silent { silent_ms })
    }
}

/// Other machines on which units may live, in the order of their names.
fn unwatched(found: &Found) -> BTreeSet<NodeName> {
    let units = found.plan.units.iter();
    let living = units.filter(|unit| found.state.unit(&unit.id).phase.may_live());
    let nodes = living.filter_map(|unit| found.plan.elsewhere(&unit.id));
    nodes.map(|node| node.name.clone()).collect()
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
