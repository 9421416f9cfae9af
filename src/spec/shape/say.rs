//! Shapes and values in words.

use super::types::{Shape, TextRule};
use crate::spec::scalar::{Core, core};
use crate::spec::tree::{Kind, Node};

/// What is needed, with an article.
pub(super) fn needed(shape: &Shape) -> String {
    match shape {
        Shape::Any => "a value".to_owned(),
        Shape::Bool => "`true` or `false`".to_owned(),
        Shape::Integer { min, max } => format!("a whole number{}", integers(*min, *max)),
        Shape::Number { min, max } => format!("a number{}", range(*min, *max)),
        Shape::Text(rule) => text(*rule).to_owned(),
        Shape::Words(words) => match words.as_slice() {
            [only] => format!("`{}`", only.text),
            _ => format!("one of {}", list(words)),
        },
        Shape::List { item, .. } => format!("a list of {}", several(item)),
        Shape::Dict { .. } => "a mapping".to_owned(),
        Shape::Record(record) => {
            let keys: Vec<&String> = record.fields.keys().collect();
            match keys.as_slice() {
                few if few.len() <= 4 => format!("a mapping with {}", list(few)),
                _ => "a mapping".to_owned(),
            }
        }
        Shape::OneOf(forms) => {
            let forms: Vec<String> = forms.iter().map(needed).collect();
            match forms.split_last() {
                Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                _ => forms.concat(),
            }
        }
    }
}

/// Several of them.
pub(super) fn several(shape: &Shape) -> String {
    match shape {
        Shape::Any => "values".to_owned(),
        Shape::Bool => "truth values".to_owned(),
        Shape::Integer { min, max } => format!("whole numbers{}", integers(*min, *max)),
        Shape::Number { min, max } => format!("numbers{}", range(*min, *max)),
        Shape::Text(TextRule::Name | TextRule::Node) => "names".to_owned(),
        Shape::Text(TextRule::Variable) => "names of variables".to_owned(),
        Shape::Text(_) => "texts".to_owned(),
        Shape::Words(words) => format!("words out of {}", list(words)),
        Shape::List { .. } => "lists".to_owned(),
        Shape::Dict { .. } | Shape::Record(_) => "mappings".to_owned(),
        Shape::OneOf(forms) => forms
            .iter()
            .map(several)
            .collect::<Vec<_>>()
            .join(" or of "),
    }
}

fn text(rule: TextRule) -> &'static str {
    match rule {
        TextRule::Free | TextRule::NotEmpty | TextRule::AsWritten => "a text",
        TextRule::Release => "a release in quotes",
        TextRule::Duration => "a duration such as `90s` or `60m`",
        TextRule::Name | TextRule::Node => "a name",
        TextRule::Variable => "the name of a variable",
    }
}

/// ` from 1 to 65535`, ` of at least 1`, or nothing; only ends that a user might meet are named.
fn integers(min: Option<i128>, max: Option<i128>) -> String {
    const MACHINE: [i128; 3] = [u8::MAX as i128, u16::MAX as i128, u32::MAX as i128];
    let is_port = min == Some(1) && max == Some(i128::from(u16::MAX));
    range(min, max.filter(|max| is_port || !MACHINE.contains(max)))
}

/// A range in words.
fn range<N: std::fmt::Display + PartialEq>(min: Option<N>, max: Option<N>) -> String {
    match (min, max) {
        (Some(min), Some(max)) if min == max => format!(", {min}"),
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
        (Some(min), None) => format!(" of at least {min}"),
        (None, Some(max)) => format!(" of at most {max}"),
        (None, None) => String::new(),
    }
}

/// `a`, `b`, `c`.
pub(super) fn list<T: AsRef<str>>(words: &[T]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("`{}`", word.as_ref()))
        .collect();
    quoted.join(", ")
}

/// What a value is, with an article.
pub(super) fn found(node: &Node) -> &'static str {
    match &node.kind {
        Kind::Map(_) => "a mapping",
        Kind::Seq(_) => "a list",
        Kind::Scalar(scalar) if scalar.plain => match core(&scalar.text) {
            Core::Null => "no value",
            Core::Bool(_) => "a truth value",
            Core::Integer(_) => "a whole number",
            Core::Float(_) => "a number",
            Core::Text => "a text",
        },
        Kind::Scalar(_) => "a text",
    }
}
