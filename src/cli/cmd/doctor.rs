//! `toolorch doctor`.

use crate::base::ExitStatus;
use crate::cli::args::{CheckArgs, Format};
use crate::cli::inspecting::inspect;
use crate::cli::load::load;
use crate::cli::printer::Printer;
use crate::diag::{Report, Severity, github, human, json_lines, sarif};
use crate::spec::Document;
use crate::view::machines;

/// What is wrong with the YAML itself is `check`'s to say; it is looked at all the same, as far as it makes a plan.
pub(in crate::cli) fn run(args: &CheckArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let loaded = load(&args.cluster, printer)?;
    let refused = loaded.refused(false);
    let Some(cluster) = &loaded.cluster else {
        loaded.complain(printer);
        return Err(ExitStatus::Usage);
    };
    let (looked, found) = inspect(cluster, printer)?;
    if args.format == Format::Human {
        printer
            .data(&machines(&looked))
            .map_err(|_| ExitStatus::Internal)?;
    }
    show(&found, &loaded.document, args.format, printer)?;
    if refused {
        printer.complain("the YAML itself has errors: `toolorch check` shows them");
    } else if found.is_empty() && args.format == Format::Human {
        printer.say("nothing stands in the way");
    }
    Ok(match verdict(&found, args.strict) {
        ExitStatus::Done if refused => ExitStatus::Usage,
        verdict => verdict,
    })
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
