//! Who has how many GPUs by the YAML, and where they may go: what can be said of moving them rests on it.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::place::{needs_gpus, size};
use super::{args, argv, inherit};
use crate::base::{FieldPath, GpuIndex, Name, NodeName, Port};
use crate::diag::Report;
use crate::knowledge::seats;
use crate::spec::ClusterSpec;
use crate::spec::model::{Engine, Layout, ModelGpus, ModelSpec, PortChoice};

/// Who has how many GPUs by the YAML.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Shares {
    /// GPUs of each node, and of all nodes of each pool.
    pub nodes: IndexMap<NodeName, usize>,
    /// The GPUs by their numbers of each node on which a model has its own written out.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub gpus: IndexMap<NodeName, Vec<GpuIndex>>,
    /// How many nodes each pool has.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub pools: IndexMap<NodeName, usize>,
    /// Each model and service.
    pub of: IndexMap<Name, Share>,
    /// In a rehearsal, whose servers have no GPUs: hours of the cluster in an hour here. The rest is then that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
}

/// The GPUs of a model or service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Share {
    /// Its nodes and pools, as in the YAML.
    pub nodes: Vec<NodeName>,
    /// GPUs of each server.
    pub gpus: usize,
    /// The YAML writes its GPUs out.
    pub pinned: bool,
    /// Then: those of each server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Vec<GpuIndex>>,
    /// It is not made of independent replicas that could be more or fewer.
    pub fixed: bool,
    /// The port of its first replica, where the YAML says it; each further one has the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Requests that each server computes at once where no argument says it; none where that is not certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<usize>,
}

/// Who has how many GPUs in this cluster.
pub(super) fn shares(spec: &ClusterSpec) -> Shares {
    let nodes = spec.nodes.iter();
    let nodes = nodes.map(|(name, node)| (name.clone(), node.gpus.indices().len()));
    let pools = spec.pools.iter().map(|(name, pool)| {
        let gpus = usize::from(pool.gpus) * pool.nodes as usize;
        (name.clone(), gpus)
    });
    let sizes = spec.pools.iter();
    let sizes = sizes.map(|(name, pool)| (name.clone(), pool.nodes as usize));
    let models = spec.models.iter();
    let models = models.map(|(name, model)| (name.clone(), of_model(spec, name, model)));
    let services = spec.services.iter().map(|(name, service)| {
        let share = Share {
            nodes: service.node.0.clone(),
            gpus: service.gpus.len(),
            pinned: true,
            groups: vec![service.gpus.clone()],
            fixed: true,
            port: said(service.port.as_ref()),
            seats: None,
        };
        (name.clone(), share)
    });
    // Who writes GPUs out has to know which are left.
    let pinned = |name: &NodeName| {
        let mut models = spec.models.values();
        models.any(|model| model.gpus.is_some() && model.node.0.contains(name))
    };
    let numbers = spec.nodes.iter().filter(|(name, _)| pinned(name));
    let numbers = numbers.map(|(name, node)| (name.clone(), node.gpus.indices()));
    Shares {
        gpus: numbers.collect(),
        nodes: nodes.chain(pools).collect(),
        pools: sizes.collect(),
        of: models.chain(services).collect(),
        speed: None,
    }
}

fn of_model(spec: &ClusterSpec, name: &Name, model: &ModelSpec) -> Share {
    let size = size(model);
    let span = model.span.unwrap_or(1).max(1) as usize;
    let has_some = needs_gpus(model) || model.gpus.as_ref().is_some_and(|gpus| !gpus.is_empty());
    Share {
        nodes: model.node.0.clone(),
        gpus: if has_some { size.gpus * span } else { 0 },
        pinned: model.gpus.is_some(),
        groups: match &model.gpus {
            Some(ModelGpus::Flat(all)) => all.chunks(size.gpus.max(1)).map(<[_]>::to_vec).collect(),
            Some(ModelGpus::Groups(groups)) => groups.clone(),
            None => Vec::new(),
        },
        fixed: model.layout == Some(Layout::VllmDp) || span > 1,
        port: said(model.port.as_ref()),
        seats: usual_seats(spec, name, model),
    }
}

/// What its engine takes by itself; the same on all of its nodes.
fn usual_seats(spec: &ClusterSpec, name: &Name, model: &ModelSpec) -> Option<usize> {
    match argv::engine(model) {
        Engine::Sim => return Some(seats::SIMULATED),
        Engine::Vllm if model.layout != Some(Layout::VllmDp) => {}
        _ => return None,
    }
    let release = inherit::release(spec, name)?;
    // What is wrong with them is said elsewhere.
    let words = args::flags(model, &FieldPath::root(), &mut Report::default());
    let mut nodes = model.node.0.iter().map(|node| {
        let own = spec.nodes.get(node).and_then(|node| node.gpu.as_deref());
        let card = own.or_else(|| spec.pools.get(node)?.gpu.as_deref());
        seats::seats(release, card?, &words)
    });
    let first = nodes.next()??;
    nodes.all(|other| other == Some(first)).then_some(first)
}

fn said(port: Option<&PortChoice>) -> Option<Port> {
    match port? {
        PortChoice::Fixed(port) => Some(*port),
        PortChoice::Auto => None,
    }
}
