//! `toolorch check`.

use crate::base::ExitStatus;
use crate::cli::args::{CheckArgs, Format};
use crate::cli::earlier_results::of_others;
use crate::cli::load::load;
use crate::cli::printer::Printer;
use crate::diag::{Sources, github, json_lines, sarif};

pub(in crate::cli) fn run(args: &CheckArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let mut loaded = load(&args.cluster, printer)?;
    if let Some(cluster) = &loaded.cluster {
        loaded.diagnostics.extend(of_others(cluster));
    }
    let (found, document) = (&loaded.diagnostics, &loaded.document);
    let shown = match args.format {
        Format::Human => {
            if found.is_empty() {
                printer.say(&format!("`{}` is fine", document.name()));
            } else {
                loaded.complain(printer);
            }
            String::new()
        }
        Format::Json => json_lines(found, document),
        Format::Sarif => sarif(found, document),
        Format::Github => github(found, document),
    };
    printer.data(&shown).map_err(|_| ExitStatus::Internal)?;
    Ok(if loaded.refused(args.strict) {
        ExitStatus::Usage
    } else {
        ExitStatus::Done
    })
}
