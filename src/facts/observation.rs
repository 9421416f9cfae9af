//! What was seen of a unit, and what a probe brought back.

use serde::{Deserialize, Serialize};

use crate::base::{Generation, LaunchId, Place, Port, Secrets, Timestamp, clean};
use crate::knowledge::{failures, ssh};

/// What was seen of a unit at one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Observation {
    /// Nothing of it was ever there.
    Never,
    /// Its start waits in a queue.
    Queued(Queued),
    /// Its process lives.
    Running(RunningUnit),
    /// It ended, or its start was refused.
    Exited(Exit),
    /// Its process is gone and nothing recorded how.
    Lost {
        /// The start that was lost.
        generation: Generation,
        /// Which launch it was.
        launch: LaunchId,
    },
    /// It could not be looked at. Never taken for dead.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Observation {
    /// Which launch it speaks of, if of one.
    pub fn launch(&self) -> Option<&LaunchId> {
        match self {
            Self::Queued(queued) => Some(&queued.launch),
            Self::Running(running) => Some(&running.launch),
            Self::Exited(exit) => Some(&exit.launch),
            Self::Lost { launch, .. } => Some(launch),
            Self::Never | Self::Unknown { .. } => None,
        }
    }
}

/// A unit whose job waits for a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// Which start it is.
    pub generation: Generation,
    /// Which launch it is.
    pub launch: LaunchId,
    /// The job, and what it waits for.
    pub why: String,
    /// When it may begin, as the queue estimates: local time of its machine.
    pub starts: Option<String>,
    /// It will never begin as it is.
    pub never: bool,
}

/// A unit whose process lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningUnit {
    /// Which start it is.
    pub generation: Generation,
    /// Which launch it is.
    pub launch: LaunchId,
    /// The leader's process id.
    pub pid: u32,
    /// The leader's start time in clock ticks since boot: with the pid it names one process.
    pub start: u64,
    /// The unit script's own process id.
    pub supervisor: u32,
    /// Whether the unit script still watches it.
    pub supervised: bool,
    /// Ports that its processes listen on.
    pub listening: Vec<Port>,
    /// Where it was told to listen, if that was settled when it was started: in a SLURM job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// When SLURM ends its job, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// How a unit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Which start it was.
    pub generation: Generation,
    /// Which launch it was.
    pub launch: LaunchId,
    /// The exit code, where it is known.
    pub code: Option<i32>,
    /// The signal inferred from the code: bash cannot tell `exit 139` from a segmentation fault.
    pub signal: Option<String>,
    /// Whether somebody asked for it.
    pub requested: bool,
    /// The SLURM job that somebody cancelled with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<u64>,
    /// Why a start was refused: the port's owner, a missing variable.
    pub reason: Option<String>,
    /// The last lines of its log, control characters stripped.
    pub tail: Vec<String>,
    /// What its log says of the cause, where that is known.
    #[serde(default)]
    pub cause: Option<Box<LogCause>>,
}

impl Exit {
    /// An end of which nothing else is known.
    pub fn of(generation: Generation, launch: LaunchId) -> Self {
        Self {
            generation,
            launch,
            code: None,
            signal: None,
            requested: false,
            cancelled: None,
            reason: None,
            tail: Vec::new(),
            cause: None,
        }
    }

    /// An end that nothing recorded.
    pub fn lost(generation: Generation, launch: LaunchId) -> Self {
        Self {
            reason: Some("its process is gone and nothing recorded how".to_owned()),
            ..Self::of(generation, launch)
        }
    }
}

/// The line of a log that tells why a server died, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCause {
    /// The failure's name: `cuda-oom`.
    pub id: String,
    /// The line, control characters stripped.
    pub line: String,
    /// What went wrong.
    pub cause: String,
    /// What to do.
    pub fix: String,
    /// Another start with the same settings would end the same way.
    pub permanent: bool,
}

impl LogCause {
    /// The first real error among the lines of a log; the wrappers that follow it say less.
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let found = failures::classify(lines)?;
        let failure = found.failure;
        // A warning, or a request that failed, ends no server.
        let deadly = matches!(
            failure.kind,
            failures::Kind::Cause | failures::Kind::Wrapper
        );
        deadly.then(|| Self {
            id: failure.id.to_owned(),
            line: clean(&found.text).trim().to_owned(),
            cause: failure.cause.to_owned(),
            fix: failure.fix.to_owned(),
            permanent: failure.permanent,
        })
    }
}

impl LogCause {
    /// Why `ssh` ended, by its last words.
    pub fn of_ssh(lines: &[String]) -> Option<Self> {
        let (line, known) = ssh::cause(lines.iter().map(String::as_str))?;
        Some(Self {
            id: known.id.to_owned(),
            line: clean(line).trim().to_owned(),
            cause: known.cause.to_owned(),
            fix: known.fix.to_owned(),
            permanent: known.permanent,
        })
    }
}

/// What a probe of one rung brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum ProbeOutcome {
    /// Proved; what was learnt, such as a context length.
    Passed {
        /// For people: `40960 tokens`.
        detail: String,
    },
    /// Not yet: a server that is still loading.
    NotYet {
        /// Why.
        why: String,
    },
    /// Disproved.
    Failed(ProbeFailure),
}

impl ProbeOutcome {
    /// The same without what the server was passed: it may have put that into its answer.
    #[must_use]
    pub fn masked(self, secrets: &Secrets) -> Self {
        match self {
            Self::Passed { detail } => Self::Passed {
                detail: secrets.mask_text(&detail),
            },
            Self::NotYet { why } => Self::NotYet {
                why: secrets.mask_text(&why),
            },
            Self::Failed(failure) => Self::Failed(ProbeFailure {
                why: secrets.mask_text(&failure.why),
                ..failure
            }),
        }
    }
}

/// Why a rung was disproved, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeFailure {
    /// What was seen.
    pub why: String,
    /// What to change.
    pub fix: String,
    /// Waiting will not mend it.
    pub permanent: bool,
}

/// Why the controller should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// A polite kill.
    Terminate,
    /// A polite kill by `toolorch down`, which ends the run.
    Down,
}
