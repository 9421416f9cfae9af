//! The only place that touches the outside: transports, launchers, HTTP, facts, clock, signals.

mod clock;
mod config_file;
mod facts;
mod files;
mod fill;
mod launcher;
mod ports;
mod probe;
mod procfs;
mod props;
mod rendered;
mod result_lines;
mod results;
mod results_claim;
mod sample;
mod scrape;
mod signals;
mod sock_diag;
mod transport;
mod unit_dir;
mod watch;

pub use clock::{SystemClock, TIME_SCALE, lasts, time_scale};
pub use config_file::{ConfigWritten, write_config};
pub use facts::{
    add_answers, add_conda_envs, add_git_facts, add_paths, add_programs, machine_facts,
};
pub use files::{FileError, books, read_dataset, read_identity, write_identity};
pub use fill::{FILL_IN, answer_fill_in, fill_in};
pub use launcher::{LaunchError, LaunchJob, Launchers};
pub use ports::{PortWait, PortWatch, listeners, listening};
pub use probe::{Prober, bracketed};
pub use procfs::{Process, find_marked, process, send_signal, terminate};
pub use props::write_props;
pub use rendered::{WriteError, read_templates, write_rendered};
pub use results::ResultScanner;
pub use results_claim::{ClaimError, ResultsClaim, claim_results};
pub use sample::{OpenFilesSeen, TreeSample, sample_tree};
pub use scrape::scrape;
pub use signals::signals;
pub use transport::{LocalTransport, Output, Transport, TransportError};
pub use unit_dir::{UnitDirs, living_runs};
pub use watch::{Awaited, News, Watcher};
