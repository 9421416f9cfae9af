//! The facts of a run, one after the other; everything that people see is folded from them.
//!
//! The JSON form is versioned by [`Record::FORMAT`]: change a field, raise the number.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::books::BooksMark;
use crate::base::{
    ClusterName, ConfigName, Epoch, EvalName, Generation, LaunchId, Millis, Place, Port, RunId,
    Timestamp, UnitId,
};
use crate::facts::{Degraded, Exit, Liveness, ProbeFailure, Served};
use crate::spec::model::LauncherKind;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this form.
    pub v: u32,
    /// Counts lines of the run from 1, across epochs.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who owned the run.
    pub epoch: Epoch,
    /// What.
    pub event: Event,
}

impl Record {
    /// The version of the form that this program writes.
    pub const FORMAT: u32 = 1;
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A run began.
    RunStarted {
        /// Its name.
        run: RunId,
        /// The cluster.
        cluster: ClusterName,
        /// SHA-256 of `plan.json`.
        plan_sha256: String,
        /// The version of this program.
        version: String,
        /// `up --rebuild` began its journal anew: what was before is not known.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        rebuilt: bool,
    },
    /// A unit of which an earlier owner intended a start was not found: whether that start is still on its way is waited for.
    StartAwaited {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// For so long at most.
        length: Millis,
    },
    /// A controller took the run.
    OwnerTook {
        /// Its host.
        host: String,
        /// Its process id.
        pid: u32,
        /// The YAML that it follows, links resolved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        yaml: Option<String>,
    },
    /// `toolorch down` took the run: it watches nothing, and what is known of units and evaluations stays.
    DownBegan {
        /// Its host.
        host: String,
        /// Its process id.
        pid: u32,
    },
    /// A unit is about to be started; durable before it is.
    LaunchIntended {
        /// Which.
        unit: UnitId,
        /// The n-th start.
        generation: Generation,
        /// The launch id that its processes will carry.
        launch: LaunchId,
        /// SHA-256 of the script that starts it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        script: Option<String>,
    },
    /// The launcher did its part.
    Launched {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// Where to find it again.
        handle: Handle,
    },
    /// Its start waits in a queue; written when what it waits for changes.
    Queued {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// The job, and what it waits for.
        why: String,
        /// When it may begin, as the queue estimates: local time of its machine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        starts: Option<String>,
    },
    /// It was told to listen elsewhere than the plan says: SLURM chose its node, or the port was taken.
    Placed {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// Where.
        place: Place,
    },
    /// The launcher could not start it.
    LaunchFailed {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// What was tried and what went wrong.
        why: String,
    },
    /// Its process was seen.
    Started {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// The leader's process id.
        pid: u32,
        /// The leader's start time.
        start: u64,
        /// It was running already when this controller came.
        adopted: bool,
    },
    /// A rung of the ready ladder was proved.
    Climbed {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// The rung's name.
        rung: String,
        /// What was learnt.
        detail: String,
        /// Since the unit's start.
        after: Millis,
    },
    /// A rung was disproved.
    Refuted {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// The rung's name.
        rung: String,
        /// Why, and what to do.
        failure: ProbeFailure,
    },
    /// All rungs were proved.
    Ready {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// Since the unit's start.
        after: Millis,
    },
    /// How it lives has changed; being busy or idle is not told.
    Judged {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// How.
        liveness: Liveness,
        /// What speaks for it.
        why: String,
    },
    /// It ended.
    Exited {
        /// Which.
        unit: UnitId,
        /// How.
        exit: Exit,
    },
    /// It will not be started again.
    GaveUp {
        /// Which.
        unit: UnitId,
        /// Why.
        why: GaveUp,
    },
    /// A client configuration stands at its final path.
    ConfigWritten {
        /// Which.
        config: ConfigName,
        /// Where.
        path: String,
        /// SHA-256 of its bytes.
        sha256: String,
        /// How many endpoints it names.
        endpoints: usize,
        /// Where it says that each server is asked: `host:port`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        named: BTreeMap<UnitId, String>,
    },
    /// What the results say; written when it changes, at most every few seconds.
    EvalProgress {
        /// Which.
        eval: EvalName,
        /// Ids with a complete result.
        done: usize,
        /// Of these, those that say `error`.
        errors: usize,
        /// Of these, those that say that they are right, where results say so.
        correct: Option<usize>,
        /// Torn files that were set aside so far.
        torn: usize,
        /// All ids.
        total: usize,
    },
    /// The limit of open files of a client's process was raised while it runs: it came close to it.
    FilesRaised {
        /// Which evaluation.
        eval: EvalName,
        /// The process.
        pid: u32,
        /// How many were open.
        open: u64,
        /// How many might be.
        from: u64,
        /// How many may be now.
        to: u64,
    },
    /// A client waits for something for longer than usual, or no longer does.
    EvalWaits {
        /// Which.
        eval: EvalName,
        /// What for; none if it goes on.
        waits: Option<Waits>,
    },
    /// What the log of a client tells of answers that are worse than they look; written when it changes, at most every
    /// few seconds.
    EvalDegraded {
        /// Which.
        eval: EvalName,
        /// Which start of its client.
        generation: Generation,
        /// What, since that start.
        degraded: Degraded,
    },
    /// All that is left of an evaluation are results in error that its rule asks again, once: they are about to be set
    /// aside; durable before they are.
    RetryIntended {
        /// Which.
        eval: EvalName,
        /// How many.
        ids: usize,
    },
    /// A client died or stalled; from its next start on fewer questions are in flight.
    EvalSlowed {
        /// Which.
        eval: EvalName,
        /// How many.
        concurrency: u32,
        /// How many the YAML named then: with another number there, this is over.
        #[serde(default)]
        instead_of: Option<u32>,
    },
    /// A client is stopped until what it requires is there again.
    EvalHeld {
        /// Which evaluation.
        eval: EvalName,
        /// Its client. The attempt that ends here counts for no budget.
        unit: UnitId,
        /// What failed from then on is asked again.
        since: Timestamp,
        /// What is not there.
        why: String,
    },
    /// What it was held for is there again; its client is about to be started.
    EvalResumed {
        /// Which evaluation.
        eval: EvalName,
        /// Results in error that were set aside.
        set_aside: usize,
    },
    /// A client called, or was kept from calling, a place that is no endpoint and no declared external.
    OutsideCall {
        /// Which evaluation.
        eval: EvalName,
        /// Host and port.
        place: String,
        /// How it was noticed.
        seen: OutsideSeen,
        /// How often, all told.
        times: u64,
    },
    /// A client ended, and this is how closely its calls were watched.
    Routed {
        /// Which evaluation.
        eval: EvalName,
        /// Looks at its sockets; none where nobody could look.
        looks: u64,
        /// The longest time between two of them.
        longest: Millis,
        /// Credentials, endpoints and proxies that it would have found in its environment and was not given; none where
        /// that is not recorded.
        dropped: Option<Vec<String>>,
        /// Such names that it was given although nobody asked for them.
        slipped: Vec<String>,
    },
    /// A client is about to begin: what servers have counted so far, if no other client runs.
    BooksOpened {
        /// Which evaluation.
        eval: EvalName,
        /// Where its reports begin.
        mark: BooksMark,
        /// What servers counted.
        servers: Vec<Served>,
        /// Servers that could not be asked.
        unread: Vec<UnitId>,
    },
    /// A server ended while clients ran; this is what it had counted when it was last asked.
    ServerCounted {
        /// What it counted.
        served: Served,
    },
    /// The last client has ended, and this is what servers counted.
    BooksClosed {
        /// What servers counted.
        servers: Vec<Served>,
        /// Servers that could not be asked.
        unread: Vec<UnitId>,
    },
    /// An evaluation is over.
    EvalEnded {
        /// Which.
        eval: EvalName,
        /// How.
        verdict: Verdict,
    },
    /// A unit is about to be stopped.
    StopIntended {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
        /// Why.
        why: StopWhy,
    },
    /// Nothing of it is left.
    Stopped {
        /// Which.
        unit: UnitId,
        /// Which start.
        generation: Generation,
    },
    /// Somebody asked for it to be stopped and started no more.
    Drained {
        /// Which.
        unit: UnitId,
    },
    /// It may be started again.
    Undrained {
        /// Which.
        unit: UnitId,
    },
    /// Something that a person should know.
    Alarm {
        /// A stable word: `first-results-all-errors`.
        alarm: String,
        /// Which unit, if one.
        unit: Option<UnitId>,
        /// What, in words.
        text: String,
    },
    /// The controller stood still: it was stopped, or its machine slept. Nothing is known of that time.
    OwnerAway {
        /// For how long.
        length: Millis,
    },
    /// The controller left; servers and evaluation go on.
    OwnerLeft {
        /// Why: a signal's name, `detached`.
        why: String,
        /// It made room for `toolorch down`: nothing goes on.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        to_down: bool,
    },
    /// The run is over.
    RunEnded {
        /// The exit code.
        code: u8,
        /// One line for people.
        summary: String,
    },
}

