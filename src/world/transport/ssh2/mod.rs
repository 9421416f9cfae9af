//! The built-in ssh client: libssh2, one connection per host, owned by one thread.
//!
//! The thread (`actor`) takes requests from a channel and answers each through one of its own. All calls of the
//! library are non-blocking, with one `poll` for the socket and the channel together: so a deadline is a deadline, up
//! to eight commands share the connection, and who stops waiting delays nobody. A blocking call would hold the session
//! as long as the peer is silent, and dropping it once more.
//!
//! A connection is made when something is asked, and again when it broke. What was asked on a broken one is
//! unknown; what was not yet asked waits for the next.

mod actor;
mod agent;
mod auth;
mod client;
mod connect;
mod fingerprint;
mod host_key;
mod job;
mod jump;
mod keys;
mod known_hosts;
mod link;
mod request;
mod tcp;

pub(super) use client::Ssh2;
pub(super) use connect::{Gates, jitter};
