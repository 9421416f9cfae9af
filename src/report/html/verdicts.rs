//! What limited each evaluation, and what to change: class by class, and the change of the YAML line by line.

use std::fmt::Write as _;

use super::parts::{Page, dot, marked};
use super::tables::html;
use crate::base::{FieldPath, Segment};
use crate::report::document::{Block, Judgement, Report, judgement};
use crate::report::draw::escaped;
use crate::report::verdict::{Advice, Change, Prediction};

pub(super) fn section(page: &Page<'_>, report: &Report) -> String {
    let named = report.evaluations.len() > 1;
    let mut out = String::new();
    for judged in &report.judgements {
        out.push_str("<div class=\"card\">");
        if named {
            let _ = write!(out, "<h3>{}</h3>", escaped(&judged.evaluation));
        }
        out.push_str(&of_evaluation(page, judged));
        out.push_str("</div>");
    }
    out
}

fn of_evaluation(page: &Page<'_>, judged: &Judgement) -> String {
    let mut out = String::new();
    for block in judgement(judged) {
        match (&block, &judged.analysis.advice) {
            (
                Block::Lines(lines),
                Advice::Change {
                    prediction,
                    because,
                },
            ) if lines.iter().any(|line| line.starts_with(ADVICE)) => {
                out.push_str(&advice(lines, prediction, because, judged));
            }
            (Block::Lines(lines), _) => {
                // The card at the top of the page says it.
                let rest = lines.iter().filter(|line| !line.starts_with(LIMIT));
                let lines: Vec<String> = rest
                    .map(|line| line.strip_prefix(NOTHING).unwrap_or(line).to_owned())
                    .collect();
                let parts =
                    lines.chunk_by(|one, other| cells(one).is_some() == cells(other).is_some());
                parts.for_each(|part| match classes(page, part) {
                    Some(rows) => out.push_str(&rows),
                    None => out.push_str(&html(page, &Block::Lines(part.to_vec()))),
                });
            }
            (Block::Heading(title), _) if title == "what limits it" => {
                out.push_str("<h4>Model by model</h4>");
            }
            // The patch stands in the advice.
            (Block::Code(_), _) => {}
            _ => out.push_str(&html(page, &block)),
        }
    }
    out
}

/// How the line begins that says what an evaluation is limited by.
const LIMIT: &str = "limited by: ";
/// How the line begins that says why nothing is advised.
const NOTHING: &str = "no move of GPUs is advised, because ";

/// A class's line in its columns: its name, the verdict, the reason.
fn cells(line: &str) -> Option<[&str; 3]> {
    let mut cells = line.strip_prefix("  ")?.splitn(2, "  ");
    let name = cells.next()?;
    let (verdict, reason) = cells.next()?.trim_start().split_once("  ")?;
    Some([name, verdict, reason.trim_start()])
}

fn classes(page: &Page<'_>, lines: &[String]) -> Option<String> {
    let rows: Vec<[&str; 3]> = lines
        .iter()
        .map(|line| cells(line))
        .collect::<Option<_>>()?;
    let rows = rows.into_iter().map(|[name, verdict, reason]| {
        let dot = dot(page.charts.classes.find(name));
        let (name, verdict) = (escaped(name), escaped(verdict));
        let reason = marked(reason);
        format!("<li><b>{dot}{name}</b><span>{verdict}</span><span>{reason}</span></li>")
    });
    Some(format!(
        "<ul class=\"classes\">{}</ul>",
        rows.collect::<String>()
    ))
}

/// How a line of advice begins: what to do, a colon, and what that brings.
const ADVICE: &str = "advice: ";

fn advice(lines: &[String], prediction: &Prediction, because: &str, judged: &Judgement) -> String {
    let mut out = "<div class=\"advice\">".to_owned();
    let steps = lines.iter().filter_map(|line| line.strip_prefix(ADVICE));
    for step in steps.filter_map(|line| line.split(": ").next()) {
        let _ = write!(out, "<p class=\"step\">{}</p>", marked(step));
    }
    let told = prediction.estimate;
    let _ = write!(
        out,
        "<p class=\"gain\"><b>{:.2}×</b> questions an hour <span>between {:.2}× and {:.2}×</span></p><p>because {}</p>",
        told.factor,
        told.low,
        told.high,
        marked(because)
    );
    let lines = match &judged.patch {
        Some(text) => diff(text),
        None => patch(&prediction.patch.changes),
    };
    let _ = write!(
        out,
        "<figure class=\"patch\"><figcaption>What changes in the YAML</figcaption><pre tabindex=\"0\"><span>{lines}</span></pre></figure>",
    );
    if let Some(file) = &judged.patch_file {
        let file = escaped(file);
        let _ = write!(
            out,
            "<p>Kept beside this report: <code>patch -p0 &lt; {file}</code></p>"
        );
    }
    if let Some(why) = &judged.no_patch {
        let _ = write!(out, "<p>Not to be had as a patch: {}</p>", marked(why));
    }
    if let Some(by_hand) = &prediction.patch.by_hand {
        let _ = write!(out, "<p>By hand: {}</p>", marked(by_hand));
    }
    if let Some(command) = &judged.command {
        let _ = write!(out, "<p>Check with <code>{}</code></p>", escaped(command));
    }
    out + "</div>"
}

/// The lines of a patch, with those that go and those that come told apart.
fn diff(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let shown = escaped(line);
        let _ = match line.as_bytes() {
            [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => writeln!(out, "{shown}"),
            [b'-', ..] => write!(out, "<del>{shown}\n</del>"),
            [b'+', ..] => write!(out, "<ins>{shown}\n</ins>"),
            _ => writeln!(out, "{shown}"),
        };
    }
    out
}

/// The lines of the YAML that go and come, below the keys in which they are.
fn patch(changes: &[Change]) -> String {
    let mut parents: Vec<FieldPath> = Vec::new();
    for parent in changes.iter().filter_map(|change| change.path.parent()) {
        if !parents.contains(&parent) {
            parents.push(parent);
        }
    }
    let mut out = String::new();
    let mut open = FieldPath::root();
    for parent in parents {
        let keys = parent.segments();
        let known = keys.iter().zip(open.segments());
        let known = known.take_while(|(one, other)| one == other).count();
        for (depth, key) in keys.iter().enumerate().skip(known) {
            let _ = writeln!(out, "  {}{}:", "  ".repeat(depth), word(key));
        }
        let indent = "  ".repeat(keys.len());
        let own = |change: &&Change| change.path.parent().as_ref() == Some(&parent);
        for change in changes.iter().filter(own) {
            let key = escaped(&change.path.last());
            let (from, to) = (escaped(&change.from), escaped(&change.to));
            let _ = write!(
                out,
                "<del>- {indent}{key}: {from}\n</del><ins>+ {indent}{key}: {to}\n</ins>"
            );
        }
        open = parent;
    }
    out
}

fn word(key: &Segment) -> String {
    match key {
        Segment::Key(key) => escaped(key),
        Segment::Index(index) => index.to_string(),
    }
}
