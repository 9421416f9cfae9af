//! What a report says, before it has a form.

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::happened::Happened;
use crate::report::tables::Evaluation;
use crate::report::verdict::{Analysis, Compared, Prediction};

/// What a report is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Subject {
    /// A run of ours.
    Run {
        /// Its name.
        run: String,
        /// The cluster's.
        cluster: String,
        /// Its exit code; absent while it goes on.
        #[serde(skip_serializing_if = "Option::is_none")]
        ended: Option<u8>,
        /// When its last event was recorded, RFC 3339; absent where its journal cannot be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
    /// Results that anybody made.
    Results {
        /// Where they are.
        place: String,
    },
}

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// What it is on.
    pub subject: Subject,
    /// What happened beside its questions; none of results alone, or where the journal cannot be read.
    pub happened: Option<Happened>,
    /// Its evaluations, in the order in which they run.
    pub evaluations: Vec<Evaluation>,
    /// What each of them was limited by and what to change, in the same order; none of one of which too little is known.
    pub judgements: Vec<Judgement>,
}

/// What an evaluation was limited by, and what to change. Moments and lengths of time are in milliseconds, other times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Judgement {
    /// The evaluation.
    pub evaluation: String,
    /// In a rehearsal: hours of the cluster in an hour here. All that is said below is in the cluster's own time, which passes from
    /// the first start of the client on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    /// What of the run's samples could not be taken as it stands, a sentence each: the verdict rests on the rest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
    /// The verdict, what stands out, advice, the time that is left, and the cost.
    pub analysis: Analysis,
    /// The command that asks what another change would bring, with the advised one filled in; none without advice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The advised change of the YAML as a unified diff, for `patch` and `git apply`; none without advice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// The file beside the report in which it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_file: Option<String>,
    /// What makes the change, for a shell: in any folder, or, in a bundle, in the bundle's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_command: Option<String>,
    /// Why there is none although something is advised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_patch: Option<String>,
    /// What an earlier report predicted of the change that was made since, and what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub followed: Option<Followed>,
}

/// An earlier prediction, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Followed {
    /// The run whose report made it.
    pub run: String,
    /// What it said.
    pub prediction: Prediction,
    /// What came of it.
    pub compared: Compared,
}
