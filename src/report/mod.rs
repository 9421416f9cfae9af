//! Statistics and reports over what was recorded. Pure.

pub mod rehearsal;
mod statistics;
mod summary;

pub use statistics::{CallStats, quantile, statistics};
pub use summary::{Summary, summary_text};
