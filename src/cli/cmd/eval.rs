//! `toolorch eval`: evaluations on what is up.

use crate::base::ExitStatus;
use crate::cli::args::{EvalArgs, UpArgs};
use crate::cli::cmd::up::{Wanted, go};
use crate::cli::printer::Printer;

pub(in crate::cli) fn run(args: EvalArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    go(
        &Wanted {
            args: UpArgs {
                cluster: args.cluster,
                detach: false,
                no_eval: false,
                restart_eval: false,
                only: Vec::new(),
                strict: false,
                events: args.events,
                templates: None,
                rebuild: false,
            },
            start_servers: false,
            eval: args.name,
            command: "eval",
            caller_stops: false,
        },
        printer,
    )
}
