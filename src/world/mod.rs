//! The only place that touches the outside: transports, launchers, HTTP, facts, clock, signals.

mod answers;
mod asked_again;
mod call_log;
mod clock;
mod config_file;
mod doctor;
pub mod egress;
mod facts;
mod files;
mod fill;
mod fleet;
mod gpus;
pub mod hub;
mod launcher;
mod ledgers;
mod links;
mod load;
mod log_end;
mod model_files;
mod names;
mod notify;
mod open_files;
mod own_files;
mod past_calls;
mod ports;
mod probe;
mod procfs;
mod props;
mod pulse;
mod rendered;
mod result_lines;
mod results;
mod results_claim;
mod routes;
mod scrape;
mod signals;
mod sock_diag;
mod starts;
mod transport;
mod tree;
mod unit_dir;
mod watch;

pub use answers::{read_answers, read_answers_at, read_call_log, read_spoken_calls, result_times};
pub use call_log::logged_calls;
pub use clock::{SystemClock, TIME_SCALE, lasts, time_scale, wall};
pub use config_file::{ConfigWritten, write_config};
pub use doctor::look_at_nodes;
pub use facts::{
    add_answers, add_conda_envs, add_git_facts, add_paths, add_programs, machine_facts,
};
pub use files::{FileError, books, read_dataset, read_identity, write_identity};
pub use fill::{FILL_IN, answer_fill_in, fill_in};
pub use fleet::{
    ClientSeen, Clients, Fleet, Greeting, Left, Marked, Pace, SeenThere, SharedFiles, Station,
    StationError, begin_rounds,
};
pub use launcher::{LaunchError, LaunchJob, Launched, Launchers};
pub use links::user_at;
pub use load::look_at_load;
pub use model_files::add_cached_models;
pub use notify::{NotifyCall, end_notified};
pub use open_files::{look_at_files, raise_files};
pub use own_files::{own_files, raise_open_files};
pub use past_calls::{forget_past_calls, note_past_call, past_calls_file, read_past_calls};
pub use ports::{PortWait, PortWatch, listeners, listening};
pub use probe::{Asked, Prober, base_of};
pub use procfs::{Process, find_marked, is_stopped, process, send_signal, terminate};
pub use props::write_props;
pub use pulse::Wrist;
pub use rendered::{WriteError, read_templates, write_rendered};
pub use results::ResultScanner;
pub use results_claim::{ClaimError, ResultsClaim, claim_results};
pub use routes::{Leader, RouteWatch};
pub use scrape::scrape;
pub use signals::{end_at_signals, signals};
pub use starts::{end_starts, is_kept_elsewhere, starts};
pub use transport::{
    Command, LocalTransport, NodeFile, Output, Question, Responder, SshSettings, Transport,
    TransportError, Transports,
};
pub use unit_dir::{UnitDirs, living_runs, state_root};
pub use watch::{Awaited, News, Teller, Watcher};
