//! The plan: every unit, file and evaluation, decided before anything is touched.

use std::collections::HashSet;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tunnels::LOOPBACK;
use super::{Access, Shares, SshTarget};
use crate::base::{
    ClusterName, ConfigName, EvalName, FieldPath, GpuIndex, Millis, Name, NodeName, Place, Port,
    UnitId,
};
use crate::spec::model::{
    AfterState, ClientConfigFormat, Container, Finished, LauncherKind, NotifyOn, OnMove,
    RetryErrors, Slurm, TransportKind, WhenDone,
};

/// All that an `up` will do; its JSON form is versioned by `format`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this form: 1.
    pub format: u32,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// Nodes that are used, in the order of the YAML.
    pub nodes: Vec<PlanNode>,
    /// Servers and evaluations, in the order of the YAML.
    pub units: Vec<Unit>,
    /// Models and services with all that serves each, in the order of the YAML.
    pub groups: Vec<Group>,
    /// Endpoints that are not started here.
    pub externals: Vec<ExternalPlan>,
    /// Files from which clients learn the endpoints.
    pub configs: Vec<ClientConfigPlan>,
    /// Evaluations, earlier ones first.
    pub evals: Vec<EvalPlan>,
    /// SLURM jobs, each with all units of one node.
    pub jobs: Vec<JobPlan>,
    /// What happens to the servers at the end.
    pub when_done: WhenDone,
    /// Of the servers that are kept at the end those in SLURM jobs go all the same: the YAML does not say otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub jobs_go: bool,
    /// Units stop themselves when the controller is gone and nothing moves for this long.
    pub idle: Option<Millis>,
    /// A command that hears of alarms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<NotifyPlan>,
    /// Who has how many GPUs by the YAML.
    #[serde(default)]
    pub shares: Shares,
}

/// A command that hears of what happens: one JSON object on its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyPlan {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The directory it runs in: the YAML's.
    pub dir: String,
    /// What it hears of.
    pub on: Vec<NotifyOn>,
    /// The shortest time between two calls for the same alarm.
    pub every: Millis,
}

impl Plan {
    /// The version of the form that this program writes.
    pub const FORMAT: u32 = 1;

    /// The unit of this name.
    pub fn unit(&self, id: &UnitId) -> Option<&Unit> {
        self.units.iter().find(|unit| &unit.id == id)
    }

    /// Replicas, services and the ways to them: what must be ready before an evaluation.
    pub fn servers(&self) -> impl Iterator<Item = &Unit> {
        self.units
            .iter()
            .filter(|unit| !matches!(unit.kind, UnitKind::Eval { .. }))
    }

    /// The units whose processes are processes of this machine.
    pub fn units_here(&self) -> impl Iterator<Item = &Unit> {
        let local = |node: &&PlanNode| node.transport == TransportKind::Local;
        let nodes: HashSet<&NodeName> = (self.nodes.iter().filter(local))
            .map(|node| &node.name)
            .collect();
        self.units
            .iter()
            .filter(move |unit| unit.launcher != LauncherKind::Slurm && nodes.contains(&unit.node))
    }

    /// The other machine on which a unit's processes are; none if that is this one.
    pub fn elsewhere(&self, id: &UnitId) -> Option<&PlanNode> {
        let unit = self.unit(id)?;
        let node = self.nodes.iter().find(|known| known.name == unit.node);
        node.filter(|node| node.is_remote() || unit.launcher == LauncherKind::Slurm)
    }

    /// How commands about a unit of another machine get there: to its node, or to where its job is submitted; none if that
    /// machine is this one.
    pub fn way(&self, id: &UnitId) -> Option<Way> {
        let node = self.elsewhere(id)?;
        let job = self.jobs.iter().find(|job| job.units.contains(id));
        Some(Way {
            node: node.name.clone(),
            in_job: job.is_some(),
            access: job.map_or_else(|| node.access(), |job| job.access.clone()),
        })
    }

    /// Nodes on which units are started through a transport, without SLURM.
    pub fn reached(&self) -> impl Iterator<Item = &PlanNode> {
        let direct = self
            .units
            .iter()
            .filter(|unit| unit.launcher != LauncherKind::Slurm);
        let used: HashSet<&NodeName> = direct.map(|unit| &unit.node).collect();
        let nodes = self.nodes.iter().filter(|node| node.is_remote());
        nodes.filter(move |node| used.contains(&node.name))
    }

