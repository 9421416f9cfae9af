//! Where a value comes from.

use std::fmt;

use crate::base::FieldPath;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The YAML, at this path.
    Yaml(FieldPath),
    /// `--set` with this path.
    CommandLine(FieldPath),
    /// Nobody said anything: the constant default, in the words given.
    Default(&'static str),
    /// It follows from something else: "the family of the model".
    Derived(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yaml(path) => path.fmt(f),
            Self::CommandLine(path) => write!(f, "--set {path}"),
            Self::Default(what) => write!(f, "default: {what}"),
            Self::Derived(from) => write!(f, "from {from}"),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    /// A value of the YAML.
    pub fn yaml(value: T, path: FieldPath) -> Self {
        Self {
            value,
            origin: Origin::Yaml(path),
        }
    }

    /// A constant default.
    pub fn default(value: T, what: &'static str) -> Self {
        Self {
            value,
            origin: Origin::Default(what),
        }
    }
}
