//! What a rehearsal proved, what it could not, and what it predicts for the cluster.

mod evidence;
mod findings;
mod prediction;
mod text;

pub use evidence::{EvalEvidence, Evidence, Kill, ModelEvidence, Refused};
pub use findings::{Finding, Proof, findings, leads_out};
pub use prediction::{Prediction, predict};
pub use text::verdict_text;
