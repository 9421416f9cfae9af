//! The spanned tree: what the YAML says, with the bytes that say it.

use crate::base::{FieldPath, Segment, Span};
use crate::diag::Place;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its bytes; of an aliased value those of the anchor's.
    pub span: Span,
    /// The `*alias` through which it came here.
    pub alias: Option<Span>,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A scalar.
    Scalar(Scalar),
    /// A mapping, in the order of the YAML, merge keys filled in, each key once.
    Map(Vec<Entry>),
    /// A sequence.
    Seq(Vec<Node>),
}

/// A scalar as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// Its text, escapes resolved; without quotes just what stands in the source.
    pub text: String,
    /// Written without quotes and not as a block, so that it may mean a number or a truth value.
    pub plain: bool,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value of `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// Its value.
    pub root: Node,
}

/// A value that a path names, with its key where it has one.
#[derive(Debug, Clone, Copy)]
struct Step<'a> {
    key: Option<Span>,
    node: &'a Node,
}

impl Tree {
    /// The value at `path`.
    pub fn node(&self, path: &FieldPath) -> Option<&Node> {
        let (step, left) = self.walk(path);
        (left == 0).then_some(step.node)
    }

    /// Whether there is a value at `path`.
    pub fn has(&self, path: &FieldPath) -> bool {
        self.node(path).is_some()
    }

    /// The bytes that `place` means: those of the nearest value that holds it if there is none.
    pub fn locate(&self, place: &Place) -> Span {
        let (path, wants_key) = match place {
            Place::Span(span) => return *span,
            Place::Key(path) => (path, true),
            Place::Value(path) => (path, false),
        };
        let (step, left) = self.walk(path);
        match step.key {
            Some(key) if wants_key || left > 0 => key,
            None if left > 0 => Span::default(),
            _ => step.node.span,
        }
    }

    /// The last value on the way that exists, and how many steps are left after it.
    fn walk(&self, path: &FieldPath) -> (Step<'_>, usize) {
        let segments = path.segments();
        let mut step = Step {
            key: None,
            node: &self.root,
        };
        for (done, segment) in segments.iter().enumerate() {
            let next = match (segment, &step.node.kind) {
                (Segment::Key(key), Kind::Map(_)) => step.node.get(key).map(|entry| Step {
                    key: Some(entry.key_span),
                    node: &entry.value,
                }),
                (Segment::Index(index), Kind::Seq(items)) => {
                    items.get(*index).map(|node| Step { key: None, node })
                }
                _ => None,
            };
            match next {
                Some(next) => step = next,
                None => return (step, segments.len() - done),
            }
        }
        (step, 0)
    }
}
