//! The places where units can run: each node, and each node that a pool will be given.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::base::{FieldPath, GpuIndex, NodeName};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::Facts;
use crate::spec::ClusterSpec;
use crate::spec::model::{LauncherKind, Node, NodeChoice, Pool, Reach, Slurm, Ssh, TransportKind};

use super::access::{Access, SshTarget};
use super::similar::{MaybeFix as _, did_you_mean};
use super::tunnels::LOOPBACK;

/// One place where units can run.
#[derive(Debug, Clone)]
pub(crate) struct Site<'a> {
    /// The node's key; a pool's key and a number for a node that SLURM will choose.
    pub name: NodeName,
    /// What clients connect to; a site of a pool has its own name until the job says more.
    pub address: String,
    /// How commands reach it.
    pub transport: TransportKind,
    /// How clients reach its ports.
    pub reach: Reach,
    /// What the YAML says of the way there.
    pub way: Option<&'a Ssh>,
    /// Its GPUs.
    pub gpus: Vec<GpuIndex>,
    /// Their kind.
    pub gpu: Option<&'a str>,
    /// The key of its node or pool.
    pub key: &'a NodeName,
    /// Whether SLURM chooses it from a pool.
    pub in_pool: bool,
    /// What SLURM calls it.
    pub slurm_name: Option<&'a str>,
    /// The pool's own SLURM options.
    pub slurm: Option<&'a Slurm>,
    /// Where it comes from.
    pub origin: FieldPath,
}

impl Site<'_> {
    /// What servers bind to: the node's own address; on a node that SLURM has yet to choose all of them.
    pub(crate) fn bind(&self) -> &str {
        if self.in_pool {
            "0.0.0.0"
        } else {
            &self.address
        }
    }

    /// What tells its ports from those of other sites: a loopback address of another machine is that machine's alone.
    pub(crate) fn binds_at(&self) -> (&str, Option<&str>) {
        let apart = is_loopback(&self.address) && !self.is_here();
        (&self.address, apart.then_some(self.name.as_str()))
    }

    /// Where commands to it go, if it is another machine.
    pub(crate) fn ssh(&self) -> Option<SshTarget> {
        match Access::of(self.key, self.transport, self.way) {
            Access::Local => None,
            Access::Ssh2(target) | Access::SystemSsh(target) => Some(target),
        }
    }

    /// Where its units run unless they say otherwise: the YAML's folder, which other machines need not have.
    pub(crate) fn cwd(&self) -> &'static str {
        if self.is_here() { "." } else { "~" }
    }

    /// Whether its processes are processes of this machine, so that what is known about this
    /// machine holds there.
    pub(crate) fn is_here(&self) -> bool {
        self.transport == TransportKind::Local && !self.in_pool
    }
}

/// All sites, in the order of the YAML, found by the key of their node or pool.
#[derive(Debug)]
pub(crate) struct Sites<'a> {
    all: Vec<Site<'a>>,
    by_key: HashMap<&'a str, Range<usize>>,
    /// Names of this machine.
    own: &'a [String],
}

impl<'a> Sites<'a> {
    /// The sites of a cluster.
    pub(crate) fn of(spec: &'a ClusterSpec, facts: &'a Facts) -> Self {
        let mut all = Vec::with_capacity(spec.nodes.len());
        let mut by_key = HashMap::with_capacity(spec.nodes.len());
        for (name, node) in &spec.nodes {
            by_key.insert(name.as_str(), all.len()..all.len() + 1);
            all.push(of_node(spec, name, node, facts));
        }
        for (name, pool) in &spec.pools {
            let first = all.len();
            all.extend((0..pool.nodes).map(|index| of_pool(name, pool, index)));
            by_key.entry(name.as_str()).or_insert(first..all.len());
        }
        let own = &facts.own_names;
        Self { all, by_key, own }
    }

