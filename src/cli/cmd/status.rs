//! `toolorch status`.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::base::{Clock, ExitStatus};
use crate::cli::args::StatusArgs;
use crate::cli::printer::Printer;
use crate::cli::runs;
use crate::run::store::Watch;
use crate::view::Status;
use crate::world::SystemClock;

/// How often `--watch` looks for something new.
const EVERY: Duration = Duration::from_secs(1);

pub(in crate::cli) fn run(args: &StatusArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let mut shown = String::new();
    loop {
        let status = look(args, printer)?;
        let text = if args.json {
            format!("{:#}\n", status.json())
        } else {
            status.text(&TimeZone::system())
        };
        if text != shown {
            let again = !shown.is_empty();
            let space = if again { "\n" } else { "" };
            let out = format!("{space}{text}");
            printer.data(&out).map_err(|_| ExitStatus::Internal)?;
            shown = text;
        }
        if !args.watch {
            return Ok(ExitStatus::Done);
        }
        std::thread::sleep(EVERY);
    }
}

fn look(args: &StatusArgs, printer: Printer) -> Result<Status, ExitStatus> {
    let found = runs::find(args.file.as_deref(), printer)?;
    let now = SystemClock.now();
    let status = Status::new(&found.plan, &found.state, now);
    let watch = Watch::look(found.dir.path(), now).map_err(|error| runs::store(&error, printer))?;
    Ok(match watch {
        Watch::Alive(_) => status,
        Watch::Gone(_) | Watch::Nobody => status.watcher_is_gone(),
    })
}
