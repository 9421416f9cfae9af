//! What the nodes of jobs do: of each job what was written down last.

use std::collections::BTreeMap;

use super::look::{Job, QueueSeen};
use crate::base::{Millis, Timestamp};
use crate::facts::samples::NodeSample;
use crate::facts::{JobLoad, NodeSeen};

/// What is older says nothing of now: its job looks every 15 s.
const OLD: Millis = Millis::from_secs(30);

impl QueueSeen {
    /// What each job's node does, where that is known and not old.
    pub(super) fn loads(&self) -> BTreeMap<String, JobLoad> {
        let jobs = self.jobs.iter();
        jobs.filter_map(|(name, job)| Some((name.clone(), job.load()?)))
            .collect()
    }
}

impl Job {
    /// The node wrote down its load and showed its units by the same clock; how long ago the latter was, the files' own clock says.
    fn load(&self) -> Option<JobLoad> {
        let (now, _) = self.now?;
        let does = self.does.iter().find(|does| does.by == now)?;
        let shown = self.shown.iter().find(|shown| shown.by == now)?;
        let node = NodeSeen::read(shown.text.lines().next()?).ok()?;
        let at = Timestamp(does.at_s.checked_mul(1000)?);
        let age = (node.at + Millis::from_secs(shown.age_s)).since(at);
        let sample = NodeSample::read(&does.text)?;
        (age <= OLD).then_some(JobLoad { at, age, sample })
    }
}
