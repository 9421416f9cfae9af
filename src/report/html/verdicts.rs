//! What limited each evaluation, and what to change: class by class, and the change of the YAML line by line.

use std::fmt::Write as _;
use std::iter::once;

use super::parts::{Page, dot, marked};
use super::tables::html;
use crate::base::{FieldPath, Segment, clean};
use crate::report::document::{Block, Judgement, PREDICTED, Report, part, predicted, sentences};
use crate::report::draw::escaped;
use crate::report::verdict::{Advice, Change, Prediction, moves_text};

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
    // The card at the top of the page says what the limit is.
    let said = sentences(judged);
    let told = |title: &str, lines: Vec<String>| {
        let blocks = part(title, lines);
        blocks.iter().map(|block| html(page, block)).collect()
    };
    let mut parts: Vec<String> = Vec::new();
    if !said.classes.is_empty() {
        parts.push("<h4>Model by model</h4>".to_owned());
        parts.push(classes(page, &said.classes));
    }
    parts.push(told("what stands out", said.stands_out));
    parts.push(match &judged.analysis.advice {
        Advice::Change {
            prediction,
            because,
        } => {
            let title = html(page, &Block::Heading("advice".to_owned()));
            title + &advice(prediction, because, judged)
        }
        Advice::Nothing { why } => {
            let rest = said.advice.into_iter().skip(1);
            told("advice", once(clean(why)).chain(rest).collect())
        }
    });
    parts.push(told("time and cost", said.time_and_cost));
    parts.push(told(PREDICTED, predicted(judged)));
    if !said.notes.is_empty() {
        // Whoever asks how sure it is finds it below what follows from it.
        parts.push("<h4 class=\"rests\">What that rests on</h4>".to_owned());
        parts.push(html(page, &Block::Lines(said.notes)));
    }
    parts.concat()
}

/// Each class in its columns: its name, the verdict, what it rests on.
fn classes(page: &Page<'_>, rows: &[[String; 3]]) -> String {
    let rows = rows.iter().map(|[name, verdict, evidence]| {
        let dot = dot(page.charts.classes.find(name));
        let (name, verdict) = (escaped(name), escaped(verdict));
        let evidence = marked(evidence);
        format!("<li><b>{dot}{name}</b><span>{verdict}</span><span>{evidence}</span></li>")
    });
    format!("<ul class=\"classes\">{}</ul>", rows.collect::<String>())
}

fn advice(prediction: &Prediction, because: &str, judged: &Judgement) -> String {
    let mut out = "<div class=\"advice\">".to_owned();
    for step in &prediction.moves {
        let step = moves_text(std::slice::from_ref(step));
        let _ = write!(out, "<p class=\"step\">{}</p>", marked(&step));
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
        let command = judged
            .patch_command
            .as_ref()
            .map(|command| escaped(command));
        let command = command.map(|command| format!(": <code>{command}</code>"));
        let _ = write!(
            out,
            "<p>Kept beside this report as <code>{file}</code>{}</p>",
            command.unwrap_or_default()
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
