//! The JSON Schema of the YAML: editors complete from it, and the shapes are compiled from it.

use serde_json::{Map, Value};

use super::ClusterSpec;

/// Names of cluster, models, services, externals, evaluations, configurations.
pub(super) const NAME: &str = "^[a-z][a-z0-9_-]{0,62}$";
/// Host names, addresses, pools.
pub(super) const NODE: &str = "^[A-Za-z0-9_:][A-Za-z0-9._:-]{0,252}$";
/// Environment variables.
pub(super) const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
/// Lengths of time.
pub(super) const DURATION: &str = "^([0-9]+(ms|s|m|min|h|d))+$";

/// The JSON Schema (draft 2020-12) of the cluster YAML, as text.
pub fn schema() -> String {
    format!("{:#}\n", schema_value())
}

/// The schema without the `null` that an absent key stands for in Rust: `key: null` is no value.
pub(super) fn schema_value() -> Value {
    let mut schema = schemars::schema_for!(ClusterSpec).to_value();
    without_null(&mut schema);
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".to_owned(), Value::from("toolorch cluster"));
    }
    schema
}

fn without_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(map) => {
            map.remove("default");
            drop_null_type(map);
            allow_numbers(map);
            drop_null_form(map);
            map.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

/// `type: [string, null]` becomes `type: string`.
fn drop_null_type(map: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = map.get_mut("type") else {
        return;
    };
    types.retain(|name| name != "null");
    if let [only] = types.as_slice() {
        let only = only.clone();
        map.insert("type".to_owned(), only);
    }
}

/// A list of texts that are taken as written may hold numbers.
fn allow_numbers(map: &mut Map<String, Value>) {
    if map.contains_key("x-source-text")
        && let Some(Value::Object(items)) = map.get_mut("items")
    {
        items.insert("type".to_owned(), Value::from(vec!["string", "number"]));
    }
}

/// `anyOf: [X, {type: null}]` becomes X, with what is said beside it kept.
fn drop_null_form(map: &mut Map<String, Value>) {
    let Some(Value::Array(forms)) = map.get_mut("anyOf") else {
        return;
    };
    forms.retain(|form| form.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = forms.as_slice() {
        let only = only.clone();
        map.remove("anyOf");
        for (key, value) in only {
            map.entry(key).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_may_be_null() {
        assert!(!schema().contains("\"null\""));
    }
}
