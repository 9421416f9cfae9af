//! What was found on this machine before anything starts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{DatasetSummary, ModelFiles};
use crate::base::{EvalName, Millis, Name, NodeName, Port, UnitId};

/// A fact, or why it is not known; unknown is never taken for its opposite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Known<T> {
    /// It was looked up.
    Known(T),
    /// It could not be, for this reason.
    Unknown(String),
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self::Unknown("nobody looked".to_owned())
    }
}

impl<T> Known<T> {
    /// The fact, if it is known.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

/// Everything that plan and check may ask about the world; gathered once, by `world`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The absolute path of this program: `engine: sim` starts it.
    pub exe: String,
    /// The absolute directory of the YAML.
    pub yaml_dir: String,
    /// The YAML, absolute.
    pub yaml_file: String,
    /// Where runs are kept: `$TOOLORCH_HOME` or the nearest `.toolorch`, absolute.
    pub runs: Known<String>,
    /// Ports that this machine gives to outgoing connections, first and last.
    pub ephemeral_ports: Known<(u16, u16)>,
    /// The caller's home directory.
    pub home: Known<String>,
    /// This machine's own names and addresses.
    pub own_names: Vec<String>,
    /// Where each node's address leads, as text; empty if it does not resolve.
    pub addresses: BTreeMap<NodeName, Known<Vec<String>>>,
    /// Who listens on this machine.
    pub listeners: Known<Vec<Listener>>,
    /// Ports of units of this cluster that run now: `auto` must not move them.
    pub held_ports: BTreeMap<UnitId, Port>,
    /// The ports of this machine through which clients of this cluster's run reach servers behind tunnels: they know no others.
    pub held_doors: BTreeMap<UnitId, Port>,
    /// The least and the most that the evaluations will take, by the latest rehearsal; looked for where jobs have a limit.
    pub predicted: Option<(Millis, Millis)>,
    /// Limits of open files of this process.
    pub open_files: Known<OpenFiles>,
    /// Programs that were looked for on PATH, with the path of each that was found.
    pub programs: BTreeMap<String, Option<String>>,
    /// Names and paths of the conda environments of this machine.
    pub conda_envs: Known<BTreeSet<String>>,
    /// What stands at paths that the YAML names, by absolute path.
    pub paths: BTreeMap<String, Known<PathKind>>,
    /// The datasets of the evaluations.
    pub datasets: BTreeMap<EvalName, Known<DatasetSummary>>,
    /// What files of this machine say of models: those in folders, and those in Hugging Face caches.
    pub models: BTreeMap<Name, Known<ModelFiles>>,
    /// The git state of each evaluation's directory: commit, with `+` when it has changes.
    pub client_git: BTreeMap<EvalName, Known<String>>,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PathKind {
    /// Nothing.
    Absent,
    /// A file.
    File,
    /// A directory.
    Directory,
    /// Something else: a pipe, a socket, a device.
    Other,
}

/// Limits of open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFiles {
    /// What holds now.
    pub soft: u64,
    /// How far it can be raised.
    pub hard: u64,
}

/// A process that listens on a port of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The port.
    pub port: Port,
    /// The address it is bound to: `0.0.0.0` and `::` stand for all.
    pub address: String,
    /// The process, where it can be seen.
    pub pid: Option<u32>,
    /// Its command line, shortened.
    pub command: Option<String>,
    /// Its user.
    pub user: Option<String>,
}

impl Listener {
    /// Who it is, for people: process, user and command line.
    pub fn whom(&self) -> String {
        let Some(pid) = self.pid else {
            return "a process that cannot be seen from here".to_owned();
        };
        let command = self.command.as_deref().unwrap_or("?");
        match &self.user {
            Some(user) => format!("pid {pid} of {user}: `{command}`"),
            None => format!("pid {pid}: `{command}`"),
        }
    }
}
