//! From what is kept of a run, or found in results, to the evidence that is judged. Pure.
//!
//! `run` puts it together for one evaluation; `classes` has the servers and `asked` the client's own times of them,
//! `tasks` the questions and `turns` when they were begun, `incidents` what befell servers and the client, `times` the servers' own
//! histograms. `results` is for results without a run. `doubts` says which samples it does without.

mod asked;
mod classes;
mod doubts;
mod incidents;
mod results;
mod run;
mod tasks;
#[cfg(test)]
mod tests;
mod times;
mod turns;

pub use doubts::doubts;
pub use results::{Told, evidence_of_results};
pub use run::{Known, evidence};
pub use tasks::Ends;
pub use times::server_times;