    /// Whether a unit is stopped when all evaluations are complete; a tunnel goes with its servers.
    pub fn goes_when_done(&self, id: &UnitId) -> bool {
        let in_job = |id: &UnitId| self.jobs.iter().any(|job| job.units.contains(id));
        let mut behind = self.behind(id).peekable();
        let goes = match behind.peek() {
            Some(_) => behind.all(|server| in_job(&server.id)),
            None => in_job(id),
        };
        self.when_done == WhenDone::Down || self.jobs_go && goes
    }

    /// The servers that are reached through a tunnel.
    pub fn behind(&self, tunnel: &UnitId) -> impl Iterator<Item = &Unit> {
        let leads = move |unit: &&Unit| {
            let through = unit.through.as_ref();
            through.is_some_and(|through| through.tunnel == *tunnel)
        };
        self.units.iter().filter(leads)
    }

    /// SLURM chooses the node of a unit, so that its address is known when its job begins.
    pub fn in_pool(&self, id: &UnitId) -> bool {
        let job = self.jobs.iter().find(|job| job.units.contains(id));
        job.is_some_and(|job| job.pool.is_some())
    }

    /// A unit listens there. Whoever reaches it through a tunnel asks the tunnel's port as before.
    pub fn place(&mut self, id: &UnitId, place: &Place) {
        let port = Port(place.port);
        if let Some(unit) = self.units.iter_mut().find(|unit| unit.id == *id) {
            unit.address.clone_from(&place.host);
            unit.port = Some(port);
            if unit.through.is_some() {
                return;
            }
        }
        let ends = self
            .groups
            .iter_mut()
            .flat_map(|group| &mut group.endpoints);
        for end in ends.filter(|end| end.unit == *id) {
            end.host.clone_from(&place.host);
            end.port = port;
        }
    }

    /// The evaluation of this name.
    pub fn eval(&self, name: &EvalName) -> Option<&EvalPlan> {
        self.evals.iter().find(|eval| &eval.name == name)
    }
}

/// How commands about a unit of another machine get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Where the unit is.
    pub node: NodeName,
    /// SLURM is asked.
    pub in_job: bool,
    /// To which machine they go.
    pub access: Access,
}

/// A node as the plan uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanNode {
    /// Its key in the YAML; `controller` for this machine where only evaluations run.
    pub name: NodeName,
    /// What clients connect to.
    pub address: String,
    /// How commands reach it.
    pub transport: TransportKind,
    /// Where they go, if it is another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshTarget>,
    /// Its GPUs.
    pub gpus: Vec<GpuIndex>,
    /// Their kind.
    pub gpu: Option<String>,
}

impl PlanNode {
    /// Commands reach it through another transport than this machine's own.
    pub fn is_remote(&self) -> bool {
        self.access() != Access::Local
    }

    /// How commands reach it, and where they go.
    pub fn access(&self) -> Access {
        match (self.transport, self.ssh.clone()) {
            (TransportKind::Ssh2, Some(target)) => Access::Ssh2(target),
            (TransportKind::SystemSsh, Some(target)) => Access::SystemSsh(target),
            (TransportKind::Local, _) | (_, None) => Access::Local,
        }
    }
}

/// Whatever is started and watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// Its name, unique in the cluster.
    pub id: UnitId,
    /// What it is.
    pub kind: UnitKind,
    /// Where it runs.
    pub node: NodeName,
    /// What clients connect to.
    pub address: String,
    /// How it is started.
    pub launcher: LauncherKind,
    /// Its GPUs.
    pub gpus: Vec<GpuIndex>,
    /// How much of each GPU's memory it takes, in percent; none where that is not known, or it takes no GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_share: Option<u8>,
    /// The weights that are copied to its machine's own disk before it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Its port; none for an evaluation.
    pub port: Option<Port>,
    /// With a tunnel: the other ports at which it listens, beside `port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_ports: Vec<Port>,
    /// It is not asked at its address, but through a tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
    /// The port was chosen here, so that another may be taken if it is busy.
    pub port_auto: bool,
    /// The program and its arguments, placeholders filled in.
    pub argv: Vec<String>,
    /// The environment it runs in.
    pub env: UnitEnv,
    /// What differs with fewer questions in flight, after its deaths; falling. Only of clients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slower: Vec<Slower>,
    /// The directory it runs in; may start with `~/`, which is resolved where it runs.
    pub cwd: Option<String>,
    /// Compile caches; resolved where it runs.
    pub cache_dir: Option<String>,
    /// The limit of open files to ask for.
    pub open_files: u64,
    /// How long it may take to end after TERM.
    pub grace: Millis,
    /// When it may start.
    pub start: Start,
    /// What proves that it is ready.
    pub ready: ReadyRule,
    /// How often it is started again.
    pub restart: RestartRule,
    /// With evaluations: the directory whose files are counted by `observe`, or the one file.
    pub results_dir: Option<String>,
    /// Where it comes from.
    pub origin: FieldPath,
}

