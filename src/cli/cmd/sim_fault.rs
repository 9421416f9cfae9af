//! `toolorch sim fault`: something goes wrong by hand.

use std::time::Duration;

use crate::base::{ExitStatus, Millis, UnitId};
use crate::cli::args_sim::FaultArgs;
use crate::cli::printer::Printer;
use crate::cli::runs;
use crate::cli::runtime;
use crate::plan::{Plan, Unit, UnitKind};
use crate::sim::{self, Act, Held, NotDone, Stage};
use crate::world::{UnitDirs, signals};

pub(in crate::cli) fn run(args: &FaultArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let complain = |why: String| {
        printer.complain(&format!("error: {why}"));
        ExitStatus::Usage
    };
    let act = sim::kind::<Act>(&args.kind).map_err(complain)?;
    let lasts = args.lasts.as_deref().map(Millis::parse).transpose();
    let lasts = lasts.map_err(|error| complain(error.to_string()))?;
    let found = runs::find(args.file.as_deref(), printer)?;
    let real = real_servers(&found.plan);
    if !args.real && !real.is_empty() {
        printer.complain(&format!(
            "error: not every server of this run is simulated: {} {} real\nhelp: add `--real` if that is meant; what is lost there is lost",
            real.join(", "),
            if real.len() == 1 { "is" } else { "are" },
        ));
        return Err(ExitStatus::Refused);
    }
    let stage = Stage::new(found.plan, UnitDirs::of_run(&found.dir));
    let runtime =
        runtime::single().map_err(|error| printer.internal(format_args!("no runtime: {error}")))?;
    let unit = UnitId::new(args.unit.as_str());
    let done = runtime.block_on(inject(&stage, &unit, act, lasts, printer));
    done.map_err(|why| refused(why, printer))?;
    Ok(ExitStatus::Done)
}

/// Replicas of which the plan does not say that they are simulated.
fn real_servers(plan: &Plan) -> Vec<&str> {
    let real =
        |unit: &&Unit| matches!(unit.kind, UnitKind::Replica { .. }) && !sim::is_simulated(unit);
    let units = plan.units.iter().filter(real);
    units.map(|unit| unit.id.as_str()).collect()
}

async fn inject(
    stage: &Stage,
    unit: &UnitId,
    act: Act,
    lasts: Option<Millis>,
    printer: Printer,
) -> Result<(), NotDone> {
    let done = stage.inject(unit, act, lasts.map(Duration::from)).await?;
    printer.say(&format!("{unit}: {}", done.text));
    if let Some(held) = done.held {
        wait(held).await;
        printer.say(&format!("{unit}: it goes on"));
    }
    Ok(())
}

/// Until it is over, or somebody has enough of it.
async fn wait(held: Held) {
    let Ok(mut signals) = signals() else {
        return held.over().await;
    };
    tokio::select! {
        () = held.over() => {}
        _ = signals.recv() => {}
    }
}

fn refused(why: NotDone, printer: Printer) -> ExitStatus {
    match why {
        NotDone::Unfit { why, help } => {
            printer.complain(&format!("error: {why}\nhelp: {help}"));
            ExitStatus::Usage
        }
        NotDone::Failed(why) => {
            printer.complain(&format!("error: {why}"));
            ExitStatus::Refused
        }
    }
}
