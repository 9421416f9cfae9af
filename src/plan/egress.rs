//! `egress: proxy`: a proxy of its own for an evaluation, started before its client and stopped after it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::base::{Millis, Name, Place, Port, UnitId, bracketed};
use crate::diag::Report;
use crate::facts::Facts;
use crate::spec::ClusterSpec;
use crate::spec::model::{Egress, Eval, LauncherKind, PortChoice};

use super::columns::ranges;
use super::evals::{GRACE, OPEN_FILES};
use super::ports::LocalPorts;
use super::tunnels::LOOPBACK;
use super::{
    Endpoint, EvalPlan, ExternalPlan, Group, ReadyRule, Rung, Start, Unit, UnitEnv, UnitKind,
    ports, ready,
};

/// Variables that lead every client's library through a proxy.
pub(crate) const PROXIES: [&str; 6] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];
/// Variables that name what is reached without it.
pub(crate) const DIRECT: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// A proxy that is not there in this time does not come.
const SOON: Millis = Millis::from_secs(60);

/// Whether the evaluation is let out only through a proxy.
pub(crate) fn wanted(eval: &Eval) -> bool {
    eval.egress == Some(Egress::Proxy)
}

/// What was planned so far.
pub(super) struct Planned<'a> {
    pub(super) units: &'a mut Vec<Unit>,
    pub(super) groups: &'a mut Vec<Group>,
    pub(super) evals: &'a mut Vec<EvalPlan>,
    pub(super) externals: &'a [ExternalPlan],
}

/// Puts a proxy in front of each client that asks for one, and leads the client through it.
pub(super) fn add(spec: &ClusterSpec, facts: &Facts, planned: Planned<'_>, report: &mut Report) {
    let Planned {
        units,
        groups,
        evals,
        externals,
    } = planned;
    let allow = allowed(units, externals);
    let inside = inside(units);
    let mut local = LocalPorts::new(units, facts);
    for eval in evals {
        if !spec.evals.get(&eval.name).is_some_and(wanted) {
            continue;
        }
        let name = free_name(spec, &format!("egress-{}", eval.name));
        let id = UnitId::service(&name);
        let held = facts.held_ports.get(&id).copied();
        let Some(port) = held.or_else(|| local.free()) else {
            ports::no_port(name.as_str(), PortChoice::Auto, &eval.origin, report);
            continue;
        };
        let Some(at) = units.iter().position(|unit| unit.id == eval.unit) else {
            continue;
        };
        let proxy = proxy(facts, &units[at], (&name, port), &allow);
        lead(&mut units[at].env, port, &inside);
        // Before its client, as it starts.
        units.insert(at, proxy);
        groups.push(Group {
            name: name.clone(),
            key: name.to_string(),
            endpoints: vec![Endpoint {
                unit: id.clone(),
                host: LOOPBACK.to_owned(),
                port,
            }],
            min_ready: 1,
            hidden: true,
        });
        eval.requires.push(name);
        eval.egress = Some(id);
    }
}

fn proxy(facts: &Facts, client: &Unit, (name, port): (&Name, Port), allow: &[String]) -> Unit {
    let words = [
        "egress-proxy",
        "--host",
        LOOPBACK,
        "--port",
        &port.to_string(),
    ];
    let words = words.map(str::to_owned).into_iter();
    let allow = allow
        .iter()
        .flat_map(|place| ["--allow".to_owned(), place.clone()]);
    Unit {
        id: UnitId::service(name),
        kind: UnitKind::Service { name: name.clone() },
        node: client.node.clone(),
        address: LOOPBACK.to_owned(),
        launcher: LauncherKind::Process,
        gpus: Vec::new(),
        gpu_share: None,
        stage: None,
        port: Some(port),
        more_ports: Vec::new(),
        through: None,
        port_auto: true,
        argv: std::iter::once(facts.exe.clone())
            .chain(words)
            .chain(allow)
            .collect(),
        env: UnitEnv::default(),
        slower: Vec::new(),
        cwd: None,
        cache_dir: None,
        open_files: OPEN_FILES,
        grace: GRACE,
        start: Start::default(),
        ready: ReadyRule {
            rungs: vec![
                Rung::Listening,
                Rung::Health {
                    path: "/health".to_owned(),
                },
            ],
            timeout: SOON,
        },
        restart: ready::restart(None),
        results_dir: None,
        origin: client.origin.key("egress"),
    }
}

/// Leads a client through the proxy, but for its servers, which it reaches faster without.
fn lead(env: &mut UnitEnv, port: Port, inside: &str) {
    let proxy = format!("http://{LOOPBACK}:{port}");
    for name in PROXIES {
        env.set.insert(name.to_owned(), proxy.clone());
    }
    for name in DIRECT {
        env.set.insert(name.to_owned(), inside.to_owned());
    }
}

/// Whereto the proxy lets anybody go: the endpoints, host by host, and the declared externals.
fn allowed(units: &[Unit], externals: &[ExternalPlan]) -> Vec<String> {
    let mut ports: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for place in asked(units) {
        ports.entry(place.host).or_default().insert(place.port);
    }
    let servers = ports.into_iter().flat_map(|(host, ports)| {
        let host = bracketed(&host);
        let ranges = ranges(ports.into_iter().map(u64::from));
        let each = ranges.split(',').map(|range| format!("{host}:{range}"));
        each.collect::<Vec<_>>()
    });
    let outside = externals
        .iter()
        .filter_map(|external| Place::of_url(&external.url));
    servers
        .chain(outside.map(|place| place.to_string()))
        .collect()
}

