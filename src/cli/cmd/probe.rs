//! `toolorch probe`: one look at every endpoint.

use std::fmt::Write;

use crate::base::ExitStatus;
use crate::cli::args::ClusterArgs;
use crate::cli::printer::Printer;
use crate::cli::{look, runs};

pub(in crate::cli) fn run(args: &ClusterArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let found = runs::find(Some(&args.file), printer)?;
    let looks = look::at_servers(&found, printer)?;
    let width = looks.iter().map(|look| look.unit.as_str().len()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for look in &looks {
        let unit = look.unit.as_str();
        let words = match &look.refuted {
            None => format!("ready: {}", look.proved.join(", ")),
            Some((rung, why)) => format!("not ready, it stands at {rung}: {why}"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{unit:width$}  {:<22}  {words}", look.endpoint);
    }
    printer.data(&text).map_err(|_| ExitStatus::Internal)?;
    Ok(if looks.iter().all(|look| look.refuted.is_none()) {
        ExitStatus::Done
    } else {
        ExitStatus::NotReady
    })
}
