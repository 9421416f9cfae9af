//! The only place that touches the outside: transports, launchers, HTTP, facts, clock, signals.

mod config_file;
mod files;
mod result_lines;
mod results;

pub use config_file::{ConfigWritten, write_config};
pub use files::{FileError, books, read_dataset, read_identity, write_identity};
pub use results::ResultScanner;
