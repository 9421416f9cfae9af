//! `toolorch up` end to end: real processes, real tmux, real HTTP, real files, a real client.
//!
//! Each test has a folder, a state directory and a loopback network of its own, and ends by showing
//! from `/proc` and `ss` that nothing of it is left.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod alive;
mod bundle;
mod control;
mod crash;
mod cut_short;
mod drain;
mod evals;
mod faults;
mod gpus;
mod late;
mod log_cluster;
mod lost;
mod meant;
mod owners;
mod places;
mod quickstart;
mod refusals;
mod rehearse;
mod replan;
mod reports;
mod routes;
mod samples;
pub(crate) mod scene;
mod signals;
pub(crate) mod small;
mod unwatched;

pub(crate) use scene::Scene;
