//! What a run was limited by, and what to change: operational laws over what was sampled and what the client saw. Pure.
//!
//! `evidence` is what is known, `phases` cuts it into cold, steady and end, `sums` adds it up, `measured` is the laws, `judge` the
//! verdicts. `curve` and `network` are the model that `model` asks for a factor and its interval; `moves`, `what_if`, `patch` and
//! `advice` say what to change, `prediction` compares that with what came of it. docs/VERDICT.md has the reasons.

mod advice;
mod analysis;
mod cost;
mod counted;
mod curve;
mod eta;
mod evidence;
mod findings;
#[cfg(test)]
mod findings_tests;
mod headline;
mod judge;
mod lives;
#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod looks_tests;
mod measured;
mod model;
mod moves;
#[cfg(test)]
mod moves_tests;
mod network;
mod numbers;
mod patch;
mod phases;
mod prediction;
mod shared;
#[cfg(test)]
mod simulated;
mod standstill;
mod starvation;
mod sums;
mod text;
mod text_findings;
mod text_moves;
#[cfg(test)]
mod truth_tests;
mod uneven;
mod what_if;
mod words;

pub use advice::Advice;
pub use analysis::{Analysis, AtMost, analyse};
pub use cost::{Cost, cost};
pub use eta::{Eta, eta};
pub use evidence::{
    Beside, Calls, Class, Client, Evidence, FailedCalls, Incident, Node, Seats, SeatsBy, Series,
    Step, Task, Trouble, Window,
};
pub use findings::{Findings, Late};
pub use headline::{Headline, Tone, headline};
pub use judge::{Judged, Limit, Verdict};
pub use measured::{Measured, Questions};
pub use model::Estimate;
pub use moves::{InvalidMove, Move};
pub use patch::{Change, Patch};
pub use phases::{Cold, Phases, Span};
pub use prediction::{Compared, Prediction, compare};
pub use shared::Shared;
pub use starvation::{Silent, Starved};
#[cfg(test)]
use text::verdict_text;
pub use text::{Sentences, short_text};
pub use text_moves::{compared_text, moves_text, what_if_text};
pub use uneven::Uneven;
pub use what_if::{Outcome, what_if};
