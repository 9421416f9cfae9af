//! Which weights the plan's servers load, from which cache, on which machines.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

use super::{Cache, Load, RepoId};
use crate::base::{Name, NodeName, UnitId};
use crate::knowledge::flags::canonical;
use crate::knowledge::release::Release;
use crate::plan::{Plan, Unit, UnitEnv, UnitKind, argv, inherit, paths};
use crate::spec::ClusterSpec;
use crate::spec::model::{Engine, ModelSpec};

/// From this release on vLLM downloads what the index names, and before it all safetensors.
const BY_INDEX: Release = Release::new(0, 16, 0);

/// The weights of one repository in one cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The repository.
    pub repo: RepoId,
    /// The branch, tag or commit; the YAML's or `main`.
    pub revision: String,
    /// The cache: `HF_HUB_CACHE`.
    pub hub: PathBuf,
    /// The home of that cache: `HF_HOME`, where a token may lie.
    pub home: PathBuf,
    /// Which weights are read.
    pub load: Load,
    /// What the index does not name is left out.
    pub by_index: bool,
    /// The variable that holds the token, where the YAML names one.
    pub token: Option<String>,
    /// Its server asks no hub: `HF_HUB_OFFLINE`.
    pub offline: bool,
    /// The models that it is for, in the order of the YAML.
    pub models: Vec<Name>,
    /// Servers of this machine load it.
    pub here: bool,
    /// Other machines whose servers load it, from what they take for the same cache.
    pub elsewhere: Vec<NodeName>,
}

impl Wanted {
    /// Its folder in the cache.
    pub fn cache(&self) -> Cache {
        Cache::new(&self.hub, &self.repo)
    }

    /// For messages: ``model `a` `` or ``models `a`, `b` ``.
    pub fn whose(&self) -> String {
        let names: Vec<String> = self.models.iter().map(|name| format!("`{name}`")).collect();
        let many = if names.len() == 1 { "" } else { "s" };
        format!("model{many} {}", names.join(", "))
    }
}

/// A model that is a folder of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalModel {
    /// The model.
    pub model: Name,
    /// Its absolute path.
    pub path: String,
    /// Servers of this machine load it.
    pub here: bool,
}

/// A model whose weights are not looked for, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The model.
    pub model: Name,
    /// The reason, for people.
    pub why: String,
}

/// All weights of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Weights {
    /// Those of a hub.
    pub wanted: Vec<Wanted>,
    /// Folders.
    pub local: Vec<LocalModel>,
    /// Those of which nothing is known.
    pub unknown: Vec<Elsewhere>,
}

/// The weights of the plan's servers, but for those that run already; `variables` are the caller's.
pub fn wanted(
    spec: &ClusterSpec,
    plan: &Plan,
    home: Option<&str>,
    variables: &BTreeMap<String, String>,
    running: &BTreeSet<UnitId>,
) -> Weights {
    let here: HashSet<&UnitId> = plan.units_here().map(|unit| &unit.id).collect();
    let mut all = Weights::default();
    for unit in plan.units.iter().filter(|unit| !running.contains(&unit.id)) {
        let UnitKind::Replica { model: name, .. } = &unit.kind else {
            continue;
        };
        let Some(model) = spec.models.get(name) else {
            continue;
        };
        if matches!(argv::engine(model), Engine::Vllm | Engine::Sglang) {
            let asker = Asker {
                spec,
                name,
                model,
                unit,
                home,
                variables,
            };
            all.add(&asker, here.contains(&unit.id));
        }
    }
    all
}

impl Weights {
    fn add(&mut self, asker: &Asker<'_>, here: bool) {
        let (model, name) = (asker.model, asker.name);
        if model.model.starts_with('/') {
            let path = model.model.clone();
            match self.local.iter_mut().find(|known| known.model == *name) {
                Some(known) => known.here |= here,
                None => self.local.push(LocalModel {
                    model: name.clone(),
                    path,
                    here,
                }),
            }
            return;
        }
        match asker.wanted(here) {
            Ok(wanted) => self.merge(wanted),
            Err(why) => {
                let known = Elsewhere {
                    model: name.clone(),
                    why,
                };
                if !self.unknown.contains(&known) {
                    self.unknown.push(known);
                }
            }
        }
    }

