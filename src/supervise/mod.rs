//! Decide and act: a pure `step` and a thin driver.
//!
//! [`Brain::step`] takes one input and the time and answers with effects; the driver performs
//! them and feeds back what came of it.  Nothing here but the driver touches the world.

mod attempts;
mod away;
mod books;
mod brain;
mod clearing;
mod climb;
mod deaths;
mod drain;
mod driver;
mod driver_asked;
mod driver_beat;
mod driver_books;
mod driver_clients;
mod driver_effects;
mod driver_evals;
mod driver_fleet;
mod driver_past_calls;
mod driver_records;
mod driver_routes;
mod driver_samples;
mod effect;
mod evals;
mod held;
mod input;
mod job_ends;
mod ladder;
mod liveness;
mod open_files;
mod own_files;
mod places;
mod pulses;
mod queued;
mod reach;
mod restart;
mod retries;
mod routes;
mod servers;
mod signs;
mod slow;
mod slower;
mod stops;
mod tasks;
#[cfg(test)]
mod tests;
mod tunnels;
mod unsent;
mod unshown;
mod verdicts;
mod watch;
mod wishes;

pub use brain::{Brain, Goal};
pub use driver::{Audience, DriveError, Driven, Driver, Ground};
pub use driver_evals::{EvalDesk, WrittenConfig, config_text, required, write_config};
pub use effect::{Again, Ask, Effect, Outcome};
pub use input::{Configured, Counts, Input, LaunchFailure, Metered, Purpose, Signs, Watched};
pub use restart::{NextStart, next_start};
pub use wishes::Wishes;
