//! What one look at a machine brought: the lines of `doctor.sh`, read. Whatever is not told, or not as it should be, is unknown.

use std::collections::{BTreeMap, BTreeSet};

use super::{Known, OpenFiles, PathKind};
use crate::base::{GpuIndex, clean};

/// All that was found on one machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeLook {
    /// Its own name.
    pub host: String,
    /// As whom we are there.
    pub user: String,
    /// Processors.
    pub cpus: Option<u32>,
    /// Memory in KiB: all, and what is available.
    pub memory: Option<(u64, u64)>,
    /// Limits of open files of a shell there.
    pub open_files: Option<OpenFiles>,
    /// GPUs, by index.
    pub gpus: Known<Vec<GpuFound>>,
    /// Why it is not known who uses their memory, if it is not.
    pub apps_hidden: Option<String>,
    /// The space of file systems, by the path that was asked.
    pub disks: BTreeMap<String, Disk>,
    /// What stands at paths that were asked.
    pub paths: BTreeMap<String, Known<PathKind>>,
    /// Programs that were asked and that are not on its PATH.
    pub missing: BTreeSet<String>,
    /// Environments that were asked.
    pub envs: BTreeMap<EnvName, EnvFound>,
    /// Ports that were asked, each with who listens there.
    pub ports: BTreeMap<u16, Vec<PortHolder>>,
    /// Nodes of SLURM that were asked: `scontrol -o show node`.
    pub slurm_nodes: BTreeMap<String, Known<String>>,
    /// Partitions of SLURM that were asked: lines of `sinfo -o '%P|%a|%l|%D|%T|%G'`.
    pub partitions: BTreeMap<String, Known<Vec<String>>>,
    /// Its clock when it began and when it ended, in milliseconds; the latter is missing where the answer was cut.
    pub clock: (Option<i64>, Option<i64>),
}

/// A GPU, and who uses its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuFound {
    /// Which of its machine.
    pub index: GpuIndex,
    /// By what it is known to its processes.
    pub uuid: String,
    /// Its model, in the words of the driver.
    pub name: String,
    /// MiB in all; none where it is not told (MIG).
    pub total: Option<u64>,
    /// MiB in use.
    pub used: Option<u64>,
    /// Processes that compute on it.
    pub holders: Vec<GpuHolder>,
}

/// A process on a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuHolder {
    /// Its id; in a container it may be one that nobody can look for.
    pub pid: u32,
    /// MiB that it holds, where that is told.
    pub used: Option<u64>,
    /// Who it is.
    pub who: Who,
}

/// A process for people; what could not be seen is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Who {
    /// Its user.
    pub user: String,
    /// The unit that it is of: `RUN/UNIT/GENERATION/LAUNCH`.
    pub mark: String,
    /// Its command line, shortened.
    pub command: String,
}

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortHolder {
    /// The address, as text.
    pub address: String,
    /// The process, where it can be seen.
    pub pid: Option<u32>,
    /// Who it is.
    pub who: Who,
}

/// The space of a file system, in KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: String,
    /// What is free for us.
    pub free: u64,
    /// Its size.
    pub total: u64,
}

/// How an environment is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EnvName {
    /// `conda NAME`.
    Conda(String),
    /// `venv PATH`.
    Venv(String),
    /// What PATH has.
    Path,
}

/// What was found of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvFound {
    /// It is not there, for this reason.
    Absent(String),
    /// It is there.
    Present {
        /// Its folder.
        prefix: String,
        /// What of vLLM is in it.
        vllm: VllmFound,
    },
}

/// What was found of vLLM in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VllmFound {
    /// Nobody asked.
    NotAsked,
    /// It could not be told.
    Unknown(String),
    /// There is none.
    Absent(String),
    /// This one.
    Installed {
        /// Its release, as its package says.
        release: String,
        /// What stands for this installation: its program and the time of its package.
        key: String,
        /// All flags of its help.
        flags: Known<BTreeSet<String>>,
    },
}

impl EnvName {
    /// The words by which it is asked.
    pub fn words(&self) -> [&str; 2] {
        match self {
            Self::Conda(name) => ["conda", name],
            Self::Venv(path) => ["venv", path],
            Self::Path => ["path", "-"],
        }
    }

    fn read(kind: &str, name: &str) -> Option<Self> {
        Some(match kind {
            "conda" => Self::Conda(name.to_owned()),
            "venv" => Self::Venv(name.to_owned()),
            "path" => Self::Path,
            _ => return None,
        })
    }
}

