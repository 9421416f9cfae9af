//! Machines that no command can reach until a person acts: a name that nobody knows, a host key that changed, a login that is refused.
//! A run that needs them would wait for ever; one that can do without goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::fleet::{self, Wanted};
use super::printer::Printer;
use crate::base::{ExitStatus, UnitId};
use crate::plan::{Endpoint, Group, Plan};
use crate::world::{Command, TransportError};

/// What has not answered by then may do so later.
const PATIENCE: Duration = Duration::from_secs(4);

/// Refuses a plan that does not get enough servers without such machines.
///
/// # Errors
/// There are some: each was named.
pub(super) fn refuse(plan: &Plan, printer: Printer) -> Result<(), ExitStatus> {
    let wanted = fleet::wanted(plan);
    if wanted.is_empty() {
        return Ok(());
    }
    let internal = |why: String| {
        printer.complain(&format!("error: {why}"));
        ExitStatus::Internal
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| internal(error.to_string()))?;
    let transports = fleet::transports(&wanted).map_err(|error| internal(error.to_string()))?;
    let transports = &transports;
    let tried = wanted.iter().map(|wanted| async move {
        let transport = transports.of(&wanted.name)?;
        let nothing = Command::new(["true"]);
        let tried = transport.exec(&nothing, PATIENCE);
        let error = tokio::time::timeout(PATIENCE, tried).await.ok()?.err()?;
        for_good(&error).then(|| (wanted, error.to_string()))
    });
    let refused = runtime.block_on(join_all(tried)).into_iter().flatten();
    let refused: Vec<(&Wanted, String)> = refused.collect();
    let lost: BTreeSet<&UnitId> = refused
        .iter()
        .flat_map(|(wanted, _)| wanted.units(plan))
        .collect();
    let is_left = |end: &&Endpoint| !lost.contains(&end.unit);
    let enough = |group: &Group| group.endpoints.iter().filter(is_left).count() >= group.min_ready;
    if plan.groups.iter().all(enough) {
        return Ok(());
    }
    // Many nodes may be behind one host.
    for why in refused.iter().map(|(_, why)| why).collect::<BTreeSet<_>>() {
        printer.complain(&format!("error: {why}"));
    }
    printer.complain("nothing was started");
    Err(ExitStatus::Refused)
}

/// Whether it would be the same in an hour.
fn for_good(error: &TransportError) -> bool {
    match error {
        TransportError::Refused { .. } => true,
        // What getaddrinfo(3) says for EAI_NONAME, of glibc and musl.
        TransportError::Unreachable { why, .. } => {
            why.contains("Name or service not known") || why.contains("Name does not resolve")
        }
        _ => false,
    }
}
