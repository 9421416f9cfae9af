//! The tables of a report: how long calls took, of how many that is known, and how the questions came out.

mod accuracy;
mod cold;
mod coverage;
mod distribution;
mod evaluation;
mod gaps;
mod most;
mod orchestrator;
mod rows;
mod server_times;
mod servers;
mod times;

pub use accuracy::{Accuracy, Damaged};
pub use cold::{Cold, cold};
pub use coverage::Coverage;
pub use distribution::Distribution;
pub use evaluation::{Changed, Evaluation, Found, Logged, Source, Whose, evaluation};
pub use orchestrator::{Orchestrator, Rounds};
pub use rows::{By, Row, Split};
pub use server_times::ServerTimes;
pub use times::{Times, times};
