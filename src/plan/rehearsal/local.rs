//! Where things are in a rehearsal: loopback addresses instead of nodes, one for each.

use indexmap::IndexMap;

use crate::base::{ClusterName, NodeName, sha256};
use crate::spec::ClusterSpec;
use crate::spec::model::{Node, NodeChoice, NodeGpus, TransportKind};

/// The longest name of a cluster.
const LONGEST: usize = 63;
const SUFFIX: &str = "-rehearsal";
/// So many 127.0.x.0 are used, and so many hosts in each.
const NETS: usize = 200;
const HOSTS: usize = 250;

/// The name under which the rehearsal of a cluster runs.
pub fn name_of(cluster: &ClusterName) -> ClusterName {
    let name = cluster.as_str();
    if name.len() + SUFFIX.len() <= LONGEST {
        return ClusterName::new(format!("{name}{SUFFIX}"));
    }
    // Two long names may begin alike.
    let digest = &sha256(name.as_bytes())[..8];
    let kept = LONGEST - SUFFIX.len() - digest.len() - 1;
    ClusterName::new(format!("{}-{digest}{SUFFIX}", &name[..kept]))
}

/// Addresses of a rehearsal: two rehearsals on one machine have different ones, and each the same every time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    first: usize,
}

impl Addresses {
    /// Those of the rehearsal that is kept in `folder`.
    pub(super) fn of(folder: &str) -> Self {
        let digest = sha256(folder.as_bytes());
        let number = usize::from_str_radix(&digest[..6], 16).unwrap_or(0);
        Self {
            first: number % (NETS * HOSTS),
        }
    }

    /// The address of the n-th place; 0 is that of the stand-ins.
    pub(super) fn at(self, index: usize) -> String {
        let place = self.first + index;
        // 127.0.0.x and 127.0.1.1 are in use on many machines.
        let third = 16 + place / HOSTS % NETS;
        format!("127.0.{third}.{}", 1 + place % HOSTS)
    }
}

/// A place on this machine.
fn here(address: String, gpu: Option<String>) -> Node {
    Node {
        gpus: NodeGpus::Count(0),
        gpu,
        address: Some(address),
        transport: Some(TransportKind::Local),
        launcher: None,
        ssh: None,
        reach: None,
        slurm_name: None,
        env: None,
    }
}

/// The node of the stand-ins; no node or pool of the YAML is called so.
pub(super) fn stand_ins(spec: &ClusterSpec) -> NodeName {
    let taken = |name: &str| spec.nodes.contains_key(name) || spec.pools.contains_key(name);
    let mut name = "stand-ins".to_owned();
    while taken(&name) {
        name.push('-');
    }
    NodeName::new(name)
}

/// Puts every node, and every node of a pool, at an address of its own; answers the node of the stand-ins.
pub(super) fn settle(spec: &mut ClusterSpec, addresses: Addresses) -> NodeName {
    let extra = stand_ins(spec);
    let mut nodes = IndexMap::with_capacity(spec.nodes.len() + 1);
    let mut of_pool: IndexMap<NodeName, Vec<NodeName>> = IndexMap::new();
    for (name, node) in std::mem::take(&mut spec.nodes) {
        let address = addresses.at(nodes.len() + 1);
        nodes.insert(name, here(address, node.gpu));
    }
    for (name, pool) in std::mem::take(&mut spec.pools) {
        for index in 0..pool.nodes {
            let one = NodeName::new(format!("{name}-{index}"));
            let address = addresses.at(nodes.len() + 1);
            of_pool.entry(name.clone()).or_default().push(one.clone());
            nodes.insert(one, here(address, pool.gpu.clone()));
        }
    }
    nodes.insert(extra.clone(), here(addresses.at(0), None));
    spec.nodes = nodes;
    let spread = |choice: &mut NodeChoice| {
        let names = choice.0.iter();
        choice.0 = names
            .flat_map(|name| {
                of_pool
                    .get(name)
                    .cloned()
                    .unwrap_or_else(|| vec![name.clone()])
            })
            .collect();
    };
    for model in spec.models.values_mut() {
        spread(&mut model.node);
    }
    for service in spec.services.values_mut() {
        spread(&mut service.node);
        service.node.0.truncate(1);
    }
    extra
}
