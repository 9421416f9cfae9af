//! What the world tells the brain.

use std::collections::BTreeMap;

use crate::base::{ConfigName, EvalName, Generation, Millis, Name, Port, UnitId};
use crate::eval::{LongCalls, RouteNews, Tally};
use crate::facts::{
    Degraded, FilesSeen, GpuSeen, Observation, ProbeOutcome, Pulse, Served, Signal,
};
use crate::run::{BooksMark, Handle};

/// A start that a launcher could not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaunchFailure {
    /// Another try may go well; whether something was started is not known.
    Passing(String),
    /// Another try would end the same way.
    Permanent(String),
    /// Nothing was started, since the queue does not answer: the same start is asked for again.
    Later(String),
}

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
    /// Nothing was heard for so long: this process or its machine stood still.
    Away {
        /// How long.
        length: Millis,
    },
    /// Something that a person should know, and from which nothing follows.
    Alarm {
        /// A stable word.
        alarm: &'static str,
        /// What, in words.
        text: String,
    },
    /// A launcher did its part, or could not.
    LaunchDone {
        /// Which unit.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// Where to find it, or what went wrong.
        result: Result<Handle, LaunchFailure>,
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
    /// A sign of life came, or did not.
    Pulsed {
        /// Which unit.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// What it brought.
        pulse: Pulse,
        /// What a look at its counters means for the books.
        served: Option<Served>,
    },
    /// The GPUs of a server that is to start again were looked at.
    GpusSeen {
        /// Which server.
        unit: UnitId,
        /// All GPUs of its node; nothing where nobody can tell.
        seen: Vec<GpuSeen>,
    },
    /// An external was knocked at.
    Reached {
        /// Which.
        external: Name,
        /// It is there, or why not.
        result: Result<(), String>,
    },
    /// Results in error were set aside after an outage.
    Requeued {
        /// Which evaluation.
        eval: EvalName,
        /// How many, or what could not be done.
        result: Result<usize, String>,
    },
    /// Results were made ready for a start of the client: torn ones set aside, identity stamped.
    Prepared {
        /// Which evaluation.
        eval: EvalName,
        /// What is done already, or why the results refuse this evaluation.
        result: Result<Counts, String>,
    },
    /// Results in error that were asked again and not answered stand where they were.
    BroughtBack {
        /// Which evaluation.
        eval: EvalName,
        /// What is done now, or why they could not be brought back.
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
    /// The open files of a client's tree were looked at.
    FilesSeen {
        /// Which client.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// Of its processes the one closest to its limit; none if nothing could be seen.
        seen: Option<FilesSeen>,
    },
    /// The limit of open files of a process was raised, or could not be.
    FilesRaised {
        /// Which client.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// The process as it was.
        seen: FilesSeen,
        /// To how many, or why not.
        result: Result<u64, String>,
    },
    /// A client configuration was written, or could not be.
    ConfigDone {
        /// Which.
        config: ConfigName,
        /// What stands there now, or why nothing does.
        result: Result<Configured, String>,
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
    /// The controller's own open files were counted.
    OwnFiles {
        /// So many are open.
        open: u64,
        /// So many may be.
        limit: u64,
    },
    /// Somebody asked for servers to be stopped, and started no more.
    Drain {
        /// Which.
        units: Vec<UnitId>,
    },
    /// Somebody asked for drained servers to be started again.
    Undrain {
        /// Which.
        units: Vec<UnitId>,
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

/// A client configuration that stands at its final path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configured {
    /// Where.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// How many endpoints it names.
    pub endpoints: usize,
    /// Where it says that each server is asked: `host:port`.
    pub named: BTreeMap<UnitId, String>,
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
    /// Of those in error, answers without text.
    pub null_contents: usize,
    /// Of those done, questions in which no tool was ever called, where results tell of tools.
    pub toolless: usize,
    /// Torn files set aside so far.
    pub torn: usize,
    /// Of those in error, how many the evaluation's rule asks again.
    pub due: usize,
    /// Results in error that were set aside and wait for a newer one.
    pub waiting: usize,
    /// All ids.
    pub total: usize,
    /// The evaluation's own rule says that it is finished.
    pub finished: bool,
}

impl Counts {
    /// Every question has an answer, and nothing is in error.
    pub(super) fn is_whole(self) -> bool {
        self.finished && self.errors == 0
    }

    /// The same without so many results in error.
    pub(super) fn without(self, errors: usize) -> Self {
        Self {
            done: self.done.saturating_sub(errors),
            errors: self.errors.saturating_sub(errors),
            due: self.due.saturating_sub(errors),
            finished: self.finished && errors == 0,
            ..self
        }
    }
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
    /// Clients run, and these servers are on their way: the looks at those that are ready bring it along.
    Look,
    /// A client has ended.
    Close,
}

impl Purpose {
    /// Whether a client's time begins or ends here.
    pub(super) fn bounds_a_client(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Close)
    }
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signs {
    /// Lines of its log that mark a finished question.
    pub markers: u64,
    /// Bytes of its log.
    pub log_bytes: u64,
    /// Calls that it has under way, where its log tells of them.
    pub open_calls: usize,
    /// Of these, those that wait for longer than their like take.
    pub long_calls: Option<LongCalls>,
    /// Ids that are still missing, where they are few.
    pub left: Vec<String>,
    /// What its log tells of answers that are worse than they look.
    pub degraded: Degraded,
}
