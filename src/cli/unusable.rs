//! Machines that no command can reach until a person acts: a name that nobody knows, a host key that changed, a login that is refused.
//! A run that needs them would wait for ever; one that can do without goes on. And machines on which a client would work on other
//! files than those that are here.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::fleet::{self, Wanted};
use super::printer::Printer;
use super::runtime;
use crate::base::{EvalName, ExitStatus, UnitId};
use crate::plan::{Endpoint, EvalPlan, Group, Plan};
use crate::world::{Command, SharedFiles, TransportError, Transports};

/// What has not answered by then may do so later.
const PATIENCE: Duration = Duration::from_secs(4);

/// A dataset on a slow network file system takes this; what takes longer is proved when the client is to start.
const READING: Duration = Duration::from_secs(20);

/// Refuses a plan that does not get enough servers without such machines, or whose clients would not see their files.
///
/// # Errors
/// There are some: each was named.
pub(super) fn refuse(plan: &Plan, evals: &[EvalName], printer: Printer) -> Result<(), ExitStatus> {
    let wanted = fleet::wanted(plan);
    if wanted.is_empty() {
        return Ok(());
    }
    let runtime = runtime::single().map_err(|error| printer.internal(error))?;
    let transports = fleet::transports(&wanted).map_err(|error| printer.internal(error))?;
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
    // Many nodes may be behind one host.
    let mut why: BTreeSet<String> = BTreeSet::new();
    if !plan.groups.iter().all(enough) {
        why.extend(refused.into_iter().map(|(_, why)| why));
    }
    let meant = plan.evals.iter().filter(|eval| evals.contains(&eval.name));
    let clients = meant.map(|eval| unseen(plan, eval, transports));
    why.extend(runtime.block_on(join_all(clients)).into_iter().flatten());
    if why.is_empty() {
        return Ok(());
    }
    for why in why {
        printer.complain(&format!("error: {why}"));
    }
    printer.complain("nothing was started");
    Err(ExitStatus::Refused)
}

/// Why the client of an evaluation would not work on the files that are here; none where it would, or nobody can tell now.
async fn unseen(plan: &Plan, eval: &EvalPlan, transports: &Transports) -> Option<String> {
    let node = plan.elsewhere(&eval.unit)?;
    let transport = transports.of(&node.name)?;
    let named = |why| format!("evaluation `{}`: {why}", eval.name);
    let shared = match SharedFiles::of(plan, eval) {
        Ok(shared) => shared,
        Err(why) => return Some(named(why)),
    };
    let seen = shared.seen_by(transport.as_ref(), READING).await?;
    let place = format!("node `{}`", node.name);
    shared.are_seen(&seen, &place).err().map(named)
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
