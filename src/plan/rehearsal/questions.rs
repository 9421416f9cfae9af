//! What has to be looked up before a rehearsal can be decided, and the paths that `rehearse.paths` maps.

use indexmap::IndexMap;

use crate::plan::ask::activation;
use crate::plan::paths;
use crate::spec::ClusterSpec;
use crate::spec::model::{Env, Results};

/// Paths of the site, each with what stands for it.
type Map = IndexMap<String, String>;

/// What is asked about this machine, beside what every plan asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Programs to look for on PATH.
    pub programs: Vec<String>,
    /// Paths: is there a file, a directory, nothing?
    pub paths: Vec<String>,
}

/// The questions of a cluster.
pub fn questions(spec: &ClusterSpec, home: Option<&str>) -> Asked {
    let mut asked = Asked {
        programs: vec!["python3".to_owned()],
        paths: Vec::new(),
    };
    let services = spec.services.values().map(|service| &service.command);
    let clients = spec.evals.values().filter_map(|eval| eval.command.as_ref());
    let adapters = spec
        .evals
        .values()
        .filter_map(crate::plan::evals::adapter_of);
    let words = services.chain(clients).filter_map(|words| words.first());
    let words = words.map(String::as_str);
    let known = adapters.filter_map(|adapter| adapter.command.first().copied());
    for word in words.chain(known).filter(|word| !word.contains('/')) {
        asked.programs.push(word.to_owned());
    }
    for env in environments(spec) {
        let venv = env.venv.as_deref().map(|venv| paths::expanded(venv, home));
        asked.paths.extend(venv.as_deref().map(activation));
    }
    asked
}

/// Every environment that a client or a service may enter.
fn environments(spec: &ClusterSpec) -> impl Iterator<Item = &Env> {
    let evals = spec.evals.values().filter_map(|eval| eval.env.as_ref());
    let services = spec.services.values();
    let services = services.filter_map(|service| service.env.as_ref());
    let nodes = spec.nodes.values().filter_map(|node| node.env.as_ref());
    let own = spec.rehearse.as_ref().and_then(|own| own.env.as_ref());
    let top = spec.env.as_ref();
    top.into_iter()
        .chain(own)
        .chain(nodes)
        .chain(services)
        .chain(evals)
}

/// The cluster with the paths of the site replaced as `rehearse.paths` says, wherever a path can stand.
///
/// What stands for a path counts from the YAML's folder.
pub fn mapped(spec: &ClusterSpec, yaml_dir: &str, home: Option<&str>) -> ClusterSpec {
    let mut spec = spec.clone();
    let Some(own) = spec.rehearse.as_ref().filter(|own| !own.paths.is_empty()) else {
        return spec;
    };
    let pairs = own.paths.iter();
    let map: Map = pairs
        .map(|(from, to)| (from.clone(), paths::absolute(&to.0, yaml_dir, home)))
        .collect();
    let put = |text: &mut String| replace(text, &map);
    for model in spec.models.values_mut() {
        put(&mut model.model);
        model.chat_template.iter_mut().for_each(put);
    }
    for service in spec.services.values_mut() {
        service
            .cwd
            .iter_mut()
            .chain(&mut service.command)
            .for_each(put);
        service.env.iter_mut().for_each(|env| replace_in(env, &map));
    }
    for eval in spec.evals.values_mut() {
        let texts = eval.cwd.iter_mut().chain(&mut eval.dataset);
        texts.chain(eval.command.iter_mut().flatten()).for_each(put);
        eval.env.iter_mut().for_each(|env| replace_in(env, &map));
        match &mut eval.results {
            Results::Dir(dir) => put(&mut dir.dir),
            Results::Jsonl(file) => put(file),
        }
    }
    spec.env.iter_mut().for_each(|env| replace_in(env, &map));
    spec
}

fn replace_in(env: &mut Env, map: &Map) {
    let values = env.set.values_mut().map(|value| &mut value.0);
    let places = env.venv.iter_mut().chain(&mut env.conda);
    for text in values.chain(places) {
        replace(text, map);
    }
}

/// Replaces the longest path of the map with which a text begins, at a boundary between parts.
fn replace(text: &mut String, map: &Map) {
    let fits = |from: &str| {
        let rest = text.strip_prefix(from.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
    };
    let found = map
        .iter()
        .filter_map(|(from, to)| Some((from.len(), to, fits(from)?)));
    if let Some((_, to, rest)) = found.max_by_key(|(length, ..)| *length) {
        *text = format!("{}{rest}", to.trim_end_matches('/'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_of_the_map_wins_at_a_boundary() {
        let map: Map = [("/ckpt", "/a"), ("/ckpt/nvidia/", "b")]
            .map(|(from, to)| (from.to_owned(), to.to_owned()))
            .into();
        for (text, expected) in [
            ("/ckpt/nvidia/Orchestrator-8B/", "b/Orchestrator-8B/"),
            ("/ckpt/x", "/a/x"),
            ("/ckpt", "/a"),
            ("/ckpt2/x", "/ckpt2/x"),
            ("x/ckpt", "x/ckpt"),
        ] {
            let mut text = text.to_owned();
            replace(&mut text, &map);
            assert_eq!(text, expected);
        }
    }
}
