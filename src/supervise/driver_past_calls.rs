//! What the driver keeps beside results of calls to undeclared places.

use std::path::PathBuf;

use super::driver::Driver;
use super::driver_evals::EvalDesk;
use crate::base::RunId;
use crate::eval::{PastCall, PastCalls};
use crate::run::Event;
use crate::world::{forget_past_calls, note_past_call, past_calls_file, read_past_calls};

impl EvalDesk {
    /// What is held against the results that are there.
    ///
    /// # Errors
    /// The results, or what is said of them, cannot be read.
    pub fn past_calls(&mut self) -> Result<PastCalls, String> {
        if !self.has_results()? {
            return Ok(PastCalls::default());
        }
        read_past_calls(self.results()).map_err(|error| error.to_string())
    }

    /// Where that is kept.
    pub fn past_calls_file(&self) -> PathBuf {
        past_calls_file(self.results())
    }

    /// Where all results are gone, only what this very run has seen is held against those to come.
    pub(super) fn forget_past_calls(&mut self, run: &RunId) -> Result<(), String> {
        if self.has_results()? {
            return Ok(());
        }
        forget_past_calls(self.results(), |call| call.run == *run)
            .map_err(|error| error.to_string())
    }

    fn has_results(&mut self) -> Result<bool, String> {
        let progress = self.progress()?;
        Ok(!progress.done.is_empty() || !progress.strangers.is_empty() || progress.waiting > 0)
    }
}

impl Driver<'_> {
    /// A call that was recorded is held against the results for as long as they are there.
    pub(super) fn keep_call(&mut self, event: &Event) {
        let Event::OutsideCall {
            eval,
            place,
            seen,
            times,
        } = event
        else {
            return;
        };
        let call = PastCall {
            run: self.ground.run.clone(),
            place: place.clone(),
            seen: *seen,
            times: *times,
        };
        let kept = self
            .desk(eval)
            .map(|desk| note_past_call(desk.results(), call));
        if let Some(Err(error)) = kept {
            self.audience.message(&error.to_string());
        }
    }
}
