//! A cluster as a laptop can play it: a spec becomes another spec, which is planned and run like any other. Pure.
//!
//! [`questions`] says what has to be looked up, [`rehearse`] decides: nodes become loopback addresses, vLLM the simulator,
//! services that cannot run here and the world outside become stand-ins, and clients that are not here the built-in one.

mod clients;
mod external;
mod local;
mod models;
mod questions;
mod services;
mod stage;
mod types;

#[cfg(test)]
mod tests;

pub use clients::CONTROL;
pub use external::host_of;
pub use local::name_of;
pub use questions::{Asked, mapped, questions};
pub use stage::rehearse;
pub use types::{Prop, Rehearsal, Replaced, Wish};
