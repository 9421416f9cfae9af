//! `reach: tunnel`: an ssh connection through which the servers of a node are reached, a unit of its own.
//!
//! One for each node and not for each server: a node lets in so many logins at once and no more, and its link breaks for
//! all of its servers together.

use crate::base::{FieldPath, Millis, NodeName, Port, UnitId, bracketed};
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
        gpu_share: None,
        stage: None,
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

#[cfg(test)]
mod tests {
    use super::super::plan_tests::{clean, facts, spec};
    use super::super::{Plan, plan, select, table};
    use crate::base::Port;
    use crate::diag::human;
    use crate::spec::{Source, parse};

    const YAML: &str = "version: 1
name: a
launcher: tmux
slurm: { time: '01:00:00', login: login1 }
nodes:
  gpu31: { gpus: 2, reach: tunnel, ssh: { host: 10.0.0.31, user: ada, port: 2222, identity: ~/.ssh/lab, jump: bastion } }
  172.27.31.10: { gpus: 2, reach: tunnel, ssh: { host_key_sha256: 'SHA256:abc' } }
  gpu-40: { gpus: 2, reach: tunnel, launcher: slurm }
  near: { gpus: 1, transport: local, address: 127.0.0.1 }
models:
  m: { engine: sim, model: org/m, node: [gpu31, 172.27.31.10], replicas: 4, port: 1800 }
  n: { engine: sim, model: org/n, node: gpu-40, port: 1800 }
  o: { engine: sim, model: org/o, node: near, port: 20001 }
services: { search: { node: gpu31, port: auto, command: [serve, '{host}', '{port}'] } }
evals: { e: { command: [/bin/true], results: out, finished: { count: 1 }, egress: proxy, requires: [m] } }
";

    fn rows(plan: &Plan) -> String {
        let units = plan.units.iter().map(|unit| {
            let at = unit
                .asked_at()
                .map_or_else(String::new, |place| place.to_string());
            let listens = unit
                .port
                .map_or_else(String::new, |port| format!("{}:{port}", unit.address));
            format!("{:<20} {listens:<16} asked at {at}\n", unit.id.as_str())
        });
        units.collect()
    }

