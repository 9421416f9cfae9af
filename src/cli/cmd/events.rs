//! `toolorch events`.

use jiff::tz::TimeZone;

use crate::base::ExitStatus;
use crate::cli::args::EventsArgs;
use crate::cli::printer::Printer;
use crate::cli::runs;
use crate::view::{json_line, plain_line};

pub(in crate::cli) fn run(args: &EventsArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let found = runs::find(args.file.as_deref(), printer)?;
    let zone = TimeZone::system();
    let mut text = String::new();
    for record in &found.records {
        text.push_str(&if args.json {
            json_line(record)
        } else {
            plain_line(record, &zone)
        });
        text.push('\n');
    }
    printer.data(&text).map_err(|_| ExitStatus::Internal)?;
    Ok(ExitStatus::Done)
}