    /// The site at an index.
    pub(crate) fn at(&self, index: usize) -> &Site<'a> {
        &self.all[index]
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Site<'a>] {
        &self.all
    }

    /// The site of a node (the first of a pool).
    pub(crate) fn find(&self, name: &NodeName) -> Option<&Site<'a>> {
        let range = self.by_key.get(name.as_str())?;
        self.all.get(range.start)
    }

    /// How commands reach a login node: a node of the YAML, or `[USER@]HOST[:PORT]`.
    pub(crate) fn login(&self, login: &str) -> Access {
        if let Some(range) = self.by_key.get(login)
            && let Some(site) = self.all.get(range.start)
        {
            return Access::of(site.key, site.transport, site.way);
        }
        if login == "localhost" || self.own.iter().any(|own| own == login) {
            return Access::Local;
        }
        let (user, place) = match login.split_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, login),
        };
        let port = place.rsplit_once(':').and_then(|(host, port)| {
            let port = port.parse().ok()?;
            // A bare IPv6 address has colons of its own.
            (!host.contains(':') || host.ends_with(']')).then_some((host, port))
        });
        let mut target = SshTarget::host(
            port.map_or(place, |(host, _)| host)
                .trim_matches(['[', ']']),
        );
        target.user = user;
        target.port = port.map(|(_, port)| port);
        Access::Ssh2(target)
    }

    /// The sites that a `node:` key names; unknown names are reported and left out.
    pub(crate) fn chosen(
        &self,
        choice: &NodeChoice,
        origin: &FieldPath,
        report: &mut Report,
    ) -> Vec<usize> {
        let mut sites = Vec::new();
        let single = choice.0.len() == 1;
        for (index, name) in choice.0.iter().enumerate() {
            if let Some(range) = self.by_key.get(name.as_str()) {
                sites.extend(range.clone());
            } else {
                let path = origin.key("node");
                let path = if single { path } else { path.index(index) };
                report.push(self.unknown(name, path));
            }
        }
        sites
    }

    /// The finding that a name is neither a node nor a pool.
    pub(crate) fn unknown(&self, name: &NodeName, path: FieldPath) -> Diagnostic {
        let known = self.by_key.keys().copied();
        let place = Place::Value(path);
        Diagnostic::error(Code("E0210"), format!("there is no node or pool `{name}`"))
            .at(place.clone(), "not a key of `nodes` or `pools`")
            .maybe_fix(did_you_mean(name.as_str(), known, place))
    }
}

/// Whether an address means the machine on which it is used.
pub(crate) fn is_loopback(address: &str) -> bool {
    let word = address.trim_start_matches('[').trim_end_matches(']');
    word == "localhost" || word == "::1" || word.starts_with("127.")
}

fn of_node<'a>(spec: &ClusterSpec, name: &'a NodeName, node: &'a Node, facts: &Facts) -> Site<'a> {
    let reach = node.reach.unwrap_or(Reach::Direct);
    let given = node.address.as_deref();
    let address = given.unwrap_or(name.as_str());
    let own = |text: &str| text == "localhost" || facts.own_names.iter().any(|own| own == text);
    let transport = node.transport.unwrap_or_else(|| {
        if own(name.as_str()) || own(address) {
            TransportKind::Local
        } else {
            TransportKind::Ssh2
        }
    });
    // A tunnel comes out on the node itself, whose name may mean nothing there, and its network may be open to others.
    let own_loopback = reach == Reach::Tunnel
        && given.is_none()
        && transport != TransportKind::Local
        && node.launcher.or(spec.launcher) != Some(LauncherKind::Slurm);
    let address = if own_loopback { LOOPBACK } else { address };
    Site {
        name: name.clone(),
        address: address.to_owned(),
        reach,
        transport,
        way: node.ssh.as_ref(),
        gpus: once(node.gpus.indices()),
        gpu: node.gpu.as_deref(),
        key: name,
        in_pool: false,
        slurm_name: node.slurm_name.as_deref(),
        slurm: None,
        origin: FieldPath::root().key("nodes").key(name.as_str()),
    }
}

/// Each GPU once, in order; that one is named twice is a matter for `check`.
fn once(gpus: Vec<GpuIndex>) -> Vec<GpuIndex> {
    let mut seen = HashSet::with_capacity(gpus.len());
    gpus.into_iter().filter(|gpu| seen.insert(*gpu)).collect()
}

fn of_pool<'a>(name: &'a NodeName, pool: &'a Pool, index: u32) -> Site<'a> {
    let site = format!("{name}-{index}");
    Site {
        name: NodeName::new(site.as_str()),
        address: site,
        transport: TransportKind::Local,
        reach: Reach::Direct,
        way: None,
        gpus: (0..pool.gpus).map(GpuIndex).collect(),
        gpu: pool.gpu.as_deref(),
        key: name,
        in_pool: true,
        slurm_name: None,
        slurm: pool.slurm.as_ref(),
        origin: FieldPath::root().key("pools").key(name.as_str()),
    }
}
