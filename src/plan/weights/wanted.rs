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
            let asker = Asker { spec, name, model, unit, home, variables };
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
                None => self.local.push(LocalModel { model: name.clone(), path, here }),
            }
            return;
        }
        match asker.wanted(here) {
            Ok(wanted) => self.merge(wanted),
            Err(why) => {
                let known = Elsewhere { model: name.clone(), why };
                if !self.unknown.contains(&known) {
                    self.unknown.push(known);
                }
            }
        }
    }

    fn merge(&mut self, new: Wanted) {
        let same = |known: &&mut Wanted| {
            (&known.repo, &known.revision, &known.hub) == (&new.repo, &new.revision, &new.hub)
                && (known.load, known.by_index, &known.token) == (new.load, new.by_index, &new.token)
        };
        let Some(known) = self.wanted.iter_mut().find(same) else {
            self.wanted.push(new);
            return;
        };
        known.here |= new.here;
        for model in new.models.into_iter().filter(|new| !known.models.contains(new)).collect::<Vec<_>>() {
            known.models.push(model);
        }
        for node in new.elsewhere.into_iter().filter(|new| !known.elsewhere.contains(new)).collect::<Vec<_>>() {
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
        if self.own("VLLM_USE_MODELSCOPE").is_some_and(|value| matches!(value.to_lowercase().as_str(), "1" | "true")) {
            return Err("they come from ModelScope".to_owned());
        }
        let (home, hub) = self.places()?;
        let by_index = inherit::release(self.spec, self.name).is_some_and(|release| release >= BY_INDEX);
        Ok(Wanted {
            repo,
            revision: model.revision.clone().unwrap_or_else(|| "main".to_owned()),
            hub,
            home,
            load: self.flag("--load-format").map_or(Load::Auto, Load::of),
            by_index,
            token: self.token(),
            models: vec![self.name.clone()],
            here,
            elsewhere: if here { Vec::new() } else { vec![self.unit.node.clone()] },
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
            let why = "its setup lines or modules may move its cache; `hf: { home: … }` says where it is";
            return Err(why.to_owned());
        }
        let kept = own_home.or_else(|| self.variables.get("HF_HOME").cloned());
        let home = kept.filter(|home| !home.is_empty()).unwrap_or_else(|| {
            let caches = self.own("XDG_CACHE_HOME").unwrap_or_else(|| "~/.cache".to_owned());
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