impl Unit {
    /// Where it is asked, by clients and by us; none where it has no port.
    pub fn asked_at(&self) -> Option<Place> {
        match &self.through {
            Some(through) => Some(Place::new(LOOPBACK, through.port.0)),
            None => Some(Place::new(&self.address, self.port?.0)),
        }
    }
}

/// The way to a server that is reached through a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Through {
    /// The tunnel.
    pub tunnel: UnitId,
    /// The port at which it takes connections to this server, at 127.0.0.1 of the machine on which it runs.
    pub port: Port,
}

/// A copy of weights from the cache of Hugging Face.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The directory that gets them, on the unit's machine; may start with `~/`.
    pub dir: String,
    /// The repository: `org/name`.
    pub repo: String,
    /// The branch, tag or commit.
    pub revision: String,
}

/// A SLURM job: it holds all units of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    /// Its name, unique in the cluster.
    pub name: String,
    /// The node of the plan; with a pool a number stands for the node that SLURM will choose.
    pub node: NodeName,
    /// The pool whose node it takes.
    pub pool: Option<NodeName>,
    /// What SLURM calls the node; none lets it choose.
    pub nodelist: Option<String>,
    /// The units that it holds.
    pub units: Vec<UnitId>,
    /// The GPUs that they use, counted from those that the job is given.
    pub gpus: Vec<GpuIndex>,
    /// Options of `sbatch`: the pool's over those at the top.
    pub options: Slurm,
    /// How commands reach the machine from which it is submitted.
    #[serde(default = "here", skip_serializing_if = "is_here")]
    pub access: Access,
}

fn here() -> Access {
    Access::Local
}

fn is_here(access: &Access) -> bool {
    *access == Access::Local
}

/// What a unit is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum UnitKind {
    /// One server of a model.
    Replica {
        /// The model's name in the YAML.
        model: Name,
        /// Which of its replicas, from 0.
        index: usize,
    },
    /// Another server.
    Service {
        /// Its name in the YAML.
        name: Name,
    },
    /// The way to the servers of a node.
    Tunnel {
        /// The node.
        node: NodeName,
    },
    /// An evaluation's client.
    Eval {
        /// Its name in the YAML.
        name: EvalName,
    },
}

/// The environment of a unit, all levels merged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnitEnv {
    /// A conda environment to activate.
    pub conda: Option<String>,
    /// A virtual environment to activate.
    pub venv: Option<String>,
    /// A container to run in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// Modules to load.
    pub modules: Vec<String>,
    /// Shell lines to run.
    pub setup: Vec<String>,
    /// Names handed on from the caller.
    pub pass: Vec<String>,
    /// Names handed on from a caller who has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_pass: Vec<String>,
    /// Variables to set, placeholders filled in.
    pub set: IndexMap<String, String>,
    /// Variables to remove.
    pub unset: Vec<String>,
    /// The umask, in octal.
    pub umask: Option<String>,
}

/// When a unit may start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Start {
    /// Units that must be ready before.
    pub after_ready: Vec<UnitId>,
    /// The pause since the run's start, or since those units were ready.
    pub delay: Millis,
}

/// What proves that a unit is ready: rungs climbed in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadyRule {
    /// The rungs, lowest first. The port's listener being ours is always the first.
    pub rungs: Vec<Rung>,
    /// The longest time from start to ready.
    pub timeout: Millis,
}

/// One rung of the ready ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rung", rename_all = "kebab-case")]
pub enum Rung {
    /// Our process listens on the port.
    Listening,
    /// It takes connections that come through its tunnel.
    Tunnel,
    /// A path answers 200.
    Health {
        /// The path.
        path: String,
    },
    /// `/v1/models` has this id, with a context that fits.
    Models {
        /// The id, byte for byte.
        id: String,
        /// The tokens that the evaluation needs: prompt and output.
        context: Option<u64>,
    },
    /// `/version` says this release.
    Release {
        /// The release.
        version: String,
    },
    /// A completion of one token.
    Completion {
        /// The model id.
        id: String,
    },
    /// An automatic tool call comes back as `tool_calls`.
    ToolCall {
        /// The model id.
        id: String,
    },
    /// With thinking switched off no reasoning text comes back.
    NoThinking {
        /// The model id.
        id: String,
    },
    /// Warm-up requests.
    Warmup(WarmupRequest),
}

