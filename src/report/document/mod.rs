//! The report itself: one model, from which each form is made. The same model gives the same bytes.

mod blocks;
mod happened;
mod json;
mod judged;
mod markdown;
mod model;
mod text;

pub(in crate::report) use blocks::{Block, WIDEST, of_evaluation, outcome_lines, state_of_run};
pub(in crate::report) use happened::calls;
pub use json::{report_json, report_schema};
pub(in crate::report) use judged::{PREDICTED, part, predicted, sentences};
pub use markdown::report_markdown;
pub use model::{Followed, Judgement, Report, Subject};
pub use text::report_text;
