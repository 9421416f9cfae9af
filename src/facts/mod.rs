//! Types for what was found on this machine and on the nodes. Pure.

mod dataset;
mod degraded;
pub mod exposition;
mod files;
mod gpus;
mod heartbeat;
mod histogram;
mod hub;
mod machine;
mod model_files;
mod node_look;
mod observation;
mod pulse;
pub mod queue;
pub mod samples;
mod served;
mod sighting;

pub use dataset::{DatasetProblem, DatasetSummary};
pub use degraded::Degraded;
pub use files::FilesSeen;
pub use gpus::GpuSeen;
pub use heartbeat::Heartbeat;
pub use histogram::Histogram;
pub use hub::{HubRefusal, Listing, RepoFile};
pub use machine::{Facts, Known, Listener, OpenFiles, PathKind};
pub use model_files::ModelFiles;
pub use node_look::{
    Disk, EnvFound, EnvName, GpuFound, GpuHolder, NodeLook, PortHolder, VllmFound, Who,
};
pub use observation::{
    Exit, LogCause, Observation, ProbeFailure, ProbeOutcome, Queued, RunningUnit, Signal,
};
pub use pulse::{Body, Canary, Counters, Door, Liveness, Look, Pulse};
pub use served::{Served, finished};
pub use sighting::{JobLoad, NodeSeen, UnitSeen};
