//! Decide and act: a pure `step` and a thin driver.
//!
//! [`Brain::step`] takes one input and the time and answers with effects; the driver performs
//! them and feeds back what came of it.  Nothing here but the driver touches the world.

mod attempts;
mod away;
mod brain;
mod climb;
mod deaths;
mod driver;
mod driver_effects;
mod driver_evals;
mod effect;
mod evals;
mod input;
mod ladder;
mod restart;
mod servers;
mod stops;
mod tasks;
#[cfg(test)]
mod tests;
mod verdicts;
mod watch;
mod wishes;

pub use brain::{Brain, Goal};
pub use driver::{Audience, DriveError, Driver, Ground};
pub use driver_evals::{EvalDesk, WrittenConfig, config_text, required, write_config};
pub use effect::{Effect, Outcome};
pub use input::{Configured, Counts, Input, Signs};
pub use wishes::Wishes;
