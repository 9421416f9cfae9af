//! `--only NAME`: the part of a plan that is started.

use std::collections::HashSet;

use crate::base::{Name, UnitId};

use super::{Plan, Unit, UnitKind};

/// Names that a plan does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {}; known are {}", quoted(.unknown), quoted(.known))]
pub struct UnknownNames {
    /// Those that were asked for.
    pub unknown: Vec<String>,
    /// Models, services and evaluations that there are.
    pub known: Vec<String>,
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// The part of a plan that `--only` starts: the named models, services and units, and the named evaluations with all that
/// they require.
///
/// Endpoints of the other servers go with them, so that no client configuration names a server
/// that is not started.
///
/// # Errors
/// The names that are neither a model, a service, a unit nor an evaluation.
pub fn select(plan: &Plan, only: &[String]) -> Result<Plan, UnknownNames> {
    let mut wanted: HashSet<&str> = only.iter().map(String::as_str).collect();
    let groups = plan.groups.iter().map(|group| group.name.as_str());
    let evals = plan.evals.iter().map(|eval| eval.name.as_str());
    let units = plan.units.iter().map(|unit| unit.id.as_str());
    let known: HashSet<&str> = groups.clone().chain(evals.clone()).chain(units).collect();
    let unknown: Vec<String> = (only.iter())
        .filter(|name| !known.contains(name.as_str()))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        let known = groups.chain(evals).map(str::to_owned).collect();
        return Err(UnknownNames { unknown, known });
    }
    let named_evals = plan
        .evals
        .iter()
        .filter(|eval| wanted.contains(eval.name.as_str()) || wanted.contains(eval.unit.as_str()));
    let required: Vec<&str> = named_evals
        .flat_map(|eval| eval.requires.iter().map(Name::as_str))
        .collect();
    wanted.extend(required);
    let mut part = plan.clone();
    let named = |id: &UnitId, owner: &str| wanted.contains(owner) || wanted.contains(id.as_str());
    let goes = |unit: &Unit| match &unit.kind {
        UnitKind::Replica { model, .. } => named(&unit.id, model.as_str()),
        UnitKind::Service { name } => named(&unit.id, name.as_str()),
        UnitKind::Tunnel { .. } => named(&unit.id, unit.id.as_str()),
        UnitKind::Eval { .. } => true,
    };
    // Nobody reaches a server without its tunnel.
    let ways: HashSet<UnitId> = (part.units.iter())
        .filter(|unit| goes(unit))
        .filter_map(|unit| Some(unit.through.as_ref()?.tunnel.clone()))
        .collect();
    part.units
        .retain(|unit| goes(unit) || ways.contains(&unit.id));
    let kept: HashSet<UnitId> = part.units.iter().map(|unit| unit.id.clone()).collect();
    for group in &mut part.groups {
        group
            .endpoints
            .retain(|endpoint| kept.contains(&endpoint.unit));
        group.min_ready = group.min_ready.min(group.endpoints.len());
    }
    part.groups.retain(|group| !group.endpoints.is_empty());
    let served: HashSet<&str> = part
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    let outside = |name: &str| {
        plan.externals
            .iter()
            .any(|external| external.name.as_str() == name)
    };
    part.evals.retain(|eval| {
        named(&eval.unit, eval.name.as_str())
            && (eval.requires.iter())
                .all(|name| served.contains(name.as_str()) || outside(name.as_str()))
    });
    let evals: HashSet<&UnitId> = part.evals.iter().map(|eval| &eval.unit).collect();
    part.units.retain(|unit| match unit.kind {
        UnitKind::Eval { .. } => evals.contains(&unit.id),
        UnitKind::Replica { .. } | UnitKind::Service { .. } | UnitKind::Tunnel { .. } => true,
    });
    for unit in &mut part.units {
        unit.start
            .after_ready
            .retain(|before| kept.contains(before));
    }
    let kept: HashSet<&str> = part.evals.iter().map(|eval| eval.name.as_str()).collect();
    let kept: HashSet<String> = kept.into_iter().map(str::to_owned).collect();
    for eval in &mut part.evals {
        eval.after.retain(|name, _| kept.contains(name.as_str()));
    }
    for job in &mut part.jobs {
        job.units
            .retain(|unit| part.units.iter().any(|kept| &kept.id == unit));
    }
    part.jobs.retain(|job| !job.units.is_empty());
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::super::plan_tests::clean;
    use super::*;

    const HLE: &str = include_str!("../../clusters/hle-oss.yaml");

    fn only(names: &[&str]) -> Result<Plan, UnknownNames> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        select(&clean(HLE), &names)
    }

    #[test]
    fn an_evaluation_comes_with_all_that_it_requires() {
        let part = only(&["orchestrator"]).unwrap();
        assert_eq!((part.units.len(), part.evals.len()), (4, 0));
        let part = only(&["hle"]).unwrap();
        assert_eq!(
            (part.units.len(), part.evals.len(), part.groups.len()),
            (26, 1, 5)
        );
    }

    #[test]
    fn one_replica_may_be_named() {
        let part = only(&["answer-3"]).unwrap();
        assert_eq!(part.groups[0].endpoints.len(), 1);
        assert_eq!(part.groups[0].min_ready, 1);
        assert!(part.jobs.is_empty());
    }

    #[test]
    fn an_unknown_name_is_refused() {
        insta::assert_snapshot!(only(&["orchestrater"]).unwrap_err(), @"there is no `orchestrater`; known are `orchestrator`, `coder`, `answer`, `search`, `retrieval`, `wiki_retrieval`, `hle`, `frames`");
    }
}
