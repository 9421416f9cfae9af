//! What the templates see: the contract with a user's own templates, so its keys are stable.

use indexmap::IndexMap;
use serde::Serialize;

use super::error::RenderError;
use crate::base::Millis;
use crate::plan::{Plan, Unit, UnitKind};
use crate::spec::model::{Container, NotifyOn};

/// One unit, as `unit.sh.tera` sees it under `unit`. Absent values are null and render as `''`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct UnitContext {
    /// Its name: `[a-z][a-z0-9_-]*`.
    pub name: String,
    /// The cluster's name.
    pub cluster: String,
    /// `replica`, `service`, `tunnel` or `evaluation`.
    pub kind: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables to set, last of all.
    pub set: Vec<Variable>,
    /// With fewer questions in flight.
    pub slower: Vec<SlowerContext>,
    /// Names whose values come from the secrets file or the caller.
    pub pass: Vec<String>,
    /// The same, where there is one.
    pub may_pass: Vec<String>,
    /// Names to remove.
    pub unset: Vec<String>,
    /// What is activated before the setup lines.
    pub env: EnvContext,
    /// Lines of shell, evaluated one by one.
    pub setup: Vec<String>,
    /// The program's umask in octal; the caller's where absent.
    pub umask: Option<String>,
    /// Where it runs; may start with `~/`. The home directory where absent.
    pub cwd: Option<String>,
    /// Its GPUs; empty hides all of them.
    pub gpus: Vec<u16>,
    /// Weights that are copied first: the directory, the repository, the revision; empty without.
    pub stage: Vec<String>,
    /// Percent of each GPU's memory that it takes, where that is known.
    pub gpu_share: Option<u8>,
    /// Its port.
    pub port: Option<u16>,
    /// More ports at which it listens.
    pub more_ports: Vec<u16>,
    /// The address it binds to; another listener on this port but another address is no conflict.
    pub host: Option<String>,
    /// A directory to make before the start; may start with `~/`.
    pub cache_dir: Option<String>,
    /// Open files: the soft limit is raised to this or to the hard limit.
    pub open_files: Option<u64>,
    /// Whole seconds between TERM and KILL.
    pub grace_s: u64,
    /// With evaluations: what `observe` counts. Relative to `cwd`.
    pub results_dir: Option<String>,
    /// It stops itself when nothing moves for so many seconds.
    pub idle_s: Option<u64>,
    /// With evaluations: what it calls when nobody watches and nothing moves.
    pub notify: Option<NotifyContext>,
}

/// The command that hears of alarms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotifyContext {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The directory it runs in, where that is there.
    pub dir: String,
    /// Whole seconds between two calls.
    pub every_s: u64,
}

/// A client with fewer questions in flight: `run --concurrency N`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlowerContext {
    /// Questions in flight.
    pub concurrency: u32,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables that have another value than otherwise.
    pub set: Vec<Variable>,
}

/// One variable of a program's environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name: a letter or `_`, then letters, digits and `_`.
    pub name: String,
    /// Its value: anything but NUL.
    pub value: String,
}

/// What is activated before the setup lines.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EnvContext {
    /// A conda environment: a name or a directory.
    pub conda: Option<String>,
    /// A directory with `bin/activate`.
    pub venv: Option<String>,
    /// A container: its runtime, its image, its mounts; empty without one.
    pub container: Vec<String>,
    /// Environment modules, in order.
    pub modules: Vec<String>,
}

impl UnitContext {
    /// What the script of a planned unit says.
    pub fn of(plan: &Plan, unit: &Unit) -> Self {
        let env = &unit.env;
        Self {
            name: unit.id.to_string(),
            cluster: plan.cluster.to_string(),
            kind: match unit.kind {
                UnitKind::Replica { .. } => "replica",
                UnitKind::Service { .. } => "service",
                UnitKind::Tunnel { .. } => "tunnel",
                UnitKind::Eval { .. } => "evaluation",
            }
            .to_owned(),
            argv: unit.argv.clone(),
            set: variables(&env.set),
            slower: (unit.slower.iter())
                .map(|step| SlowerContext {
                    concurrency: step.concurrency,
                    argv: step.argv.clone(),
                    set: variables(&step.set),
                })
                .collect(),
            pass: env.pass.clone(),
            may_pass: env.may_pass.clone(),
            unset: env.unset.clone(),
            env: EnvContext {
                conda: env.conda.clone(),
                venv: env.venv.clone(),
                container: env.container.as_ref().map_or_else(Vec::new, words),
                modules: env.modules.clone(),
            },
            setup: env.setup.clone(),
            umask: env.umask.clone(),
            cwd: unit.cwd.clone(),
            gpus: unit.gpus.iter().map(|gpu| gpu.0).collect(),
            gpu_share: unit.gpu_share,
            stage: unit.stage.as_ref().map_or_else(Vec::new, |stage| {
                vec![
                    stage.dir.clone(),
                    stage.repo.clone(),
                    stage.revision.clone(),
                ]
            }),
            port: unit.port.map(|port| port.0),
            more_ports: unit.more_ports.iter().map(|port| port.0).collect(),
            host: unit.port.map(|_| unit.address.clone()),
            cache_dir: unit.cache_dir.clone(),
            open_files: Some(unit.open_files),
            grace_s: whole_seconds(unit.grace),
            results_dir: unit.results_dir.clone(),
            idle_s: plan.idle.map(whole_seconds),
            notify: notify(plan, unit),
        }
    }

