//! One look at every server of a run: each climbs its ladder once, all at the same time.

use futures_util::future::join_all;

use super::printer::Printer;
use super::runs::Found;
use crate::base::{ExitStatus, UnitId};
use crate::facts::{Observation, ProbeOutcome};
use crate::plan::{Rung, Unit};
use crate::world::{Prober, UnitDirs};

/// What one look at a server brought.
pub(super) struct Look {
    pub(super) unit: UnitId,
    pub(super) endpoint: String,
    /// Rungs proved, lowest first.
    pub(super) proved: Vec<String>,
    /// The rung at which it stands, and why.
    pub(super) refuted: Option<(String, String)>,
}

/// Looks at all servers.
///
/// # Errors
/// The HTTP client does not start.
pub(super) fn at_servers(found: &Found, printer: Printer) -> Result<Vec<Look>, ExitStatus> {
    let internal = |why: String| {
        printer.complain(&format!("error: {why}"));
        ExitStatus::Internal
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| internal(error.to_string()))?;
    let prober = Prober::default();
    let dirs = UnitDirs::of_run(&found.dir);
    Ok(runtime.block_on(join_all(
        found.plan.servers().map(|unit| look(&prober, &dirs, unit)),
    )))
}

async fn look(prober: &Prober, dirs: &UnitDirs, unit: &Unit) -> Look {
    let port = unit
        .port
        .map_or_else(String::new, |port| format!(":{port}"));
    let mut look = Look {
        unit: unit.id.clone(),
        endpoint: format!("{}{port}", unit.address),
        proved: Vec::new(),
        refuted: None,
    };
    if !matches!(dirs.observe(&unit.id), Observation::Running(_)) {
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
