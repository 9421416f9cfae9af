//! `docs/SPEC.md`: the keys of the YAML, from the comments of the model's structs.

use std::fmt::Write as _;

use super::compile::cluster;
use super::say;
use super::types::{Field, Record, Shape};

/// A mapping with known keys and where it may stand.
struct Section<'a> {
    record: &'a Record,
    paths: Vec<String>,
}

/// The reference of all keys, in Markdown.
pub fn manual() -> String {
    let mut sections = Vec::new();
    collect(cluster(), String::new(), &mut sections);
    let mut page = String::from(
        "# The cluster YAML\n\n\
         Generated from `src/spec/model/`; `toolorch schema` prints the same as a JSON Schema, from which \
         editors complete:\n\n\
         ```yaml\n# yaml-language-server: $schema=./toolorch.schema.json\n```\n\n\
         Unknown keys are errors. A key is optional unless it is marked **required**. `NAME` stands for a \
         name that you choose.\n",
    );
    for section in &mut sections {
        // Where it stands highest is where people look for it.
        section.paths.sort_by_key(|path| path.matches('.').count());
        write_section(&mut page, section);
    }
    page
}

fn collect<'a>(shape: &'a Shape, path: String, sections: &mut Vec<Section<'a>>) {
    match shape {
        Shape::Record(record) => {
            if let Some(known) = sections.iter_mut().find(|section| section.record == record) {
                known.paths.push(path);
                return;
            }
            sections.push(Section {
                record,
                paths: vec![path.clone()],
            });
            for (name, field) in &record.fields {
                let dot = if path.is_empty() { "" } else { "." };
                collect(&field.shape, format!("{path}{dot}{name}"), sections);
            }
        }
        Shape::Dict { value, .. } => collect(value, path + ".NAME", sections),
        Shape::List { item, .. } => collect(item, path + "[]", sections),
        Shape::OneOf(forms) => {
            for form in forms {
                collect(form, path.clone(), sections);
            }
        }
        _ => {}
    }
}

fn write_section(page: &mut String, section: &Section<'_>) {
    let mut paths = section.paths.iter();
    match paths.next().map(String::as_str) {
        Some("") | None => page.push_str("\n## Top level\n"),
        Some(first) => {
            let _ = write!(page, "\n## `{first}`\n");
        }
    }
    let others: Vec<&String> = paths.collect();
    if !others.is_empty() {
        let _ = write!(page, "\nThe same keys at {}.\n", say::list(&others));
    }
    if let [group] = section.record.exclusive.as_slice() {
        let _ = write!(page, "\nAt most one of {}.\n", say::list(group));
    }
    if section.record.exactly_one {
        page.push_str("\nJust one of these.\n");
    }
    page.push_str("\n| key | value | meaning |\n|---|---|---|\n");
    for (name, field) in &section.record.fields {
        let _ = writeln!(
            page,
            "| `{name}` | {} | {} |",
            value(field),
            cell(&meaning(field))
        );
    }
}

fn value(field: &Field) -> String {
    let needed = match &field.shape {
        Shape::Dict { value, .. } => format!("a mapping of names to {}", say::several(value)),
        shape => say::needed(shape),
    };
    let mark = if field.required { ", **required**" } else { "" };
    cell(&format!("{needed}{mark}"))
}

/// The key's comment, and what its words mean.
fn meaning(field: &Field) -> String {
    let Shape::Words(words) = &field.shape else {
        return field.about.clone();
    };
    let words: Vec<String> = words
        .iter()
        .filter(|word| !word.about.is_empty())
        .map(|word| format!("`{}`: {}", word.text, word.about))
        .collect();
    format!("{} {}", field.about, words.join(" "))
        .trim_end()
        .to_owned()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
