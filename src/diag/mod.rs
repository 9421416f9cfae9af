//! Diagnostics: codes, explanations, rendering. Pure.

pub mod alarms;
pub mod codes;
mod diagnostic;
pub mod exits;
mod explain;
mod github;
mod human;
mod json;
mod sarif;
mod sources;

pub use diagnostic::{Applicability, Code, Diagnostic, Fix, Label, Place, Report, Severity};
pub use explain::{explain, list};
pub use github::github;
pub use human::{human, summary};
pub use json::{json_lines, json_schema};
pub use sarif::sarif;
pub use sources::{Found, NoSources, Sources};