impl std::fmt::Display for EnvName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Conda(name) => write!(f, "conda `{name}`"),
            Self::Venv(path) => write!(f, "venv `{path}`"),
            Self::Path => f.write_str("PATH"),
        }
    }
}

impl Who {
    fn new(user: &str, mark: &str, command: &str) -> Self {
        Self {
            user: clean(user),
            mark: clean(mark),
            command: clean(command),
        }
    }

    /// Whether it is of a run of this cluster: runs are called `CLUSTER-NUMBER-HASH`.
    pub fn is_of(&self, cluster: &str) -> bool {
        let run = self.mark.split('/').next().unwrap_or_default();
        let rest = run
            .strip_prefix(cluster)
            .and_then(|rest| rest.strip_prefix('-'));
        let number = rest.and_then(|rest| rest.split_once('-'));
        number.is_some_and(|(number, hash)| {
            number.parse::<u32>().is_ok() && !hash.is_empty() && !hash.contains('-')
        })
    }

    /// For people: `pid 7 (ann) python3 x.py`.
    pub fn words(&self, pid: Option<u32>) -> String {
        let mut words = match pid {
            Some(pid) => format!("pid {pid}"),
            None => "a process that cannot be seen".to_owned(),
        };
        if !self.user.is_empty() {
            words = format!("{words} ({})", self.user);
        }
        let program = self.command.split(' ').next().unwrap_or_default();
        let program = program.rsplit('/').next().unwrap_or_default();
        if !program.is_empty() {
            words = format!("{words} {program}");
        }
        words
    }
}

impl NodeLook {
    /// Whether the machine said all that it had to say.
    pub fn is_whole(&self) -> bool {
        self.clock.1.is_some()
    }

    /// How far its clock is off, in milliseconds, ahead counting as positive; the least that explains what it said between
    /// these two moments here.
    pub fn clock_error(&self, asked: i64, answered: i64) -> i64 {
        let ahead = self.clock.1.map_or(0, |end| end.saturating_sub(answered));
        let behind = self.clock.0.map_or(0, |begin| asked.saturating_sub(begin));
        if ahead > 0 {
            ahead
        } else {
            behind.max(0).saturating_neg()
        }
    }

    /// Reads the answer. Lines that are none of it are left out, such as those that a shell's start files print.
    pub fn read(text: &str) -> Self {
        let mut look = Self::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            look.add(&fields);
        }
        look
    }

    fn add(&mut self, fields: &[&str]) {
        match *fields {
            ["begin", at] => self.clock.0 = at.parse().ok(),
            ["end", at] => self.clock.1 = at.parse().ok(),
            ["host", host, user, _, cpus] => {
                (self.host, self.user) = (clean(host), clean(user));
                self.cpus = cpus.parse().ok();
            }
            ["memory", total, free] => self.memory = total.parse().ok().zip(free.parse().ok()),
            ["nofile", soft, hard] => {
                let limits = limit(soft).zip(limit(hard));
                self.open_files = limits.map(|(soft, hard)| OpenFiles { soft, hard });
            }
            ["no-gpus", why] => self.gpus = Known::Unknown(clean(why)),
            ["gpu", line] => self.add_gpu(line),
            ["no-apps", why] => self.apps_hidden = Some(clean(why)),
            ["app", uuid, pid, used, user, mark, command] => {
                self.add_app(uuid, pid, used, Who::new(user, mark, command));
            }
            ["disk", path, mount, free, total] => {
                if let (Ok(free), Ok(total)) = (free.parse(), total.parse()) {
                    let mount = clean(mount);
                    self.disks
                        .insert(path.to_owned(), Disk { mount, free, total });
                }
            }
            ["path", path, kind] => {
                self.paths.insert(path.to_owned(), path_kind(kind));
            }
            ["no-program", name] => {
                self.missing.insert(clean(name));
            }
            ["port", port] => {
                if let Ok(port) = port.parse() {
                    self.ports.entry(port).or_default();
                }
            }
            ["listens", port, address, pid, user, mark, command] => {
                if let (Ok(port), Some(address)) = (port.parse(), address_of(address)) {
                    let holder = PortHolder {
                        address,
                        pid: pid.parse().ok(),
                        who: Who::new(user, mark, command),
                    };
                    self.ports.entry(port).or_default().push(holder);
                }
            }
            _ => self.add_named(fields),
        }
    }

    /// What SLURM says, and environments.
    fn add_named(&mut self, fields: &[&str]) {
        match fields {
            &["slurm", node, line] => {
                let line = Known::Known(clean(line));
                self.slurm_nodes.insert(node.to_owned(), line);
            }
            &["no-slurm", node, why] => {
                let why = Known::Unknown(clean(why));
                self.slurm_nodes.insert(node.to_owned(), why);
            }
            &["partition", name, line] => {
                let lines = self.partitions.entry(name.to_owned()).or_default();
                match lines {
                    Known::Known(lines) => lines.push(clean(line)),
                    Known::Unknown(_) => *lines = Known::Known(vec![clean(line)]),
                }
            }
            &["no-partition", name, why] => {
                let why = Known::Unknown(clean(why));
                self.partitions.insert(name.to_owned(), why);
            }
            [answer, kind, name, rest @ ..] => {
                if let Some(env) = EnvName::read(kind, name) {
                    self.add_env(answer, env, rest);
                }
            }
            _ => {}
        }
    }

    fn add_gpu(&mut self, line: &str) {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [index, uuid, name, total, used, _driver] = fields[..] else {
            return;
        };
        let Ok(index) = index.parse() else { return };
        let found = GpuFound {
            index: GpuIndex(index),
            uuid: clean(uuid),
            name: clean(name),
            total: total.parse().ok(),
            used: used.parse().ok(),
            holders: Vec::new(),
        };
        match &mut self.gpus {
            Known::Known(gpus) => gpus.push(found),
            Known::Unknown(_) => self.gpus = Known::Known(vec![found]),
        }
    }

    fn add_app(&mut self, uuid: &str, pid: &str, used: &str, who: Who) {
        let (Known::Known(gpus), Ok(pid)) = (&mut self.gpus, pid.parse()) else {
            return;
        };
        if let Some(gpu) = gpus.iter_mut().find(|gpu| gpu.uuid == uuid) {
            let used = used.parse().ok();
            gpu.holders.push(GpuHolder { pid, used, who });
        }
    }

    fn add_env(&mut self, answer: &str, env: EnvName, rest: &[&str]) {
        match (answer, rest) {
            ("no-env", [why]) => {
                self.envs.insert(env, EnvFound::Absent(clean(why)));
            }
            ("env", [prefix]) => {
                let found = EnvFound::Present {
                    prefix: clean(prefix),
                    vllm: VllmFound::NotAsked,
                };
                self.envs.insert(env, found);
            }
            _ => {
                if let Some(EnvFound::Present { vllm, .. }) = self.envs.get_mut(&env) {
                    vllm.add(answer, rest);
                }
            }
        }
    }
}

