//! A user's templates of client configurations, tried before any server is started.

use std::collections::BTreeSet;

use super::printer::Printer;
use crate::base::{ExitStatus, RunId};
use crate::plan::Plan;
use crate::supervise::config_text;

/// Fills in each template as if every server were ready.
///
/// # Errors
/// One that cannot be filled in: said.
pub(super) fn try_all(plan: &Plan, printer: Printer) -> Result<(), ExitStatus> {
    let ready = plan
        .servers()
        .map(|unit| unit.id.clone())
        .collect::<BTreeSet<_>>();
    let run = RunId::new(format!("{}-0-0000", plan.cluster));
    for config in plan
        .configs
        .iter()
        .filter(|config| config.template.is_some())
    {
        if let Err(why) = config_text(plan, config, &run, &ready) {
            printer.complain(&format!("error: {why}\nnothing was started"));
            return Err(ExitStatus::Usage);
        }
    }
    Ok(())
}