    #[test]
    fn each_node_that_wants_one_has_a_tunnel_with_a_port_for_each_of_its_servers() {
        let plan = clean(YAML);
        insta::assert_snapshot!(rows(&plan), @r"
        tunnel-gpu31         127.0.0.1:20002  asked at 127.0.0.1:20002
        m-0                  127.0.0.1:1800   asked at 127.0.0.1:20002
        m-1                  127.0.0.1:1801   asked at 127.0.0.1:20003
        tunnel-172-27-31-10  127.0.0.1:20005  asked at 127.0.0.1:20005
        m-2                  127.0.0.1:1802   asked at 127.0.0.1:20005
        m-3                  127.0.0.1:1803   asked at 127.0.0.1:20006
        tunnel-gpu-40        127.0.0.1:20007  asked at 127.0.0.1:20007
        n-0                  gpu-40:1800      asked at 127.0.0.1:20007
        o-0                  127.0.0.1:20001  asked at 127.0.0.1:20001
        search               127.0.0.1:20000  asked at 127.0.0.1:20004
        egress-e             127.0.0.1:20008  asked at 127.0.0.1:20008
        eval-e                                asked at
        ");
        let words = |unit: &str| plan.unit(&unit.into()).unwrap().argv.join(" ");
        insta::assert_snapshot!(words("tunnel-gpu31"), @"ssh -N -T -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o ExitOnForwardFailure=yes -o ConnectTimeout=8 -o ServerAliveInterval=5 -o ServerAliveCountMax=2 -o ControlMaster=no -o ControlPath=none -o GatewayPorts=no -o ForwardAgent=no -o ForwardX11=no -o PermitLocalCommand=no -o RemoteCommand=none -o LogLevel=INFO -o IdentitiesOnly=yes -i /home/user/.ssh/lab -J bastion -l ada -p 2222 -L 127.0.0.1:20002:127.0.0.1:1800 -L 127.0.0.1:20003:127.0.0.1:1801 -L 127.0.0.1:20004:127.0.0.1:20000 -- 10.0.0.31");
        insta::assert_snapshot!(words("tunnel-172-27-31-10"), @r#"ssh -N -T -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o ExitOnForwardFailure=yes -o ConnectTimeout=8 -o ServerAliveInterval=5 -o ServerAliveCountMax=2 -o ControlMaster=no -o ControlPath=none -o GatewayPorts=no -o ForwardAgent=no -o ForwardX11=no -o PermitLocalCommand=no -o RemoteCommand=none -o LogLevel=INFO -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null -o FingerprintHash=sha256 -o KnownHostsCommand="/usr/bin/toolorch" known-host "SHA256:abc" %f %H %t %K -L 127.0.0.1:20005:127.0.0.1:1802 -L 127.0.0.1:20006:127.0.0.1:1803 -- 172.27.31.10"#);
        insta::assert_snapshot!(words("tunnel-gpu-40"), @"ssh -N -T -o BatchMode=yes -o StrictHostKeyChecking=yes -o UpdateHostKeys=no -o ExitOnForwardFailure=yes -o ConnectTimeout=8 -o ServerAliveInterval=5 -o ServerAliveCountMax=2 -o ControlMaster=no -o ControlPath=none -o GatewayPorts=no -o ForwardAgent=no -o ForwardX11=no -o PermitLocalCommand=no -o RemoteCommand=none -o LogLevel=INFO -L 127.0.0.1:20007:gpu-40:1800 -- login1");
        insta::assert_snapshot!(words("search"), @"serve 127.0.0.1 20000");
        insta::assert_snapshot!(words("egress-e"), @"/usr/bin/toolorch egress-proxy --host 127.0.0.1 --port 20008 --allow 127.0.0.1:20001-20007");
        insta::assert_snapshot!(table(&plan).lines().take(12).collect::<Vec<_>>().join("\n"), @r"
        a: 7 servers on 4 nodes, 1 evaluation, 1 egress proxy, 3 tunnels

        units                node          gpus  ports               launcher  start
        tunnel-gpu31         controller    -     20002-20004 (auto)  process   at once
        m-0…1                gpu31         -     1800-1801           tmux      at once
        tunnel-172-27-31-10  controller    -     20005-20006 (auto)  process   at once
        m-2…3                172.27.31.10  -     1802-1803           tmux      at once
        tunnel-gpu-40        controller    -     20007 (auto)        process   at once
        n-0                  gpu-40        -     1800                slurm     at once
        o-0                  near          -     20001               tmux      at once
        search               gpu31         -     20000 (auto)        tmux      at once
        egress-e             controller    -     20008 (auto)        process   at once
        ");
        let ends: Vec<String> = (plan.groups.iter().flat_map(|group| &group.endpoints))
            .map(|end| format!("{} {}:{}", end.unit, end.host, end.port))
            .collect();
        insta::assert_snapshot!(ends.join("\n"), @r"
        m-0 127.0.0.1:20002
        m-1 127.0.0.1:20003
        m-2 127.0.0.1:20005
        m-3 127.0.0.1:20006
        n-0 127.0.0.1:20007
        o-0 127.0.0.1:20001
        search 127.0.0.1:20004
        tunnel-gpu31 127.0.0.1:20002
        tunnel-172-27-31-10 127.0.0.1:20005
        tunnel-gpu-40 127.0.0.1:20007
        egress-e 127.0.0.1:20008
        ");
    }

    #[test]
    fn what_clients_know_stays_and_what_is_selected_has_its_way() {
        let mut facts = facts();
        facts.held_doors.insert("m-1".into(), Port(20_500));
        let (plan, report) = plan(&spec(YAML), &facts);
        assert_eq!(report, []);
        let asked = plan.unit(&"m-1".into()).unwrap().asked_at().unwrap();
        assert_eq!(asked.to_string(), "127.0.0.1:20500");
        let part = select(&plan, &["m-3".to_owned()]).unwrap();
        let units: Vec<&str> = part.units.iter().map(|unit| unit.id.as_str()).collect();
        assert_eq!(units, ["tunnel-172-27-31-10", "m-3"]);
    }

    #[test]
    fn a_word_of_ssh_s_own_splitting_is_quoted() {
        assert_eq!(super::quoted("/a b/100%/\"x\\"), "\"/a b/100%%/\\\"x\\\\\"");
    }

    #[test]
    fn ways_that_cannot_be_are_refused() {
        let yaml = "version: 1
name: a
slurm: { time: '01:00:00' }
nodes:
  here: { gpus: 2, reach: tunnel, transport: local }
  gpu-40: { gpus: 2, reach: tunnel, launcher: slurm }
  gpu-41: { gpus: 2, reach: tunnel, launcher: process }
models:
  m: { engine: sim, model: org/m, node: here, port: 1800 }
  n: { engine: sim, model: org/n, node: gpu-40, port: auto }
  o: { engine: sim, model: org/o, node: gpu-41, port: 1800, launcher: slurm }
";
        let parsed = parse(Source::new("a.yaml", yaml.as_bytes()), &[]);
        let (_, report) = plan(&parsed.spec.unwrap(), &facts());
        insta::assert_snapshot!(human(&report, &parsed.document, false), @r"
        error[E0332]: no tunnel can lead to the servers of `here`
         --> a.yaml:5:27
          |
        5 |   here: { gpus: 2, reach: tunnel, transport: local }
          |                           ^^^^^^ it is this machine
          |
          = help: leave `reach` out: its servers are reached directly

        error[E0332]: no tunnel can lead to the servers of `gpu-40`
         --> a.yaml:6:29
          |
        6 |   gpu-40: { gpus: 2, reach: tunnel, launcher: slurm }
          |                             ^^^^^^ its jobs choose ports when they begin
          |
          = help: write a `port` for each of its servers

        error[E0332]: no tunnel can lead to the servers of `gpu-41`
         --> a.yaml:7:29
          |
        7 |   gpu-41: { gpus: 2, reach: tunnel, launcher: process }
          |                             ^^^^^^ a tunnel of SLURM comes out on the login node
          |
          = help: write `launcher: slurm` at the node, or its `address`

        error: 3 errors in a.yaml
        ");
    }
}
