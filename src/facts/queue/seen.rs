//! From the text of a look to what is seen of each unit.

use super::look::{Asked, QueueSeen, Want};
use crate::base::{Timestamp, UnitId};
use crate::facts::{NodeSeen, UnitSeen};

/// Reads what `look` wrote, and judges each unit.
///
/// # Errors
/// What is wrong with it: another format, half a line.
pub fn read(text: &str) -> Result<NodeSeen, String> {
    let seen = QueueSeen::read(text)?;
    let judged = |(unit, want, job): (&UnitId, &Want, &str)| {
        let (observation, log_bytes) = seen.judge(job, unit, want);
        let log = Some(want.log.clone()).filter(|log| !log.is_empty());
        let files = None;
        let remotes = Vec::new();
        let seen = UnitSeen {
            observation,
            log,
            log_bytes,
            files,
            remotes,
        };
        (unit.clone(), seen)
    };
    let wants = seen.jobs.iter().flat_map(|(name, job)| {
        let wants = job.wants.iter();
        wants.map(move |(unit, want)| (unit, want, name.as_str()))
    });
    let units = wants.map(judged).collect();
    Ok(NodeSeen {
        host: seen.host.clone(),
        boot: String::new(),
        at: Timestamp::default(),
        units,
        queue_was_asked: seen.asked != Asked::NeedNot,
        loads: seen.loads(),
    })
}
