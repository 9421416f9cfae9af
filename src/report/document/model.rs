//! What a report says, before it has a form.

use schemars::JsonSchema;
use serde::Serialize;

use crate::report::tables::Evaluation;

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
    /// Its evaluations, in the order in which they run.
    pub evaluations: Vec<Evaluation>,
}