/// Hosts that a client reaches without the proxy.
fn inside(units: &[Unit]) -> String {
    let own = ["localhost", LOOPBACK, "::1"].map(str::to_owned);
    let mut seen = HashSet::new();
    let hosts: Vec<String> = (own.into_iter())
        .chain(asked(units).map(|place| place.host))
        .filter(|host| seen.insert(host.clone()))
        .collect();
    hosts.join(",")
}

/// Where clients ask servers. What a tunnel itself listens at are the places of those behind it.
fn asked(units: &[Unit]) -> impl Iterator<Item = Place> {
    let servers = units
        .iter()
        .filter(|unit| !matches!(unit.kind, UnitKind::Tunnel { .. }));
    servers.filter_map(Unit::asked_at)
}

/// The wanted name, or one like it that nobody has.
pub(super) fn free_name(spec: &ClusterSpec, wanted: &str) -> Name {
    let taken = |name: &str| {
        spec.models.contains_key(name)
            || spec.services.contains_key(name)
            || spec.externals.contains_key(name)
            || spec.evals.contains_key(name)
    };
    let mut name = wanted.to_owned();
    while taken(&name) {
        name.push('-');
    }
    Name::new(name)
}

#[cfg(test)]
mod tests {
    use super::super::plan_tests::clean;
    use super::super::table;

    const YAML: &str = "version: 1
name: a
nodes: { n: { gpus: 0, transport: local, address: 10.0.0.5 } }
models: { m: { engine: sim, model: org/m, node: n, replicas: 3, port: 1800 } }
services: { egress-e: { node: n, port: 1900, command: [a] } }
externals: { judge: { url: https://api.openai.com/v1 }, other: { url: 'http://[fd00::7]:8080' } }
evals:
  e: { command: [/bin/true], results: out, finished: { count: 1 }, egress: proxy }
  f: { command: [/bin/true], results: out2, finished: { count: 1 } }
";

    #[test]
    fn a_client_gets_a_proxy_of_its_own_with_just_what_is_declared() {
        let plan = clean(YAML);
        let eval = &plan.evals[0];
        let id = eval.egress.clone().unwrap();
        let proxy = plan.unit(&id).unwrap();
        assert_eq!(id.as_str(), "egress-e-", "the YAML has an `egress-e`");
        insta::assert_snapshot!(proxy.argv[1..].join(" "), @"egress-proxy --host 127.0.0.1 --port 20000 --allow 10.0.0.5:1800-1802 --allow 10.0.0.5:1900 --allow api.openai.com:443 --allow [fd00::7]:8080");
        assert!(
            eval.requires
                .iter()
                .any(|name| name.as_str() == id.as_str())
        );
        let client = plan.unit(&eval.unit).unwrap();
        let set: Vec<String> = client
            .env
            .set
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        insta::assert_snapshot!(set.join("\n"), @r"
        HTTP_PROXY=http://127.0.0.1:20000
        HTTPS_PROXY=http://127.0.0.1:20000
        ALL_PROXY=http://127.0.0.1:20000
        http_proxy=http://127.0.0.1:20000
        https_proxy=http://127.0.0.1:20000
        all_proxy=http://127.0.0.1:20000
        NO_PROXY=localhost,127.0.0.1,::1,10.0.0.5
        no_proxy=localhost,127.0.0.1,::1,10.0.0.5
        ");
        let group = plan
            .groups
            .iter()
            .find(|group| group.name.as_str() == id.as_str());
        assert!(group.unwrap().hidden, "no client configuration names it");
        let other = plan.unit(&plan.evals[1].unit).unwrap();
        assert!(plan.evals[1].egress.is_none() && other.env.set.is_empty());
        insta::assert_snapshot!(table(&plan), @r"
        a: 4 servers on 1 node, 2 evaluations, 1 egress proxy

        units      node        gpus  ports         launcher  start
        m-0…2      n           -     1800-1802     process   at once
        egress-e   n           -     1900          process   at once
        egress-e-  controller  -     20000 (auto)  process   at once
        eval-e     controller  -     -             process   when its servers are ready
        eval-f     controller  -     -             process   when its servers are ready

        commands
          m-0        /usr/bin/toolorch sim vllm serve org/m --host 10.0.0.5 --port 1800
          egress-e   a
          egress-e-  /usr/bin/toolorch egress-proxy --host 127.0.0.1 --port 20000 --allow 10.0.0.5:1800-1802 --allow 10.0.0.5:1900 --allow api.openai.com:443 --allow '[fd00::7]:8080'
          eval-e     /bin/true
          eval-f     /bin/true

        environment
          eval-e  set HTTP_PROXY=http://127.0.0.1:20000
                  set HTTPS_PROXY=http://127.0.0.1:20000
                  set ALL_PROXY=http://127.0.0.1:20000
                  set http_proxy=http://127.0.0.1:20000
                  set https_proxy=http://127.0.0.1:20000
                  set all_proxy=http://127.0.0.1:20000
                  set NO_PROXY=localhost,127.0.0.1,::1,10.0.0.5
                  set no_proxy=localhost,127.0.0.1,::1,10.0.0.5

        files
          results  e  /site/clusters/out/{id}.json
          results  f  /site/clusters/out2/{id}.json

        when done: servers are kept
        ");
    }
}
