//! The tables, as the other forms of the report have them.

use std::fmt::Write as _;

use super::parts::{Page, dot, lines};
use crate::report::document::{Block, Report, blocks};
use crate::report::draw::escaped;

pub(super) fn section(page: &Page<'_>, report: &Report) -> String {
    let mut out = "<div class=\"tables\">".to_owned();
    // What stands above the first heading of an evaluation is the summary.
    let mut headed = false;
    for block in blocks(report).iter().skip(1) {
        match block {
            Block::Title(line) => {
                headed = false;
                let line = super::parts::marked(line);
                let _ = write!(out, "<h3>{line}</h3>");
            }
            Block::Heading(line) => {
                headed = true;
                let _ = write!(out, "<h4>{}</h4>", super::parts::marked(line));
            }
            Block::Lines(all) if headed => out.push_str(&lines(all)),
            Block::Lines(_) => {}
            Block::Table { left, rows } => out.push_str(&table(page, *left, rows)),
        }
    }
    out + "</div>"
}

fn table(page: &Page<'_>, left: usize, rows: &[Vec<String>]) -> String {
    let Some((head, body)) = rows.split_first() else {
        return String::new();
    };
    // As in the other forms, the last column is words if it is one of reasons.
    let last = head.len().saturating_sub(1);
    let reasons = head.last().is_some_and(|name| name == "left out");
    let is_words = |column: usize| column < left || column == last && reasons;
    let class = |column: usize| if is_words(column) { " class=\"w\"" } else { "" };
    let mut out = "<div class=\"scroll\"><table><thead><tr>".to_owned();
    for (column, cell) in head.iter().enumerate() {
        let _ = write!(out, "<th{}>{}</th>", class(column), escaped(cell));
    }
    out.push_str("</tr></thead><tbody>");
    for row in body {
        out.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let known = (column < left)
                .then(|| page.charts.classes.find(cell))
                .flatten();
            let (class, dot, cell) = (class(column), dot(known), escaped(cell));
            let _ = write!(out, "<td{class}>{dot}{cell}</td>");
        }
        out.push_str("</tr>");
    }
    out + "</tbody></table></div>"
}