    /// Refuses what no script can carry: the last line of defence, `check` says it with the place in the YAML.
    ///
    /// # Errors
    /// The unit, the value and what is wrong with it.
    pub fn check(&self) -> Result<(), RenderError> {
        let refuse = |what: String, why: &str| {
            Err(RenderError::Value {
                unit: self.name.clone(),
                what,
                why: why.to_owned(),
            })
        };
        for (what, text) in [("name", &self.name), ("cluster", &self.cluster)] {
            if !is_plain(text) {
                return refuse(
                    what.to_owned(),
                    "only letters, digits, `.`, `_` and `-` may be used",
                );
            }
        }
        if self.argv.first().is_none_or(String::is_empty) {
            return refuse("argv".to_owned(), "there is no program to start");
        }
        let set = self.set.iter().map(|pair| ("env.set", &pair.name));
        let pass = self.pass.iter().chain(&self.may_pass);
        let pass = pass.map(|name| ("env.pass", name));
        let unset = self.unset.iter().map(|name| ("env.unset", name));
        for (what, name) in set.chain(pass).chain(unset) {
            if !is_variable(name) {
                return refuse(
                    format!("{what}: `{name}`"),
                    "it is not a name of a variable",
                );
            }
        }
        let slower = || self.slower.iter();
        let argv = self.argv.iter().chain(slower().flat_map(|step| &step.argv));
        let argv = argv.map(|word| ("argv", word));
        let values = self.set.iter().chain(slower().flat_map(|step| &step.set));
        let values = values.map(|pair| ("env.set", &pair.value));
        let setup = self.setup.iter().map(|line| ("env.setup", line));
        let notify = self.notify.iter().flat_map(|notify| &notify.argv);
        let notify = notify.map(|word| ("notify.command", word));
        let container = self
            .env
            .container
            .iter()
            .map(|word| ("env.container", word));
        let stage = self.stage.iter().map(|word| ("hf.stage", word));
        for (what, text) in argv
            .chain(values)
            .chain(setup)
            .chain(notify)
            .chain(container)
            .chain(stage)
        {
            if text.contains('\0') {
                let what = format!("{what}: `{}`", text.replace('\0', "\\0"));
                return refuse(what, "no program can be given a NUL byte");
            }
        }
        if self.umask.as_ref().is_some_and(|mask| !is_octal(mask)) {
            return refuse("umask".to_owned(), "write it in octal, such as `0027`");
        }
        Ok(())
    }
}

fn words(container: &Container) -> Vec<String> {
    let runtime = container.runtime.word().to_owned();
    let head = [runtime, container.image.clone()].into_iter();
    head.chain(container.mounts.iter().cloned()).collect()
}

fn variables(set: &IndexMap<String, String>) -> Vec<Variable> {
    let pairs = set
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    pairs
        .map(|(name, value)| Variable { name, value })
        .collect()
}

/// An evaluation's script outlives the controller and raises its alarm.
fn notify(plan: &Plan, unit: &Unit) -> Option<NotifyContext> {
    let notify = plan.notify.as_ref()?;
    let tells = matches!(unit.kind, UnitKind::Eval { .. }) && notify.on.contains(&NotifyOn::Alarm);
    tells.then(|| NotifyContext {
        argv: notify.argv.clone(),
        dir: notify.dir.clone(),
        every_s: whole_seconds(notify.every),
    })
}

fn whole_seconds(length: Millis) -> u64 {
    length.0.div_ceil(1000)
}

fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

fn is_octal(mask: &str) -> bool {
    (1..=4).contains(&mask.len()) && mask.bytes().all(|c| (b'0'..=b'7').contains(&c))
}

/// A unit as the scripts that start several of them see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberContext {
    /// Its name.
    pub name: String,
    /// It needs values of the caller's environment.
    pub passes: bool,
    /// Its GPUs: in a job, their positions among those that the job is given.
    pub gpus: Vec<usize>,
    /// Its port.
    pub port: Option<u16>,
    /// Another port may be taken if this one is busy.
    pub port_auto: bool,
}

impl From<&Unit> for MemberContext {
    fn from(unit: &Unit) -> Self {
        Self {
            name: unit.id.to_string(),
            passes: !unit.env.pass.is_empty(),
            gpus: unit.gpus.iter().map(|gpu| usize::from(gpu.0)).collect(),
            port: unit.port.map(|port| port.0),
            port_auto: unit.port_auto,
        }
    }
}

/// What `tmux.sh.tera` sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeContext {
    /// The cluster's name.
    pub cluster: String,
    /// The node's key in the YAML.
    pub node: String,
    /// The tmux session: the node's name without what tmux would rewrite.
    pub session: String,
    /// The units, in the order of the plan.
    pub units: Vec<MemberContext>,
}

/// What `group.sbatch.tera` sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupContext {
    /// The cluster's name.
    pub cluster: String,
    /// The job's name.
    pub job: String,
    /// Its file, from the folder that holds `units/` and `slurm/`.
    pub file: String,
    /// GPUs of all units together.
    pub gpus: usize,
    /// Their numbers in the YAML, in order: the first is that of the first which SLURM gives.
    pub numbers: Vec<u16>,
    /// The generic resource of one GPU, such as `gpu` or `gpu:h100`.
    pub gres: String,
    /// The time limit.
    pub time: String,
    /// Seconds before the time limit at which TERM comes.
    pub signal_s: u64,
    /// A successor is submitted before the time limit.
    pub renew: bool,
    /// More options, `--name=value`.
    pub options: Vec<OptionContext>,
    /// The units, in the order of the plan.
    pub units: Vec<MemberContext>,
}

/// One option of sbatch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OptionContext {
    /// Its long name, without dashes.
    pub name: String,
    /// Its value; none for one that stands alone.
    pub value: Option<String>,
}

impl OptionContext {
    /// What is written: `"true"` has it stand alone, as `hold: "true"`, and `"false"` leaves it out.
    pub fn of((name, value): (&str, &str)) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            value: match value {
                "true" => None,
                "false" => return None,
                value => Some(value.to_owned()),
            },
        })
    }
}
