//! `reach: tunnel`: an ssh connection through which the servers of a node are reached, a unit of its own.
//!
//! One for each node and not for each server: a node lets in so many logins at once and no more, and its link breaks for
//! all of its servers together.

use crate::base::{FieldPath, Millis, NodeName, Port, UnitId};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::Facts;
use crate::spec::ClusterSpec;
use crate::spec::model::{LauncherKind, PortChoice, Reach};

use super::egress::free_name;
use super::evals::{CONTROLLER, GRACE, OPEN_FILES};
use super::ports::{self, LocalPorts};
use super::sites::{Site, Sites, is_loopback};
use super::{
    Access, Endpoint, Group, ReadyRule, RestartRule, Rung, SshTarget, Start, Through, Unit,
    UnitEnv, UnitKind, inherit,
};

/// Where tunnels take connections: their clients run beside them.
pub(crate) const LOOPBACK: &str = "127.0.0.1";
/// Longer than a login takes; what hangs is begun anew.
const SOON: Millis = Millis::from_secs(60);
/// A link that is cut for a night is no reason to give up. The pause triples with each start in the window, so that it is
/// 27 s at most.
const AGAIN: RestartRule = RestartRule {
    attempts: 1_000,
    backoff: Millis::from_secs(1),
    window: Millis::from_secs(30),
};
/// The socket of a person's ssh agent, which may hold the only key.
const AGENT: &str = "SSH_AUTH_SOCK";

/// Leads clients to the servers of each node that says so through a tunnel, which stands before the first of them.
pub(super) fn add(
    spec: &ClusterSpec,
    facts: &Facts,
    sites: &Sites<'_>,
    (units, groups): (&mut Vec<Unit>, &mut Vec<Group>),
    report: &mut Report,
) {
    let mut local = LocalPorts::new(units, facts);
    let wanted = sites.all().iter();
    for site in wanted.filter(|site| site.reach == Reach::Tunnel) {
        let behind = |unit: &Unit| unit.node == site.name && unit.port.is_some();
        let Some(first) = units.iter().position(behind) else {
            continue;
        };
        let origin = site.origin.key("reach");
        let target = match way(spec, sites, site, units) {
            Ok(target) => target,
            Err((label, help)) => {
                report.push(no_way(site, &origin, label, help));
                continue;
            }
        };
        let name = free_name(spec, &format!("tunnel-{}", plain(&site.name)));
        let id = UnitId::service(&name);
        let mut forwards = Vec::new();
        for unit in units.iter_mut().filter(|unit| behind(unit)) {
            let held = facts.held_doors.get(&unit.id).copied();
            let Some(port) = held.or_else(|| local.free()) else {
                ports::no_port(unit.id.as_str(), PortChoice::Auto, &unit.origin, report);
                continue;
            };
            forwards.push((port, forward(port, unit)));
            lead(unit, groups, &id, port);
        }
        let tunnel = tunnel(facts, site, (id, &target), forwards);
        if let (Some(tunnel), Some(port)) = (&tunnel, tunnel.as_ref().and_then(|it| it.port)) {
            groups.push(Group {
                key: name.to_string(),
                name,
                endpoints: vec![Endpoint {
                    unit: tunnel.id.clone(),
                    host: LOOPBACK.to_owned(),
                    port,
                }],
                min_ready: 1,
                hidden: true,
            });
        }
        units.splice(first..first, tunnel);
    }
}

/// A node's name as a part of a unit's.
fn plain(node: &NodeName) -> String {
    let text = node.as_str().to_ascii_lowercase();
    text.replace(
        |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_',
        "-",
    )
}

/// Through which host the servers of a site are reached; else what is in the way, and what to do about it.
fn way(
    spec: &ClusterSpec,
    sites: &Sites<'_>,
    site: &Site<'_>,
    units: &[Unit],
) -> Result<SshTarget, (&'static str, &'static str)> {
    let servers = || {
        let there = |unit: &&Unit| unit.node == site.name && unit.port.is_some();
        units.iter().filter(there)
    };
    let mut in_jobs = servers().filter(|unit| unit.launcher == LauncherKind::Slurm);
    let mut access = Access::of(site.key, site.transport, site.way);
    if in_jobs.clone().next().is_some() {
        if in_jobs.clone().any(|unit| unit.port_auto) {
            return Err((
                "its jobs choose ports when they begin",
                "write a `port` for each of its servers",
            ));
        }
        if in_jobs.any(|unit| is_loopback(&unit.address)) {
            return Err((
                "a tunnel of SLURM comes out on the login node",
                "write `launcher: slurm` at the node, or its `address`",
            ));
        }
        let login = inherit::slurm(spec, site.slurm).login;
        access = match login.map(|login| sites.login(&login)) {
            Some(Access::Local) | None => access,
            Some(login) => login,
        };
    }
    match access {
        Access::Ssh2(target) | Access::SystemSsh(target) => Ok(target),
        Access::Local => Err((
            "it is this machine",
            "leave `reach` out: its servers are reached directly",
        )),
    }
}