impl Rung {
    /// Its name for people and journals.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Tunnel => "tunnel",
            Self::Health { .. } => "health",
            Self::Models { .. } => "models",
            Self::Release { .. } => "release",
            Self::Completion { .. } => "completion",
            Self::ToolCall { .. } => "tool call",
            Self::NoThinking { .. } => "no thinking",
            Self::Warmup(_) => "warm-up",
        }
    }
}

/// Requests that warm a service up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WarmupRequest {
    /// The path to post to.
    pub path: String,
    /// The body.
    pub json: Value,
    /// How many.
    pub requests: u32,
}

/// How a client runs with fewer questions in flight than the YAML's `concurrency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slower {
    /// Questions in flight.
    pub concurrency: u32,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables that have another value than otherwise.
    pub set: IndexMap<String, String>,
}

/// How often a unit is started again after a death that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartRule {
    /// Starts within `window` after which it is given up.
    pub attempts: u32,
    /// The pause before the first restart; three times longer before each further one.
    pub backoff: Millis,
    /// The time in which attempts are counted.
    pub window: Millis,
}

/// An endpoint that is not started here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalPlan {
    /// Its name in the YAML.
    pub name: Name,
    /// Its base URL.
    pub url: String,
    /// Models asked for there.
    pub models: Vec<String>,
    /// The variable that holds its key.
    pub api_key_env: Option<String>,
}

/// A file from which a client learns the endpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientConfigPlan {
    /// Its name: `default` for `client_config`.
    pub name: ConfigName,
    /// Its shape.
    pub format: ClientConfigFormat,
    /// Its absolute final path.
    pub path: String,
    /// The absolute path of a user's template.
    pub template: Option<String>,
    /// Keys merged over those that are generated.
    pub extra: IndexMap<String, Value>,
    /// Where it comes from.
    pub origin: FieldPath,
}

/// A model or service with all that serves it: one key of a client's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The model or service of the YAML.
    pub name: Name,
    /// The client's key, byte for byte: a model's `model`, a service's name.
    pub key: String,
    /// Where it can be asked.
    pub endpoints: Vec<Endpoint>,
    /// How many must be ready before an evaluation starts.
    pub min_ready: usize,
    /// No client configuration names it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

/// Where a client can ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The unit that answers there.
    pub unit: UnitId,
    /// The host name or address.
    pub host: String,
    /// The port.
    pub port: Port,
}

/// An evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalPlan {
    /// Its name in the YAML.
    pub name: EvalName,
    /// The unit that runs its client.
    pub unit: UnitId,
    /// The adapter's name.
    pub adapter: String,
    /// The absolute path of the questions.
    pub dataset: Option<String>,
    /// Keys that may hold an id.
    pub id_fields: Vec<String>,
    /// Only these ids.
    pub tasks: Option<Vec<String>>,
    /// Where the client writes.
    pub results: ResultsPlan,
    /// When it is finished; a file by its absolute path.
    pub finished: Finished,
    /// A regular expression for the line that marks a finished question.
    pub marker: Option<String>,
    /// Models, services and externals without which it cannot run.
    pub requires: Vec<Name>,
    /// The client configuration it reads.
    pub config: Option<ConfigName>,
    /// Questions in flight.
    pub concurrency: Option<u32>,
    /// Rounds per question.
    pub max_rounds: Option<u32>,
    /// Evaluations that come first.
    pub after: IndexMap<EvalName, AfterState>,
    /// Which results in error are tried again.
    pub retry_errors: RetryErrors,
    /// What is done when an endpoint must move.
    #[serde(default)]
    pub on_move: OnMove,
    /// Without a finished id, output or a token for this long, it has stalled.
    pub stall: Millis,
    /// The client must show a marker or result within this time.
    pub first_result: Millis,
    /// The proxy that alone lets its client out, with `egress: proxy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<UnitId>,
    /// The absolute path to which its client writes each call, where it writes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_log: Option<String>,
    /// What the results depend on: other values may not be mixed in one directory.
    pub identity: IndexMap<String, Value>,
    /// Where it comes from.
    pub origin: FieldPath,
}

/// Where a client writes its results; absolute paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum ResultsPlan {
    /// One file per id.
    Dir {
        /// The directory.
        dir: String,
        /// The file of an id, with `{id}`.
        pattern: String,
        /// Keys that a complete result has.
        valid: Vec<String>,
    },
    /// One object per line.
    Jsonl {
        /// The file.
        file: String,
    },
}
