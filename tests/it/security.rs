//! What a hostile YAML, log, template, neighbour or file name can do: nothing. docs/SECURITY.md has the table.
//!
//! Judged by the world: files that are not there, bytes on the other side, modes, sockets, command lines.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod bytes;
mod escapes;
mod ids;
mod impostors;
mod injection;
mod links;
mod listening;
mod modes;
mod places;
mod secrets;
mod templates;
