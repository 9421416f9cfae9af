//! `toolorch config`: the client's model configuration, from what is ready.

use std::collections::BTreeSet;

use crate::base::{ExitStatus, UnitId};
use crate::cli::args::ConfigArgs;
use crate::cli::printer::Printer;
use crate::cli::{look, runs};
use crate::supervise::{config_text, required, write_config};

pub(in crate::cli) fn run(args: &ConfigArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let found = runs::find(Some(&args.cluster.file), printer)?;
    let looks = look::at_servers(&found, printer)?;
    let ready: BTreeSet<UnitId> = looks
        .iter()
        .filter(|look| look.refuted.is_none())
        .map(|look| look.unit.clone())
        .collect();
    for look in &looks {
        if let Some((rung, why)) = &look.refuted {
            printer.say(&match rung.as_str() {
                "process" => format!("left out: `{}`: {why}", look.unit),
                _ => format!("left out: `{}` stands at {rung}: {why}", look.unit),
            });
        }
    }
    for config in &found.plan.configs {
        let refused = |why: String| {
            printer.complain(&format!("error: {why}"));
            ExitStatus::NotReady
        };
        if args.stdout {
            let text = config_text(&found.plan, config, found.dir.id(), &ready).map_err(refused)?;
            printer.data(&text).map_err(|_| ExitStatus::Internal)?;
        } else {
            let ours = found.state.configs.values();
            let ours: Vec<String> = ours.map(|config| config.sha256.clone()).collect();
            let done = write_config(
                &found.plan,
                &config.name,
                &ready,
                &required(&found.plan, &config.name),
                found.dir.id(),
                &ours,
            )
            .map_err(refused)?;
            for line in done.said {
                printer.say(&line);
            }
            let plural = if done.file.endpoints == 1 { "" } else { "s" };
            printer.say(&format!(
                "wrote `{}` with {} endpoint{plural}",
                done.file.path, done.file.endpoints
            ));
        }
    }
    Ok(ExitStatus::Done)
}
