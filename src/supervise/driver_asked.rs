//! Requests that lie in the run's directory.

use std::fs;

use super::Input;
use super::driver::Driver;
use crate::run::store::{Ask, read_requests};

impl Driver<'_> {
    /// What is asked and not done yet. A file goes once the journal says what it asks for, so that none is lost with us.
    pub(super) fn asked(&self) -> Vec<Input> {
        let mut inputs = Vec::new();
        for lying in read_requests(&self.ground.requests) {
            let drained = lying.request.ask == Ask::Drain;
            let mut units = lying.request.units;
            units.retain(|unit| {
                self.brain.server(unit).is_some() && self.brain.is_drained(unit) != drained
            });
            if units.is_empty() {
                // One that cannot be removed asks for what is done already.
                let _ = fs::remove_file(&lying.path);
            } else if drained {
                inputs.push(Input::Drain { units });
            } else {
                inputs.push(Input::Undrain { units });
            }
        }
        inputs
    }
}
