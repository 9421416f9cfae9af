//! What becomes of a run that goes on where every question has its result already.

use super::args::{DownArgs, UpArgs};
use super::cmd::down;
use super::cmd::render::files_of;
use super::fleet;
use super::forecast::{self, Next, UP};
use super::owners;
use super::past_calls::Undeclared;
use super::printer::Printer;
use super::runs::{self, Found};
use crate::base::{Clock, ExitStatus};
use crate::plan::Plan;
use crate::run::store::Watch;
use crate::spec::model::WhenDone;
use crate::supervise::EvalDesk;
use crate::world::SystemClock;

/// Says what the results keep from happening. A run whose client finished while nobody watched still has its servers:
/// they end as `when_done` says.
pub(super) fn leave(
    plan: &Plan,
    args: &UpArgs,
    desks: &mut [EvalDesk],
    printer: Printer,
) -> Result<(), ExitStatus> {
    let failed = |error| runs::store(&error, printer);
    let Some(run) = runs::going_on(&plan.cluster).map_err(failed)? else {
        return Ok(());
    };
    if let Some(there) = owners::elsewhere(&run.dir).map_err(failed)? {
        printer.say(&there.words(&run.dir));
    }
    say_kept_back(&run, plan, args, desks, printer)?;
    if !owners::is_alive(run.dir.id()) && !fleet::may_live(&run.plan, &run.state) {
        return Ok(());
    }
    let file = &args.cluster.file;
    match Watch::look(run.dir.path(), SystemClock.now()).map_err(failed)? {
        Watch::Alive(owner) => printer.say(&format!(
            "`{}` is still watched by pid {}",
            run.dir.id(),
            owner.process.pid
        )),
        _ if plan.when_done == WhenDone::Down => {
            let file = Some(file.clone());
            let gone = Vec::new();
            down::run(&DownArgs { file, gone }, printer)?;
        }
        _ => printer.say(&format!(
            "servers of `{}` keep running; to stop: toolorch down {}",
            run.dir.id(),
            file.display()
        )),
    }
    Ok(())
}

fn say_kept_back(
    run: &Found,
    plan: &Plan,
    args: &UpArgs,
    desks: &mut [EvalDesk],
    printer: Printer,
) -> Result<(), ExitStatus> {
    let results = forecast::results(desks, &Undeclared::new(), printer)?;
    // Nothing is started: whatever is wrong with scripts is said by whoever wants that.
    let Ok(files) = files_of(plan, args.templates.as_deref(), printer) else {
        return Ok(());
    };
    let next = Next {
        dir: &run.dir,
        plan,
        files: &files,
        state: &run.state,
        asked: UP,
    };
    let Ok((_, forecast)) = next.foresee(&results) else {
        return Ok(());
    };
    for line in forecast.lines_without_evals(&args.cluster.file.display().to_string()) {
        printer.say(&format!("beside what runs: {line}"));
    }
    Ok(())
}