fn no_way(site: &Site<'_>, origin: &FieldPath, label: &str, help: &str) -> Diagnostic {
    let title = format!("no tunnel can lead to the servers of `{}`", site.name);
    Diagnostic::error(Code("E0332"), title)
        .at(Place::Value(origin.clone()), label)
        .help(help)
}

/// Clients and probes ask this server at the tunnel's port, and that it can be asked there is one more thing to prove.
fn lead(unit: &mut Unit, groups: &mut [Group], tunnel: &UnitId, port: Port) {
    unit.through = Some(Through {
        tunnel: tunnel.clone(),
        port,
    });
    unit.ready.rungs.insert(1, Rung::Tunnel);
    let ends = groups.iter_mut().flat_map(|group| &mut group.endpoints);
    for end in ends.filter(|end| end.unit == unit.id) {
        LOOPBACK.clone_into(&mut end.host);
        end.port = port;
    }
}

/// What `-L` is given for a server.
fn forward(local: Port, unit: &Unit) -> String {
    let place = unit
        .port
        .map(|port| format!("{}:{port}", bracketed(&unit.address)));
    format!("{LOOPBACK}:{local}:{}", place.unwrap_or_default())
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// The unit; none without anything to forward.
fn tunnel(
    facts: &Facts,
    site: &Site<'_>,
    (id, target): (UnitId, &SshTarget),
    forwards: Vec<(Port, String)>,
) -> Option<Unit> {
    let mut listens = forwards.iter().map(|(port, _)| *port);
    Some(Unit {
        id,
        kind: UnitKind::Tunnel {
            node: site.name.clone(),
        },
        node: NodeName::new(CONTROLLER),
        address: LOOPBACK.to_owned(),
        launcher: LauncherKind::Process,
        gpus: Vec::new(),
        port: Some(listens.next()?),
        more_ports: listens.collect(),
        through: None,
        port_auto: true,
        argv: words(facts, target, forwards),
        env: UnitEnv {
            may_pass: vec![AGENT.to_owned()],
            ..UnitEnv::default()
        },
        slower: Vec::new(),
        cwd: None,
        cache_dir: None,
        open_files: OPEN_FILES,
        grace: GRACE,
        start: Start::default(),
        ready: ReadyRule {
            rungs: vec![Rung::Listening],
            timeout: SOON,
        },
        restart: AGAIN,
        results_dir: None,
        origin: site.origin.key("reach"),
    })
}

/// The command line of `ssh`. Host keys are as strict as for commands, whatever the user's configuration says of them; the rest of it
/// holds.
fn words(facts: &Facts, target: &SshTarget, forwards: Vec<(Port, String)>) -> Vec<String> {
    let mut words: Vec<String> = ["ssh", "-N", "-T"].map(str::to_owned).to_vec();
    let mut set = |option: &str| words.extend(["-o".to_owned(), option.to_owned()]);
    for option in OPTIONS {
        set(option);
    }
    if let Some(pin) = &target.host_key_sha256 {
        // Nobody else's word counts beside the YAML's.
        set("UserKnownHostsFile=/dev/null");
        set("GlobalKnownHostsFile=/dev/null");
        set("FingerprintHash=sha256");
        set(&format!(
            "KnownHostsCommand={} known-host {} %f %H %t %K",
            quoted(&facts.exe),
            quoted(pin)
        ));
    }
    if let Some(identity) = &target.identity {
        set("IdentitiesOnly=yes");
        words.extend(["-i".to_owned(), identity.clone()]);
    }
    if let Some(jump) = &target.jump {
        words.extend(["-J".to_owned(), jump.clone()]);
    }
    words.extend(target.options());
    for (_, forward) in forwards {
        words.extend(["-L".to_owned(), forward]);
    }
    words.extend(["--".to_owned(), target.host.clone()]);
    words
}

/// What each tunnel is told.
const OPTIONS: [&str; 15] = [
    // It asks nobody, and trusts nobody new.
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    // A port that is taken, and a link that is silent for 15 s, end it: then it is started again.
    "ExitOnForwardFailure=yes",
    "ConnectTimeout=8",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=2",
    // A connection of its own, which goes when it goes.
    "ControlMaster=no",
    "ControlPath=none",
    // Nothing else comes with it.
    "GatewayPorts=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    // Its log says why it ended.
    "LogLevel=INFO",
];

/// A word of `KnownHostsCommand`, which ssh splits itself and in which `%` begins a token.
fn quoted(word: &str) -> String {
    let word = word.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", word.replace('%', "%%"))
}
