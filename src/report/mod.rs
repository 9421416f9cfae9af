//! Statistics and reports over what was recorded. Pure.

pub mod bundle;
pub mod charts;
mod clock;
mod document;
mod draw;
mod happened;
mod html;
mod kept;
pub mod known;
pub mod rehearsal;
mod routing;
mod statistics;
mod summary;
pub mod tables;
pub mod verdict;

pub use document::{
    Followed, Judgement, Report, Subject, report_json, report_markdown, report_schema, report_text,
};
pub use happened::Happened;
pub use html::{bins_of, report_html};
pub use kept::{Kept, KeptEval, KeptYaml, changed_since, cut};
pub use routing::{Routed, routing_text};
pub use statistics::{CallStats, quantile, statistics};
pub use summary::{Summary, summary_text};
