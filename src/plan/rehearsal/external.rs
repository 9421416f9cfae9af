//! The world outside: a stand-in for each external, and a proxy that lets nothing out and says what wanted to go.

use crate::base::{Name, NodeName, Place, Port};
use crate::facts::Facts;
use crate::spec::ClusterSpec;
use crate::spec::model::{Env, External, NodeChoice, PortChoice, Ready, ScalarText, Service};

use super::super::egress::{DIRECT, PROXIES, free_name};
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
    let (told, new): (Vec<_>, Vec<_>) = variables(external, &before)
        .into_iter()
        .partition(|(name, _)| done.variables.iter().any(|(known, _)| known == name));
    done.variables.extend(new);
    // One variable leads to one place: the first external of a library has it.
    let led = told
        .iter()
        .find(|(name, value)| value != NO_KEY && !name.is_empty());
    done.replaced.push(Replaced {
        what: name.to_string(),
        by: format!("a stand-in for {before}"),
        why: led.map(|(name, _)| format!("`{name}` leads to another external already")),
    });
    done.externals.push((stand_in.clone(), before));
    done.required.push(stand_in.clone());
    let ready = Some("/v1/models");
    let service = service(node, port, command, speed_alone(wish), ready);
    spec.services.insert(stand_in, service);
}

/// Points an external at its stand-in; answers where it pointed before, without a password.
fn turn(external: &mut External, address: &str, port: u16) -> String {
    let rest = after_scheme(&external.url);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    let here = format!("http://{address}:{port}{path}");
    let before = std::mem::replace(&mut external.url, here);
    let (scheme, rest) = before.split_once("://").unwrap_or(("https", &before));
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// Lets a program find the stand-ins, and no way out past them.
pub(super) fn lead(env: &mut Env, variables: &[(String, String)], inside: &[String]) {
    let inside = inside.join(",");
    let direct = DIRECT.map(|name| (name.to_owned(), inside.clone()));
    for (name, value) in variables.iter().cloned().chain(direct) {
        env.set.insert(name, ScalarText(value));
    }
    // `setup` runs before what is set: it too must find no way out.
    if !env.setup.is_empty() {
        let proxies = variables
            .iter()
            .filter(|(_, value)| value.starts_with("http://"));
        let words: Vec<String> = proxies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        env.setup.insert(0, format!("export {}", words.join(" ")));
    }
}

fn after_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// The host of a URL in lower case, without user, port and brackets.
pub fn host_of(url: &str) -> String {
    Place::of_url(url).map_or_else(String::new, |place| place.host)
}

fn variables(external: &External, before: &str) -> Vec<(String, String)> {
    let host = host_of(before);
    let under = |domain: &str| {
        let rest = host.strip_suffix(domain);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let leads = LEADS.iter().filter(|(domain, _)| under(domain));
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
        hidden: true,
    }
}
