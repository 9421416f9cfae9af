//! From what is kept of a run, or found in results, to the evidence that is judged. Pure.
//!
//! `run` puts it together for one evaluation; `classes` has the servers,
//! `tasks` the questions and `turns` when they were begun, `times` the servers' own histograms. `results` is for results without a
//! run. `doubts` says which samples it does without.

mod classes;
mod doubts;
mod results;
mod run;
mod tasks;
#[cfg(test)]
mod tests;
mod times;
mod turns;

pub use doubts::doubts;
pub use results::evidence_of_results;
pub use run::{Known, evidence};
pub use tasks::Ends;
pub use times::server_times;
