//! The live page: one run, one reader, any number of browsers of this machine. docs/LIVE.md is for its users.
//!
//! `moment` is what a browser is told, `frames` in which pieces, `page` what it is shown with; `guard` says who may look, `gate`
//! lets them in, and `server` answers.

mod frames;
mod gate;
mod guard;
mod moment;
mod page;
mod server;

pub use moment::Moment;
pub use server::{Shown, listen, serve};
