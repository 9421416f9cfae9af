//! The end of a SLURM job, told before it comes.

use super::brain::Brain;
use crate::base::{Millis, Timestamp, UnitId};
use crate::facts::RunningUnit;
use crate::knowledge::slurm;
use crate::plan::JobPlan;

/// So long before people hear of it: time to ask an administrator for more, or to let the evaluation end early. Of a short limit
/// half: nobody wants to hear of it at once.
const AHEAD: Millis = Millis::from_secs(30 * 60);

impl Brain {
    /// Says once for each job that its time will soon be over, unless a successor takes its place.
    pub(super) fn note_job_end(&mut self, unit: &UnitId, running: &RunningUnit, now: Timestamp) {
        let Some(job) = self.plan.jobs.iter().find(|job| job.units.contains(unit)) else {
            return;
        };
        // It ends when it was submitted to end, whatever the plan says by now.
        let state = self.state.unit(unit);
        let submitted = state.handle.and_then(|handle| handle.submitted);
        let limit = match submitted.as_deref().and_then(slurm::limit_of) {
            Some(limit) => Some(limit),
            None => job.options.time.as_deref().and_then(slurm::time_limit),
        };
        let ahead = limit.map_or(AHEAD, |limit| AHEAD.min(Millis(limit.0 / 2)));
        let Some(until) = running.until.filter(|until| until.since(now) < ahead) else {
            return;
        };
        let renews = job.options.renew.unwrap_or_default();
        let (name, text) = (job.name.clone(), words(job, unit, until.since(now)));
        if renews || !self.job_ends_told.insert((name, until)) {
            return;
        }
        self.alarm("time-limit", Some(unit), text, now);
    }
}

fn words(job: &JobPlan, unit: &UnitId, left: Millis) -> String {
    let others = match job.units.len() {
        1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    format!(
        "SLURM ends the job of `{unit}`{others} in {left}, and another one may have to wait for its turn; with `slurm: {{ renew: true }}` \
         a successor waits beforehand"
    )
}
