//! Values that may be written in more than one way, each with a visitor of its own.
//!
//! `serde(untagged)` would do it in a line and ruin every error message.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::base::{Millis, NodeName, Port};
use crate::spec::schema::DURATION;

/// A length of time with a unit: `90s`, `60m`, `1h30m`, `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Duration(pub Millis);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Millis::parse(&text).map(Self).map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "duration",
            "pattern": DURATION,
            "description": "A length of time with a unit: `90s`, `60m`, `1h30m`."
        })
    }
}

/// Where a model or service runs: a node, a pool, or several nodes to spread over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct NodeChoice(pub Vec<NodeName>);

impl<'de> Deserialize<'de> for NodeChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;
        impl<'de> Visitor<'de> for Choice {
            type Value = NodeChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a node or pool, or a list of nodes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<NodeChoice, E> {
                Ok(NodeChoice(vec![NodeName::new(text)]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NodeChoice, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = seq.next_element()? {
                    nodes.push(node);
                }
                Ok(NodeChoice(nodes))
            }
        }
        deserializer.deserialize_any(Choice)
    }
}

impl JsonSchema for NodeChoice {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NodeChoice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let node = generator.subschema_for::<NodeName>();
        json_schema!({
            "description": "The name of a node or pool, or a list of nodes to spread over.",
            "anyOf": [
                node,
                { "type": "array", "items": node, "minItems": 1 }
            ]
        })
    }
}

/// The first port of a model or the port of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum PortChoice {
    /// This port; a busy one is refused.
    Fixed(Port),
    /// A free one, chosen by the plan.
    Auto,
}

impl<'de> Deserialize<'de> for PortChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;
        impl Visitor<'_> for Choice {
            type Value = PortChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port from 1 to 65535, or `auto`")
            }

            fn visit_u64<E: de::Error>(self, port: u64) -> Result<PortChoice, E> {
                match u16::try_from(port) {
                    Ok(port) if port > 0 => Ok(PortChoice::Fixed(Port(port))),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(port), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PortChoice, E> {
                match text {
                    "auto" => Ok(PortChoice::Auto),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Choice)
    }
}

impl JsonSchema for PortChoice {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PortChoice".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A port from 1 to 65535, or `auto` for a free one.",
            "anyOf": [
                { "type": "integer", "minimum": 1, "maximum": 65535 },
                { "type": "string", "enum": ["auto"] }
            ]
        })
    }
}

/// A scalar taken as the text that stands in the YAML: `450` stays `450`, `0.10` stays `0.10`.
///
/// Bare `yes`, `no`, `on`, `off`, `true`, `false` and `null` are refused before lowering:
/// nobody can tell which text was meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScalarText(pub String);

impl JsonSchema for ScalarText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ScalarText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text; a number keeps its source text. Quote yes, no, on, off, true, false and null.",
            "type": ["string", "number"],
            "x-source-text": true
        })
    }
}

/// A mapping of names to texts, in the order of the YAML.
pub(super) type TextMap = IndexMap<String, ScalarText>;

/// Reads either a scalar that `from_text` understands or a mapping that becomes a `T`.
pub(super) fn text_or_map<'de, D, T>(
    deserializer: D,
    expecting: &'static str,
    from_text: fn(&str) -> Option<T>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Either<T> {
        expecting: &'static str,
        from_text: fn(&str) -> Option<T>,
    }
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expecting)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            (self.from_text)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(de::value::MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_any(Either {
        expecting,
        from_text,
    })
}
