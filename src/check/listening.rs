//! Where servers listen, since whoever reaches one can use it: no client of ours could name a key.

use crate::base::{FieldPath, Name};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::knowledge::flags::canonical;
use crate::plan::{Unit, UnitKind};

use super::Ctx;

/// Set, vLLM answers only who names it.
const KEY: &str = "VLLM_API_KEY";

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    let mut in_pools: Vec<Place> = Vec::new();
    for (name, model) in &ctx.spec.models {
        let path = FieldPath::root().key("models").key(name.as_str());
        if let Some(place) = key_of(ctx, name, &path) {
            report.push(with_key(name.as_str(), place));
        }
        let asked = model
            .args
            .iter()
            .find(|(flag, _)| canonical(flag) == "--host");
        if let Some((flag, host)) = asked {
            if matches!(host.as_str(), Some("0.0.0.0" | "::" | "[::]")) {
                report.push(everywhere(
                    name.as_str(),
                    path.key("args").key(flag.as_str()),
                ));
            }
        } else if model
            .node
            .0
            .iter()
            .any(|node| ctx.spec.pools.contains_key(node))
        {
            in_pools.push(Place::Value(path.key("node")));
        }
    }
    if !in_pools.is_empty() {
        let finding = Diagnostic::note(
            Code("N0324"),
            "servers of a pool listen at every address of their node",
        )
        .help("they have no key: whoever reaches the port can use them");
        report.push(in_pools.into_iter().fold(finding, |finding, place| {
            finding.at(place, "which node that is, SLURM decides")
        }));
    }
}

fn everywhere(name: &str, path: FieldPath) -> Diagnostic {
    Diagnostic::warning(
        Code("W0323"),
        format!("`{name}` listens at every address of its node"),
    )
    .at(
        Place::Value(path),
        "whoever reaches the port can use the model",
    )
    .help("leave `host` out: then it listens at the node's address alone")
}

/// Where a server of the model is given a key.
fn key_of(ctx: &Ctx<'_>, name: &Name, path: &FieldPath) -> Option<Place> {
    let args = &ctx.spec.models.get(name)?.args;
    if let Some((flag, _)) = args.iter().find(|(flag, _)| canonical(flag) == "--api-key") {
        return Some(Place::Key(path.key("args").key(flag.as_str())));
    }
    let has = |unit: &&Unit| {
        let of_model = matches!(&unit.kind, UnitKind::Replica { model, .. } if model == name);
        let env = &unit.env;
        of_model && (env.set.contains_key(KEY) || env.pass.iter().any(|passed| passed == KEY))
    };
    ctx.plan.units.iter().find(has)?;
    Some(Place::Key(path.clone()))
}

fn with_key(name: &str, place: Place) -> Diagnostic {
    Diagnostic::error(
        Code("E0602"),
        format!("servers of `{name}` would ask for a key that nobody tells their clients"),
    )
    .at(place, "the probes and the client's configuration name none")
    .help(format!(
        "leave `api-key` and `{KEY}` out; a server listens at its node's address alone, so keep that network closed"
    ))
}
