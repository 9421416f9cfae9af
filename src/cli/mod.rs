//! The command line: clap, the printer, one file per command.

use std::process::ExitCode;

/// Runs the program for the arguments of this process.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
