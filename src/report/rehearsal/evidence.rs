//! What was seen in a rehearsal.

use serde::Serialize;

use crate::base::Millis;

/// What was seen in a rehearsal.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Evidence {
    /// Virtual seconds in a second.
    pub speed: f64,
    /// GPUs that the cluster takes.
    pub gpus: usize,
    /// From the first start of a server until all were ready, virtual.
    pub startup: Millis,
    /// The evaluations.
    pub evals: Vec<EvalEvidence>,
    /// The models.
    pub models: Vec<ModelEvidence>,
    /// What the proxy refused.
    pub refused: Vec<Refused>,
    /// Stand-ins of externals: for what they stood, and how many requests they had.
    pub stood_in: Vec<(String, u64)>,
    /// Where sockets of clients led that is neither an endpoint nor a stand-in.
    pub strangers: Vec<String>,
    /// Variables that clients would have found in their environment and were not given: credentials, endpoints, proxies.
    pub dropped: Vec<String>,
    /// Faults that were to be brought in: whether they were, and what was done.
    pub faults: Vec<(bool, String)>,
    /// What only the cluster can prove.
    pub unproved: Vec<String>,
}

/// What was seen of one evaluation.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct EvalEvidence {
    /// Which.
    pub eval: String,
    /// Ids of its dataset.
    pub total: usize,
    /// Questions that the cluster will ask.
    pub real_total: usize,
    /// Complete results.
    pub done: usize,
    /// Of these, in error.
    pub errors: usize,
    /// How often its client started.
    pub starts: usize,
    /// From its first start to its first result, real.
    pub first_result: Option<Millis>,
    /// How long a client ran, all starts together, real.
    pub ran: Millis,
    /// When its first client started and its last one ended, from the first of all, real.
    pub began: Millis,
    /// See `began`.
    pub ended: Millis,
    /// Questions in flight, where that is said.
    pub concurrency: Option<u32>,
    /// The kill in the middle.
    pub kill: Option<Kill>,
    /// Calls by tool, where results tell.
    pub tools: Vec<(String, usize)>,
    /// The most open files of one of its processes, and its limit.
    pub files: Option<(u64, u64)>,
    /// To how many that limit was raised while it ran.
    pub files_raised: Option<u64>,
    /// Looks at its sockets.
    pub looks: u64,
}

/// A client that was killed in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Kill {
    /// Complete results at that moment.
    pub finished: usize,
    /// Of these, written again afterwards, or lost.
    pub touched: usize,
    /// From its death to the next start.
    pub back_after: Option<Millis>,
}

/// What was seen of the servers of one model.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ModelEvidence {
    /// Its key.
    pub model: String,
    /// Servers.
    pub replicas: usize,
    /// Requests that they finished.
    pub requests: u64,
    /// Seconds of all these requests together, virtual.
    pub seconds: f64,
    /// A rate of it is assumed.
    pub assumed: bool,
}

/// A place to which a client wanted to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Host and port.
    pub place: String,
    /// How often.
    pub times: u64,
    /// An external of the YAML is there.
    pub declared: bool,
}
