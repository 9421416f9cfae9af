//! A report for programs: format `toolorch.report`, version 1.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;

use super::model::{Judgement, Report, Subject};
use crate::base::plain_json;
use crate::report::happened::Happened;
use crate::report::tables::Evaluation;

/// The version of the form; it changes when a key changes its meaning or goes.
const VERSION: u32 = 1;

/// A report: `report.json`. Times are in seconds, shares from 0 to 1. Keys may be added within a version.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Report")]
struct Document<'a> {
    /// Always `toolorch.report`.
    format: &'static str,
    /// The version of the form; it changes when a key changes its meaning or goes.
    version: u32,
    /// What it is on.
    subject: &'a Subject,
    /// What happened beside its questions: alarms, starts anew, where calls went; absent of results alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    happened: Option<&'a Happened>,
    /// Its evaluations, in the order in which they run.
    evaluations: &'a [Evaluation],
    /// What each of them was limited by and what to change, in the same order; none of one of which too little is known.
    judgements: &'a [Judgement],
}

/// The report as JSON, pretty-printed.
pub fn report_json(report: &Report) -> String {
    let document = Document {
        format: "toolorch.report",
        version: VERSION,
        subject: &report.subject,
        happened: report.happened.as_ref(),
        evaluations: &report.evaluations,
        judgements: &report.judgements,
    };
    // Strings, numbers and lists always have a JSON form.
    plain_json(&serde_json::to_string_pretty(&document).unwrap_or_default()) + "\n"
}

/// The JSON Schema (draft 2020-12) of `report.json`, pretty-printed.
pub fn report_schema() -> String {
    let schema = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Document<'static>>();
    format!("{:#}\n", schema.to_value())
}
