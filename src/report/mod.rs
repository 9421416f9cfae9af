//! Statistics and reports over what was recorded. Pure.

pub mod rehearsal;
mod routing;
mod statistics;
mod summary;
pub mod verdict;

pub use routing::routing_text;
pub use statistics::{CallStats, quantile, statistics};
pub use summary::{Summary, summary_text};
