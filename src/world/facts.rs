//! Gathers what plan and check may ask about this machine. Reads only; starts nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::files::read_dataset;
use super::model_files::read_model;
use super::own_files;
use super::ports::listening;
use crate::facts::{Facts, Known, PathKind};
use crate::plan::ask::Questions;
use crate::run::store::host_name;

/// What holds whatever the plan says; `yaml` is the cluster's file.
pub fn machine_facts(yaml: &Path) -> Facts {
    let absolute = std::path::absolute(yaml).unwrap_or_else(|_| yaml.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    Facts {
        exe: std::env::current_exe()
            .map(|path| text(&path))
            .unwrap_or_default(),
        yaml_dir: text(folder),
        yaml_file: text(&absolute),
        home: std::env::var("HOME").map_or_else(
            |_| Known::Unknown("HOME is not set".to_owned()),
            Known::Known,
        ),
        own_names: own_names(),
        ephemeral_ports: ephemeral_ports(),
        listeners: listening(),
        open_files: Known::Known(own_files::limits()),
        ..Facts::default()
    }
}

/// Answers what plan and check ask about this machine, but for git and names of hosts.
pub fn add_answers(facts: &mut Facts, asked: &Questions) {
    for path in &asked.paths {
        facts.paths.insert(path.clone(), kind_of(Path::new(path)));
    }
    for dataset in &asked.datasets {
        let summary = read_dataset(Path::new(&dataset.path), &dataset.id_fields);
        facts
            .datasets
            .insert(dataset.eval.clone(), Known::Known(summary));
    }
    for (model, folder) in &asked.model_dirs {
        let files = read_model(Path::new(folder));
        facts.models.insert(model.clone(), files);
    }
}

/// The git state of each evaluation's directory: it goes into the identity of results.
pub fn add_git_facts(facts: &mut Facts, asked: &Questions) {
    for (eval, folder) in &asked.client_dirs {
        let state = git_state(Path::new(folder));
        facts.client_git.insert(eval.clone(), state);
    }
}

/// What stands at these paths.
pub fn add_paths(facts: &mut Facts, paths: impl Iterator<Item = String>) {
    for path in paths {
        let kind = kind_of(Path::new(&path));
        facts.paths.insert(path, kind);
    }
}

/// Where PATH has each of these programs.
pub fn add_programs(facts: &mut Facts, programs: &[String]) {
    for program in programs {
        let found = find_program(program);
        facts.programs.insert(program.clone(), found);
    }
}

/// The conda environments of this machine, by name and by path: those of the places that unit scripts look in.
pub fn add_conda_envs(facts: &mut Facts) {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let list = fs::read_to_string(home.join(".conda/environments.txt")).unwrap_or_default();
    let listed = list.lines().map(PathBuf::from);
    let found = conda_roots(&home).into_iter().flat_map(|root| {
        let inside = fs::read_dir(root.join("envs")).into_iter().flatten();
        let inside = inside.flatten().map(|entry| entry.path());
        inside.chain([root]).collect::<Vec<_>>()
    });
    let mut all = BTreeSet::new();
    for path in found.chain(listed).filter(|path| path.is_dir()) {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        all.extend(name);
        all.insert(text(&path));
        all.insert("base".to_owned());
    }
    facts.conda_envs = Known::Known(all);
}

fn conda_roots(home: &Path) -> Vec<PathBuf> {
    let names = [
        "miniconda3",
        "miniforge3",
        "mambaforge",
        "anaconda3",
        "micromamba",
        ".conda",
    ];
    let own = names.map(|name| home.join(name));
    let shared = ["/opt", "/usr/local"].into_iter().flat_map(|folder| {
        let names = ["conda", "miniconda3", "miniforge3", "anaconda3"];
        names.map(|name| Path::new(folder).join(name))
    });
    let program = std::env::var_os("CONDA_EXE").map(PathBuf::from);
    let program = program.or_else(|| find_program("conda").map(PathBuf::from));
    let told = program.and_then(|exe| Some(exe.parent()?.parent()?.to_owned()));
    let all = told.into_iter().chain(own).chain(shared);
    all.filter(|root| root.join("etc/profile.d/conda.sh").is_file())
        .collect()
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

fn ephemeral_ports() -> Known<(u16, u16)> {
    const FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
    let read = fs::read_to_string(FILE).unwrap_or_default();
    let mut numbers = read.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) => Known::Known((first, last)),
        _ => Known::Unknown(format!("`{FILE}` cannot be read")),
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

/// Where PATH has a program.
fn find_program(name: &str) -> Option<String> {
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

fn kind_of(path: &Path) -> Known<PathKind> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Known::Known(PathKind::Directory),
        Ok(found) if found.is_file() => Known::Known(PathKind::File),
        Ok(_) => Known::Known(PathKind::Other),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Known::Known(PathKind::Absent)
        }
        Err(error) => Known::Unknown(error.to_string()),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
