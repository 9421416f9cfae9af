//! Open files of clients: looked at, forecast, and their limit raised before it is reached.

use super::brain::Brain;
use super::effect::Effect;
use super::evals::Stage;
use crate::base::{EvalName, Generation, Millis, Timestamp, UnitId};
use crate::eval::FilesTrend;
use crate::facts::FilesSeen;
use crate::run::{Event, StopWhy};

/// How often the open files of a client are looked at.
const EVERY: Millis = Millis::from_secs(1);
/// The same where half of what may be is open.
const OFTEN: Millis = Millis(500);
/// From this share of the limit on something is done about it, in percent.
const HIGH: u64 = 70;
/// From this share on a client whose limit cannot be raised is started afresh.
const FULL: u64 = 90;
/// Nor is it waited for that share where the limit is reached sooner than this.
const SOON: Millis = Millis::from_secs(5);

/// What is known of the open files of one attempt of a client.
#[derive(Debug, Clone, Default)]
pub(super) struct FilesWatch {
    /// When to look; none while a look is under way.
    pub(super) look_at: Option<Timestamp>,
    trend: FilesTrend,
    /// The system refused to raise a limit.
    refused: bool,
    /// It was said that the limit is near and cannot be raised.
    told: bool,
}

impl FilesWatch {
    pub(super) fn begin(now: Timestamp) -> Self {
        Self {
            look_at: Some(now + EVERY),
            ..Self::default()
        }
    }

    /// `287 of 400 files open in process 77, full in 35m, at about question 1760`.
    fn words(&self, seen: &FilesSeen) -> String {
        let FilesSeen {
            pid, open, soft, ..
        } = seen;
        let text = format!("{open} of {soft} files open in process {pid}");
        match self.trend.forecast(*soft) {
            Some(forecast) => format!("{text}, {forecast}"),
            None => text,
        }
    }

    fn is_nearly_full(&self, seen: &FilesSeen) -> bool {
        let soon = self.trend.forecast(seen.soft);
        seen.is_above(FULL) || soon.is_some_and(|forecast| forecast.full_in < SOON)
    }
}

impl Brain {
    /// Looks at the open files of clients whose turn it is.
    pub(super) fn look_at_due_files(&mut self, now: Timestamp) {
        for eval in self.goal.evals.clone() {
            let work = self.eval_work(&eval);
            if work.files.look_at.is_none_or(|at| at > now) {
                continue;
            }
            work.files.look_at = None;
            let Some(unit) = self.plan.eval(&eval).map(|eval| eval.unit.clone()) else {
                continue;
            };
            let generation = self.state.unit(&unit).generation;
            self.ask(Effect::LookAtFiles { unit, generation });
        }
    }

    /// The running client that this look was for.
    fn client_seen(&self, unit: &UnitId, generation: Generation) -> Option<EvalName> {
        let eval = self.eval_of(unit)?;
        let current = self.state.unit(unit).generation == generation;
        (current && *self.stage(&eval) == Stage::Running && !self.is_stopping(unit)).then_some(eval)
    }

    /// Open files were looked at.
    pub(super) fn files_seen(
        &mut self,
        unit: &UnitId,
        generation: Generation,
        seen: Option<FilesSeen>,
        now: Timestamp,
    ) {
        let Some(eval) = self.client_seen(unit, generation) else {
            return;
        };
        let pace = if seen.is_some_and(|seen| seen.is_above(50)) {
            OFTEN
        } else {
            EVERY
        };
        let work = self.eval_work(&eval);
        work.files.look_at = Some(now + pace);
        let Some(seen) = seen else { return };
        let done = work.counts.done;
        work.files.trend.add(now, &seen, done);
        if seen.is_above(HIGH) {
            self.files_are_many(&eval, unit, seen, now);
        }
    }

    fn files_are_many(&mut self, eval: &EvalName, unit: &UnitId, seen: FilesSeen, now: Timestamp) {
        let wanted = self.plan.unit(unit).map_or(0, |unit| unit.open_files);
        let work = self.eval_work(eval);
        // What was asked for at the start may itself be too little.
        let wanted = wanted.max(seen.soft.saturating_mul(2));
        let to = seen.hard.map_or(wanted, |hard| hard.min(wanted));
        if to > seen.soft && !work.files.refused {
            let generation = self.state.unit(unit).generation;
            let unit = unit.clone();
            return self.ask(Effect::RaiseFiles {
                unit,
                generation,
                seen,
                to,
            });
        }
        let words = work.files.words(&seen);
        // Without a finished question it would only come to the same place again.
        let afresh = work.files.is_nearly_full(&seen) && work.gained().0 > 0;
        if afresh {
            let text = format!(
                "`{eval}` has {words}, and that limit cannot be raised: it is stopped, and goes on afresh with what is missing"
            );
            self.alarm("open-files", Some(unit), text, now);
            let how = "its open files were nearly as many as may be";
            self.renew(eval, StopWhy::OpenFiles, how, now);
        } else if !std::mem::replace(&mut work.files.told, true) {
            let text = format!("`{eval}` has {words}, and that limit cannot be raised");
            self.alarm("open-files", Some(unit), text, now);
        }
    }

    /// A limit was raised, or could not be.
    pub(super) fn files_raised(
        &mut self,
        unit: &UnitId,
        generation: Generation,
        seen: FilesSeen,
        result: Result<u64, String>,
        now: Timestamp,
    ) {
        let Some(eval) = self.client_seen(unit, generation) else {
            return;
        };
        match result {
            Ok(to) => self.record(
                Event::FilesRaised {
                    eval,
                    pid: seen.pid,
                    open: seen.open,
                    from: seen.soft,
                    to,
                },
                now,
            ),
            Err(why) => {
                let work = self.eval_work(&eval);
                (work.files.refused, work.files.told) = (true, true);
                let words = work.files.words(&seen);
                let text =
                    format!("`{eval}` has {words}, and that limit could not be raised: {why}");
                self.alarm("open-files", Some(unit), text, now);
            }
        }
    }
}
