//! `toolorch client`: becomes the Python program that runs a client of others.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::base::ExitStatus;
use crate::cli::args::ClientArgs;
use crate::cli::printer::Printer;
use crate::knowledge::clients::{RUNNERS, STAND_IN, runner};

pub(in crate::cli) fn run(args: &ClientArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let Some(program) = runner(&args.name) else {
        let names = RUNNERS.iter().chain([&STAND_IN]);
        let names = names.copied().collect::<Vec<_>>().join(", ");
        let usage =
            format!("usage: toolorch client NAME [--print | --help | options]; names: {names}");
        if matches!(args.name.as_str(), "--help" | "-h") {
            printer
                .data(&format!("{usage}\n"))
                .map_err(|_| ExitStatus::Internal)?;
            return Ok(ExitStatus::Done);
        }
        printer.complain(&format!(
            "error: there is no client `{}`\n{usage}",
            args.name
        ));
        return Err(ExitStatus::Usage);
    };
    if args.args == ["--print"] {
        printer.data(&program).map_err(|_| ExitStatus::Internal)?;
        return Ok(ExitStatus::Done);
    }
    // The same process goes on, so that whoever started it watches the client itself.
    let error = Command::new("python3")
        .args(["-c", &program])
        .args(&args.args)
        .exec();
    printer.complain(&format!(
        "error: cannot run `python3`: {error}\nhelp: name the environment that has {}: `env: {{ venv: … }}` or `env: {{ conda: … }}`",
        args.name
    ));
    Err(ExitStatus::Refused)
}
