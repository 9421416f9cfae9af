//! `clusters/all-keys.yaml` holds every key of the schema, live.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use serde_json::Value;
use toolorch::spec::schema;

/// A key, by the type that has it: `Node.gpus`. Keys of types without a name go by the key above.
type Keys = BTreeSet<String>;

struct Walk<'a> {
    schema: &'a Value,
    /// Keys that the schema has.
    known: Keys,
    /// Keys that the YAML has.
    live: Keys,
    /// Types whose keys were collected.
    seen: BTreeSet<String>,
}

impl Walk<'_> {
    /// The schema behind a `$ref`, and its name.
    fn resolve<'s>(&'s self, schema: &'s Value, name: &str) -> (&'s Value, String) {
        match schema["$ref"].as_str() {
            Some(link) => {
                let name = link.rsplit('/').next().unwrap();
                (&self.schema["$defs"][name], name.to_owned())
            }
            None => (schema, name.to_owned()),
        }
    }

    /// Collects the keys of a schema and of all below it.
    fn collect(&mut self, schema: &Value, name: &str) {
        let (schema, name) = self.resolve(schema, name);
        let schema = schema.clone();
        if !self.seen.insert(name.clone()) {
            return;
        }
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{name}.{key}");
            self.known.insert(path.clone());
            self.collect(below, &path);
        }
        for (index, below) in beside(&schema).into_iter().enumerate() {
            self.collect(&below, &format!("{name}#{index}"));
        }
    }

    /// Marks the keys that a value of the YAML has.
    fn mark(&mut self, value: &Value, schema: &Value, name: &str) {
        let (schema, name) = self.resolve(schema, name);
        let schema = schema.clone();
        if let Some(map) = value.as_object() {
            for (key, below) in map {
                let of_key = &schema["properties"][key];
                if of_key.is_null() {
                    continue;
                }
                let path = format!("{name}.{key}");
                self.live.insert(path.clone());
                self.mark(below, of_key, &path);
            }
        }
        let values: Vec<&Value> = match value {
            Value::Object(map) => map.values().collect(),
            Value::Array(items) => items.iter().collect(),
            _ => Vec::new(),
        };
        for (index, below) in beside(&schema).into_iter().enumerate() {
            let name = format!("{name}#{index}");
            // One of several shapes means the value itself; items and patterns what is in it.
            if schema["anyOf"].is_array() {
                self.mark(value, &below, &name);
            } else {
                for value in &values {
                    self.mark(value, &below, &name);
                }
            }
        }
    }
}

/// Schemas below one that are not keys: alternatives, items, values of free mappings.
fn beside(schema: &Value) -> Vec<Value> {
    let mut all: Vec<Value> = schema["anyOf"]
        .as_array()
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    all.extend(schema["items"].is_object().then(|| schema["items"].clone()));
    let more = &schema["additionalProperties"];
    all.extend(more.is_object().then(|| more.clone()));
    all.extend(
        schema["patternProperties"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, below)| below.clone()),
    );
    all
}

#[test]
fn every_key_of_the_schema_is_there() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/clusters/all-keys.yaml");
    let yaml: Value = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut walk = Walk {
        schema: &schema,
        known: Keys::new(),
        live: Keys::new(),
        seen: BTreeSet::new(),
    };
    walk.collect(&schema, "cluster");
    walk.mark(&yaml, &schema, "cluster");
    assert!(walk.known.len() > 150, "{} keys", walk.known.len());
    let missing: Vec<_> = walk.known.difference(&walk.live).collect();
    assert!(
        missing.is_empty(),
        "keys that clusters/all-keys.yaml does not show: {missing:?}"
    );
}
