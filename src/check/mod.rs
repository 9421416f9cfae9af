//! Spec, plan, knowledge and facts to diagnostics; one family of rules per file. Pure.
//!
//! The codes and their explanations are in `diag::codes`.

mod addresses;
mod allow;
mod client;
mod containers;
mod context;
mod credentials;
mod dataset;
mod egress;
mod evals;
mod externals;
mod fit;
mod flags;
mod gpus;
mod here;
mod keys;
mod launch;
mod left;
mod listening;
mod names;
mod node_disks;
mod node_gpus;
mod node_programs;
mod node_queue;
mod node_vllm;
mod nodes;
#[cfg(test)]
mod nodes_tests;
mod parsers;
mod ports;
mod preflight;
mod registry;
mod remote;
#[cfg(test)]
mod rule_tests;
mod shape;
mod shared;
mod slurm;
mod ssh;
mod thinking;
mod words;
mod written;

pub use left::left_to_the_run;
pub use nodes::nodes;
pub use preflight::{Ours, busy_ports, preflight};
pub use registry::{Ctx, check, check_all};
pub use remote::refusal;