/// How a call to an undeclared place was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutsideSeen {
    /// A socket led there.
    Connected,
    /// The proxy of the evaluation refused it.
    Refused,
}

impl OutsideSeen {
    /// What the client did: `called`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Connected => "called",
            Self::Refused => "was kept from calling",
        }
    }
}

/// Where a started unit can be found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// How it was started.
    pub launcher: LauncherKind,
    /// The launcher's own name for it: a process id, a tmux window, a job id.
    pub native: String,
    /// Where it listens, where it has a port: an address or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its port, where it has one.
    pub port: Option<Port>,
    /// Its log.
    pub log: String,
    /// What its SLURM job was submitted with, an option a line, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted: Option<String>,
}

/// What a client waits for, for longer than usual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// Since when.
    pub since: Timestamp,
    /// Who was asked and does not answer: a unit, or `host:port`; none if nobody knows.
    pub server: Option<String>,
    /// How many of its calls wait there.
    pub calls: usize,
    /// Ids that are still missing, where they are few.
    pub ids: Vec<String>,
}

/// Why a unit is not started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum GaveUp {
    /// Starting it again would end the same way.
    Permanent {
        /// What it is and what to do.
        why: String,
    },
    /// The restart budget is spent.
    Budget {
        /// How many starts there were.
        starts: u32,
    },
    /// It was not ready in time.
    NotReady {
        /// The rung it stopped at, and what was seen.
        why: String,
    },
}

