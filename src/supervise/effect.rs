//! What the brain asks of the world.

use std::collections::BTreeSet;

use crate::base::{ConfigName, EvalName, ExitStatus, Generation, LaunchId, UnitId};
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
    },
    /// Count the results.
    Count {
        /// Which evaluation.
        eval: EvalName,
    },
    /// The owner's work is over.
    Finish(Outcome),
}

impl Effect {
    /// It changes nothing: it may be done while the journal cannot be written.
    pub fn only_looks(&self) -> bool {
        match self {
            Self::Watch { .. } | Self::Probe { .. } | Self::Count { .. } => true,
            Self::Record(_)
            | Self::Launch { .. }
            | Self::Stop { .. }
            | Self::WriteConfig { .. }
            | Self::Prepare { .. }
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
