//! Puts a rehearsal together.

use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::Facts;
use crate::spec::ClusterSpec;
use crate::spec::model::{ClientConfig, Env, WhenDone};

use super::local::{Addresses, name_of, settle};
use super::types::{Prop, Rehearsal, Replaced, Wish};
use super::{clients, external, models, services};

/// The cluster as this machine plays it; `spec` has its paths [mapped](super::mapped) already.
pub fn rehearse(spec: &ClusterSpec, facts: &Facts, wish: &Wish) -> Rehearsal {
    let original = spec;
    let mut spec = original.clone();
    let addresses = Addresses::of(&wish.folder);
    let mut replaced = vec![places(original, addresses)];
    let simulated = models::simulate(&mut spec, facts, wish);
    replaced.extend(simulated.replaced);
    let node = settle(&mut spec, addresses);
    replaced.extend(services::stand_in(&mut spec, facts, wish, original));
    let stand_ins = addresses.at(0);
    let outside = external::replace(&mut spec, facts, wish, (&node, &stand_ins));
    replaced.extend(outside.replaced);
    let inside = inside(&spec);
    for name in original.services.keys() {
        if let Some(service) = spec.services.get_mut(name.as_str()) {
            let env = service.env.get_or_insert_with(Env::default);
            external::lead(env, &outside.variables, &inside);
        }
    }
    let common = clients::Common {
        variables: &outside.variables,
        inside: &inside,
        required: &outside.required,
        renamed: &simulated.renamed,
    };
    let played = clients::play(&mut spec, facts, wish, original, &common);
    replaced.extend(played.replaced);
    strip(&mut spec, wish);
    let mut props = simulated.props;
    props.extend(played.props);
    props.push(Prop::Folder {
        path: wish.folder.clone(),
    });
    let mut report = played.report;
    report.extend(no_python(facts));
    Rehearsal {
        spec,
        replaced,
        props,
        outside_log: outside.log,
        externals: outside.externals,
        services: original.services.keys().cloned().collect(),
        assumed: simulated.assumed,
        report,
    }
}

fn places(spec: &ClusterSpec, addresses: Addresses) -> Replaced {
    let pools = spec.pools.values().map(|pool| pool.nodes as usize);
    let count = spec.nodes.len() + pools.sum::<usize>();
    let by = match count {
        0 | 1 => addresses.at(1),
        _ => format!("{} to {}", addresses.at(1), addresses.at(count)),
    };
    let noun = if count == 1 { "node" } else { "nodes" };
    Replaced {
        what: format!("{count} {noun}"),
        by,
        why: Some("every server keeps its port".to_owned()),
    }
}

/// Addresses that a client reaches without the proxy.
fn inside(spec: &ClusterSpec) -> Vec<String> {
    let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let nodes = spec.nodes.values().filter_map(|node| node.address.clone());
    own.into_iter().chain(nodes).collect()
}

/// What is left of the site, and where the rest of the files goes.
fn strip(spec: &mut ClusterSpec, wish: &Wish) {
    spec.name = name_of(&spec.name);
    spec.launcher = None;
    spec.env = None;
    spec.hf = None;
    spec.slurm = None;
    spec.notify = None;
    spec.idle = None;
    spec.when_done = Some(WhenDone::Down);
    // The proxy of a rehearsal lets out less than that of an evaluation.
    spec.evals.values_mut().for_each(|eval| eval.egress = None);
    if let Some(vllm) = &mut spec.vllm {
        vllm.env = None;
    }
    let place = |config: &mut ClientConfig, name: &str| {
        let file = config.path.rsplit('/').next().unwrap_or("config");
        config.path = format!("{}/config/{name}/{file}", wish.folder);
    };
    if let Some(config) = &mut spec.client_config {
        place(config, "default");
    }
    for (name, config) in &mut spec.client_configs {
        place(config, name.as_str());
    }
}

/// Stand-ins of clients are Python programs.
fn no_python(facts: &Facts) -> Report {
    let missing = matches!(facts.programs.get("python3"), Some(None));
    let finding = || {
        Diagnostic::error(
            Code("E0529"),
            "a rehearsal needs `python3`, and PATH has none",
        )
        .at(
            Place::Key(FieldPath::root().key("evals")),
            "its clients are Python programs",
        )
    };
    missing.then(finding).into_iter().collect()
}
