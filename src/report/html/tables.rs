//! The tables, as the other forms of the report have them.

use std::fmt::Write as _;

use super::parts::{Page, dot, lines, marked, model};
use crate::base::cut;
use crate::report::document::{Block, Report, WIDEST, of_evaluation};
use crate::report::draw::escaped;

pub(super) fn section(page: &Page<'_>, report: &Report) -> String {
    let named = report.evaluations.len() > 1;
    if report.evaluations.is_empty() {
        return String::new();
    }
    let mut out = "<div class=\"tables\">".to_owned();
    for evaluation in &report.evaluations {
        if named {
            let _ = write!(out, "<h3>{}</h3>", escaped(&evaluation.name));
        }
        // How the questions came out is said above.
        let rest = of_evaluation(evaluation).into_iter().skip(1);
        rest.for_each(|block| out.push_str(&html(page, &block)));
    }
    out + "</div>"
}

pub(super) fn html(page: &Page<'_>, block: &Block) -> String {
    match block {
        Block::Title(line) => format!("<h3>{}</h3>", marked(line)),
        Block::Heading(line) => format!("<h4>{}</h4>", marked(line)),
        Block::Lines(all) => lines(all),
        Block::Code(all) => format!("<pre>{}</pre>", escaped(&all.join("\n"))),
        Block::Table { left, rows } => table(page, *left, rows),
    }
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
    // A model and its replicas share a column, so that it stays in sight where a table is scrolled.
    let parted = head.iter().take(2).eq(["model", "replica"]);
    let is_empty = |column: usize| {
        body.iter()
            .all(|row| row.get(column).is_none_or(String::is_empty))
    };
    let hidden =
        |column: usize| parted && column == 1 || reasons && column == last && is_empty(last);
    let shown = |(column, _): &(usize, &String)| !hidden(*column);
    let mut out = "<div class=\"scroll\"><table><thead><tr>".to_owned();
    for (column, cell) in head.iter().enumerate().filter(shown) {
        let _ = write!(out, "<th{}>{}</th>", class(column), escaped(cell));
    }
    out.push_str("</tr></thead><tbody>");
    for row in body {
        out.push_str("<tr>");
        for (column, cell) in row.iter().enumerate().filter(shown) {
            let cell = match head[column].as_str() {
                "model" if parted && cell.is_empty() => {
                    let replica = row.get(1).map_or("", String::as_str);
                    format!("<td class=\"w part\">{}</td>", named(replica))
                }
                "model" => {
                    let dot = dot(page.charts.classes.find(cell));
                    format!("<td{}>{dot}{}</td>", class(column), model(cell))
                }
                "tool" | "of" => format!("<td{}>{}</td>", class(column), named(cell)),
                _ => format!("<td{}>{}</td>", class(column), escaped(cell)),
            };
            out.push_str(&cell);
        }
        out.push_str("</tr>");
    }
    out + "</tbody></table></div>"
}

/// A name that is no model's; pointing at one that is cut tells the whole.
fn named(name: &str) -> String {
    let short = cut(name, WIDEST);
    if short == name {
        return escaped(name);
    }
    let (short, name) = (escaped(&short), escaped(name));
    format!("<span class=\"h\" title=\"{name}\">{short}</span>")
}
