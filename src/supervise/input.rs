//! What the world tells the brain.

use crate::base::{ConfigName, EvalName, Generation, Port, UnitId};
use crate::eval::{RouteNews, Tally};
use crate::facts::{Observation, ProbeOutcome, Served, Signal};
use crate::run::{BooksMark, Handle};

/// One piece of news.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The run is ours; this is what was found.
    Begin {
        /// Every unit of the plan, looked at once.
        seen: Vec<(UnitId, Observation)>,
        /// The results of every evaluation that could be counted.
        counted: Vec<(EvalName, Counts)>,
    },
    /// Time passed.
    Tick,
    /// A launcher did its part, or could not.
    LaunchDone {
        /// Which unit.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// Where to find it, or what went wrong.
        result: Result<Handle, String>,
    },
    /// A unit was looked at.
    Seen {
        /// Which unit.
        unit: UnitId,
        /// What was seen.
        observation: Observation,
    },
    /// Another process listens on a unit's port as well.
    Stranger {
        /// Which unit.
        unit: UnitId,
        /// Its port.
        port: Port,
    },
    /// A probe came back.
    Probed {
        /// Which unit.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// Which rung of its ladder.
        rung: usize,
        /// What it brought.
        outcome: ProbeOutcome,
    },
    /// Results were made ready for a start of the client: torn ones set aside, identity stamped.
    Prepared {
        /// Which evaluation.
        eval: EvalName,
        /// What is done already, or why the results refuse this evaluation.
        result: Result<Counts, String>,
    },
    /// Results were counted while the client runs, or right after it ended.
    Counted {
        /// Which evaluation.
        eval: EvalName,
        /// What is done, or why the results cannot be read.
        counts: Result<Counts, String>,
        /// Signs of work.
        signs: Signs,
    },
    /// A client configuration was written, or could not be.
    ConfigDone {
        /// Which.
        config: ConfigName,
        /// Path, digest and number of endpoints.
        result: Result<(String, String, usize), String>,
    },
    /// A stop came to its end.
    StopDone {
        /// Which unit.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// Nothing is left, or what could not be stopped.
        result: Result<(), String>,
    },
    /// Counters of servers were read.
    Metered(Metered),
    /// A client's call leads to a place that is not declared.
    Routed(RouteNews),
    /// A client ended.
    Watched {
        /// Which.
        client: UnitId,
        /// How closely its calls were watched.
        watched: Watched,
    },
    /// Somebody asked the controller to go.
    Leave(Signal),
}

/// What the results of an evaluation say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Ids with a complete result.
    pub done: usize,
    /// Of these, in error.
    pub errors: usize,
    /// Of these, right, where results say so.
    pub correct: Option<usize>,
    /// Torn files set aside so far.
    pub torn: usize,
    /// All ids.
    pub total: usize,
    /// The evaluation's own rule says that it is finished.
    pub finished: bool,
}

/// What servers counted of their requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metered {
    /// Why they were asked.
    pub purpose: Purpose,
    /// Those that answered.
    pub servers: Vec<Served>,
    /// Those that did not.
    pub unread: Vec<UnitId>,
}

/// Why servers are asked what they counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A client is about to begin.
    Open {
        /// Its evaluation.
        eval: EvalName,
        /// Where its reports begin.
        mark: BooksMark,
    },
    /// Clients run.
    Look,
    /// A client has ended.
    Close,
}

/// How closely the calls of a client were watched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watched {
    /// Looks at its sockets.
    pub tally: Tally,
    /// Names of credentials, endpoints and proxies that were kept from it; none where that is not recorded.
    pub dropped: Option<Vec<String>>,
    /// Such names that it was given although nobody asked for them.
    pub slipped: Vec<String>,
}

/// Signs that a client works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signs {
    /// Lines of its log that mark a finished question.
    pub markers: u64,
    /// Bytes of its log.
    pub log_bytes: u64,
}
