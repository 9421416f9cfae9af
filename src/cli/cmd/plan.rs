//! `toolorch plan`.

use crate::base::ExitStatus;
use crate::cli::args::{PlanArgs, PlanFormat};
use crate::cli::cmd::render::files_of;
use crate::cli::load::load;
use crate::cli::obstacles::foreseen;
use crate::cli::printer::Printer;
use crate::cli::{changes, origin, runs};
use crate::plan::{Plan, origins, table};

/// With errors it prints what it can, and exits 2.
pub(in crate::cli) fn run(args: &PlanArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let mut loaded = load(&args.cluster, printer)?;
    loaded.complain(printer);
    if let Some(cluster) = &loaded.cluster {
        let shown = match args.format {
            PlanFormat::Table if args.origins => {
                origins(&loaded.document, &cluster.spec, &cluster.facts)
            }
            PlanFormat::Table => table(&cluster.plan),
            PlanFormat::Json => {
                let mut text = serde_json::to_string_pretty(&cluster.plan)
                    .map_err(|_| ExitStatus::Internal)?;
                text.push('\n');
                text
            }
        };
        printer.data(&shown).map_err(|_| ExitStatus::Internal)?;
    }
    let refused = loaded.refused(false);
    if let (false, Some(cluster)) = (refused, &mut loaded.cluster) {
        let obstacles = foreseen(cluster, &loaded.document, printer)?;
        beside_what_runs(&cluster.plan, obstacles.is_empty(), args, printer)?;
        for why in obstacles {
            let gap = if why.contains('\n') { '\n' } else { ' ' };
            printer.complain(&format!("`toolorch up` would refuse:{gap}{why}"));
        }
    }
    Ok(if refused {
        ExitStatus::Usage
    } else {
        ExitStatus::Done
    })
}

/// What `up` would change, where a run of the cluster goes on.
fn beside_what_runs(
    plan: &Plan,
    may_start: bool,
    args: &PlanArgs,
    printer: Printer,
) -> Result<(), ExitStatus> {
    let failed = |error| runs::store(&error, printer);
    let Some(dir) = runs::home().latest(&plan.cluster).map_err(failed)? else {
        return Ok(());
    };
    if dir.is_over().map_err(failed)? || !dir.plan().exists() {
        return Ok(());
    }
    let run = runs::read(dir).map_err(failed)?;
    origin::warn(run.dir.id(), &run.state, &args.cluster.file, printer);
    let files = files_of(plan, args.templates.as_deref(), printer)?;
    let changes = changes::beside(&run.dir, plan, &files, &run.state, printer)?;
    let mut lines = changes.lines();
    if lines.is_empty() && may_start {
        lines.push("nothing would change".to_owned());
    }
    for line in lines {
        printer.say(&format!("beside `{}`: {line}", run.dir.id()));
    }
    Ok(())
}
