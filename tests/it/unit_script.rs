//! The unit script, run for real: bash, /proc, and children that misbehave.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod by_hand;
mod claims;
mod containers;
mod ending;
mod environment;
pub(crate) mod lab;
mod library;
mod node;
mod observing;
mod stage;
mod starting;
