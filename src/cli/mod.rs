//! The command line: clap, the printer, one file per command.

mod args;
mod args_sim;
mod audience;
mod changes;
mod closing;
mod cmd;
mod companion;
mod complete;
mod detach;
mod drained;
mod exit;
mod fleet;
mod forecast;
mod ledger;
mod load;
mod look;
mod meant;
mod notify;
mod obstacles;
mod origin;
mod orphans;
mod owners;
mod past_calls;
mod printer;
mod program;
mod rebuild;
mod refresh;
mod rehearsal;
mod runs;
mod runtime;
mod steps;
mod stopping;
mod templates;
mod unit_scripts;

pub use printer::{Printer, Verbosity};
pub use program::main;
