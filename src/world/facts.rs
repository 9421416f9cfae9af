//! Gathers what plan and check may ask about this machine. Reads only; starts nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::files::read_dataset;
use super::ports::listening;
use crate::base::Name;
use crate::facts::{Facts, Known, OpenFiles, PathKind};
use crate::plan::{Plan, UnitKind};
use crate::run::store::host_name;
use crate::spec::ClusterSpec;

/// Programs that some launcher or template needs.
const PROGRAMS: [&str; 6] = ["bash", "setsid", "tmux", "flock", "vllm", "python3"];

/// What holds whatever the plan says; `yaml` is the cluster's file.
pub fn machine_facts(yaml: &Path) -> Facts {
    let absolute = std::path::absolute(yaml).unwrap_or_else(|_| yaml.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    Facts {
        exe: std::env::current_exe()
            .map(|path| text(&path))
            .unwrap_or_default(),
        yaml_dir: text(folder),
        home: std::env::var("HOME").map_or_else(
            |_| Known::Unknown("HOME is not set".to_owned()),
            Known::Known,
        ),
        own_names: own_names(),
        listeners: listening(),
        open_files: Known::Known(open_files()),
        programs: PROGRAMS
            .iter()
            .map(|program| ((*program).to_owned(), find_program(program)))
            .collect(),
        ..Facts::default()
    }
}

/// What stands at the places that the plan names: directories, datasets, model configurations.
pub fn add_plan_facts(facts: &mut Facts, spec: &ClusterSpec, plan: &Plan) {
    let mut paths: Vec<PathBuf> = Vec::new();
    for unit in &plan.units {
        paths.extend(unit.cwd.as_deref().map(|cwd| at_home(cwd, facts)));
    }
    for config in &plan.configs {
        paths.extend(Path::new(&config.path).parent().map(Path::to_owned));
        paths.extend(config.template.as_ref().map(PathBuf::from));
    }
    for model in spec.models.values() {
        if model.model.starts_with('/') {
            paths.push(PathBuf::from(&model.model));
        }
    }
    for path in paths {
        facts.paths.entry(text(&path)).or_insert(kind_of(&path));
    }
    facts.model_configs = model_configs(spec);
    for eval in &plan.evals {
        if let Some(dataset) = &eval.dataset {
            let summary = read_dataset(Path::new(dataset), &eval.id_fields);
            facts
                .datasets
                .insert(eval.name.clone(), Known::Known(summary));
        }
    }
}

/// The git state of each evaluation's directory: it goes into the identity of results.
pub fn add_git_facts(facts: &mut Facts, plan: &Plan) {
    for unit in &plan.units {
        let UnitKind::Eval { name } = &unit.kind else {
            continue;
        };
        let cwd = unit.cwd.as_deref().unwrap_or(&facts.yaml_dir).to_owned();
        let state = git_state(&at_home(&cwd, facts));
        facts.client_git.insert(name.clone(), state);
    }
}

fn git_state(folder: &Path) -> Known<String> {
    let git = |args: &[&str]| {
        let done = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(args)
            .output()
            .map_err(|error| format!("cannot run `git`: {error}"))?;
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
        } else {
            Err(format!("`{}` is not in a git checkout", folder.display()))
        }
    };
    let commit = match git(&["rev-parse", "HEAD"]) {
        Ok(commit) => commit,
        Err(why) => return Known::Unknown(why),
    };
    match git(&["status", "--porcelain", "--untracked-files=no", "--", "."]) {
        Ok(changes) if changes.is_empty() => Known::Known(commit),
        Ok(_) => Known::Known(format!("{commit}+")),
        Err(why) => Known::Unknown(why),
    }
}

fn own_names() -> Vec<String> {
    let host = host_name();
    let short = host.split('.').next().unwrap_or_default().to_owned();
    let mut names = vec!["localhost".to_owned(), host.clone()];
    if short != host {
        names.push(short);
    }
    names
}

fn open_files() -> OpenFiles {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    OpenFiles {
        soft: limits.current.unwrap_or(u64::MAX),
        hard: limits.maximum.unwrap_or(u64::MAX),
    }
}

/// Where PATH has a program.
pub fn find_program(name: &str) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| {
            fs::metadata(file)
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
        .map(|file| text(&file))
}

fn model_configs(spec: &ClusterSpec) -> BTreeMap<Name, Known<serde_json::Value>> {
    spec.models
        .iter()
        .filter(|(_, model)| Path::new(&model.model).is_absolute())
        .map(|(name, model)| {
            let file = Path::new(&model.model).join("config.json");
            let read = fs::read_to_string(&file)
                .map_err(|error| format!("cannot read `{}`: {error}", file.display()))
                .and_then(|text| {
                    serde_json::from_str(&text)
                        .map_err(|error| format!("`{}` is not JSON: {error}", file.display()))
                });
            (name.clone(), read.map_or_else(Known::Unknown, Known::Known))
        })
        .collect()
}

fn kind_of(path: &Path) -> Known<PathKind> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Known::Known(PathKind::Directory),
        Ok(_) => Known::Known(PathKind::File),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Known::Known(PathKind::Absent)
        }
        Err(error) => Known::Unknown(error.to_string()),
    }
}

/// A path that may begin with `~/`, as it reads on this machine.
fn at_home(path: &str, facts: &Facts) -> PathBuf {
    match (path.strip_prefix("~/"), facts.home.get()) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => Path::new(&facts.yaml_dir).join(path),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
