//! The command that hears of alarms.

use super::{NotifyPlan, paths};
use crate::base::Millis;
use crate::facts::Facts;
use crate::spec::ClusterSpec;
use crate::spec::model::NotifyOn;

const EVERY: Millis = Millis::from_secs(600);
const ON: [NotifyOn; 3] = [NotifyOn::Alarm, NotifyOn::GaveUp, NotifyOn::Ended];

/// The command of this YAML, if it names one.
pub(super) fn of(spec: &ClusterSpec, facts: &Facts) -> Option<NotifyPlan> {
    let notify = spec.notify.as_ref()?;
    let home = facts.home.get().map(String::as_str);
    let mut words = notify.command.iter();
    let program = words.next()?;
    // A name is looked for on PATH; a path counts from the YAML's folder.
    let program = if program.contains('/') {
        paths::absolute(program, &facts.yaml_dir, home)
    } else {
        program.clone()
    };
    let rest = words.map(|word| paths::expanded_word(word, home));
    Some(NotifyPlan {
        argv: std::iter::once(program).chain(rest).collect(),
        dir: facts.yaml_dir.clone(),
        on: notify.on.clone().unwrap_or_else(|| ON.to_vec()),
        every: notify.every.map_or(EVERY, |every| every.0),
    })
}
