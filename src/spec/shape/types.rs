//! The shapes that a value may be required to have.

use indexmap::IndexMap;

use crate::spec::scalar::{Core, core};
use crate::spec::tree::{Kind, Node};

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::spec) enum Shape {
    /// Anything that JSON can say.
    Any,
    /// `true` or `false`.
    Bool,
    /// A whole number in a range, ends included.
    Integer {
        min: Option<i128>,
        max: Option<i128>,
    },
    /// A number in a range, ends included.
    Number { min: Option<f64>, max: Option<f64> },
    /// A text.
    Text(TextRule),
    /// One of a few words.
    Words(Vec<Word>),
    /// A sequence of at least `min` values.
    List { item: Box<Self>, min: usize },
    /// A mapping with keys of the user's choice.
    Dict {
        keys: TextRule,
        value: Box<Self>,
        /// A key without a value is an error although the value may be anything.
        no_null: bool,
    },
    /// A mapping with known keys.
    Record(Record),
    /// One of several shapes, told apart by the kind of node.
    OneOf(Vec<Self>),
}

/// A word of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::spec) struct Word {
    pub(in crate::spec) text: String,
    /// What the word means; may be empty.
    pub(in crate::spec) about: String,
}

impl AsRef<str> for Word {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// What a text must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::spec) enum TextRule {
    /// Anything.
    Free,
    /// Anything but nothing.
    NotEmpty,
    /// Anything; a number counts as the text that stands in the source.
    AsWritten,
    /// A release such as `0.12.0`, in quotes.
    Release,
    /// A length of time.
    Duration,
    /// A name.
    Name,
    /// A host name, address or pool.
    Node,
    /// The name of an environment variable.
    Variable,
}

/// A mapping with known keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::spec) struct Record {
    pub(in crate::spec) fields: IndexMap<String, Field>,
    /// Of each group at most one key may be there.
    pub(in crate::spec) exclusive: Vec<Vec<String>>,
    /// Just one key must be there.
    pub(in crate::spec) exactly_one: bool,
}

/// A known key.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::spec) struct Field {
    pub(in crate::spec) shape: Shape,
    pub(in crate::spec) required: bool,
    /// What the key means, from the struct's comment.
    pub(in crate::spec) about: String,
}

impl Shape {
    /// What a key of a value of this shape must be; none if there can be no such key.
    #[cfg(test)]
    pub(in crate::spec) fn key(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Record(record) => record.fields.get(key).map(|field| &field.shape),
            Self::Dict { value, .. } => Some(value),
            Self::OneOf(forms) => forms.iter().find_map(|form| form.key(key)),
            Self::Any => Some(self),
            _ => None,
        }
    }

    /// Of several forms the one that the kind of node chooses; none if there is none.
    pub(in crate::spec) fn of_node<'a>(forms: &'a [Self], node: &Node) -> Option<&'a Self> {
        let fits = |form: &&Self| match (&node.kind, form) {
            (_, Self::Any) => true,
            (Kind::Map(_), form) => matches!(form, Self::Record(_) | Self::Dict { .. }),
            (Kind::Seq(_), form) => matches!(form, Self::List { .. }),
            (Kind::Scalar(scalar), form) => {
                let meaning = if scalar.plain {
                    core(&scalar.text)
                } else {
                    Core::Text
                };
                match meaning {
                    Core::Integer(_) | Core::Float(_) => {
                        matches!(form, Self::Integer { .. } | Self::Number { .. })
                    }
                    Core::Bool(_) => matches!(form, Self::Bool),
                    Core::Null | Core::Text => matches!(form, Self::Text(_) | Self::Words(_)),
                }
            }
        };
        forms.iter().find(fits)
    }
}
