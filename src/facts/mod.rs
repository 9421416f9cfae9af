//! Types for what was found on this machine and on the nodes. Pure.

mod dataset;
mod machine;
mod observation;
mod served;

pub use dataset::{DatasetProblem, DatasetSummary};
pub use machine::{Facts, Known, Listener, OpenFiles, PathKind};
pub use observation::{Exit, Observation, ProbeFailure, ProbeOutcome, RunningUnit, Signal};
pub use served::{Served, finished};
