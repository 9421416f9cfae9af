//! The world outside: a stand-in for each external, and a proxy that lets nothing out and says what wanted to go.

use crate::base::{Name, NodeName, Port};
use crate::facts::Facts;
use crate::spec::ClusterSpec;
use crate::spec::model::{Env, External, NodeChoice, PortChoice, Ready, Service};

use super::services::{program, speed_alone};
use super::types::{Replaced, Wish};

/// The first port of the stand-ins, at an address of their own.
const FIRST_PORT: u16 = 8100;

/// Variables that lead a client's library to another place, by what the host's name ends with.
const LEADS: &[(&str, &[&str])] = &[
    ("openai.com", &["OPENAI_BASE_URL", "OPENAI_API_BASE"]),
    ("anthropic.com", &["ANTHROPIC_BASE_URL"]),
    ("mistral.ai", &["MISTRAL_BASE_URL"]),
    ("groq.com", &["GROQ_BASE_URL"]),
    ("nvidia.com", &["NVIDIA_BASE_URL"]),
];
/// Variables that lead every client's library through the proxy.
const PROXIES: [&str; 6] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];
/// What a client is given instead of a key.
pub(super) const NO_KEY: &str = "rehearsal";

/// What stands for the world outside.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) replaced: Vec<Replaced>,
    /// Variables that every client is given.
    pub(super) variables: Vec<(String, String)>,
    /// Services that every client needs.
    pub(super) required: Vec<Name>,
    /// The stand-in of each external, and for what it stands.
    pub(super) externals: Vec<(Name, String)>,
    /// What the proxy writes.
    pub(super) log: String,
}

/// Puts the stand-ins up and turns the externals to them.
pub(super) fn replace(
    spec: &mut ClusterSpec,
    facts: &Facts,
    wish: &Wish,
    (node, address): (&NodeName, &str),
) -> Outside {
    let mut port = FIRST_PORT;
    let log = format!("{}/outside.jsonl", wish.folder);
    let proxy = free_name(spec, "outside");
    let mut command = program(facts);
    "proxy".clone_into(&mut command[2]);
    let words = ["--host", "{host}", "--port", "{port}", "--log", &log];
    command.extend(words.map(str::to_owned));
    spec.services.insert(
        proxy.clone(),
        service(node, port, command, Env::default(), None),
    );
    let leads = format!("http://{address}:{port}");
    let mut done = Outside {
        replaced: Vec::new(),
        variables: PROXIES
            .map(|name| (name.to_owned(), leads.clone()))
            .to_vec(),
        required: vec![proxy],
        externals: Vec::new(),
        log,
    };
    let names: Vec<Name> = spec.externals.keys().cloned().collect();
    for name in names {
        port += 1;
        one(spec, facts, wish, &name, (node, address, port), &mut done);
    }
    done
}

fn one(
    spec: &mut ClusterSpec,
    facts: &Facts,
    wish: &Wish,
    name: &Name,
    (node, address, port): (&NodeName, &str, u16),
    done: &mut Outside,
) {
    let stand_in = free_name(spec, &format!("outside-{name}"));
    let Some(external) = spec.externals.get_mut(name) else {
        return;
    };
    let mut command = program(facts);
    let words = ["--host", "{host}", "--port", "{port}", "--name"];
    command.extend(words.map(str::to_owned));
    command.push(name.to_string());
    for model in &external.models {
        let model = model.replace('{', "{{").replace('}', "}}");
        command.extend(["--model".to_owned(), model]);
    }
    command.extend(["--latency".to_owned(), "2s".to_owned()]);
    let before = turn(external, address, port);
    done.variables.extend(variables(external, &before));
    done.replaced.push(Replaced {
        what: name.to_string(),
        by: format!("a stand-in for {before}"),
        why: Some("nothing leaves this machine".to_owned()),
    });
    done.externals.push((stand_in.clone(), before));
    done.required.push(stand_in.clone());
    let ready = Some("/v1/models");
    let service = service(node, port, command, speed_alone(wish), ready);
    spec.services.insert(stand_in, service);
}

/// Points an external at its stand-in; answers where it pointed before.
fn turn(external: &mut External, address: &str, port: u16) -> String {
    let rest = external.url.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    let here = format!("http://{address}:{port}{path}");
    std::mem::replace(&mut external.url, here)
}

fn variables(external: &External, before: &str) -> Vec<(String, String)> {
    let rest = before.split_once("://").map_or(before, |(_, rest)| rest);
    let host = rest.split(['/', ':']).next().unwrap_or(rest);
    let leads = LEADS.iter().filter(|(end, _)| host.ends_with(end));
    let leads = leads.flat_map(|(_, names)| names.iter());
    let mut set: Vec<(String, String)> = leads
        .map(|name| ((*name).to_owned(), external.url.clone()))
        .collect();
    let key = external.api_key.as_ref().and_then(|key| key.env.clone());
    set.extend(key.map(|name| (name, NO_KEY.to_owned())));
    set
}

fn service(
    node: &NodeName,
    port: u16,
    command: Vec<String>,
    env: Env,
    ready: Option<&str>,
) -> Service {
    Service {
        node: NodeChoice(vec![node.clone()]),
        gpus: Vec::new(),
        port: Some(PortChoice::Fixed(Port(port))),
        env: Some(env),
        cwd: None,
        command,
        ready: ready.map(|path| Ready {
            http: Some(path.to_owned()),
            timeout: None,
        }),
        warmup: None,
        restart: None,
        launcher: None,
        open_files: None,
    }
}

fn free_name(spec: &ClusterSpec, wanted: &str) -> Name {
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
