//! `toolorch init`.

use std::fs::OpenOptions;
use std::io::Write;

use crate::base::ExitStatus;
use crate::cli::args::InitArgs;
use crate::cli::printer::Printer;

/// The commented starter.
const STARTER: &str = include_str!("../../../clusters/minimal.yaml");

pub(in crate::cli) fn run(args: &InitArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let shown = args.file.display();
    let mut options = OpenOptions::new();
    options.write(true);
    if args.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options
        .open(&args.file)
        .and_then(|mut file| file.write_all(STARTER.as_bytes()));
    match written {
        Ok(()) => {
            printer.say(&format!(
                "wrote `{shown}`; edit it, then: toolorch check {shown}"
            ));
            Ok(ExitStatus::Done)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            printer.complain(&format!(
                "error: `{shown}` is there already\nhelp: name another file, or overwrite it with --force"
            ));
            Err(ExitStatus::Usage)
        }
        Err(error) => {
            printer.complain(&format!("error: cannot write `{shown}`: {error}"));
            Err(ExitStatus::Usage)
        }
    }
}
