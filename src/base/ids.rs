//! Newtypes for everything that has a name or a number.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text cannot be the name it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a name: {why}")]
pub struct InvalidName {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// What [`Name::parse`] accepts, for the JSON Schema.
const NAME_PATTERN: &str = "^[a-z][a-z0-9_-]{0,62}$";

/// Host names, addresses and pools, for the JSON Schema.
const NODE_PATTERN: &str = "^[A-Za-z0-9_:][A-Za-z0-9._:-]{0,252}$";

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident $(matches $pattern:ident)?) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name($(#[schemars(regex(pattern = $pattern))])? String);

        impl $name {
            /// Wraps a text that was checked, or is checked by the rules of names later.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id! {
    /// The cluster's name: the `name` key of the YAML.
    ClusterName matches NAME_PATTERN
}
text_id! {
    /// A node or pool: a key of `nodes` or `pools`, often a host name or address.
    NodeName matches NODE_PATTERN
}
text_id! {
    /// A model, service, external or evaluation: one namespace, `[a-z][a-z0-9_-]*`.
    Name matches NAME_PATTERN
}
text_id! {
    /// An evaluation: a key of `evals`.
    EvalName matches NAME_PATTERN
}
text_id! {
    /// A client configuration: a key of `client_configs`, or `default` for `client_config`.
    ConfigName matches NAME_PATTERN
}
text_id! {
    /// Whatever is started and watched: `orchestrator-0`, `retrieval`, `eval-hle`.
    UnitId
}
text_id! {
    /// One `up` and its continuations: `NAME-N-xxxx`.
    RunId
}
text_id! {
    /// One start of one unit; carried by the process in its environment.
    LaunchId
}

impl Name {
    /// Checks a text against `[a-z][a-z0-9_-]*` and a length of 63.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let invalid = |why| {
            Err(InvalidName {
                text: text.to_owned(),
                why,
            })
        };
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return invalid("it must start with a lower-case letter");
        }
        if !text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
        {
            return invalid("only a-z, 0-9, `_` and `-` may be used");
        }
        if text.len() > 63 {
            return invalid("it is longer than 63 characters");
        }
        Ok(Self(text.to_owned()))
    }
}

impl UnitId {
    /// The unit of one replica of a model.
    pub fn replica(model: &Name, index: usize) -> Self {
        Self(format!("{model}-{index}"))
    }

    /// The unit of a service.
    pub fn service(name: &Name) -> Self {
        Self(name.to_string())
    }

    /// The unit in which an evaluation's client runs.
    pub fn eval(name: &EvalName) -> Self {
        Self(format!("eval-{name}"))
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize,
            Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id! {
    /// A TCP port.
    Port(u16)
}
number_id! {
    /// A GPU of a node, as `nvidia-smi` counts them.
    GpuIndex(u16)
}
number_id! {
    /// The n-th owner (controller) of a run, from 1.
    Epoch(u64)
}
number_id! {
    /// The n-th start of a unit, from 1; 0 is never started.
    Generation(u64)
}

impl Generation {
    /// The generation after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_one_rule() {
        assert!(Name::parse("wiki_retrieval").is_ok());
        for bad in ["", "A", "1a", "a.b", "a b", "-a", &"a".repeat(64)] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }
}
