//! What the brain asks of the world.

use std::collections::BTreeSet;

use crate::base::{
    ConfigName, EvalName, ExitStatus, Generation, LaunchId, Name, Timestamp, UnitId,
};
use crate::facts::FilesSeen;
use crate::run::Record;

/// One thing to do; effects are performed in order, records before what follows them.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write a line of the journal.
    Record(Record),
    /// Start a unit.
    Launch {
        /// Which.
        unit: UnitId,
        /// The n-th start.
        generation: Generation,
        /// The launch id that its processes carry.
        launch: LaunchId,
        /// With fewer questions in flight than planned.
        concurrency: Option<u32>,
    },
    /// Watch a unit that runs already.
    Watch {
        /// Which.
        unit: UnitId,
    },
    /// Stop a unit and all that is of it.
    Stop {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
    },
    /// Try one rung of a unit's ladder.
    Probe {
        /// Which unit.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// The rung's place in the ladder.
        rung: usize,
    },
    /// Look for a sign of life of a ready server.
    Pulse {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// What sign.
        what: Ask,
    },
    /// Look at the memory of the GPUs of a server that is to start again.
    LookAtGpus {
        /// Which.
        unit: UnitId,
    },
    /// Knock at an external.
    Reach {
        /// Which.
        external: Name,
    },
    /// Write a client configuration with just these units.
    WriteConfig {
        /// Which.
        config: ConfigName,
        /// Units that passed their ladder.
        ready: BTreeSet<UnitId>,
    },
    /// Make the results ready for a start of the client.
    Prepare {
        /// Which evaluation.
        eval: EvalName,
        /// What was finished before and is asked all the same.
        again: Again,
    },
    /// Bring back results in error that were asked again and not answered; no client runs.
    BringBack {
        /// Which evaluation.
        eval: EvalName,
    },
    /// Look at the open files of a client's tree.
    LookAtFiles {
        /// Which client.
        unit: UnitId,
        /// Which start.
        generation: Generation,
    },
    /// Raise the limit of open files of a process that runs.
    RaiseFiles {
        /// Which client.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// The process.
        seen: FilesSeen,
        /// To how many.
        to: u64,
    },
    /// Set results in error aside that were written since an outage began; no client runs.
    Requeue {
        /// Which evaluation.
        eval: EvalName,
        /// When it began.
        since: Timestamp,
    },
    /// Count the results.
    Count {
        /// Which evaluation.
        eval: EvalName,
    },
    /// The owner's work is over.
    Finish(Outcome),
}

/// What a client is asked although it has a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Nothing.
    Nothing,
    /// The results in error that the evaluation's rule asks again.
    Errors,
}

/// A sign of life that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// How it answers, and its counters.
    Look {
        /// Its processes, too: a pass over all processes of the machine.
        deep: bool,
    },
    /// A completion of one token.
    Canary,
}

impl Effect {
    /// It changes nothing: it may be done while the journal cannot be written.
    pub fn only_looks(&self) -> bool {
        match self {
            Self::Watch { .. }
            | Self::Probe { .. }
            | Self::Pulse { .. }
            | Self::Reach { .. }
            | Self::LookAtFiles { .. }
            | Self::LookAtGpus { .. }
            | Self::Count { .. } => true,
            Self::Record(_)
            | Self::Launch { .. }
            | Self::Stop { .. }
            | Self::WriteConfig { .. }
            | Self::Prepare { .. }
            | Self::BringBack { .. }
            | Self::Requeue { .. }
            | Self::RaiseFiles { .. }
            | Self::Finish(_) => false,
        }
    }
}

/// How the owner's work ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How the command ends.
    pub code: ExitStatus,
    /// One line for people.
    pub summary: String,
    /// Servers or clients go on running.
    pub kept: bool,
}
