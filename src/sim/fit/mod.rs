//! The simulator's parameters from what real servers counted, or from how long clients waited. Pure but for `read`.
//!
//! `sample` reads the text of `/metrics`; `observed` adds it up over moments and servers.
//! `rates` (with `least_squares`) and `lengths` find the parameters, `model` puts them together and checks them against
//! what was measured. `durations` does with times alone. `report` says it, `read` finds the files, and `entry` goes from one to the other.

mod durations;
mod entry;
mod estimate;
mod least_squares;
mod lengths;
mod model;
mod observed;
mod rates;
mod read;
mod report;
mod sample;

pub use entry::{Outcome, Shape, Wish, fit};
