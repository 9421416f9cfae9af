//! How long calls took as the servers counted them themselves, split into waiting and being computed: without single calls,
//! but of all of them, also where no client tells.

use schemars::JsonSchema;
use serde::Serialize;

use super::distribution::tidy;
use crate::facts::Histogram;
use crate::facts::samples::Work;
use crate::knowledge::series::Distribution as Series;

/// The calls of a model or of one of its replicas, by the servers' own histograms. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ServerTimes {
    /// The model.
    pub model: String,
    /// The replica's unit, where the row is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// Calls that were answered. Canaries of toolorch are among them.
    pub calls: f64,
    /// The mean from a call's arrival to its last token.
    pub mean: f64,
    /// Half of them took no more, as if a bucket's values were spread evenly over it; absent above the last bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// Nine of ten took no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// All but one in a hundred took no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
    /// The mean time in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<f64>,
    /// The mean time of being computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<f64>,
    /// The mean time to the first token, the queue included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<f64>,
    /// Evaluations that it worked for at the same time: their calls are among these, and nobody can tell which they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_with: Vec<String>,
    /// The mean length of an answer, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_tokens: Option<f64>,
}

impl ServerTimes {
    /// Of what was sampled; none where nothing was answered. In a rehearsal these count in the time that they play, the
    /// cluster's.
    pub fn of(model: &str, replica: Option<&str>, work: &Work) -> Option<Self> {
        let latency = work.distribution(Series::Latency)?;
        let mean_of = |series| work.distribution(series).and_then(Histogram::mean);
        let at = |share| latency.quantile(share).map(tidy);
        Some(Self {
            model: model.to_owned(),
            replica: replica.map(str::to_owned),
            calls: tidy(latency.count),
            mean: tidy(latency.mean()?),
            p50: at(0.50),
            p90: at(0.90),
            p99: at(0.99),
            queue: mean_of(Series::Queue).map(tidy),
            service: mean_of(Series::Inference).map(tidy),
            first_token: mean_of(Series::FirstToken).map(tidy),
            shared_with: Vec::new(),
            answer_tokens: mean_of(Series::AnswerLength).map(tidy),
        })
    }
}