impl VllmFound {
    fn add(&mut self, answer: &str, rest: &[&str]) {
        match (answer, rest, &mut *self) {
            ("no-vllm", [why], _) => *self = Self::Absent(clean(why)),
            ("hidden-vllm", [why], _) => *self = Self::Unknown(clean(why)),
            ("vllm", [release, key], _) => {
                *self = Self::Installed {
                    release: clean(release),
                    key: (*key).to_owned(),
                    flags: Known::Unknown("its help was not asked".to_owned()),
                };
            }
            ("flags", [text], Self::Installed { flags, .. }) => {
                let all: BTreeSet<String> = text.split(' ').map(str::to_owned).collect();
                *flags = if all.contains("--max-model-len") {
                    Known::Known(all)
                } else {
                    Known::Unknown("its help names no flags of vLLM".to_owned())
                };
            }
            ("no-flags", [why], Self::Installed { flags, .. }) => {
                *flags = Known::Unknown(clean(why));
            }
            _ => {}
        }
    }
}

/// `ulimit` says `unlimited` for no limit.
fn limit(text: &str) -> Option<u64> {
    match text {
        "unlimited" => Some(u64::MAX),
        text => text.parse().ok(),
    }
}

fn path_kind(word: &str) -> Known<PathKind> {
    Known::Known(match word {
        "absent" => PathKind::Absent,
        "file" => PathKind::File,
        "directory" => PathKind::Directory,
        "other" => PathKind::Other,
        _ => return Known::Unknown("we may not look into its folder".to_owned()),
    })
}

/// An address of `/proc/net/tcp` and `tcp6`: words of the machine, each with its lowest byte first.
fn address_of(hex: &str) -> Option<String> {
    if !hex.is_ascii() || !matches!(hex.len(), 8 | 32) {
        return None;
    }
    let words: Option<Vec<[u8; 4]>> = (0..hex.len())
        .step_by(8)
        .map(|at| {
            let word = u32::from_str_radix(&hex[at..at + 8], 16).ok()?;
            Some(word.to_le_bytes())
        })
        .collect();
    let bytes = words?.concat();
    if let Ok(v4) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(core::net::Ipv4Addr::from(v4).to_string());
    }
    let v6 = core::net::Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
    Some(v6.to_canonical().to_string())
}

#[cfg(test)]
mod tests;
