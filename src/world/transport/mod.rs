//! How commands and files reach a node.

mod exec;
mod local;

pub(in crate::world) use exec::Answer;
pub use exec::{Command, Output, Transport, TransportError};
pub use local::LocalTransport;
