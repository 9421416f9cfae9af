//! The simulated vLLM server: vLLM's command line, refusals, log lines, HTTP API and metrics, without a model.
//!
//! From the inside out: `answers` says what a model would say, by `conduct` and `dataset`; `toolcalls` and `chat` what vLLM makes of it, `openai` and
//! `errors` how it looks on the wire; those are pure. `http` serves it, `host` binds addresses, `server` is one process.
//! `batch` is a continuous-batching engine in virtual time, `work` counts what it did, `engine` moves it with the clock,
//! `scheduler` is the simple case. `closed_loop` puts clients in front of engines, `predict` says how long they wait, and
//! `fit` finds the engine's parameters in what real ones counted; `capture` collects that.
//! `parts` are the engine and worker processes of a server that has them.
//! `service` stands in for what is not vLLM, and `proxy` lets nothing leave the machine.
//! `faults` are what goes wrong, `timed` when; `control` lets it begin by hand, `failing`, `noise`, `dying` and `squat` do it.
//! `inject` does something to a unit of a run (`act` says what), `chaos` draws such things by chance, `timeline` does them in time.
//! Start-up refusals are in `argparse` and `settings`. [`host`] runs many servers in one process, [`main`] is the program.

mod act;
mod answers;
mod argparse;
#[cfg(test)]
mod argparse_tests;
mod arithmetic;
mod batch;
mod capture;
mod chaos;
mod chat;
mod closed_loop;
mod conduct;
mod config;
mod context;
mod control;
mod dataset;
mod dying;
mod endpoint;
mod engine;
mod errors;
mod failing;
mod faults;
mod fit;
mod freezing;
mod histogram;
mod host;
mod http;
mod inject;
mod lengths;
mod listen;
mod log;
mod main;
mod metrics;
mod model_length;
mod next_start;
mod noise;
mod openai;
mod parts;
mod predict;
mod proxy;
mod refusal;
mod scheduler;
mod server;
mod service;
mod settings;
mod squat;
mod startup_log;
mod tearing;
mod text;
mod timed;
mod timeline;
mod tokens;
mod toolcalls;
mod wishes;
mod words;

pub use act::{Act, Blow, Word, is_simulated};
pub use chaos::{Candidate, Planned, schedule, timeline};
pub use conduct::Conduct;
mod work;

pub use capture::{Capture, Target};
pub use config::{DEFAULT_CONTEXT, DEFAULT_RELEASE, Logging, SimConfig, Timing};
pub use dataset::Dataset;
pub use faults::{Fault, Kind};
pub use fit::{Outcome, Shape, Wish, fit};
pub use host::{Hosted, host};
pub use inject::{Held, Injected, NotDone, Stage};
pub use main::main;
pub use timed::{Happens, Length, Timed, kind, written};
pub use timeline::{Done, Timeline};
