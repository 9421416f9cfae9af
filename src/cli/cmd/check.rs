//! `toolorch check`.

use crate::base::ExitStatus;
use crate::check::left_to_the_run;
use crate::cli::args::{CheckArgs, Format};
use crate::cli::cmd::doctor;
use crate::cli::earlier_results::of_others;
use crate::cli::inspecting::inspect;
use crate::cli::load::load;
use crate::cli::printer::Printer;
use crate::diag::{Report, Sources};
use crate::plan::Plan;

pub(in crate::cli) fn run(
    args: &CheckArgs,
    nodes: bool,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let mut loaded = load(&args.cluster, printer)?;
    if let Some(cluster) = &loaded.cluster {
        loaded.diagnostics.extend(of_others(cluster));
    }
    let refused = loaded.refused(args.strict);
    let seen = match &loaded.cluster {
        Some(cluster) if nodes => inspect(cluster, printer)?.1,
        _ => Report::new(),
    };
    let verdict = doctor::verdict(&seen, args.strict);
    loaded.diagnostics.extend(seen);
    match args.format {
        Format::Human => {
            if loaded.diagnostics.is_empty() {
                printer.say(&format!("`{}` is fine", loaded.document.name()));
            }
            loaded.complain(printer);
            if let Some(cluster) = loaded.cluster.as_ref().filter(|_| !refused) {
                say_what_is_left(&cluster.plan, printer);
            }
        }
        format => doctor::show(&loaded.diagnostics, &loaded.document, format, printer)?,
    }
    Ok(if refused { ExitStatus::Usage } else { verdict })
}

/// What a look beforehand cannot prove is no reason for silence.
fn say_what_is_left(plan: &Plan, printer: Printer) {
    let left = left_to_the_run(plan);
    if !left.is_empty() {
        printer.say(&format!(
            "`up` itself proves or watches:\n  {}",
            left.join("\n  ")
        ));
    }
}
