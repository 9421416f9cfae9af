//! `toolorch sim fit`: the simulator's parameters from what was observed.

use crate::base::ExitStatus;
use crate::cli::args_sim::{FitArgs, FitFormat};
use crate::cli::printer::Printer;
use crate::sim::{Shape, Wish, fit};

pub(in crate::cli) fn run(args: FitArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let wish = Wish {
        path: args.path,
        model: args.model,
        shape: match args.format {
            FitFormat::Yaml => Shape::Yaml,
            FitFormat::Json => Shape::Json,
        },
        concurrency: args.concurrency,
        replicas: args.replicas,
        prior: args.prior,
        speed: args.speed,
    };
    let outcome = fit(&wish).map_err(|why| {
        printer.complain(&format!("error: {why}"));
        ExitStatus::Usage
    })?;
    for (model, why) in &outcome.left_out {
        printer.complain(&format!("warning: `{model}` is left out: {why}"));
    }
    printer
        .data(&outcome.text)
        .map_err(|_| ExitStatus::Internal)?;
    Ok(ExitStatus::Done)
}
