//! One look at every server of a run: each climbs its ladder once, all at the same time.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tokio::sync::mpsc::UnboundedReceiver;

use super::printer::Printer;
use super::runs::Found;
use super::runtime;
use crate::base::{Clock, ExitStatus, UnitId};
use crate::facts::{Observation, ProbeOutcome, Served};
use crate::plan::{Plan, Rung, Unit};
use crate::run::Phase;
use crate::run::store::Probed;
use crate::world::{Asked, Prober, SystemClock, UnitDirs, base_of};

/// What one look at a server brought.
pub(super) struct Look {
    pub(super) unit: UnitId,
    pub(super) endpoint: String,
    /// Rungs proved, lowest first.
    pub(super) proved: Vec<String>,
    /// The rung at which it stands, and why.
    pub(super) refuted: Option<(String, String)>,
}

/// Looks at all servers, and tells the run's owner how many of the requests that they count are ours.
///
/// # Errors
/// The HTTP client does not start.
pub(super) fn at_servers(found: &Found, printer: Printer) -> Result<Vec<Look>, ExitStatus> {
    let runtime = runtime::single().map_err(|error| printer.internal(error))?;
    let ((prober, asked), began) = (Prober::counted(), SystemClock.now());
    let (dirs, plan) = (UnitDirs::of_run(&found.dir), as_placed(found));
    let looks = plan.servers().map(|unit| {
        let here = plan.elsewhere(&unit.id).is_none();
        look(&prober, &dirs, unit, here)
    });
    let looks = runtime.block_on(join_all(looks));
    let sent = sent(found, &plan, asked);
    let told = sent.is_empty() || matches!(found.state.phase, Phase::Ended(_));
    if !told && let Err(why) = Probed::new(began, sent).tell(&found.dir) {
        printer.complain(&format!(
            "warning: {why}: the books of this run will show these requests as nobody's"
        ));
    }
    Ok(looks)
}

/// The plan with servers where they were told to listen: in jobs and with `port: auto` that is learned.
fn as_placed(found: &Found) -> Plan {
    let mut plan = found.plan.clone();
    for (unit, state) in &found.state.units {
        if let Some(place) = &state.place {
            plan.place(unit, place);
        }
    }
    plan
}

/// Requests of ours that servers count among those they finished.
fn sent(found: &Found, plan: &Plan, mut asked: UnboundedReceiver<Asked>) -> Vec<Served> {
    let mut sent: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    while let Ok(one) = asked.try_recv() {
        let (answered, unsure) = sent.entry(one.base).or_default();
        *answered += u64::from(one.answered);
        *unsure += u64::from(!one.answered);
    }
    let of = |unit: &Unit| {
        let (answered, unsure) = sent.get(&base_of(unit)?).copied()?;
        Some(Served {
            unit: unit.id.clone(),
            generation: found.state.unit(&unit.id).generation,
            finished: answered,
            ours: answered,
            unsure,
        })
    };
    plan.servers().filter_map(of).collect()
}

/// Of a unit that is not here only its port can be asked.
async fn look(prober: &Prober, dirs: &UnitDirs, unit: &Unit, here: bool) -> Look {
    let port = unit
        .port
        .map_or_else(String::new, |port| format!(":{port}"));
    let mut look = Look {
        unit: unit.id.clone(),
        endpoint: format!("{}{port}", unit.address),
        proved: Vec::new(),
        refuted: None,
    };
    if here && !matches!(dirs.observe(&unit.id), Observation::Running(_)) {
        look.refuted = Some(("process".to_owned(), "it does not run".to_owned()));
        return look;
    }
    // A look must not warm anything up: that was done, or is `up`'s to do.
    let rungs = unit.ready.rungs.iter();
    for rung in rungs.filter(|rung| !matches!(rung, Rung::Warmup(_) | Rung::Listening)) {
        let outcome = prober.probe(unit, rung).await;
        let why = match outcome.masked(&dirs.secrets(&unit.id)) {
            ProbeOutcome::Passed { detail } => {
                let name = rung.name();
                look.proved.push(if detail.is_empty() {
                    name.to_owned()
                } else {
                    format!("{name} ({detail})")
                });
                continue;
            }
            ProbeOutcome::NotYet { why } => why,
            ProbeOutcome::Failed(failure) => format!("{}; {}", failure.why, failure.fix),
        };
        look.refuted = Some((rung.name().to_owned(), why));
        break;
    }
    look
}
