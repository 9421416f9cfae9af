//! What has to be looked up on this machine before plan and check can be sure.
//!
//! `world` answers; the answers become [`Facts`](crate::facts::Facts) under the same keys.

use std::collections::BTreeSet;

use crate::base::{EvalName, FieldPath, Name, NodeName};
use crate::spec::ClusterSpec;
use crate::spec::model::LauncherKind;

use super::evals::{adapter_of, paths_of};
use super::{Plan, Unit, paths};

/// A dataset to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetQuestion {
    /// The evaluation that it is for.
    pub eval: EvalName,
    /// The file: absolute, or from `~` where the home directory is not known.
    pub path: String,
    /// Keys of a question that may hold its id, the first present wins.
    pub id_fields: Vec<String>,
}

/// Everything that plan and check may ask about this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Questions {
    /// Paths, absolute: is there a file, a directory, nothing?
    pub paths: Vec<String>,
    /// Datasets to read and to hash.
    pub datasets: Vec<DatasetQuestion>,
    /// Directories of models whose `config.json` is wanted.
    pub model_dirs: Vec<(Name, String)>,
    /// Directories of evaluations whose git state is wanted.
    pub client_dirs: Vec<(EvalName, String)>,
    /// Addresses of nodes to resolve.
    pub addresses: Vec<(NodeName, String)>,
}

/// The questions of a cluster whose YAML lies in `yaml_dir`.
pub fn questions(spec: &ClusterSpec, yaml_dir: &str, home: Option<&str>) -> Questions {
    let mut all = Questions::default();
    for (name, eval) in &spec.evals {
        let at = paths_of(eval, yaml_dir, home);
        let reads = adapter_of(eval).map_or(&[][..], |adapter| adapter.reads);
        all.paths.push(at.cwd.clone());
        all.paths.push(at.results.clone());
        all.paths
            .extend(reads.iter().map(|file| format!("{}/{file}", at.cwd)));
        if let Some(path) = at.dataset {
            let id_fields = eval.id_fields.clone().unwrap_or_else(|| {
                let fields = adapter_of(eval).map_or(&["id"][..], |adapter| adapter.id_fields);
                fields.iter().map(|&field| field.to_owned()).collect()
            });
            all.datasets.push(DatasetQuestion {
                eval: name.clone(),
                path,
                id_fields,
            });
        }
        all.client_dirs.push((name.clone(), at.cwd));
    }
    for (name, model) in &spec.models {
        if model.model.starts_with('/') {
            all.paths.push(model.model.clone());
            all.model_dirs.push((name.clone(), model.model.clone()));
        }
    }
    for service in spec.services.values() {
        let cwd = service.cwd.as_deref().unwrap_or(".");
        all.paths.push(paths::absolute(cwd, yaml_dir, home));
    }
    for (name, node) in &spec.nodes {
        let address = node.address.as_deref().unwrap_or(name.as_str());
        all.addresses.push((name.clone(), address.to_owned()));
    }
    let keys = ssh_keys(spec, home).into_iter();
    all.paths.extend(keys.map(|(file, _)| file));
    all.paths.sort_unstable();
    all.paths.dedup();
    all
}

/// Programs that must be on this machine's PATH for the units that run here, sorted: those of
/// launchers, and each unit's own where no environment of the YAML could bring it.
pub fn programs(plan: &Plan) -> Vec<String> {
    let mut all: BTreeSet<&str> = BTreeSet::new();
    if !plan.jobs.is_empty() {
        all.insert("sbatch");
    }
    for unit in plan.units_here() {
        if unit.launcher == LauncherKind::Tmux {
            all.insert("tmux");
        }
        all.extend(own_program(unit));
    }
    all.extend(notify_program(plan));
    all.into_iter().map(str::to_owned).collect()
}

/// The private keys that the YAML names, each with the `ssh` that does.
pub fn ssh_keys(spec: &ClusterSpec, home: Option<&str>) -> Vec<(String, FieldPath)> {
    let of_nodes = spec.nodes.iter().filter_map(|(name, node)| {
        let file = paths::expanded(node.ssh.as_ref()?.identity.as_deref()?, home);
        let path = FieldPath::root().key("nodes").key(name.as_str());
        file.starts_with('/').then(|| (file, path.key("ssh")))
    });
    of_nodes.collect()
}

