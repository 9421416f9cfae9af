//! The command line: clap, the printer, one file per command.

mod exit;
mod printer;
mod program;

pub use printer::{Printer, Verbosity};
pub use program::main;
