//! What is known of a run when it is judged. Anything can be unknown; nothing is guessed to fill it.

use schemars::JsonSchema;
use serde::Serialize;

use super::phases::Span;
use crate::base::{Millis, Timestamp, float};

/// What is known of one evaluation and of the servers that worked for it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// When its client first started.
    pub began: Timestamp,
    /// Up to when this is known: now, or the end.
    pub until: Timestamp,
    /// Who asked.
    pub client: Client,
    /// Who was asked, each kind of server once.
    pub classes: Vec<Class>,
    /// Times in which servers did not work as they should, the earliest first.
    pub incidents: Vec<Incident>,
    /// Evaluations that the same servers worked for at the same time.
    pub beside: Vec<Beside>,
    /// The nodes of the cluster; empty where that is not known, as of results without a cluster.
    pub nodes: Vec<Node>,
}

/// The evaluation's client.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Client {
    /// Questions that it has under way at once (N).
    pub concurrency: Option<usize>,
    /// Questions in all.
    pub total: Option<usize>,
    /// Questions that were finished, in this run or before.
    pub done: usize,
    /// Questions that were begun or finished in this run, as far as that was seen.
    pub tasks: Vec<Task>,
    /// What a question's time is spent with, one after the other: calls of the orchestrator and of each tool, end to end.
    pub steps: Vec<Step>,
    /// Questions that came out as an error, of those that are `done`; none where nobody tells.
    pub errors: Option<usize>,
    /// Calls to servers that brought no answer, where its log or its results tell each.
    pub failed_calls: Option<FailedCalls>,
    /// Times between two starts in which it was not there.
    pub absent: Vec<Span>,
    /// It is over, or not started again: nobody works on what is left.
    pub gone: bool,
}

/// Calls to servers that brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailedCalls {
    /// How many.
    pub failed: usize,
    /// Of how many.
    pub calls: usize,
}

/// A time in which a server did not work as it should.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Incident {
    /// `orchestrator-1`.
    pub replica: String,
    /// What was wrong.
    pub trouble: Trouble,
    /// When, as far as this evaluation ran.
    pub span: Span,
    /// Whether it worked again at the end of that time.
    pub over: bool,
    /// The most calls that were with it then, where that was seen.
    pub calls: Option<f64>,
}

/// What is wrong with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// It had calls and computed nothing.
    StoodStill,
    /// Its process had ended.
    Ended,
    /// Its process lived, and its port was closed.
    Closed,
    /// Neither it nor its node answered.
    OutOfReach,
}

/// Another evaluation on the same servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Beside {
    /// Its name.
    pub evaluation: String,
    /// For how long both ran.
    pub length: Millis,
    /// Questions that its client has under way at once, where that is known.
    pub concurrency: Option<usize>,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// When it was begun, where that was seen.
    pub began: Option<Timestamp>,
    /// When it was finished; none while it is under way.
    pub ended: Option<Timestamp>,
}

/// Calls of one kind as the client saw them.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// `answer`.
    pub name: String,
    /// How often and how long.
    pub calls: Calls,
}

/// How many calls, and their mean time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calls {
    /// How many.
    pub count: usize,
    /// Their mean time in seconds, queue and network included.
    pub mean: f64,
}

impl Calls {
    /// The time of all of them, in seconds.
    pub fn seconds(self) -> f64 {
        float(self.count) * self.mean
    }
}

/// One kind of server: a model, or a service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Class {
    /// Its name in the YAML.
    pub name: String,
    /// Servers.
    pub replicas: usize,
    /// GPUs of each (`tensor_parallel` × `pipeline_parallel`); 0 where it has none of its own.
    pub gpus_per_replica: usize,
    /// Requests that each computes at once, where that is known.
    pub seats: Option<Seats>,
    /// Its calls as the client saw them.
    pub calls: Option<Calls>,
    /// Nine of ten answers have no more tokens than this.
    pub answer_tokens: Option<f64>,
    /// What was sampled, by replica; empty where nothing was.
    pub series: Vec<Series>,
    /// Its nodes, as in the YAML.
    pub nodes: Vec<String>,
    /// Its `gpus` are written out in the YAML.
    pub pinned: bool,
    /// Then: the numbers of those of each server.
    pub groups: Vec<Vec<u16>>,
    /// It is not made of independent replicas: a service, or one server over several GPUs or nodes.
    pub fixed: bool,
    /// The port of its first replica, where the YAML says it; each further one has the next.
    pub port: Option<u16>,
}

/// Requests that a server computes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats {
    /// How many.
    pub count: usize,
    /// Who says so.
    pub by: SeatsBy,
}

/// Who says how many requests a server computes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeatsBy {
    /// `--max-num-seqs` of its command line.
    Argument,
    /// Nobody: it is what its engine takes in this release on these cards.
    Default,
    /// Servers that had no place left.
    FullServers,
}

impl Class {
    /// Its GPUs.
    pub(super) fn gpus(&self) -> usize {
        self.replicas * self.gpus_per_replica
    }
}

/// A node, or a pool of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Its name in the YAML.
    pub name: String,
    /// GPUs that the YAML gives it; all of them, of a pool.
    pub gpus: usize,
    /// The numbers of its GPUs, without those that are written out for others than the classes; empty for a pool.
    pub numbers: Vec<u16>,
    /// How many nodes a pool has; 0 or 1 for a node.
    pub pool: usize,
    /// Ports that others than the classes have there.
    pub ports: Vec<u16>,
}

/// What was sampled of one replica, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// `orchestrator-0`.
    pub replica: String,
    /// The samples.
    pub windows: Vec<Window>,
}

/// What a replica did between two looks at it: gauges as the second look found them, counters as what was added.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Window {
    /// The second look.
    pub at: Timestamp,
    /// Since the first.
    pub length: Millis,
    /// Requests that are computed.
    pub running: Option<f64>,
    /// Requests that wait for a place.
    pub waiting: Option<f64>,
    /// The share of the KV cache in use, 0 to 1.
    pub kv: Option<f64>,
    /// Requests that had to give their cache back.
    pub preemptions: Option<f64>,
    /// Requests that were answered.
    pub finished: Option<f64>,
    /// What those had waited, in seconds, all together.
    pub queue_seconds: Option<f64>,
    /// What those had been computed, in seconds, all together.
    pub inference_seconds: Option<f64>,
    /// What all were computed since the first look, those that go on or were given up among them, in seconds.
    pub computed_seconds: Option<f64>,
    /// Tokens written.
    pub generated: Option<f64>,
    /// Tokens of prompts read.
    pub prompt: Option<f64>,
}
