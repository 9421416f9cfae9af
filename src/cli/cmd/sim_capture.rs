//! `toolorch sim capture`: keeps what `/metrics` of servers says over time.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::base::{ExitStatus, Millis, bracketed};
use crate::cli::args_sim::CaptureArgs;
use crate::cli::printer::Printer;
use crate::cli::runs;
use crate::cli::runtime;
use crate::plan::{Unit, UnitKind};
use crate::sim::{Capture, Target};

pub(in crate::cli) fn run(args: &CaptureArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let mut targets = Vec::new();
    for server in &args.servers {
        let yaml = [".yaml", ".yml"].iter().any(|end| server.ends_with(end));
        if yaml {
            let found = runs::find(Some(Path::new(server)), printer)?;
            targets.extend(found.plan.servers().filter_map(target));
        } else {
            targets.push(Target::of_url(server));
        }
    }
    let runtime = runtime::single().map_err(|error| printer.internal(error))?;
    let capture = Capture::new(targets, &args.out).map_err(|why| printer.internal(why))?;
    runtime.block_on(watch(&capture, args, printer))
}

/// A model's server of a run; services count nothing of the kind.
fn target(unit: &Unit) -> Option<Target> {
    if !matches!(unit.kind, UnitKind::Replica { .. }) {
        return None;
    }
    let port = unit.port?;
    let address = bracketed(&unit.address);
    Some(Target {
        unit: unit.id.as_str().to_owned(),
        url: format!("http://{address}:{port}/metrics"),
    })
}

async fn watch(
    capture: &Capture,
    args: &CaptureArgs,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let length = |Millis(ms): Millis| Duration::from_millis(ms);
    let mut ticks = interval(length(args.every));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let end = args.length.map(|all| Instant::now() + length(all));
    let mut silent: BTreeSet<String> = BTreeSet::new();
    loop {
        ticks.tick().await;
        let looks = capture.look().await.map_err(|error| {
            let place = args.out.display();
            printer.complain(&format!("error: cannot write below `{place}`: {error}"));
            ExitStatus::Refused
        })?;
        let answered = looks.iter().filter(|(_, why)| why.is_none()).count();
        printer.detail(&format!("{answered} of {} servers answered", looks.len()));
        for (target, why) in looks {
            match why {
                None => {
                    silent.remove(&target.unit);
                }
                // Once, until it answers again.
                Some(why) if silent.insert(target.unit.clone()) => {
                    printer.complain(&format!(
                        "warning: nothing from `{}` at {}: {why}",
                        target.unit, target.url
                    ));
                }
                Some(_) => {}
            }
        }
        if end.is_some_and(|end| Instant::now() + length(args.every) > end) {
            return Ok(if answered > 0 {
                ExitStatus::Done
            } else {
                ExitStatus::NotReady
            });
        }
    }
}
