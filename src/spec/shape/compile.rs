//! JSON Schema to [`Shape`], once per process.
//!
//! Only what the model's structs produce is understood; a test fails if a struct produces more.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::types::{Field, Record, Shape, TextRule, Word};
use crate::spec::schema;

/// The shape of the whole YAML.
pub(in crate::spec) fn cluster() -> &'static Shape {
    static CLUSTER: LazyLock<Shape> = LazyLock::new(|| {
        let schema = schema::schema_value();
        Compiler { root: &schema }.shape(&schema)
    });
    &CLUSTER
}

struct Compiler<'a> {
    root: &'a Value,
}

impl Compiler<'_> {
    fn shape(&self, schema: &Value) -> Shape {
        let Some(map) = schema.as_object() else {
            return Shape::Any;
        };
        if let Some(target) = map.get("$ref").and_then(Value::as_str) {
            return self.reference(target);
        }
        if let Some(forms) = map.get("anyOf").and_then(Value::as_array) {
            return Shape::OneOf(forms.iter().map(|form| self.shape(form)).collect());
        }
        if let Some(words) = words(map) {
            return Shape::Words(words);
        }
        match map.get("type").and_then(Value::as_str) {
            Some("object") => self.mapping(map),
            Some("array") => self.list(map),
            Some("boolean") => Shape::Bool,
            Some("integer") => Shape::Integer {
                min: map.get("minimum").and_then(whole),
                max: map.get("maximum").and_then(whole),
            },
            Some("number") => Shape::Number {
                min: map.get("minimum").and_then(Value::as_f64),
                max: map.get("maximum").and_then(Value::as_f64),
            },
            Some("string") => Shape::Text(text_rule(map)),
            _ if map.contains_key("x-source-text") => Shape::Text(TextRule::AsWritten),
            _ => Shape::Any,
        }
    }

    fn reference(&self, target: &str) -> Shape {
        let name = target.rsplit('/').next().unwrap_or_default();
        self.shape(&self.root["$defs"][name])
    }

    fn list(&self, map: &Map<String, Value>) -> Shape {
        let item = match map.get("items") {
            // A mark on a list is meant for its items.
            Some(_) if map.contains_key("x-source-text") => Shape::Text(TextRule::AsWritten),
            Some(item) => self.shape(item),
            None => Shape::Any,
        };
        Shape::List {
            item: Box::new(item),
            min: map
                .get("minItems")
                .and_then(Value::as_u64)
                .map_or(0, |min| usize::try_from(min).unwrap_or(usize::MAX)),
        }
    }

    fn mapping(&self, map: &Map<String, Value>) -> Shape {
        if map.contains_key("properties") {
            return Shape::Record(self.record(map));
        }
        let by_pattern = map.get("patternProperties").and_then(Value::as_object);
        let (keys, value) = match by_pattern.and_then(|patterns| patterns.iter().next()) {
            Some((pattern, value)) => (pattern_rule(pattern), value),
            None => (
                map.get("propertyNames")
                    .and_then(|names| names["pattern"].as_str())
                    .map_or(TextRule::NotEmpty, pattern_rule),
                &map["additionalProperties"],
            ),
        };
        Shape::Dict {
            keys,
            value: Box::new(self.shape(value)),
            no_null: map.contains_key("x-no-null"),
        }
    }

    fn record(&self, map: &Map<String, Value>) -> Record {
        let required: Vec<&str> = map
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let properties = map.get("properties").and_then(Value::as_object);
        let fields = properties.into_iter().flatten().map(|(name, schema)| {
            let field = Field {
                shape: self.shape(schema),
                required: required.contains(&name.as_str()),
                about: self.about(schema),
            };
            (name.clone(), field)
        });
        Record {
            fields: fields.collect(),
            exclusive: map
                .get("x-exclusive")
                .and_then(|groups| serde_json::from_value(groups.clone()).ok())
                .unwrap_or_default(),
            exactly_one: map.get("minProperties").is_some_and(|count| count == 1)
                && map.get("maxProperties").is_some_and(|count| count == 1),
        }
    }

    fn about(&self, schema: &Value) -> String {
        let said = schema["description"].as_str().or_else(|| {
            let name = schema["$ref"].as_str()?.rsplit('/').next()?;
            self.root["$defs"][name]["description"].as_str()
        });
        said.unwrap_or_default().replace('\n', " ")
    }
}

