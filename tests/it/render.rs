//! The floor `render`: what comes out runs, and means what went in.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytes;
mod group;
mod templates;
mod tmux;
