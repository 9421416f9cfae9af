//! How units are started, found again and stopped: over any transport, through the unit script.

mod launchers;
mod process;
mod slurm;
mod tmux;

pub use launchers::{LaunchError, LaunchJob, Launched, Launchers};
