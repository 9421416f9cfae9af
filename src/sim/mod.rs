//! The simulated vLLM server: vLLM's command line, refusals, log lines, HTTP API and metrics, without a model.
//!
//! From the inside out: `answers` says what a model would say, `toolcalls` and `chat` what vLLM makes of it, `openai` and
//! `errors` how it looks on the wire; those are pure. `http` serves it, `host` binds addresses, `server` is one process.
//! `batch` is a continuous-batching engine in virtual time, `work` counts what it did, `engine` moves it with the clock,
//! `scheduler` is the simple case. `closed_loop` puts clients in front of engines, `predict` says how long they wait, and
//! `fit` finds the engine's parameters in what real ones counted; `capture` collects that.
//! `parts` are the engine and worker processes of a server that has them.
//! `faults` are what goes wrong, by a timeline.
//! Start-up refusals are in `argparse` and `settings`. [`host`] runs many servers in one process, [`main`] is the program.

mod answers;
mod argparse;
#[cfg(test)]
mod argparse_tests;
mod arithmetic;
mod batch;
mod capture;
mod chat;
mod closed_loop;
mod config;
mod endpoint;
mod engine;
mod errors;
mod failing;
mod faults;
mod fit;
mod histogram;
mod host;
mod http;
mod lengths;
mod log;
mod main;
mod metrics;
mod openai;
mod parts;
mod predict;
mod refusal;
mod scheduler;
mod server;
mod settings;
mod startup_log;
mod text;
mod tokens;
mod toolcalls;
mod wishes;
mod work;

pub use capture::{Capture, Target};
pub use config::{DEFAULT_CONTEXT, DEFAULT_RELEASE, Logging, SimConfig, Timing};
pub use faults::{Fault, Kind};
pub use fit::{Outcome, Shape, Wish, fit};
pub use host::{Hosted, host};
pub use main::main;
