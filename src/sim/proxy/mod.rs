//! The HTTP proxy of a rehearsal: what stays on this machine is forwarded, what would leave it is refused and reported.
//!
//! `target` says where a request goes, `head` what it says of itself, `words` what it is told; those are pure. `connection`
//! serves one client, `forward` passes it on, `ledger` writes down what was refused, `run` is the program.

mod connection;
mod forward;
mod head;
mod ledger;
mod run;
mod target;
mod words;

pub(super) use run::main;
