//! Nodes that are reached from elsewhere: what is put there, asked of them and told by them.

mod greeting;
mod rounds;
mod shared;
mod station;
mod stations;
#[cfg(test)]
mod tests;

pub use greeting::Greeting;
pub use rounds::{ClientSeen, Clients, Pace, begin_rounds};
pub use shared::{SeenThere, SharedFiles};
pub(super) use station::Again;
pub use station::{Marked, Station, StationError};
pub use stations::{Fleet, Left};
