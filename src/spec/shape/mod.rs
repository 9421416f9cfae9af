//! What the keys of the YAML may hold, compiled from the schema, and the walk that compares.

mod compile;
mod manual;
mod say;
mod scalars;
mod types;
mod walk;

pub(super) use compile::cluster;
pub use manual::manual;
pub(super) use types::{Shape, TextRule};
pub(super) use walk::check;
