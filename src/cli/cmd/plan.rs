//! `toolorch plan`.

use crate::base::ExitStatus;
use crate::cli::args::{PlanArgs, PlanFormat};
use crate::cli::load::load;
use crate::cli::printer::Printer;
use crate::plan::{origins, table};

/// With errors it prints what it can, and exits 2.
pub(in crate::cli) fn run(args: &PlanArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let loaded = load(&args.cluster, printer)?;
    loaded.complain(printer);
    if let Some(cluster) = &loaded.cluster {
        let shown = match args.format {
            PlanFormat::Table if args.origins => {
                origins(&loaded.document, &cluster.spec, &cluster.facts)
            }
            PlanFormat::Table => table(&cluster.plan),
            PlanFormat::Json => {
                let mut text = serde_json::to_string_pretty(&cluster.plan)
                    .map_err(|_| ExitStatus::Internal)?;
                text.push('\n');
                text
            }
        };
        printer.data(&shown).map_err(|_| ExitStatus::Internal)?;
    }
    Ok(if loaded.refused(false) {
        ExitStatus::Usage
    } else {
        ExitStatus::Done
    })
}