    fn merge(&mut self, new: Wanted) {
        let same = |known: &&mut Wanted| {
            (&known.repo, &known.revision, &known.hub) == (&new.repo, &new.revision, &new.hub)
                && (known.load, known.by_index, &known.token)
                    == (new.load, new.by_index, &new.token)
                && known.offline == new.offline
        };
        let Some(known) = self.wanted.iter_mut().find(same) else {
            self.wanted.push(new);
            return;
        };
        known.here |= new.here;
        for model in new
            .models
            .into_iter()
            .filter(|new| !known.models.contains(new))
            .collect::<Vec<_>>()
        {
            known.models.push(model);
        }
        for node in new
            .elsewhere
            .into_iter()
            .filter(|new| !known.elsewhere.contains(new))
            .collect::<Vec<_>>()
        {
            known.elsewhere.push(node);
        }
    }
}

/// One server that asks for weights.
struct Asker<'a> {
    spec: &'a ClusterSpec,
    name: &'a Name,
    model: &'a ModelSpec,
    unit: &'a Unit,
    home: Option<&'a str>,
    variables: &'a BTreeMap<String, String>,
}

impl Asker<'_> {
    fn wanted(&self, here: bool) -> Result<Wanted, String> {
        let model = self.model;
        let repo = RepoId::parse(&model.model)
            .ok_or_else(|| format!("`{}` is no repository of a hub", model.model))?;
        if self.flag("--download-dir").is_some() {
            return Err("its `download-dir` keeps them elsewhere".to_owned());
        }
        if self.says("VLLM_USE_MODELSCOPE") {
            return Err("they come from ModelScope".to_owned());
        }
        let (home, hub) = self.places()?;
        let by_index =
            inherit::release(self.spec, self.name).is_some_and(|release| release >= BY_INDEX);
        Ok(Wanted {
            repo,
            revision: model.revision.clone().unwrap_or_else(|| "main".to_owned()),
            hub,
            home,
            load: self.flag("--load-format").map_or(Load::Auto, Load::of),
            by_index,
            token: self.token(),
            offline: self.says("HF_HUB_OFFLINE"),
            models: vec![self.name.clone()],
            here,
            elsewhere: if here {
                Vec::new()
            } else {
                vec![self.unit.node.clone()]
            },
        })
    }

    /// `HF_HOME` and `HF_HUB_CACHE` of its server: what the YAML sets or passes comes after its setup lines.
    fn places(&self) -> Result<(PathBuf, PathBuf), String> {
        let absolute = |path: String| {
            let path = paths::expanded(&path, self.home);
            let known = path.starts_with('/').then(|| PathBuf::from(&path));
            known.ok_or_else(|| format!("its cache `{path}` is no absolute path"))
        };
        let UnitEnv { setup, modules, .. } = &self.unit.env;
        let (own_home, own_hub) = (self.own("HF_HOME"), self.own("HF_HUB_CACHE"));
        if own_home.is_none() && own_hub.is_none() && !(setup.is_empty() && modules.is_empty()) {
            let why =
                "its setup lines or modules may move its cache; `hf: { home: … }` says where it is";
            return Err(why.to_owned());
        }
        let kept = own_home.or_else(|| self.variables.get("HF_HOME").cloned());
        let home = kept.filter(|home| !home.is_empty()).unwrap_or_else(|| {
            let caches = self
                .own("XDG_CACHE_HOME")
                .unwrap_or_else(|| "~/.cache".to_owned());
            format!("{caches}/huggingface")
        });
        let home = absolute(home)?;
        let hub = own_hub.map_or_else(|| Ok(home.join("hub")), absolute)?;
        Ok((home, hub))
    }

    fn token(&self) -> Option<String> {
        let hf = self.spec.hf.as_ref();
        let named = hf.and_then(|hf| hf.token.as_ref()?.env.clone());
        let usual = || {
            let passed = self.unit.env.pass.iter().any(|name| name == "HF_TOKEN");
            passed.then(|| "HF_TOKEN".to_owned())
        };
        named.or_else(usual)
    }

    /// A switch that the YAML sets or passes is on.
    fn says(&self, name: &str) -> bool {
        let on =
            |value: String| ["1", "on", "yes", "true"].contains(&value.to_lowercase().as_str());
        self.own(name).is_some_and(on)
    }

    /// A variable that the YAML sets or passes.
    fn own(&self, name: &str) -> Option<String> {
        let UnitEnv { set, pass, .. } = &self.unit.env;
        let passed = || {
            let passed = pass.iter().any(|passed| passed == name);
            self.variables.get(name).filter(|_| passed).cloned()
        };
        set.get(name).cloned().or_else(passed)
    }

    fn flag(&self, name: &str) -> Option<&str> {
        let args = &self.model.args;
        let (_, value) = args.iter().find(|(key, _)| canonical(key) == name)?;
        Some(value.as_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::plan;
    use crate::plan::plan_tests::{facts, spec};

    const HEAD: &str = "version: 1\nname: c\nnodes: { box: { gpus: 8, transport: local, address: 127.0.0.1 }, far: { gpus: 8 } }\n";

    fn of(yaml: &str, variables: &[(&str, &str)]) -> Weights {
        let spec = spec(&format!("{HEAD}{yaml}"));
        let (plan, _) = plan(&spec, &facts());
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables = variables.iter().map(owned).collect();
        wanted(
            &spec,
            &plan,
            Some("/home/user"),
            &variables,
            &BTreeSet::new(),
        )
    }

    /// The one cache, or why there is none.
    fn cache(yaml: &str, variables: &[(&str, &str)]) -> String {
        let all = of(yaml, variables);
        let unknown = all.unknown.iter().map(|other| other.why.clone());
        let known = all
            .wanted
            .iter()
            .map(|wanted| wanted.hub.display().to_string());
        unknown.chain(known).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_cache_is_where_its_server_will_look() {
        let model = |more: &str| format!("models: {{ m: {{ model: a/b, node: box{more} }} }}\n");
        let plain = model("");
        assert_eq!(cache(&plain, &[]), "/home/user/.cache/huggingface/hub");
        assert_eq!(cache(&plain, &[("HF_HOME", "/h")]), "/h/hub");
        // A unit script drops what is not named.
        let dropped = [("HF_HUB_CACHE", "/c"), ("XDG_CACHE_HOME", "/x")];
        assert_eq!(cache(&plain, &dropped), "/home/user/.cache/huggingface/hub");
        let passed = model(", env: { pass: [HF_HUB_CACHE] }");
        assert_eq!(cache(&passed, &dropped), "/c");
        assert_eq!(
            cache(
                &format!("hf: {{ home: ~/hf }}\n{plain}"),
                &[("HF_HOME", "/h")]
            ),
            "/home/user/hf/hub"
        );
        let own = model(", env: { set: { HF_HOME: /own } }");
        assert_eq!(
            cache(&format!("hf: {{ home: /hf }}\n{own}"), &[]),
            "/own/hub"
        );
    }

    #[test]
    fn what_may_be_elsewhere_is_not_guessed() {
        let model = |name: &str, more: &str| {
            format!("models: {{ m: {{ model: {name}, node: box{more} }} }}\n")
        };
        for (name, more, why) in [
            (
                "a/b",
                ", env: { setup: [source x] }",
                "its setup lines or modules may move its cache; `hf: { home: … }` says where it is",
            ),
            (
                "a/b",
                ", args: { download_dir: /d }",
                "its `download-dir` keeps them elsewhere",
            ),
            (
                "a/b",
                ", env: { set: { VLLM_USE_MODELSCOPE: \"True\" } }",
                "they come from ModelScope",
            ),
            ("s3://a/b", "", "`s3://a/b` is no repository of a hub"),
            (
                "a/b",
                ", env: { set: { HF_HOME: x } }",
                "its cache `x` is no absolute path",
            ),
        ] {
            assert_eq!(cache(&model(name, more), &[]), why);
        }
        let told = format!(
            "hf: {{ home: /hf }}\n{}",
            model("a/b", ", env: { setup: [source x] }")
        );
        assert_eq!(cache(&told, &[]), "/hf/hub");
    }

    #[test]
    fn models_with_the_same_weights_are_one_and_simulated_ones_none() {
        let all = of(
            "vllm: { version: \"0.32.0\" }\nhf: { token: { env: MINE } }\nmodels:\n  one: { model: a/b, node: box, args: { load-format: safetensors } }\n  \
             two: { model: a/b, node: [box, far], replicas: 2, args: { load_format: safetensors } }\n  old: { model: a/b, node: far, revision: v1, vllm: { version: \"0.12.0\" } }\n  \
             folder: { model: /w, node: far }\n  played: { engine: sim, model: a/c, node: box, gpus: [] }\n",
            &[],
        );
        assert_eq!(all.unknown, []);
        assert_eq!(all.local.len(), 1);
        assert!(!all.local[0].here);
        let [one, old] = &all.wanted[..] else {
            panic!("{all:?}");
        };
        assert_eq!(one.whose(), "models `one`, `two`");
        assert!(one.here && one.by_index && !old.here && !old.by_index);
        assert_eq!((one.load, old.load), (Load::Safetensors, Load::Auto));
        assert_eq!(
            (one.revision.as_str(), old.revision.as_str()),
            ("main", "v1")
        );
        assert_eq!(one.token.as_deref(), Some("MINE"));
        assert_eq!(one.elsewhere, [NodeName::new("far")]);
        assert_eq!(old.whose(), "model `old`");
    }
}
