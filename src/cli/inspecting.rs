//! One look at the machines of a cluster, for `doctor` and `check --nodes`.

use std::collections::BTreeSet;

use super::flag_cache::FlagCache;
use super::load::Cluster;
use super::printer::Printer;
use super::runtime;
use super::weights;
use crate::base::ExitStatus;
use crate::check;
use crate::diag::Report;
use crate::plan::inspect::{Inspected, inspections};
use crate::world::{SshSettings, Transports, look_at_nodes};

/// What was seen, and what is wrong with it.
///
/// # Errors
/// The system gives no thread: said.
pub(super) fn inspect(
    cluster: &Cluster,
    printer: Printer,
) -> Result<(Vec<Inspected>, Report), ExitStatus> {
    let weights = weights::of(cluster, &BTreeSet::new());
    let runs = cluster.facts.runs.get().map(String::as_str);
    let wanted = inspections(&cluster.spec, &cluster.plan, &weights, runs);
    let runtime = runtime::single().map_err(|error| printer.internal(error))?;
    let ways = wanted
        .iter()
        .map(|one| (one.name.clone(), one.access.clone()));
    let transports = Transports::new(ways, &SshSettings::default());
    let transports = transports.map_err(|error| printer.internal(error))?;
    let cache = FlagCache::read();
    let asks_help = wanted
        .iter()
        .any(|one| one.questions.iter().any(|word| word == "flags"));
    let machines = match wanted.len() {
        1 => "1 machine".to_owned(),
        count => format!("{count} machines"),
    };
    let patience = if asks_help {
        "; where vLLM's flags are not known yet it takes a minute"
    } else {
        ""
    };
    printer.say(&format!("looking at {machines}{patience}"));
    let mut looked = runtime.block_on(look_at_nodes(&transports, wanted, &cache.keys()));
    cache.complete(&mut looked);
    let found = check::nodes(&cluster.ctx(), &weights, &looked);
    Ok((looked, found))
}