/// The file by which a virtual environment is known.
pub fn activation(venv: &str) -> String {
    format!("{venv}/bin/activate")
}

/// Virtual environments that units of this machine need, each with where the YAML names the unit.
pub fn environments(plan: &Plan, home: Option<&str>) -> Vec<(String, FieldPath)> {
    let of = |unit: &Unit| {
        let venv = paths::expanded(unit.env.venv.as_deref()?, home);
        venv.starts_with('/').then(|| (venv, unit.origin.clone()))
    };
    let mut all: Vec<_> = plan.units_here().filter_map(of).collect();
    all.dedup();
    all
}

/// Files that `setup` lines of units of this machine read before anything could have made them, each with the unit that
/// does.
pub fn sourced(plan: &Plan, home: Option<&str>) -> Vec<(String, FieldPath)> {
    let of = |unit| {
        let files = sourced_by(unit, home).into_iter();
        let here = files.filter(|path| path.starts_with('/'));
        here.map(|path| (path, unit.origin.clone()))
            .collect::<Vec<_>>()
    };
    let mut all: Vec<_> = plan.units_here().flat_map(of).collect();
    all.dedup();
    all
}

/// Files that the `setup` lines of a unit read before anything could have made them: absolute, or from `~` where its home is
/// not known.
pub(crate) fn sourced_by(unit: &Unit, home: Option<&str>) -> Vec<String> {
    let read = |line: &String| {
        let file = line
            .trim()
            .strip_prefix("source ")
            .or_else(|| line.trim().strip_prefix(". "))?;
        // One word that means itself, but for the home directory.
        let plain = |c: char| !c.is_whitespace() && !"*?$`;&|<>(){}'\"\\".contains(c);
        let file = file.trim();
        let bare = file
            .strip_prefix("$HOME/")
            .or_else(|| file.strip_prefix("${HOME}/"))
            .unwrap_or(file);
        bare.chars().all(plain).then(|| file.to_owned())
    };
    let cwd = unit.cwd.as_deref().map(|cwd| paths::expanded(cwd, home));
    let files = unit.env.setup.iter().map_while(read);
    let all = files.filter_map(|file| match (&cwd, file.starts_with(['/', '~', '$'])) {
        (_, true) => Some(paths::expanded(&file, home)),
        (Some(cwd), false) => Some(paths::absolute(&file, cwd, home)),
        (None, false) => None,
    });
    all.filter(|path| path.starts_with(['/', '~'])).collect()
}

/// Conda environments that units of this machine need, each with where the YAML names the unit. Modules may bring a conda
/// of their own.
pub fn conda(plan: &Plan) -> Vec<(String, FieldPath)> {
    let of = |unit: &Unit| {
        let name = unit
            .env
            .conda
            .clone()
            .filter(|_| unit.env.modules.is_empty())?;
        Some((name, unit.origin.clone()))
    };
    let mut all: Vec<_> = plan.units_here().filter_map(of).collect();
    all.dedup();
    all
}

/// The program of `notify`, by its name or its absolute path.
pub(crate) fn notify_program(plan: &Plan) -> Option<&str> {
    let program = plan.notify.as_ref()?.argv.first()?;
    Some(program.as_str()).filter(|program| !program.is_empty() && !program.starts_with('~'))
}

/// The program that a unit must find on PATH, because no environment of the YAML could bring it.
pub(crate) fn own_program(unit: &Unit) -> Option<&str> {
    let env = &unit.env;
    let brings = env.conda.is_some()
        || env.venv.is_some()
        || !env.modules.is_empty()
        || !env.setup.is_empty()
        || env.set.contains_key("PATH");
    let program = match &env.container {
        Some(container) => container.runtime.program(),
        None => unit.argv.first()?.as_str(),
    };
    let bare = !program.is_empty() && !program.contains('/');
    (bare && !brings).then_some(program)
}
