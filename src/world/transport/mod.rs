//! How commands and files reach a node.

mod error;
mod exec;
mod link_error;
mod local;
mod remote;
mod reply;
mod responder;
mod script;
mod ssh2;
mod ssh_config;
mod system_ssh;
mod transports;

pub use error::TransportError;
pub(in crate::world) use exec::Answer;
pub use exec::{Command, NodeFile, Output, Transport};
pub use local::LocalTransport;
pub use responder::{Question, Responder};
pub use transports::{SshSettings, Transports};
