//! `--set PATH=VALUE`: one value of the YAML, changed for one call.

use super::build::build;
use super::shape::Shape;
use super::similar::similar;
use super::tree::{Entry, Kind, Node};
use crate::base::{FieldPath, Segment, Span};
use crate::diag::{Code, Diagnostic, Place};

/// A `--set PATH=VALUE` of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    path: FieldPath,
    value: String,
    /// Bytes of `PATH=` before the value, in what the user wrote.
    offset: usize,
    text: String,
}

impl Override {
    /// Reads `models.answer.replicas=4` or `nodes."172.27.31.10".gpus=4`.
    ///
    /// # Errors
    /// What is wrong, for a usage error.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut quoted = false;
        let equals = text
            .char_indices()
            .find(|(_, c)| {
                quoted ^= *c == '"';
                *c == '=' && !quoted
            })
            .ok_or_else(|| format!("`{text}` is not `PATH=VALUE`"))?
            .0;
        let path = FieldPath::parse(&text[..equals])?;
        if path.segments().is_empty() {
            return Err(format!("`{text}` has no path before the `=`"));
        }
        Ok(Self {
            path,
            value: text[equals + 1..].to_owned(),
            offset: equals + 1,
            text: text.to_owned(),
        })
    }

    /// The path that it sets.
    pub fn path(&self) -> &FieldPath {
        &self.path
    }
}

/// Overrides as text and as changes of a tree.
#[derive(Debug, Default)]
pub(super) struct CommandLine {
    /// One `--set …` line each.
    pub(super) text: String,
    /// What was set.
    pub(super) set: Vec<FieldPath>,
}

impl CommandLine {
    /// Puts the values into `root`; spans of the command line count from `base`.
    pub(super) fn apply(
        overrides: &[Override],
        base: usize,
        shape: &Shape,
        root: &mut Node,
        findings: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut line = Self::default();
        for change in overrides {
            line.text.push_str("--set ");
            let start = base + line.text.len();
            line.text.push_str(&change.text);
            line.text.push('\n');
            match set(change, start, shape, root, findings) {
                Ok(()) => line.set.push(change.path.clone()),
                Err(finding) => findings.push(*finding),
            }
        }
        line
    }
}

fn set(
    change: &Override,
    start: usize,
    shape: &Shape,
    root: &mut Node,
    findings: &mut Vec<Diagnostic>,
) -> Result<(), Box<Diagnostic>> {
    let path_span = Span::new(start..start + change.offset - 1);
    let value_span = Span::new(start + change.offset..start + change.text.len());
    let before = findings.len();
    let value = build(&change.value, start + change.offset, findings);
    if findings.len() > before {
        return Ok(());
    }
    let Some(value) = value.filter(|node| matches!(node.kind, Kind::Scalar(_))) else {
        let title = format!("`--set {}` needs one value", change.path);
        let finding = Diagnostic::error(Code("E0140"), title)
            .at(Place::Span(value_span), "not a single value")
            .help("lists and mappings go into the YAML");
        return Err(Box::new(finding));
    };
    // A path that turns out to be unknown half-way must leave nothing behind.
    let mut changed = root.clone();
    let mut node = &mut changed;
    let mut shape = shape;
    for segment in change.path.segments() {
        (node, shape) = step(node, shape, segment, path_span).map_err(|unknown| {
            let title = format!("`--set {}`: {}", change.path, unknown.what);
            let finding =
                Diagnostic::error(Code("E0140"), title).at(Place::Span(path_span), "not there");
            Box::new(match unknown.near {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding,
            })
        })?;
    }
    *node = value;
    *root = changed;
    Ok(())
}

/// A step of a path that leads nowhere.
struct Unknown {
    what: String,
    near: Option<String>,
}

impl Unknown {
    fn key<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Self {
        Self {
            what: format!("there is no `{key}`"),
            near: similar(key, known).map(str::to_owned),
        }
    }

    /// A name that the YAML does not have; the few that it has are named.
    fn name(name: &str, node: &Node) -> Self {
        let known: Vec<String> = keys(node).map(|key| format!("`{key}`")).collect();
        let mut unknown = Self::key(name, keys(node));
        if unknown.near.is_none() && (1..=8).contains(&known.len()) {
            unknown.what = format!("{}, only {}", unknown.what, known.join(", "));
        }
        unknown
    }
}

/// Goes one step down; a known key that the YAML lacks is made.
fn step<'n, 's>(
    node: &'n mut Node,
    shape: &'s Shape,
    segment: &Segment,
    span: Span,
) -> Result<(&'n mut Node, &'s Shape), Unknown> {
    let shape = form(shape, segment);
    let key = match (segment, shape) {
        (Segment::Index(index), Shape::List { item, .. }) => {
            return match &mut node.kind {
                Kind::Seq(items) if *index < items.len() => Ok((&mut items[*index], item)),
                _ => Err(Unknown {
                    what: format!("there is no item [{index}]"),
                    near: None,
                }),
            };
        }
        (Segment::Key(key), _) => key,
        (Segment::Index(index), _) => {
            return Err(Unknown {
                what: format!("[{index}] is no item of a list"),
                near: None,
            });
        }
    };
    let present = node.get(key).is_some();
    let inner = match shape {
        Shape::Record(record) => match record.fields.get(key) {
            Some(field) => &field.shape,
            None => return Err(Unknown::key(key, record.fields.keys().map(String::as_str))),
        },
        Shape::Dict { value, .. } if present || matches!(**value, Shape::Any | Shape::Text(_)) => {
            value
        }
        Shape::Any => &Shape::Any,
        _ => return Err(Unknown::name(key, node)),
    };
    let child = child(node, key, span).ok_or_else(|| Unknown::key(key, std::iter::empty()))?;
    Ok((child, inner))
}

/// Of a union the form that has such a step.
fn form<'s>(shape: &'s Shape, segment: &Segment) -> &'s Shape {
    let Shape::OneOf(forms) = shape else {
        return shape;
    };
    let fits = |form: &&Shape| match segment {
        Segment::Key(_) => matches!(form, Shape::Record(_) | Shape::Dict { .. }),
        Segment::Index(_) => matches!(form, Shape::List { .. }),
    };
    forms.iter().find(fits).unwrap_or(shape)
}

fn keys(node: &Node) -> impl Iterator<Item = &str> {
    let entries: &[Entry] = match &node.kind {
        Kind::Map(entries) => entries,
        _ => &[],
    };
    entries.iter().map(|entry| entry.key.as_str())
}

/// The value of `key`, made if it is not there; what is no mapping becomes one.
fn child<'n>(node: &'n mut Node, key: &str, span: Span) -> Option<&'n mut Node> {
    if !matches!(node.kind, Kind::Map(_)) {
        *node = Node {
            span,
            alias: None,
            kind: Kind::Map(Vec::new()),
        };
    }
    let Kind::Map(entries) = &mut node.kind else {
        return None;
    };
    let at = entries
        .iter()
        .position(|entry| entry.key == key)
        .unwrap_or_else(|| {
            entries.push(Entry {
                key: key.to_owned(),
                key_span: span,
                value: Node {
                    span,
                    alias: None,
                    kind: Kind::Map(Vec::new()),
                },
            });
            entries.len() - 1
        });
    Some(&mut entries[at].value)
}