/// The words of an enumeration, written as `enum` or as `oneOf` constants with comments.
fn words(map: &Map<String, Value>) -> Option<Vec<Word>> {
    if let Some(words) = map.get("enum").and_then(Value::as_array) {
        return words.iter().map(|text| word(text, "")).collect();
    }
    let mut words = Vec::new();
    for form in map.get("oneOf")?.as_array()? {
        let about = form["description"].as_str().unwrap_or_default();
        match (
            form.get("const"),
            form.get("enum").and_then(Value::as_array),
        ) {
            (Some(text), _) => words.push(word(text, about)?),
            (None, Some(several)) => words.extend(several.iter().filter_map(|text| word(text, ""))),
            (None, None) => return None,
        }
    }
    Some(words)
}

fn word(text: &Value, about: &str) -> Option<Word> {
    Some(Word {
        text: text.as_str()?.to_owned(),
        about: about.replace('\n', " "),
    })
}

fn whole(value: &Value) -> Option<i128> {
    value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
}

fn text_rule(map: &Map<String, Value>) -> TextRule {
    if map.contains_key("x-release") {
        return TextRule::Release;
    }
    match map.get("pattern").and_then(Value::as_str) {
        Some(pattern) => pattern_rule(pattern),
        None if map.contains_key("minLength") => TextRule::NotEmpty,
        None => TextRule::Free,
    }
}

fn pattern_rule(pattern: &str) -> TextRule {
    match pattern {
        schema::NAME => TextRule::Name,
        schema::NODE => TextRule::Node,
        schema::VARIABLE => TextRule::Variable,
        schema::DURATION => TextRule::Duration,
        _ => TextRule::Free,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keywords of the schema that are understood or only describe.
    const KNOWN: &[&str] = &[
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "format",
        "items",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "oneOf",
        "pattern",
        "patternProperties",
        "properties",
        "propertyNames",
        "required",
        "title",
        "type",
        "x-exclusive",
        "x-no-null",
        "x-release",
        "x-source-text",
    ];

    fn keywords(value: &Value, is_names: bool, unknown: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if !is_names && !KNOWN.contains(&key.as_str()) {
                        unknown.push(key.clone());
                    }
                    let names = !is_names
                        && matches!(key.as_str(), "properties" | "$defs" | "patternProperties");
                    keywords(value, names, unknown);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| keywords(item, false, unknown)),
            _ => {}
        }
    }

    #[test]
    fn every_keyword_of_the_schema_is_understood() {
        let mut unknown = Vec::new();
        keywords(&schema::schema_value(), false, &mut unknown);
        assert_eq!(unknown, Vec::<String>::new());
    }

    #[test]
    fn every_pattern_of_the_schema_is_understood() {
        let text = schema::schema();
        for line in text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("\"pattern\": "))
        {
            // A property of that name is followed by its schema, not by a text.
            if let Ok(pattern) = serde_json::from_str::<String>(line.trim_end_matches(',')) {
                assert_ne!(pattern_rule(&pattern), TextRule::Free, "{pattern}");
            }
        }
    }

    #[test]
    fn the_top_is_a_record_with_names_as_keys() {
        let Shape::Record(top) = cluster() else {
            panic!("the top is {:?}", cluster());
        };
        assert!(top.fields["version"].required);
        let Shape::Dict { keys, value, .. } = &top.fields["models"].shape else {
            panic!("models are {:?}", top.fields["models"].shape);
        };
        assert_eq!(*keys, TextRule::Name);
        assert!(matches!(**value, Shape::Record(_)));
        assert!(matches!(
            &top.fields["nodes"].shape,
            Shape::Dict {
                keys: TextRule::Node,
                ..
            }
        ));
        assert_eq!(top.fields["idle"].shape, Shape::Text(TextRule::Duration));
    }
}