/// How an evaluation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Verdict {
    /// Every id has a result.
    Complete,
    /// Ids are missing or in error, or the client showed no work.
    Incomplete {
        /// Ids without a complete result.
        missing: usize,
        /// Why no further attempt was made.
        why: String,
    },
    /// It was given up: the restart budget is spent, or it stalled.
    GaveUp {
        /// Ids without a complete result.
        missing: usize,
        /// Why.
        why: String,
    },
    /// It was not started.
    NotStarted {
        /// Why.
        why: String,
        /// The exit code that says it.
        code: u8,
    },
}

/// Why a unit is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum StopWhy {
    /// The run is over and `when_done` says so.
    Done,
    /// `toolorch down`.
    Down,
    /// `toolorch drain`.
    Drained,
    /// It was not ready in time, or a rung was disproved for good.
    NotReady,
    /// The client shows no sign of work.
    NoProgress,
    /// The client is close to its limit of open files, which cannot be raised: it goes on afresh.
    OpenFiles,
    /// A ready server shows no sign of life.
    Lifeless,
    /// What the client requires is not there.
    Held,
    /// Others that it needs are gone.
    Needless,
    /// The plan has another in its place, or none.
    Changed,
    /// It goes on with a configuration that names other endpoints.
    NewEndpoints,
    /// It ended without a record, or an earlier owner did not finish its stop: what is left goes.
    Remnants,
}

impl StopWhy {
    /// What is stopped did its work, and goes on afterwards.
    pub fn is_nobodys_fault(&self) -> bool {
        matches!(self, Self::OpenFiles | Self::Changed | Self::NewEndpoints)
    }
}
