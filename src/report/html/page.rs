//! The page: its head, its sections in their order, and its foot.

use jiff::tz::TimeZone;

use super::course;
use super::parts::{Page, none, section};
use super::{answer, spreads, summary, tables, verdicts};
use crate::report::charts::Charts;
use crate::report::document::{Report, Subject};
use crate::report::draw::escaped;

/// Under which name the page has it.
const BINS_NAME: &str = "toolorch-bins";
const STYLE: &str = include_str!("page.css");
/// Shows at once, and for fingers, what a browser shows of a `<title>` after a while, and for a mouse alone.
const SCRIPT: &str = include_str!("page.js");
/// The only script that a browser is to run here: SHA-256 of the above, as Content-Security-Policy wants it.
pub(super) const SCRIPT_HASH: &str = "sha256-dZI8GB2mxj9aTVEzeP3YgBxJtYg44lJTIeHpTWfVZVA=";

/// The report as one page. Times of day are those of `zone`. The same report, charts and zone give the same bytes.
pub fn report_html(report: &Report, charts: &Charts, zone: &TimeZone) -> String {
    let page = Page { charts, zone };
    let mut sections = vec![(
        "summary",
        "How it came out",
        summary::section(&page, report),
    )];
    sections.push((
        "verdict",
        "What limited it",
        verdicts::section(&page, report),
    ));
    match &charts.course {
        Some(course) => sections.extend(course::sections(&page, report, course)),
        None => sections.push(("course", "What happened", unknown(report))),
    }
    sections.push((
        "times",
        "How long calls took",
        spreads::section(&page, report),
    ));
    sections.push(("tables", "The tables", tables::section(&page, report)));
    sections.retain(|(_, _, body)| !body.is_empty());
    let links = sections
        .iter()
        .map(|(id, title, _)| format!("<a href=\"#{id}\">{title}</a>"));
    let links: String = links.collect();
    let bodies = sections.iter();
    let bodies: String = bodies
        .map(|(id, title, body)| section(id, title, body))
        .collect();
    let answers = answer::cards(report);
    let (title, header) = summary::header(&page, report);
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src '{SCRIPT_HASH}'; img-src data:"
    );
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
        <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\
        <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
        <meta name=\"{BINS_NAME}\" content=\"{}\"><meta name=\"referrer\" content=\"no-referrer\"><meta name=\"color-scheme\" content=\"light dark\">\
        <link rel=\"icon\" href=\"data:,\"><title>{}</title>\n<style>\n{STYLE}</style></head>\n<body><main>\n\
        <header>{header}{answers}<nav aria-label=\"Sections\">{links}</nav></header>\n{bodies}\
        <footer>{}</footer>\n</main><div id=\"tip\" hidden></div><script>{SCRIPT}</script></body></html>\n",
        charts.bins,
        escaped(&title),
        foot(),
    )
}

/// With how many bars a page was made; none of what is no page of ours.
pub fn bins_of(page: &str) -> Option<usize> {
    let (_, rest) = page.split_once(&format!("<meta name=\"{BINS_NAME}\" content=\""))?;
    rest.split_once('"')?.0.parse().ok()
}

fn foot() -> &'static str {
    "The same numbers for programs are in <code>report.json</code>, and as text in <code>report.md</code>. <code>toolorch report --help</code> says how a report is made, <code>toolorch what-if --help</code> how to ask for other changes."
}

fn unknown(report: &Report) -> String {
    none(match report.subject {
        Subject::Results { .. } => {
            "these results were made without toolorch, or are read without their run: nobody recorded what servers, GPUs and the client did over time"
        }
        Subject::Run { .. } => "the journal of this run cannot be read, or is empty",
    })
}
