//! An HTTP proxy that lets requests go where they may, refuses the others, and says so: that of rehearsals, which lets nothing
//! leave the machine, and that of evaluations with `egress: proxy`.
//!
//! `target` says where a request goes, `policy` whether it may, `head` what it says of itself, `words` what it is told.
//! `connection` serves one client, `forward` passes it on, `ledger` writes down what was refused, `serve` is the loop.

mod connection;
mod forward;
mod head;
mod ledger;
mod policy;
mod serve;
mod target;
mod words;

pub use policy::{List, Policy};
pub use serve::{Proxy, ProxyError};
