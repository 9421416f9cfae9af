//! `toolorch doctor`.

use crate::base::ExitStatus;
use crate::cli::args::{CheckArgs, Format};
use crate::cli::inspecting::inspect;
use crate::cli::load::load;
use crate::cli::printer::Printer;
use crate::diag::{Report, Severity, github, human, json_lines, sarif};
use crate::spec::Document;
use crate::view::machines;

/// Where the YAML has errors nothing is looked at.
pub(in crate::cli) fn run(args: &CheckArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let (document, cluster) = load(&args.cluster, printer)?.ready(printer, args.strict)?;
    let (looked, found) = inspect(&cluster, printer)?;
    if args.format == Format::Human {
        printer
            .data(&machines(&looked))
            .map_err(|_| ExitStatus::Internal)?;
    }
    show(&found, &document, args.format, printer)?;
    if found.is_empty() && args.format == Format::Human {
        printer.say("nothing stands in the way");
    }
    Ok(verdict(&found, args.strict))
}

/// Prints findings in a format: for people on standard error, for programs on standard output.
pub(in crate::cli) fn show(
    found: &Report,
    document: &Document,
    format: Format,
    printer: Printer,
) -> Result<(), ExitStatus> {
    let shown = match format {
        Format::Human => {
            let shown = human(found, document, printer.in_colour());
            if !shown.is_empty() {
                printer.complain(shown.trim_end());
            }
            return Ok(());
        }
        Format::Json => json_lines(found, document),
        Format::Sarif => sarif(found, document),
        Format::Github => github(found, document),
    };
    printer.data(&shown).map_err(|_| ExitStatus::Internal)
}

/// What was refuted or could not be looked at on a machine.
pub(in crate::cli) fn verdict(found: &Report, strict: bool) -> ExitStatus {
    let limit = if strict {
        Severity::Warning
    } else {
        Severity::Error
    };
    if found.iter().any(|finding| finding.severity >= limit) {
        ExitStatus::Refused
    } else {
        ExitStatus::Done
    }
}
