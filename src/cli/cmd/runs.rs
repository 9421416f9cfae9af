//! `toolorch runs`.

use jiff::tz::TimeZone;

use crate::base::{Clock, ExitStatus};
use crate::cli::printer::Printer;
use crate::cli::runs::{self, Found};
use crate::run::store::{RunDir, Watch};
use crate::run::{Event, Phase};
use crate::view::moment;
use crate::world::SystemClock;

pub(in crate::cli) fn run(printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let home = runs::home();
    let all = home.runs().map_err(|error| runs::store(&error, printer))?;
    if all.is_empty() {
        printer.say(&format!("no run in `{}`", home.path().display()));
        return Ok(ExitStatus::Done);
    }
    let lines: String = all.into_iter().map(line).collect();
    printer.data(&lines).map_err(|_| ExitStatus::Internal)?;
    Ok(ExitStatus::Done)
}

fn line(dir: RunDir) -> String {
    let (path, id) = (dir.path().display().to_string(), dir.id().clone());
    let plan = dir.plan();
    let copied = match dir.copy_of() {
        Some(original) => format!("  (a copy of {})", original.display()),
        None => String::new(),
    };
    let watched = matches!(
        Watch::look(dir.path(), SystemClock.now()),
        Ok(Watch::Alive(_))
    );
    match runs::read(dir) {
        Ok(found) => format!(
            "{id}  {}  {}  {path}{copied}\n",
            moment(found.state.since, SystemClock.now(), &TimeZone::system()),
            words(&found, watched),
        ),
        Err(_) if !plan.exists() => format!("{id}  nothing was started  {path}\n"),
        Err(error) => format!("{id}  {error}\n"),
    }
}

fn words(found: &Found, watched: bool) -> String {
    match (&found.state.phase, watched) {
        (Phase::Ended(0), _) => last_words(found).unwrap_or("done").to_owned(),
        (Phase::Ended(code), _) => match last_words(found) {
            Some(words) => format!("ended with exit code {code}: {words}"),
            None => format!("ended with exit code {code}"),
        },
        (Phase::New, _) => "nothing was started".to_owned(),
        (Phase::Running, true) => "runs, watched".to_owned(),
        (Phase::Running, false) => "nobody watches".to_owned(),
    }
}

/// What its end was recorded with.
fn last_words(found: &Found) -> Option<&str> {
    found
        .records
        .iter()
        .rev()
        .find_map(|record| match &record.event {
            Event::RunEnded { summary, .. } if !summary.is_empty() => Some(summary.as_str()),
            _ => None,
        })
}
