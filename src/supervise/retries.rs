//! Results in error are asked again: once in a run, when nothing else is left to ask.

use super::brain::Brain;
use super::effect::Effect;
use super::evals::Stage;
use super::input::Counts;
use crate::base::{EvalName, Timestamp};
use crate::run::{Event, Retry, Verdict};

impl Brain {
    /// How far the retry of an evaluation's errors is.
    pub(super) fn retry(&self, eval: &EvalName) -> Retry {
        self.state
            .evals
            .get(eval)
            .map_or(Retry::None, |state| state.retry)
    }

    /// All that is left to do are results in error that were never asked again in this run.
    pub(super) fn retry_due(&self, eval: &EvalName) -> bool {
        let counts = self.evals.get(eval).map(|work| work.counts);
        let left = counts.is_some_and(|counts| counts.finished && counts.due > 0);
        left && !matches!(self.retry(eval), Retry::Begun(_))
    }

    /// Records that the next start of the client is the retry, if it is.
    pub(super) fn intend_retry(&mut self, eval: &EvalName, now: Timestamp) {
        if self.retry_due(eval) {
            let ids = self.eval_work(eval).counts.due;
            let eval = eval.clone();
            self.record(Event::RetryIntended { eval, ids }, now);
        }
    }

    /// Has older results brought back, where some wait for a newer one; not beside a client, which may be writing it.
    pub(super) fn bring_back(&mut self, eval: &EvalName, verdict: &Verdict) -> bool {
        let client = self.plan.eval(eval).map(|eval| eval.unit.clone());
        let lives = client.is_some_and(|unit| self.may_live(&unit));
        let work = self.eval_work(eval);
        if work.counts.waiting == 0 || lives {
            return false;
        }
        work.stage = Stage::BringingBack(verdict.clone());
        let eval = eval.clone();
        self.ask(Effect::BringBack { eval });
        true
    }

    /// Older results stand where they were, or could not be moved there.
    pub(super) fn brought_back(
        &mut self,
        eval: &EvalName,
        result: Result<Counts, String>,
        now: Timestamp,
    ) {
        let Stage::BringingBack(verdict) = self.stage(eval).clone() else {
            return;
        };
        match result {
            Ok(counts) => {
                self.note_counts(eval, counts, now);
                let whole = counts
                    .finished
                    .then(|| super::verdicts::of_finished(counts));
                self.note_end(eval, whole.unwrap_or(verdict), now);
            }
            Err(why) => {
                let text = format!(
                    "results of `{eval}` in error that were asked again lie in `.toolorch/set-aside/asked-again` beside \
                     the others and could not be brought back: {why}"
                );
                self.alarm("not-brought-back", None, text, now);
                self.note_end(eval, verdict, now);
            }
        }
    }
}
