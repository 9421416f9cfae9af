//! What one look at a whole node brought, as `lib/node.sh look` writes it. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::samples::NodeSample;
use super::{Exit, FilesSeen, Observation, RunningUnit};
use crate::base::{Generation, LaunchId, Millis, Port, Timestamp, UnitId, clean};

/// What was seen of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSeen {
    /// Its own name.
    pub host: String,
    /// Which boot it is.
    pub boot: String,
    /// By its own clock.
    pub at: Timestamp,
    /// Its units that were looked at.
    pub units: BTreeMap<UnitId, UnitSeen>,
    /// SLURM had to be asked for that.
    pub queue_was_asked: bool,
    /// What the nodes of jobs do, by the job.
    pub loads: BTreeMap<String, JobLoad>,
}

/// What the node of a job does, as the job wrote it down.
#[derive(Debug, Clone, PartialEq)]
pub struct JobLoad {
    /// When, by the node's own clock.
    pub at: Timestamp,
    /// How long ago that was.
    pub age: Millis,
    /// What it does.
    pub sample: NodeSample,
}

/// What was seen of a unit, from outside its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSeen {
    /// Whether it runs. The log of one that ended has not been read.
    pub observation: Observation,
    /// The log of its last start.
    pub log: Option<String>,
    /// How long that is, in bytes.
    pub log_bytes: Option<u64>,
    /// The process with the most open files; its hard limit is not seen.
    pub files: Option<FilesSeen>,
    /// Whom its processes are connected to.
    pub remotes: Vec<String>,
}

/// The first line.
#[derive(Deserialize)]
struct NodeLine {
    format: u32,
    host: Option<String>,
    boot: Option<String>,
    at: u64,
}

/// A line of a unit. Keys that are not needed here are left out.
#[derive(Deserialize)]
struct UnitLine {
    unit: UnitId,
    phase: String,
    #[serde(default)]
    generation: Option<u64>,
    #[serde(default)]
    launch: Option<String>,
    #[serde(default)]
    supervised: bool,
    #[serde(default)]
    supervisor: Option<u32>,
    #[serde(default)]
    pid: Option<u32>,
    #[serde(default)]
    start: Option<u64>,
    #[serde(default)]
    processes: Vec<ProcessLine>,
    #[serde(default)]
    listening: Vec<Port>,
    #[serde(default)]
    fds: Option<FilesLine>,
    #[serde(default)]
    remotes: Vec<String>,
    #[serde(default)]
    log: Option<String>,
    #[serde(default)]
    log_bytes: Option<u64>,
    #[serde(default)]
    exit_code: Option<i32>,
    #[serde(default)]
    signal: Option<String>,
    #[serde(default)]
    requested: Option<bool>,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct ProcessLine {
    pid: u32,
    start: u64,
    state: String,
}

#[derive(Deserialize)]
struct FilesLine {
    open: Option<u64>,
    limit: Option<u64>,
    max_pid: Option<u32>,
}

impl NodeSeen {
    /// The form of the lines that this program reads.
    const FORMAT: u32 = 1;

    /// Reads what `look` wrote.
    ///
    /// # Errors
    /// What is wrong with it: another format, half a line.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let node: NodeLine = parsed(first)?;
        if node.format != Self::FORMAT {
            let (is, wants) = (node.format, Self::FORMAT);
            return Err(format!("its look has the format {is}, not {wants}"));
        }
        let units = lines.map(|line| {
            let line: UnitLine = parsed(line)?;
            Ok((line.unit.clone(), line.seen()))
        });
        Ok(Self {
            host: node.host.unwrap_or_default(),
            boot: node.boot.unwrap_or_default(),
            at: Timestamp(node.at),
            units: units.collect::<Result<_, String>>()?,
            queue_was_asked: false,
            loads: BTreeMap::new(),
        })
    }
}

fn parsed<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| {
        let head: String = clean(line).chars().take(120).collect();
        format!("its look cannot be read: {error}: {head}")
    })
}

impl UnitLine {
    fn seen(self) -> UnitSeen {
        UnitSeen {
            observation: self.observation(),
            files: self.files(),
            log: self.log,
            log_bytes: self.log_bytes,
            remotes: self.remotes,
        }
    }

    fn observation(&self) -> Observation {
        let generation = Generation(self.generation.unwrap_or_default());
        let launch = LaunchId::new(self.launch.as_deref().unwrap_or_default());
        match self.phase.as_str() {
            "never" => Observation::Never,
            "exited" | "refused" => Observation::Exited(Exit {
                code: self.exit_code,
                signal: self.signal.clone(),
                requested: self.requested.unwrap_or_default(),
                reason: self.reason.as_deref().map(clean),
                ..Exit::of(generation, launch)
            }),
            "lost" => Observation::Lost { generation, launch },
            "starting" | "running" | "stopping" => self.at_work(generation, launch),
            "elsewhere" => unknown("another machine wrote its state here"),
            other => unknown(self.reason.as_deref().unwrap_or(other)),
        }
    }

    fn at_work(&self, generation: Generation, launch: LaunchId) -> Observation {
        let leader = self.pid.zip(self.start).filter(|(pid, start)| {
            let same = |process: &ProcessLine| {
                process.pid == *pid && process.start == *start && !"ZX".contains(&process.state)
            };
            self.processes.iter().any(same)
        });
        match leader {
            Some((pid, start)) => Observation::Running(RunningUnit {
                generation,
                launch,
                pid,
                start,
                supervisor: self
                    .supervisor
                    .filter(|_| self.supervised)
                    .unwrap_or_default(),
                supervised: self.supervised,
                listening: self.listening.clone(),
                place: None,
                until: None,
            }),
            None if self.supervised => unknown("the unit script is at work"),
            None => Observation::Lost { generation, launch },
        }
    }

    fn files(&self) -> Option<FilesSeen> {
        let files = self.fds.as_ref()?;
        let pid = files.max_pid?;
        let process = self.processes.iter().find(|process| process.pid == pid)?;
        Some(FilesSeen {
            pid,
            start: process.start,
            open: files.open?,
            soft: files.limit?,
            hard: files.limit,
        })
    }
}

fn unknown(why: &str) -> Observation {
    Observation::Unknown { why: clean(why) }
}
